"""Tests of crystaltensor.lattice.sums: literature, brute force, symmetry, errors."""

import itertools
import json
import math
from pathlib import Path

import mpmath
import numpy as np
import pytest
import torch
from torch import Tensor

from crystaltensor.errors import ConfigError, ShapeError, StructureError
from crystaltensor.lattice.kernels import InversePower, Pauli, ScreenedCoulomb
from crystaltensor.lattice.potentials import LennardJones, Morse, Potential
from crystaltensor.lattice.sums import lattice_sums

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "potnet_sums.json"

FCC = torch.tensor([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], dtype=torch.float64)
SIMPLE = torch.eye(3, dtype=torch.float64)

NACL = 1.7475645946331821906
CSCL = 1.7626747730709883979
ZINCBLENDE = 1.6380550533887894237

ALL: list[Potential] = [
    *[InversePower(p) for p in (1, 2, 4, 5, 6, 8, 10, 12)],
    Pauli(3.0),
    Pauli(0.3),
    ScreenedCoulomb(2.0),
    ScreenedCoulomb(0.3),
    LennardJones(2.0, 0.1),
    Morse(0.3, 1.2, 2.0),
]
PAPER: list[Potential] = [InversePower(1), InversePower(6), Pauli(3.0)]


def double(rows: object) -> Tensor:
    """Return a float64 tensor."""
    return torch.tensor(rows, dtype=torch.float64)


def crystal(n_atoms: int, seed: int = 0, shape: tuple[float, ...] = (1, 1, 1)) -> tuple:
    """Return a random triclinic cell of 14 Å³ per atom, and positions."""
    generator = torch.Generator().manual_seed(seed)
    cell = torch.diag(double(shape))
    cell += 0.25 * torch.randn(3, 3, generator=generator, dtype=torch.float64)
    cell *= (14 * n_atoms / torch.linalg.det(cell).abs()) ** (1 / 3)
    grid = math.ceil(n_atoms ** (1 / 3))
    sites = double(list(itertools.product(range(grid), repeat=3))[:n_atoms]) / grid
    noise = torch.rand(n_atoms, 3, generator=generator, dtype=torch.float64)
    return cell, (sites + 0.5 * noise / grid) @ cell


def one(cell: Tensor, x: Tensor, potentials: list, tolerance: float = 1e-12) -> Tensor:
    """Sum over one crystal."""
    return lattice_sums(cell[None], [x], potentials, tolerance).matrices[0]


@pytest.mark.parametrize(
    ("cell", "frac", "charges", "unit", "expected"),
    [
        # OEIS A085469; Crandall and Buhler, J. Phys. A 20 (1987) 5497.
        (FCC, [[0] * 3, [0.5] * 3], [1, -1], 0.5, NACL),
        # OEIS A181152; Zucker, J. Phys. A 8 (1975) 1734.
        (SIMPLE, [[0] * 3, [0.5] * 3], [1, -1], math.sqrt(3) / 2, CSCL),
        # Zucker (1975), as (CSCL + NACL √3/2) / 2.
        (FCC, [[0] * 3, [0.25] * 3], [1, -1], math.sqrt(3) / 4, ZINCBLENDE),
        # 5.03879 in Johnson and Templeton, J. Chem. Phys. 34 (1961) 2004; its
        # sublattices pair up as two zincblendes and one rock salt.
        (
            FCC,
            [[0] * 3, [0.25] * 3, [0.75] * 3],
            [2, -1, -1],
            math.sqrt(3) / 4,
            4 * ZINCBLENDE - NACL * math.sqrt(3) / 2,
        ),
    ],
    ids=["NaCl", "CsCl", "zincblende", "fluorite"],
)
def test_madelung_constants_of_the_literature(
    cell: Tensor, frac: list, charges: list, unit: float, expected: float
) -> None:
    """The energy of a neutral crystal does not see the background."""
    edge = 5.3
    sums = one(edge * cell, edge * double(frac) @ cell, [InversePower(1)], 1e-14)[0]
    q = double(charges)
    assert float(-0.5 * q @ sums @ q) * unit * edge == pytest.approx(
        expected, abs=1e-12
    )


