"""How exact lattice sums are, and how long they take."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.workflows.benchmark.crystals import random_crystal
from crystaltensor.workflows.benchmark.peers import alternating, installed_peers
from crystaltensor.workflows.benchmark.references import (
    KNOWN,
    KnownSum,
    exponential_sum,
    inverse_power_sum,
)
from crystaltensor.workflows.benchmark.report import Figure, Report, Table
from crystaltensor.workflows.benchmark.timing import Timing, fastest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from crystaltensor.crystals.crystal import Crystal
    from crystaltensor.lattice.potentials import Potential
    from crystaltensor.workflows.benchmark.peers import Peer
    from crystaltensor.workflows.benchmark.report import Cell

    Floats = NDArray[np.float64]

SIZES = {2: 128, 6: 64, 10: 64, 20: 32, 40: 16, 100: 8, 200: 4, 500: 1}
"""Atoms of a crystal to how many are summed in one call."""

SHORT_SIZES = {2: 64, 10: 32, 40: 8, 100: 4}
ALPHA = 3.0
"""Of exp(-αr), in 1/Å."""

TOLERANCE = 1e-10
TIGHTEST = 1e-13
TOLERANCES = (1e-4, 1e-7, 1e-10, 1e-13)
PAIRS = ((0, 0), (0, 1))
"""Pairs of atoms whose sums are computed with 25 digits."""

ROUNDING = 1e-13
"""Errors below this are those of 64-bit numbers."""


@dataclass(frozen=True)
class _Checked:
    """One crystal whose sums are known."""

    crystal: "Crystal"
    references: "Floats"  # (3, n_pairs)


@dataclass(frozen=True)
class _Timed:
    """Times for one size."""

    n_atoms: int
    n_batch: int
    alone: Timing
    batch: Timing
    peers: "tuple[tuple[Peer, Timing, float], ...]"


def benchmark_sums(
    *, device: str = "auto", short: bool = False, seconds: float | None = None
) -> Report:
    """Compare lattice sums with what is known, and time them.

    Coulomb, London and exp(-3r) sums of random triclinic crystals of 0.07 atoms/Å³, for
    all pairs of atoms, beside those of other codes that are installed.

    Parameters
    ----------
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    short : bool
        Whether to take fewer sizes.
    seconds : float, optional
        How long to time each; 1, or 0.2 if `short`.

    Returns
    -------
    Report
        Errors beside their certified bounds, and times.
    """
    from crystaltensor.nn.devices import choose_device

    where = choose_device(device)
    sizes = SHORT_SIZES if short else SIZES
    duration = seconds or (0.2 if short else 1.0)
    checked = [_check(n_atoms) for n_atoms in sizes]
    known, known_figures = _known_table(where)
    errors, error_figures = _error_tables(checked, where)
    timed = [_time(n_atoms, sizes[n_atoms], where, duration) for n_atoms in sizes]
    tables = [known, *errors, _time_table(timed)]
    if any(each.peers for each in timed):
        tables.append(_peer_table(timed))
    if not short:
        tables.append(_large_table(where))
    figures = [*known_figures, *error_figures, *_time_figures(timed)]
    settings = {"device": where, "short": short, "sizes": list(sizes)}
    return Report("sums", settings, tuple(tables), tuple(figures))


def _potentials() -> "list[Potential]":
    """List the sums of PotNet's paper."""
    from crystaltensor.lattice.kernels import InversePower, Pauli

    return [InversePower(1), InversePower(6), Pauli(ALPHA)]


def _sum(
    crystals: "Sequence[Crystal]", tolerance: float, device: str
) -> "tuple[list[Floats], Floats]":
    """Sum over crystals; matrices and bounds."""
    import torch

    from crystaltensor.lattice.sums import lattice_sums

    cells = torch.tensor(np.stack([each.cell for each in crystals]), device=device)
    positions = [torch.tensor(each.positions, device=device) for each in crystals]
    found = lattice_sums(cells, positions, _potentials(), tolerance)
    return [each.cpu().numpy() for each in found.matrices], found.error_bounds.numpy()


def _check(n_atoms: int) -> _Checked:
    """Compute a few sums of a crystal with 25 digits."""
    crystal = random_crystal(n_atoms, seed=0)
    x, cell = crystal.positions, crystal.cell
    rows = [
        [inverse_power_sum(power, cell, x[one] - x[other]) for one, other in PAIRS]
        for power in (1, 6)
    ]
    rows.append(
        [exponential_sum(ALPHA, cell, x[one] - x[other]) for one, other in PAIRS]
    )
    return _Checked(crystal, np.array(rows))


