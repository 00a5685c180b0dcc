"""Time the lattice sums, and those of other codes that are installed.

Run it as ``python tests/benchmarks/benchmark_sums.py``. All crystals are random triclinic
cells of 0.07 atoms/Å³; every time is for all pairs of one crystal on one thread, the
smallest of several runs, since other work on a machine only adds to it.
"""

import argparse
import itertools
import math
import resource
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from crystaltensor.lattice.kernels import InversePower, Pauli
from crystaltensor.lattice.sums import lattice_sums

DENSITY = 0.07
PAPER = [InversePower(1), InversePower(6), Pauli(3.0)]
SIZES = {9: 64, 40: 16, 100: 8, 200: 4}
PUBLISHED = {9: 66.0, 40: 1410.0, 100: 8700.0, 200: 33800.0}
GOALS = {9: 0.5, 40: 2.0, 100: 8.0, 200: 25.0}
REDUCED_CUTOFF = 5.3


def random_crystal(n_atoms: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return a triclinic cell, and positions no closer than 1 Å."""
    rng = np.random.default_rng(seed)
    while True:
        cell = np.eye(3) + 0.25 * rng.normal(size=(3, 3))
        volume = abs(np.linalg.det(cell))
        if volume > 0.4:
            break
    cell *= np.cbrt(n_atoms / DENSITY / volume)
    images = np.array(list(itertools.product((-1, 0, 1), repeat=3))) @ cell
    placed: list[np.ndarray] = []
    while len(placed) < n_atoms:
        x = rng.random(3) @ cell
        apart = np.array([x - y for y in placed]).reshape(-1, 1, 3) + images
        if (np.square(apart).sum(axis=2) > 1).all():
            placed.append(x)
    return torch.from_numpy(cell), torch.from_numpy(np.array(placed))


def fastest(function: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Return the smallest wall and processor time of a call, in ms."""
    function()
    walls, cpus = [], []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(walls) < 3:
        wall, cpu = time.perf_counter(), time.process_time()
        function()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return 1e3 * min(walls), 1e3 * min(cpus)


def ours(n_atoms: int, n_crystals: int, device: str) -> Callable[[], object]:
    """Return a call that sums a batch."""
    crystals = [random_crystal(n_atoms, seed) for seed in range(n_crystals)]
    cells = torch.stack([cell for cell, _ in crystals]).to(device)
    positions = [x.to(device) for _, x in crystals]

    def run() -> float:
        sums = lattice_sums(cells, positions, PAPER).matrices
        return float(sums[-1][0, 0, 0])  # waits for a GPU

    return run


def pymatgen_ewald(n_atoms: int) -> Callable[[], object]:
    """Return a call of pymatgen's Ewald summation: the Coulomb sum only."""
    from pymatgen.analysis.ewald import EwaldSummation
    from pymatgen.core import Structure

    cell, x = random_crystal(n_atoms, 0)
    charges = [(-1) ** i for i in range(n_atoms)]
    structure = Structure(
        cell.numpy(), ["Na"] * n_atoms, x.numpy(), coords_are_cartesian=True
    )
    structure.add_oxidation_state_by_site(charges)
    return lambda: EwaldSummation(structure).total_energy_matrix


def torch_pme(n_atoms: int) -> Callable[[], object]:
    """Return a call of torch-pme's Ewald sums: Coulomb and London, neighbours given."""
    import torchpme

    cell, x = random_crystal(n_atoms, 0)
    eta = math.sqrt(math.pi) * (n_atoms / float(torch.linalg.det(cell)) ** 2) ** (1 / 6)
    reach = REDUCED_CUTOFF / eta
    most = math.ceil(reach / float((1 / torch.linalg.inv(cell).norm(dim=0)).min())) + 1
    images = torch.tensor(list(itertools.product(range(-most, most + 1), repeat=3)))
    apart = x - x[:, None] + (images.double() @ cell)[:, None, None]
    distances = apart.norm(dim=-1)
    _, i, j = torch.nonzero((distances > 0) & (distances < reach)).T
    near = distances[(distances > 0) & (distances < reach)]
    calculators = [
        torchpme.EwaldCalculator(
            torchpme.InversePowerLawPotential(p, smearing=math.sqrt(0.5) / eta),
            lr_wavelength=math.pi / (REDUCED_CUTOFF * eta),
            full_neighbor_list=True,
        ).to(torch.float64)
        for p in (1, 6)
    ]
    pairs = torch.stack([i, j], dim=1)
    # One unit charge per channel gives all pairs at once.
    charges = torch.eye(n_atoms, dtype=torch.float64)
    return lambda: [run(charges, cell, x, pairs, near) for run in calculators]


def epsteinlib_zeta(n_atoms: int) -> Callable[[], object]:
    """Return a call of epsteinlib: Coulomb and London, one pair at a time."""
    from epsteinlib import epstein_zeta

    cell, x = random_crystal(n_atoms, 0)
    columns, points = np.ascontiguousarray(cell.numpy().T), x.numpy()
    pairs = list(itertools.combinations_with_replacement(range(n_atoms), 2))
    zero = np.zeros(3)
    return lambda: [
        epstein_zeta(p, columns, points[a] - points[b], zero)
        for p in (1.0, 6.0)
        for a, b in pairs
    ]


PEERS = {
    "pymatgen": pymatgen_ewald,
    "torch-pme": torch_pme,
    "epsteinlib": epsteinlib_zeta,
}


def peer_times(n_atoms: int, seconds: float) -> dict[str, float]:
    """Time the other codes that are installed."""
    found = {}
    for name, make in PEERS.items():
        try:
            run = make(n_atoms)
        except ImportError:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found[name] = fastest(run, seconds)[0]
    return found


def table(device: str, seconds: float) -> None:
    """Print one line per size."""
    for n_atoms, n_crystals in SIZES.items():
        wall, cpu = fastest(ours(n_atoms, n_crystals, device), seconds)
        alone = fastest(ours(n_atoms, 1, device), seconds)[0]
        wall, cpu = wall / n_crystals, cpu / n_crystals
        line = (
            f"{n_atoms:4d} atoms: {wall:7.3f} ms in batches of {n_crystals} "
            f"(processor {cpu:.3f} ms, goal {GOALS[n_atoms]:g} ms), {alone:7.3f} ms "
            f"alone, {PUBLISHED[n_atoms] / wall:.0f} times the published code's speed"
        )
        peers = peer_times(n_atoms, seconds) if device == "cpu" else {}
        for name, theirs in peers.items():
            line += f"; {name} {theirs:.1f} ms ({theirs / wall:.0f}x)"
        print(line, flush=True)


def large(device: str) -> None:
    """Print time and memory for 1,000 atoms."""
    cell, x = random_crystal(1000, 0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    start = time.perf_counter()
    lattice_sums(cell[None].to(device), [x.to(device)], PAPER)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"1000 atoms: {wall:.2f} s, peak memory {after:.2f} GiB ({before:.2f} before)"
    )
    start = time.perf_counter()
    x = x.to(device).requires_grad_()
    lattice_sums(cell[None].to(device), [x], PAPER).matrices[0].sum().backward()
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"1000 atoms with gradient: {wall:.2f} s, peak memory {after:.2f} GiB")


def main() -> None:
    """Read the options, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0, help="per timing")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=0, help="ten-atom crystals")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.batch:
        wall, _ = fastest(ours(10, given.batch, given.device), given.seconds)
        print(f"{given.batch} crystals of 10 atoms: {given.batch / wall * 1e3:.0f}/s")
        return
    large(given.device)
    table(given.device, given.seconds)


if __name__ == "__main__":
    main()
