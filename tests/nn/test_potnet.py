"""The network for scalars: one number for a crystal, however it is written down."""

import numpy as np
import pytest
import torch

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.features import element_features
from crystaltensor.data.graphs import collate
from crystaltensor.data.prepared import build_graphs
from crystaltensor.errors import ConfigError
from crystaltensor.nn.batch import GraphBatch
from crystaltensor.nn.potentials import PUBLISHED
from crystaltensor.nn.potnet import POTENTIALS, PotNet, PotNetConfig

SMALL = {"channels": 8, "n_layers": 2, "n_radial": 4, "n_charges": 3}
WAYS = {
    "complete": {},
    "no sums": {"potentials": ()},
    "truncated": {"reach": 6.0},
    "lennard-jones and morse": {
        "potentials": ("lennard-jones:2.5:0.1", "morse:0.2:1.4:2.3")
    },
}


def network(*, dtype: torch.dtype = torch.float64, **settings: object) -> PotNet:
    """Make a small network with random weights and references."""
    torch.manual_seed(0)
    net = PotNet(PotNetConfig(**(SMALL | settings)), element_features())
    net.reference.elements.normal_()
    return net.to(dtype).eval()


def batch_of(
    net: PotNet, *crystals: Crystal, dtype: torch.dtype = torch.float64
) -> GraphBatch:
    """Make the batch that a network wants; vectors as `Predictor` has them."""
    around = net.config.neighbourhood
    graphs = build_graphs(crystals, around, [{}] * len(crystals))
    return collate(graphs, dtype=dtype, vector_dtype=torch.float64)


@torch.no_grad()
def run(net: PotNet, *crystals: Crystal) -> np.ndarray:
    """Return one number for each crystal."""
    dtype = next(net.parameters()).dtype
    return net(batch_of(net, *crystals, dtype=dtype)).double().numpy()


def in_cell(crystal: Crystal, change: list[list[int]]) -> Crystal:
    """Write a crystal in the cell ``change @ cell``, of the same or a larger volume."""
    matrix = np.array(change)
    count = round(abs(np.linalg.det(matrix)))
    reach = np.abs(matrix).sum()
    grid = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3), axis=-1)
    grid = grid.reshape(-1, 3)
    inside = grid @ np.linalg.inv(matrix)
    shifts = grid[((inside > -1e-9) & (inside < 1 - 1e-9)).all(axis=1)]
    assert len(shifts) == count
    frac = (crystal.frac[:, None] + shifts).reshape(-1, 3) @ np.linalg.inv(matrix)
    return Crystal(matrix @ crystal.cell, frac, np.repeat(crystal.numbers, count))


def rewritten(crystal: Crystal) -> dict[str, Crystal]:
    """Write one crystal down in other ways."""
    rng = np.random.default_rng(1)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    order = rng.permutation(crystal.n_atoms)
    cell, frac, numbers = crystal.cell, crystal.frac, crystal.numbers
    return {
        "turned": Crystal(cell @ turn.T, frac, numbers),
        "moved": Crystal(cell, frac + np.array([0.21, -0.37, 0.83]), numbers),
        "reordered": Crystal(cell, frac[order], numbers[order]),
        "other images": Crystal(cell, frac + rng.integers(-3, 4, frac.shape), numbers),
        "other vectors": in_cell(crystal, [[1, 1, 0], [0, 1, 0], [2, -1, 1]]),
        "left-handed": in_cell(crystal, [[0, 1, 0], [1, 0, 0], [0, 0, 1]]),
        "supercell": in_cell(crystal, [[2, 0, 0], [0, 1, 0], [0, 0, 1]]),
        "skewed supercell": in_cell(crystal, [[1, 1, 0], [-1, 1, 0], [0, 1, 2]]),
    }


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["rock_salt", "quartz", "triclinic"])
def test_it_depends_on_the_crystal_only(
    name: str, way: str, request: pytest.FixtureRequest
) -> None:
    """Not on axes, origin, order, images, choice or size of the cell: to 1e-6."""
    crystal = request.getfixturevalue(name)
    net = network(**WAYS[way])
    expected = run(net, crystal)[0]
    for what, same in rewritten(crystal).items():
        np.testing.assert_allclose(run(net, same)[0], expected, rtol=1e-6, err_msg=what)


def test_in_32_bits_it_does_so_to_1e_5(quartz: Crystal, triclinic: Crystal) -> None:
    """In the precision in which predictions are made."""
    net = network(dtype=torch.float32)
    for crystal in (quartz, triclinic):
        expected = run(net, crystal)[0]
        for what, same in rewritten(crystal).items():
            found = run(net, same)[0]
            np.testing.assert_allclose(found, expected, rtol=1e-5, err_msg=what)


