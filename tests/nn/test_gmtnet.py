"""The network: what physics demands of it holds for any weights."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.datasets import TABLES, read_table
from crystaltensor.data.features import element_features
from crystaltensor.errors import ConfigError
from crystaltensor.nn.batch import GraphBatch
from crystaltensor.nn.gmtnet import GMTNet, GMTNetConfig
from crystaltensor.properties import PIEZO
from crystaltensor.symmetry.notation import rotate
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.symmetry.sites import project_site_tensors

MakeBatch = Callable[..., GraphBatch]

SYMMETRIES = {
    "dielectric": "ij=ji",
    "piezo": "ijk=ikj",
    "elastic": "ijkl=jikl=ijlk=klij",
}


def network(
    index_symmetry: str = "ijk=ikj",
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> GMTNet:
    """Make a small network with random weights."""
    torch.manual_seed(seed)
    rank = len(index_symmetry.split("=", maxsplit=1)[0])
    config = GMTNetConfig(
        index_symmetry, channels=8, l_max=rank, cutoff=5.0, n_radial=5, n_pooled=4
    )
    return GMTNet(config, element_features()).to(dtype).eval()


@torch.no_grad()
def run(net: GMTNet, batch: GraphBatch) -> np.ndarray:
    """Return the tensors as an array, which may not be tiny: zeros would agree."""
    tensors = net(batch).double().numpy()
    assert np.abs(tensors).max() > 1e-3
    return tensors


@pytest.fixture(scope="module")
def real_crystals() -> list[Crystal]:
    """Twenty crystals of the piezoelectric data set, 2 to 14 atoms."""
    rows, _ = read_table(TABLES / "mp_piezo.jsonl.gz", PIEZO, max_component=20)
    return [row.crystal for row in rows[::42]]


def random_rotation(seed: int, *, improper: bool) -> np.ndarray:
    """Draw an orthogonal matrix."""
    matrix, upper = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    matrix = matrix * np.sign(np.diag(upper))
    return matrix * np.sign(np.linalg.det(matrix)) * (-1 if improper else 1)


def turned(crystal: Crystal, rotation: np.ndarray) -> Crystal:
    """Rotate a crystal."""
    return Crystal(crystal.cell @ rotation.T, crystal.frac, crystal.numbers)


def supercell(crystal: Crystal, repeats: np.ndarray) -> Crystal:
    """Write a crystal in a larger cell, rows of integers, determinant of any sign."""
    count = round(abs(np.linalg.det(repeats)))
    grid = np.stack(np.meshgrid(*[np.arange(-6, 7)] * 3), axis=-1).reshape(-1, 3)
    inside = grid @ np.linalg.inv(repeats)
    shifts = grid[((inside > -1e-9) & (inside < 1 - 1e-9)).all(axis=1)]
    assert len(shifts) == count
    frac = (crystal.frac[:, None] + shifts).reshape(-1, 3) @ np.linalg.inv(repeats)
    numbers = np.repeat(crystal.numbers, count)
    return Crystal(repeats @ crystal.cell, frac, numbers)


@pytest.mark.parametrize("property_name", SYMMETRIES)
@pytest.mark.parametrize("improper", [False, True])
def test_the_tensor_turns_with_the_crystal(
    property_name: str,
    improper: bool,
    make_batch: MakeBatch,
    real_crystals: list[Crystal],
) -> None:
    """T(Rx) = R T(x) for rotations and reflections; float64 to 1e-10, relative."""
    index_symmetry = SYMMETRIES[property_name]
    net, rank = network(index_symmetry), len(index_symmetry.split("=")[0])
    rotation = random_rotation(3, improper=improper)
    options = {"index_symmetry": index_symmetry, "symmetric": False}
    plain = run(net, make_batch(*real_crystals, **options))
    moved = [turned(crystal, rotation) for crystal in real_crystals]
    rotated = run(net, make_batch(*moved, **options))
    expected = rotate(plain, rotation, rank=rank)
    np.testing.assert_allclose(rotated, expected, atol=1e-10 * np.abs(plain).max())


def test_the_tensor_turns_with_the_crystal_in_single_precision(
    make_batch: MakeBatch, real_crystals: list[Crystal]
) -> None:
    """As above, to 1e-5 of the norm of each tensor, projection included."""
    net = network(dtype=torch.float32)
    rotation = random_rotation(4, improper=True)
    plain = run(net, make_batch(*real_crystals, dtype=torch.float32))
    moved = [turned(crystal, rotation) for crystal in real_crystals]
    rotated = run(net, make_batch(*moved, dtype=torch.float32))
    apart = np.linalg.norm((rotated - rotate(plain, rotation, rank=3)).reshape(20, -1))
    assert apart < 1e-5 * np.linalg.norm(plain)


def test_inversion_flips_the_sign_of_odd_tensors_only(
    make_batch: MakeBatch, triclinic: Crystal
) -> None:
    """The mirror crystal has -e, and the same ε and C."""
    mirror = Crystal(triclinic.cell, -triclinic.frac, triclinic.numbers)
    for index_symmetry, sign in zip(SYMMETRIES.values(), (1, -1, 1), strict=True):
        net = network(index_symmetry)
        options = {"index_symmetry": index_symmetry}
        plain = run(net, make_batch(triclinic, **options))
        flipped = run(net, make_batch(mirror, **options))
        np.testing.assert_allclose(flipped, sign * plain, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "repeats",
    [
        [[2, 0, 0], [0, 2, 0], [0, 0, 2]],
        [[1, 1, 0], [0, 1, 0], [0, 0, 1]],
        [[1, 0, 3], [0, 1, -2], [0, 0, 1]],
        [[-1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[2, 1, 0], [-1, 1, 0], [0, 0, 1]],
        [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
    ],
)
def test_the_tensor_does_not_depend_on_the_cell(
    repeats: list[list[int]], make_batch: MakeBatch, real_crystals: list[Crystal]
) -> None:
    """Supercells, sheared, left-handed and permuted bases give the same tensor."""
    net = network()
    few = real_crystals[:6]
    other = [supercell(crystal, np.array(repeats)) for crystal in few]
    plain = run(net, make_batch(*few))
    np.testing.assert_allclose(
        run(net, make_batch(*other)), plain, atol=1e-10 * np.abs(plain).max()
    )


def test_conventional_and_primitive_cells_agree(
    make_batch: MakeBatch, gallium_arsenide: Crystal
) -> None:
    """Eight atoms in a cube are two in the primitive cell."""
    repeats = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    cube = supercell(gallium_arsenide, repeats)
    np.testing.assert_allclose(cube.cell, 5.653 * np.eye(3), atol=1e-12)
    net = network()
    plain = run(net, make_batch(gallium_arsenide))
    np.testing.assert_allclose(run(net, make_batch(cube)), plain, atol=1e-12)


def test_origin_order_and_wrapping_do_not_matter(
    make_batch: MakeBatch, quartz: Crystal
) -> None:
    """A shifted origin, another order of atoms, atoms outside the cell."""
    rng = np.random.default_rng(1)
    order = rng.permutation(quartz.n_atoms)
    frac = quartz.frac + rng.random(3) + rng.integers(-3, 4, quartz.frac.shape)
    other = Crystal(quartz.cell, frac[order], quartz.numbers[order])
    net = network()
    plain = run(net, make_batch(quartz))
    np.testing.assert_allclose(run(net, make_batch(other)), plain, atol=1e-11)


def test_a_crystal_does_not_see_the_others_of_its_batch(
    make_batch: MakeBatch, real_crystals: list[Crystal]
) -> None:
    """One by one as together."""
    net = network()
    together = run(net, make_batch(*real_crystals))
    alone = np.concatenate([run(net, make_batch(each)) for each in real_crystals[:5]])
    np.testing.assert_allclose(together[:5], alone, atol=1e-12)


@pytest.mark.parametrize("atom", range(3))
def test_the_tensor_is_smooth_in_the_positions(
    atom: int, make_batch: MakeBatch, triclinic: Crystal
) -> None:
    """No jump on a path of 1 Å, along which neighbours come and go.

    Over a step ten times smaller the tensor changes about ten times less, everywhere.
    """
    net = network()
    direction = np.random.default_rng(atom).normal(size=3)
    direction /= np.linalg.norm(direction)

    def path(n_steps: int, length: float) -> np.ndarray:
        crystals = []
        for step in np.linspace(0, length, n_steps + 1):
            frac = triclinic.frac.copy()
            frac[atom] += step * direction @ np.linalg.inv(triclinic.cell)
            crystals.append(Crystal(triclinic.cell, frac, triclinic.numbers))
        return run(net, make_batch(*crystals, symmetric=False))

    coarse = np.abs(np.diff(path(50, 1.0), axis=0)).max()
    tiny = np.abs(np.diff(path(1, 1e-6), axis=0)).max()
    fine = np.abs(np.diff(path(500, 1.0), axis=0)).max()
    assert fine < 0.15 * coarse
    assert tiny < 2e-4 * coarse


def test_the_output_is_exactly_as_symmetric_as_the_crystal(
    make_batch: MakeBatch, wurtzite: Crystal, silicon: Crystal
) -> None:
    """Class 6mm has e15, e31 and e33 alone; an inversion centre leaves nothing."""
    e = run(network(), make_batch(wurtzite, silicon))
    e15, e31, e33 = e[0, 0, 0, 2], e[0, 2, 0, 0], e[0, 2, 2, 2]
    expected = np.zeros((3, 3, 3))
    for i, j, k in ((0, 0, 2), (0, 2, 0), (1, 1, 2), (1, 2, 1)):
        expected[i, j, k] = e15
    expected[2, 0, 0] = expected[2, 1, 1] = e31
    expected[2, 2, 2] = e33
    np.testing.assert_allclose(e[0], expected, atol=1e-14)
    assert min(abs(e15), abs(e31), abs(e33)) > 1e-4
    np.testing.assert_allclose(e[1], 0, atol=1e-14)


def test_symmetry_comes_from_the_network_not_from_the_projection_alone(
    make_batch: MakeBatch, wurtzite: Crystal
) -> None:
    """Without a projection the output is the same."""
    net = network()
    free = run(net, make_batch(wurtzite, symmetric=False))
    np.testing.assert_allclose(free, run(net, make_batch(wurtzite)), atol=1e-12)


@pytest.mark.parametrize("property_name", SYMMETRIES)
def test_the_tensor_has_its_index_symmetry(
    property_name: str, make_batch: MakeBatch, triclinic: Crystal
) -> None:
    """Equal index orders hold equal numbers."""
    index_symmetry = SYMMETRIES[property_name]
    options = {"index_symmetry": index_symmetry}
    tensor = run(network(index_symmetry), make_batch(triclinic, **options))[0]
    first, *others = index_symmetry.split("=")
    for other in others:
        axes = [first.index(letter) for letter in other]
        np.testing.assert_allclose(tensor, tensor.transpose(axes), atol=1e-13)


def fitted(net: GMTNet, batch: GraphBatch, label: Tensor) -> Tensor:
    """Train a network on one crystal, and return its output."""
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(120):
        loss = (net(batch) - label).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net(batch).detach()


def test_zincblende_e14_can_be_learnt(
    make_batch: MakeBatch, gallium_arsenide: Crystal
) -> None:
    """e14 of GaAs is -0.16 C/m² (Landolt-Börnstein III/17a); l ≤ 2 could only say 0."""
    label = torch.zeros(1, 3, 3, 3, dtype=torch.float64)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        label[0, i, j, k] = label[0, i, k, j] = -0.16
    found = fitted(network().train(), make_batch(gallium_arsenide), label)
    torch.testing.assert_close(found, label, atol=2e-3, rtol=0)


def test_rock_salt_anisotropy_can_be_learnt(
    make_batch: MakeBatch, rock_salt: Crystal
) -> None:
    """C of NaCl in 100 GPa: 0.49, 0.13, 0.13 (Kittel, ch. 3): 2 C44 ≠ C11 - C12."""
    symmetry = SYMMETRIES["elastic"]
    c11, c12, c44 = 0.49, 0.13, 0.13
    label = torch.zeros(1, 3, 3, 3, 3, dtype=torch.float64)
    for i in range(3):
        for j in range(3):
            label[0, i, i, j, j] = c11 if i == j else c12
            if i != j:
                label[0, i, j, i, j] = label[0, i, j, j, i] = c44
    batch = make_batch(rock_salt, index_symmetry=symmetry)
    found = fitted(network(symmetry).train(), batch, label)
    torch.testing.assert_close(found, label, atol=2e-3, rtol=0)
    anisotropy = (
        found[0, 0, 1, 0, 1] * 2 / (found[0, 0, 0, 0, 0] - found[0, 0, 0, 1, 1])
    )
    assert float(anisotropy) == pytest.approx(0.722, abs=0.02)


def test_gradients_in_the_bond_vectors_are_right(
    make_batch: MakeBatch, gallium_arsenide: Crystal
) -> None:
    """By finite differences, in double precision."""
    net = network(seed=2)
    batch = make_batch(gallium_arsenide)
    probe = torch.randn(3, 3, 3, dtype=torch.float64)

    def energy(vectors: Tensor) -> Tensor:
        moved = GraphBatch(**{**vars(batch), "edge_vectors": vectors})
        return (net(moved)[0] * probe).sum()

    vectors = batch.edge_vectors.clone().requires_grad_()
    assert torch.autograd.gradcheck(energy, (vectors,), fast_mode=True)


def test_an_atom_without_neighbours_is_no_error(make_batch: MakeBatch) -> None:
    """A lone atom in a large box has no tensor of odd rank, and no NaN either."""
    lonely = Crystal.from_symbols(20 * np.eye(3), [[0, 0, 0]], ["Ar"])
    with torch.no_grad():
        assert torch.equal(
            network()(make_batch(lonely)), torch.zeros(1, 3, 3, 3, dtype=torch.float64)
        )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cpu_and_gpu_agree(make_batch: MakeBatch, quartz: Crystal) -> None:
    """To 1e-4 in single precision."""
    net = network(dtype=torch.float32)
    batch = make_batch(quartz, dtype=torch.float32)
    plain = run(net, batch)
    moved = make_batch(quartz, dtype=torch.float32, device="cuda")
    found = net.cuda()(moved).detach().cpu().numpy()
    np.testing.assert_allclose(found, plain, atol=1e-4 * np.abs(plain).max())


def test_a_degree_below_the_rank_is_refused() -> None:
    """It could not express the tensor."""
    with pytest.raises(
        ConfigError, match="l_max = 2 cannot express a tensor of rank 3"
    ):
        GMTNetConfig("ijk=ikj", l_max=2)
    with pytest.raises(ConfigError, match="channels must be at least 1"):
        GMTNetConfig("ijk=ikj", channels=0)


def test_tensors_of_atoms_turn_with_the_crystal_and_sum_to_zero(
    make_batch: MakeBatch, quartz: Crystal
) -> None:
    """Born charges: Z*(Rx) = R Z*(x) Rᵀ, equivalent atoms alike, no net charge."""
    torch.manual_seed(0)
    config = GMTNetConfig("ij", channels=8, l_max=2, n_radial=5, per_atom=True)
    net = GMTNet(config, element_features()).double().eval()
    options = {"index_symmetry": "ij", "symmetric": False}
    plain = run(net, make_batch(quartz, **options))
    assert plain.shape == (9, 3, 3)
    np.testing.assert_allclose(plain.sum(axis=0), 0, atol=1e-12)
    assert np.abs(plain - plain.swapaxes(1, 2)).max() > 1e-3
    rotation = random_rotation(7, improper=True)
    moved = run(net, make_batch(turned(quartz, rotation), **options))
    np.testing.assert_allclose(moved, rotate(plain, rotation, rank=2), atol=1e-11)
    symmetry = find_symmetry(quartz)
    projected = project_site_tensors(plain, symmetry)
    np.testing.assert_allclose(projected, plain, atol=1e-6)


def test_the_network_prints_its_shape() -> None:
    """A reader sees the settings."""
    shown = str(network())
    assert "cutoff=5 Å, size=5" in shown
    assert "l_max=3, 8 -> 8" in shown


def test_weights_hold_the_element_table_and_no_constants() -> None:
    """What is computed from l_max alone is not stored."""
    state = network().state_dict()
    assert state["element_features"].shape == (100, 92)
    assert not any("table" in name or "basis" in name for name in state)