def test_madelung_constant_of_fluorite_to_five_digits() -> None:
    """Johnson and Templeton (1961) tabulate 5.03879."""
    assert 4 * ZINCBLENDE - NACL * math.sqrt(3) / 2 == pytest.approx(5.03879, abs=6e-6)


@pytest.mark.parametrize(
    ("power", "expected"),
    # Borwein et al., Lattice Sums Then and Now (2013), table of fcc and sc sums;
    # Jones and Ingham, Proc. R. Soc. A 107 (1925) 636: sc and fcc, nearest neighbour 1.
    [(6, (8.401924, 14.453921)), (12, (6.202149, 12.131880)), (4, (16.5323, 25.3383))],
)
def test_lennard_jones_ingham_sums(power: int, expected: tuple[float, float]) -> None:
    """The classical sums over the simple and the face-centred cubic lattice."""
    origin = torch.zeros(1, 3, dtype=torch.float64)
    cells = torch.stack([SIMPLE, FCC * math.sqrt(2)])
    sums = lattice_sums(cells, [origin, origin], [InversePower(power)]).matrices
    for value, digits in zip(sums, expected, strict=True):
        assert float(value) == pytest.approx(digits, abs=6e-5 if power == 4 else 1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 4), (1, 3, 3)])
def test_short_ranged_sums_agree_with_brute_force(shape: tuple[float, ...]) -> None:
    """All images of a large block, summed one by one."""
    cell, x = crystal(3, 1, shape)
    potentials: list[Potential] = [
        InversePower(12),
        Pauli(3.0),
        ScreenedCoulomb(2.0),
        Pauli(1.0),
    ]
    sums = one(cell, x, potentials)
    images = double(list(itertools.product(range(-18, 19), repeat=3))) @ cell
    r = (x[:, None, None] - x[None, :, None] + images).norm(dim=-1)
    away = r.masked_fill(r == 0, math.inf)
    expected = [away**-12, torch.exp(-3 * r), torch.exp(-2 * away) / away]
    expected.append(torch.exp(-r))
    brute = torch.stack([values.sum(dim=-1) for values in expected])
    torch.testing.assert_close(sums, brute, rtol=1e-12, atol=1e-11)


def test_a_sum_agrees_with_thirty_digits_of_mpmath() -> None:
    """The Coulomb and London sums of one pair by Ewald's split, all in mpmath."""
    cell, x = crystal(2, 5)
    sums = one(cell, x, [InversePower(1), InversePower(6)], 1e-14)[:, 0, 1]
    with mpmath.workdps(30):
        for p, value in zip((1, 6), sums, strict=True):
            expected = precise_sum(p, cell.numpy(), (x[0] - x[1]).numpy())
            assert float(value) == pytest.approx(float(expected), abs=2e-14)


def precise_sum(p: int, cell: np.ndarray, v: np.ndarray) -> mpmath.mpf:
    """Sum 1/r^p with incomplete gamma functions, 60 tenths of decay on each side."""
    eta, total = mpmath.mpf("0.71"), mpmath.mpf(0)
    half = mpmath.mpf(p) / 2
    volume = abs(mpmath.mpf(float(np.linalg.det(cell))))
    grid = np.array(list(itertools.product(range(-6, 7), repeat=3)))
    for square in np.sort(np.square(grid @ cell + v).sum(axis=1)):
        if square * float(eta) ** 2 < 45:
            x = mpmath.mpf(square)
            total += mpmath.gammainc(half, eta**2 * x, regularized=True) / x**half
    waves = 2 * np.pi * grid @ np.linalg.inv(cell).T
    front = mpmath.pi ** mpmath.mpf("1.5") / (volume * mpmath.gamma(half))
    for k in waves[(grid != 0).any(axis=1)]:
        y = mpmath.mpf(float(k @ k)) / (4 * eta**2)
        if y < 45:
            part = y ** (half - 1.5) * mpmath.gammainc(1.5 - half, y)
            total += front * eta ** (p - 3) * part * mpmath.cos(float(k @ v))
    return total + 2 * front * eta ** (p - 3) / (p - 3)