def test_the_published_number_for_each_pair_depends_on_the_cell(
    quartz: Crystal,
) -> None:
    """What is nonlinear before the sum over atoms does not survive a supercell."""
    net = network(potentials=PUBLISHED, single=True)
    plain, doubled = run(
        net, quartz, in_cell(quartz, [[2, 0, 0], [0, 1, 0], [0, 0, 1]])
    )
    assert abs(plain - doubled) > 1e-3 * abs(plain)
    same = rewritten(quartz)["turned"]
    np.testing.assert_allclose(run(net, same)[0], plain, rtol=1e-9)


def test_complete_sums_reach_beyond_the_cutoff(rock_salt: Crystal) -> None:
    """Charges order along 20 Å: local bonds cannot tell, the sums can."""
    base = in_cell(rock_salt, [[1, 0, 0], [0, 1, 0], [0, 0, 8]])
    first, second = base.numbers.copy(), base.numbers.copy()
    sodium = np.flatnonzero(base.numbers == 11)
    order = np.argsort(base.frac[sodium, 2])
    first[sodium[order[[0, 3]]]] = 19  # two potassium atoms, 3 or 4 layers apart
    second[sodium[order[[0, 4]]]] = 19
    crystals = [Crystal(base.cell, base.frac, kinds) for kinds in (first, second)]
    for settings, apart in (({"potentials": ()}, False), ({}, True)):
        net = network(n_layers=1, cutoff=3.0, **settings)
        one, other = run(net, *crystals)
        assert (abs(one - other) > 1e-6) == apart


def test_a_batch_is_what_its_crystals_are_alone(
    silicon: Crystal, quartz: Crystal, triclinic: Crystal
) -> None:
    """Padding counts for nothing."""
    net = network()
    alone = [run(net, crystal)[0] for crystal in (silicon, quartz, triclinic)]
    # Sums are made to 1e-7, and how is up to the batch.
    np.testing.assert_allclose(run(net, silicon, quartz, triclinic), alone, rtol=1e-6)


def test_a_single_atom_and_one_without_neighbours_are_fine() -> None:
    """The smallest cells there are."""
    iron = Crystal.from_symbols(2.87 * np.eye(3), [[0, 0, 0]], ["Fe"])
    alone = Crystal.from_symbols(30 * np.eye(3), [[0, 0, 0]], ["He"])
    assert np.isfinite(run(network(), iron, alone)).all()


def test_a_large_cell_is_fine(rock_salt: Crystal) -> None:
    """A thousand atoms give what two give."""
    large = in_cell(rock_salt, [[8, 0, 0], [0, 8, 0], [0, 0, 8]])
    assert large.n_atoms == 1024
    net = network(dtype=torch.float32)
    one, other = run(net, rock_salt)[0], run(net, large)[0]
    np.testing.assert_allclose(other, one, rtol=1e-5)


def test_references_are_those_of_a_linear_law() -> None:
    """Labels that are linear in the composition leave nothing to learn."""
    rng = np.random.default_rng(0)
    counts = torch.tensor(rng.integers(0, 5, size=(300, 100)) * (rng.random(100) < 0.2))
    shares = counts / counts.sum(dim=1, keepdim=True)
    elements = torch.tensor(rng.normal(size=100))
    labels = shares.double() @ elements + 2.0
    net = network()
    net.calibrate(labels, shares)
    assert float(net.reference.scale) < 0.15 * float(labels.std())
    unseen = shares.sum(dim=0) == 0
    assert unseen.any()
    assert (net.reference.elements[unseen] == 0).all()


def test_a_bounded_property_stays_above_its_bound(quartz: Crystal) -> None:
    """A band gap is not negative, whatever the weights say."""
    free = network()
    free.reference.offset.fill_(-40.0)
    bounded = network(lower_bound=0.0)
    bounded.reference.offset.fill_(-40.0)
    assert run(free, quartz)[0] < -20
    assert run(bounded, quartz)[0] >= 0


def test_it_learns_from_every_weight(quartz: Crystal, triclinic: Crystal) -> None:
    """No parameter is without a gradient."""
    net = network()
    net(batch_of(net, quartz, triclinic)).square().sum().backward()
    idle = [name for name, p in net.named_parameters() if not p.grad.abs().sum()]
    assert not idle


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"potentials": ("colomb",)}, "unknown potential"),
        ({"single": True}, "needs potentials"),
        ({"l_max": -1}, "l_max"),
        ({"channels": 0}, "channels"),
    ],
)
def test_settings_are_checked(settings: dict[str, object], message: str) -> None:
    """Each with the way out."""
    with pytest.raises(ConfigError, match=message):
        PotNetConfig(**settings)


def test_the_potentials_are_the_documented_ones() -> None:
    """Several ranges: 1/r, and what decays within 1 to 4 Å."""
    assert POTENTIALS[0] == "coulomb"
    assert len(set(POTENTIALS)) == len(POTENTIALS) >= 4