def _known_table(device: str) -> tuple[Table, list[Figure]]:
    """Compare with the literature."""
    rows: list[tuple[Cell, ...]] = []
    figures = []
    for known in KNOWN:
        value, bound = _evaluate(known, device)
        error = abs(value - known.value)
        kind = "Madelung" if known.power == 1 else f"Σ 1/r^{known.power}"
        rows.append((known.name, kind, f"{value:.13f}", error, bound, known.source))
        name = f"{known.name} {kind}"
        figures.append(Figure(name, "error", error, floor=2 * bound))
    columns = ("", "sum", "here", "difference", "bound", "literature")
    note = (
        "Distances are in units of that of nearest neighbours; the tolerance is "
        f"{TIGHTEST:g}. Zucker: J. Phys. A 8, 1734; Schwerdtfeger et al.: J. Phys. Chem. A "
        "125, 3037, with 15 digits."
    )
    return Table("Constants of the literature", columns, tuple(rows), (note,)), figures


def _evaluate(known: KnownSum, device: str) -> tuple[float, float]:
    """Compute a sum of the literature, and the bound of its error."""
    import torch

    from crystaltensor.lattice.kernels import InversePower
    from crystaltensor.lattice.sums import lattice_sums

    cell = torch.tensor(known.cell / known.nearest, device=device)
    x = torch.tensor(np.array(known.frac), device=device) @ cell
    found = lattice_sums(cell[None], [x], [InversePower(known.power)], TIGHTEST)
    charges = np.array(known.charges)
    factor = -0.5 if known.power == 1 else 1.0
    value = factor * float(charges @ found.matrices[0][0].cpu().numpy() @ charges)
    weight = abs(factor) * float(np.abs(np.outer(charges, charges)).sum())
    return value, weight * float(found.error_bounds[0, 0])


def _error_tables(
    checked: list[_Checked], device: str
) -> tuple[list[Table], list[Figure]]:
    """Compare errors with what they may be: by size, and by tolerance."""
    rows: list[tuple[Cell, ...]] = []
    figures = []
    names = ("Coulomb", "London", "exp(-3r)")
    by_tolerance: dict[float, list[tuple[float, float]]] = {}
    for each in checked:
        n_atoms = each.crystal.n_atoms
        for tolerance in TOLERANCES:
            errors, bounds = _errors(each, tolerance, device)
            by_tolerance.setdefault(tolerance, []).extend(
                zip(errors.tolist(), bounds.tolist(), strict=True)
            )
            if tolerance == TOLERANCE:
                pairs = zip(errors.tolist(), bounds.tolist(), strict=True)
                rows.append((n_atoms, *(value for pair in pairs for value in pair)))
                figures += [
                    Figure(f"{name} {n_atoms} atoms", "error", error, floor=TOLERANCE)
                    for name, error in zip(names, errors.tolist(), strict=True)
                ]
    columns = ("atoms", *(column for name in names for column in (name, "bound")))
    note = (
        f"Tolerance {TOLERANCE:g}; the errors are those of {len(PAIRS)} pairs of atoms "
        "of each crystal against Ewald sums, or plain ones for exp(-3r), with 25 digits."
    )
    by_size = Table(
        "Errors and certified bounds, by size", columns, tuple(rows), (note,)
    )
    broken = sum(
        error > bound for pairs in by_tolerance.values() for error, bound in pairs
    )
    figures.append(Figure("bounds broken", "error", float(broken)))
    return [by_size, _tolerance_table(by_tolerance)], figures


def _errors(
    checked: _Checked, tolerance: float, device: str
) -> "tuple[Floats, Floats]":
    """Give the largest true error of each potential, and its bound."""
    (matrices,), (bounds,) = _sum([checked.crystal], tolerance, device)
    found = np.stack([matrices[:, one, other] for one, other in PAIRS], axis=1)
    return np.abs(found - checked.references).max(axis=1), bounds


def _tolerance_table(by_tolerance: dict[float, list[tuple[float, float]]]) -> Table:
    """Show how close the bounds are."""
    rows: list[tuple[Cell, ...]] = []
    for tolerance, pairs in by_tolerance.items():
        errors, bounds = np.array(pairs).T
        margin = bounds / np.maximum(errors, 1e-300)
        rows.append(
            (
                f"{tolerance:g}",
                float(errors.max()),
                float(bounds.max()),
                float(margin.min()),
                int((errors > bounds).sum()),
                len(pairs),
            )
        )
    columns = (
        "tolerance",
        "worst error",
        "worst bound",
        "least bound/error",
        "broken",
        "sums",
    )
    note = "A bound holds for every pair of atoms; round-off is part of it."
    return Table("Certified bounds, by tolerance", columns, tuple(rows), (note,))