def test_torch_pme_agrees() -> None:
    """An outside witness: the Ewald calculator of torch-pme."""
    torchpme = pytest.importorskip("torchpme")
    cell, x = crystal(4, 7)
    q = double([[1.0], [-1.0], [2.0], [-2.0]])
    calculator = torchpme.EwaldCalculator(
        torchpme.CoulombPotential(smearing=0.9),
        lr_wavelength=0.35,
        full_neighbor_list=True,
    ).to(torch.float64)
    images = double(list(itertools.product(range(-4, 5), repeat=3)))
    i, j, n = torch.meshgrid(
        torch.arange(4), torch.arange(4), torch.arange(len(images)), indexing="ij"
    )
    i, j, n = i.flatten(), j.flatten(), n.flatten()
    distances = (x[j] - x[i] + images[n] @ cell).norm(dim=1)
    near = (distances > 0) & (distances < 12)
    pairs = torch.stack([i[near], j[near]], dim=1)
    theirs = calculator(q, cell, x, pairs, distances[near])
    # Theirs is half the potential, so that the energy is its product with the charges.
    ours = one(cell, x, [InversePower(1)])[0] @ q / 2
    torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-10)


@pytest.mark.skipif(not REFERENCE.exists(), reason="needs the reference file")
def test_published_values_agree() -> None:
    """Values of the PotNet code on its largest grid, where that converged."""
    for case in json.loads(REFERENCE.read_text())["cells"].values():
        found = case["sums"][max(case["sums"])]
        x = double([site["xyz"] for site in case["structure"]["sites"]])
        names = ["coulomb", "london", "zeta1", "lj"]
        potentials = [InversePower(1), InversePower(6), InversePower(2)]
        sums = one(double(case["lattice"]), x, [*potentials, LennardJones(1.0, 0.25)])
        first, second = double(case["pairs"]).long().T
        theirs = torch.stack([double(found[name]["value"]) for name in names])
        torch.testing.assert_close(sums[:, first, second], theirs, rtol=0, atol=1e-13)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 5), (1, 4, 4)])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-10])
def test_the_bound_is_above_the_error(
    shape: tuple[float, ...], tolerance: float
) -> None:
    """Against a much tighter tolerance, on skewed cells, needles and plates."""
    for seed in range(3):
        cell, x = crystal(4, seed, shape)
        result = lattice_sums(cell[None], [x], ALL, tolerance)
        exact = lattice_sums(cell[None], [x], ALL, 1e-14)
        error = (result.matrices[0] - exact.matrices[0]).abs().amax(dim=(1, 2))
        assert (error <= result.error_bounds[0] + exact.error_bounds[0]).all()
        # Round-off adds to the tolerance where the sums themselves are huge.
        assert (result.error_bounds[0] <= tolerance + 1e-9).all()


def test_a_slab_with_sixty_angstrom_of_vacuum_is_exact() -> None:
    """Twice the tolerance of truncation, and the same sums in the conjugate cell."""
    cell = double([[3.0, 0, 0], [-1.5, 2.6, 0], [0.4, 0.2, 63.0]])
    x = double([[0, 0, 0], [1.5, 0.9, 1.1], [0.2, 1.4, 2.9]])
    skewed = double([[1, 0, 0], [7, 1, 0], [-40, 11, 1]]) @ cell
    first = lattice_sums(cell[None], [x], PAPER)
    second = lattice_sums(skewed[None], [x], PAPER, 1e-13)
    error = (first.matrices[0] - second.matrices[0]).abs().amax(dim=(1, 2))
    assert (error <= first.error_bounds[0]).all()
    assert (first.error_bounds <= 1.01e-10).all()


def test_the_sum_does_not_depend_on_how_the_crystal_is_written() -> None:
    """Basis, origin, whole cells, rotation, handedness and mirror images."""
    cell, x = crystal(5, 11)
    expected = one(cell, x, ALL)
    basis = double([[1, 2, 0], [0, 1, -3], [1, 2, 1]])
    turn = torch.linalg.qr(
        torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    )
    rotation = turn.Q.double()
    rotation, _ = torch.linalg.qr(rotation)
    moved = x + double([[3, -2, 7]]) @ cell + double([0.3, 1.1, -0.2])
    for other, positions in [
        (basis @ cell, x),
        (cell, moved),
        (cell[[1, 0, 2]], x),
        (cell @ rotation, x @ rotation),
        (-cell, -x),
    ]:
        torch.testing.assert_close(
            one(other, positions, ALL), expected, rtol=1e-12, atol=1e-11
        )


def test_the_sum_is_exactly_symmetric_and_follows_the_atom_order() -> None:
    """S(a, b) = S(b, a) bit by bit."""
    cell, x = crystal(7, 12)
    sums = one(cell, x, ALL)
    assert torch.equal(sums, sums.transpose(1, 2))
    order = torch.tensor([3, 0, 6, 1, 2, 5, 4])
    torch.testing.assert_close(
        one(cell, x[order], ALL), sums[:, order][:, :, order], rtol=1e-12, atol=1e-12
    )


def test_supercell_sums_add_up_to_the_sum_of_the_cell() -> None:
    """Σ over the copies of b in a supercell is S(a, b); true for all but zeta terms."""
    cell, x = crystal(2, 13)
    convergent = [p for p in ALL if p.name not in {"coulomb", "inverse-power:2"}]
    copies = double([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]]) @ cell
    larger = torch.diag(double([2, 2, 1])) @ cell
    sums = one(larger, (x[None] + copies[:, None]).flatten(0, 1), [*convergent, *PAPER])
    total = sums[:, :2].unflatten(2, (4, 2)).sum(dim=2)
    expected = one(cell, x, [*convergent, *PAPER])
    # The background of the Coulomb sum adds up as well: it is linear in the charges.
    torch.testing.assert_close(total, expected, rtol=1e-11, atol=1e-11)


def test_a_batch_gives_what_single_calls_give() -> None:
    """Different sizes and shapes in one call, in the order given."""
    crystals = [
        crystal(n, n, shape)
        for n, shape in [
            (1, (1, 1, 1)),
            (6, (1, 1, 1)),
            (2, (1, 1, 6)),
            (6, (1, 2, 2)),
            (20, (1, 1, 1)),
            (5, (1, 1, 1)),
        ]
    ]
    cells, positions = zip(*crystals, strict=True)
    batch = lattice_sums(torch.stack(cells), list(positions), ALL)
    assert [m.shape[1] for m in batch.matrices] == [1, 6, 2, 6, 20, 5]
    for i, (cell, x) in enumerate(crystals):
        alone = lattice_sums(cell[None], [x], ALL)
        limit = (batch.error_bounds[i] + alone.error_bounds[0])[:, None, None]
        assert ((batch.matrices[i] - alone.matrices[0]).abs() <= limit).all()


def test_self_sums_leave_out_only_what_is_infinite() -> None:
    """S(a, a) of a regular potential holds f(0); of a singular one it does not."""
    cell = double([[50.0, 0, 0], [0, 50, 0], [0, 0, 50]])
    sums = one(cell, torch.zeros(1, 3).double(), [Pauli(3.0), InversePower(12)])
    assert float(sums[0]) == pytest.approx(1.0)
    assert float(sums[1]) == pytest.approx(0.0, abs=1e-12)


def test_float32_tells_how_wrong_it_is() -> None:
    """The bound covers round-off, and is not absurdly large."""
    for seed in range(5):
        cell, x = crystal(8, seed)
        exact = one(cell, x, PAPER)
        narrow = lattice_sums(cell.float()[None], [x.float()], PAPER, 1e-3)
        assert narrow.matrices[0].dtype == torch.float32
        same = one(cell.float().double(), x.float().double(), PAPER)
        error = (narrow.matrices[0] - same).abs().amax(dim=(1, 2))
        assert (error <= narrow.error_bounds[0]).all()
        assert (narrow.error_bounds[0] < 1e-3).all()
        torch.testing.assert_close(same, exact, rtol=1e-4, atol=1e-5)


def test_float32_refuses_what_it_cannot_reach() -> None:
    """The message says what it could reach."""
    cell, x = crystal(4)
    with pytest.raises(ConfigError, match="float32 cannot reach a tolerance of 1e-10"):
        lattice_sums(cell.float()[None], [x.float()], PAPER)