def _time(n_atoms: int, n_batch: int, device: str, seconds: float) -> _Timed:
    """Time one size: alone, in a batch, and other codes."""
    crystals = [random_crystal(n_atoms, seed=seed) for seed in range(n_batch)]
    alone = fastest(lambda: _sum(crystals[:1], TOLERANCE, device), seconds=seconds)
    batch = fastest(lambda: _sum(crystals, TOLERANCE, device), seconds=seconds)
    peers = []
    if device == "cpu":
        exact = _energy(crystals[0], device)
        for peer in installed_peers(crystals[0]):
            timing = fastest(peer.run, seconds=min(seconds, 0.5), rounds=2)
            peers.append((peer, timing, abs(peer.energy() / exact - 1)))
    return _Timed(n_atoms, n_batch, alone, batch.per(n_batch), tuple(peers))


def _energy(crystal: "Crystal", device: str) -> float:
    """Give the Coulomb energy of charges +1 and -1 in turns, in 1/Å."""
    (matrices,), _ = _sum([crystal], TIGHTEST, device)
    charges = np.array(alternating(crystal.n_atoms))
    return 0.5 * float(charges @ matrices[0] @ charges)


def _time_table(timed: list[_Timed]) -> Table:
    """Show times per crystal."""
    rows = tuple(
        (
            each.n_atoms,
            1e3 * each.alone.seconds,
            1e3 * each.batch.seconds,
            each.n_batch,
            1e9 * each.batch.seconds / each.n_atoms**2,
            each.batch.ratio,
        )
        for each in timed
    )
    columns = ("atoms", "one, ms", "in a batch, ms", "of", "ns per pair", "products")
    note = (
        "Per crystal, Coulomb, London and exp(-3r) for all pairs of atoms, smallest of "
        "several rounds; products: in units of that of two 384×384 matrices of 32-bit "
        "numbers in the same rounds."
    )
    return Table("Time per crystal", columns, rows, (note,))


def _peer_table(timed: list[_Timed]) -> Table:
    """Show the other codes."""
    rows: list[tuple[Cell, ...]] = []
    for each in timed:
        for peer, timing, error in each.peers:
            rows.append(
                (
                    each.n_atoms,
                    peer.name,
                    1e3 * timing.seconds,
                    timing.seconds / each.batch.seconds,
                    timing.seconds / each.alone.seconds,
                    error,
                )
            )
    columns = ("atoms", "code", "ms", "/ ours, batch", "/ ours, one", "energy error")
    codes = {
        f"{peer.name} {peer.version} ({peer.what})"
        for each in timed
        for peer, *_ in each.peers
    }
    note = (
        f"{', '.join(sorted(codes))}, for all pairs of one crystal, at the accuracy that "
        "each comes with (torch-pme: cutoffs for terms of 1e-12, neighbours given); ours: "
        "three sums. Energy: relative, of charges +1 and -1 in turns."
    )
    return Table("Other codes in the same run", columns, tuple(rows), (note,))


def _time_figures(timed: list[_Timed]) -> list[Figure]:
    """List the times that a later run is compared with."""
    return [
        Figure.of_time(f"{each.n_atoms} atoms, {what}", timing)
        for each in timed
        for what, timing in (("one", each.alone), ("in a batch", each.batch))
    ]


def _large_table(device: str) -> Table:
    """Show time and memory of a large cell."""
    import time

    import torch

    from crystaltensor.lattice.sums import lattice_sums

    crystal = random_crystal(1000, seed=0)
    cell = torch.tensor(crystal.cell, device=device)[None]
    rows: list[tuple[Cell, ...]] = []
    for name, gradient in (("sums", False), ("and gradient in all positions", True)):
        x = torch.tensor(crystal.positions, device=device, requires_grad=gradient)
        before = _peak_gib(device)
        start = time.perf_counter()
        found = lattice_sums(cell, [x], _potentials(), TOLERANCE).matrices[0].sum()
        if gradient:
            found.backward()
        value = float(found)  # waits for a GPU
        seconds = time.perf_counter() - start
        grown = _peak_gib(device) - before
        rows.append((name, seconds, grown if math.isfinite(value) else None))
    return Table(
        "One crystal of 1,000 atoms", ("", "s", "memory more, GiB"), tuple(rows)
    )


def _peak_gib(device: str) -> float:
    """Give the largest memory so far."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 2**30
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