def test_shared_kernels_are_mixed() -> None:
    """Lennard-Jones is 12 minus 6, whether or not these are asked for as well."""
    cell, x = crystal(3, 2)
    sums = one(cell, x, [InversePower(6), LennardJones(1.0, 0.25), InversePower(12)])
    torch.testing.assert_close(sums[1], sums[2] - sums[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("chunk_size", [1, 500])
def test_the_chunk_size_changes_nothing_but_memory(chunk_size: int) -> None:
    """Up to the order of additions."""
    cell, x = crystal(6, 3)
    small = lattice_sums(cell[None], [x], PAPER, chunk_size=chunk_size).matrices[0]
    torch.testing.assert_close(
        small, one(cell, x, PAPER, 1e-10), rtol=1e-13, atol=1e-13
    )


def test_near_but_separate_atoms_give_finite_sums() -> None:
    """At 2e-3 Å even 1/r^12 is a number, and so is its bound."""
    cell = 4 * torch.eye(3, dtype=torch.float64)
    x = double([[0, 0, 0], [2e-3, 0, 0]])
    result = lattice_sums(cell[None], [x], ALL)
    assert result.matrices[0].isfinite().all()
    assert result.error_bounds.isfinite().all()
    power = ALL.index(next(p for p in ALL if p.name == "inverse-power:12"))
    assert float(result.matrices[0][power, 0, 1]) == pytest.approx(2e-3**-12)


def refused(cell: Tensor, x: Tensor, **settings: object) -> None:
    """Call with something wrong."""
    lattice_sums(cell[None], [x], PAPER, **settings)  # type: ignore[arg-type]


def test_impossible_crystals_are_refused() -> None:
    """Each message names the crystal."""
    cell, x = crystal(3)
    near = torch.cat([x, x[:1] + cell[0] + 5e-4])
    with pytest.raises(StructureError, match="crystal 0 has two atoms at the same"):
        refused(cell, near)
    for bad in (math.nan, math.inf):
        with pytest.raises(StructureError, match="position that is not finite"):
            refused(cell, torch.cat([x, torch.full((1, 3), bad).double()]))
        with pytest.raises(StructureError, match=r"cell of crystal 0 .* not finite"):
            refused(cell * bad, x)
    with pytest.raises(StructureError, match="cell of crystal 0 has no volume"):
        refused(cell[[0, 1, 1]], x)
    with pytest.raises(StructureError, match="cell of crystal 0 has no volume"):
        refused(torch.zeros_like(cell), x)


def test_a_bad_crystal_of_a_batch_is_named() -> None:
    """It is the third."""
    cell, x = crystal(3)
    with pytest.raises(StructureError, match="crystal 2 has two atoms"):
        lattice_sums(torch.stack([cell] * 3), [x, x, x[[0, 1, 1]]], PAPER)


def test_impossible_settings_are_refused() -> None:
    """Tolerances, chunk sizes and dtypes."""
    cell, x = crystal(3)
    for tolerance in (0.0, -1.0, 1.0, 1e-20, math.nan):
        with pytest.raises(ConfigError, match="tolerance must lie between"):
            refused(cell, x, tolerance=tolerance)
    with pytest.raises(ConfigError, match="chunk_size must be positive"):
        refused(cell, x, chunk_size=0)
    with pytest.raises(ConfigError, match="float32 or float64"):
        lattice_sums(cell.half()[None], [x.half()], PAPER)


def test_impossible_shapes_are_refused() -> None:
    """Each message gives the shape."""
    cell, x = crystal(3)
    with pytest.raises(ShapeError, match="no potential"):
        lattice_sums(cell[None], [x], [])
    with pytest.raises(ShapeError, match=r"cells must have shape .* not \(3, 3\)"):
        lattice_sums(cell, [x], PAPER)
    with pytest.raises(ShapeError, match="1 cells do not fit positions of 2"):
        lattice_sums(cell[None], [x, x], PAPER)
    with pytest.raises(ShapeError, match="positions of crystal 0 must have shape"):
        lattice_sums(cell[None], [x[0]], PAPER)
    with pytest.raises(ShapeError, match="positions of crystal 0 must have shape"):
        lattice_sums(cell[None], [x[:0]], PAPER)
    with pytest.raises(ShapeError, match=r"positions of crystal 0 are torch\.float32"):
        lattice_sums(cell[None], [x.float()], PAPER)
