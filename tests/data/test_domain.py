"""What a model has seen, and how far a crystal is from it."""

from dataclasses import replace

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.datasets import TABLES, read_table
from crystaltensor.data.domain import FEW, Domain, Traits
from crystaltensor.data.graphs import build_graph
from crystaltensor.errors import DataError
from crystaltensor.nn.batch import Neighbourhood
from crystaltensor.properties import PIEZO
from crystaltensor.symmetry.operations import find_symmetry

AROUND = Neighbourhood(5.0)


def traits(crystal: Crystal) -> Traits:
    """Read off what is compared."""
    symmetry = find_symmetry(crystal, symprec=0.1)
    return Traits.of(
        build_graph(crystal, AROUND, {}),
        atoms=symmetry.n_primitive,
        point_group=symmetry.point_group,
    )


@pytest.fixture(scope="module")
def seen() -> list[Traits]:
    """Look at every fourth crystal of the bundled data."""
    rows, _ = read_table(TABLES / "mp_piezo.jsonl.gz", PIEZO, max_component=20)
    return [traits(row.crystal) for row in rows[::4]]


def learnt(crystals: list[Traits]) -> Domain:
    """Collect the statistics of some of them."""
    n = len(crystals)
    names = [f"row-{index}" for index in range(n)]
    return Domain.fit(crystals, names=names, norms=np.arange(1.0, n + 1))


def reasons(domain: Domain, one: Traits) -> list[str]:
    """Say what is strange about a crystal."""
    return domain.reasons(one, domain.distance(one))


def test_cells_and_axes_do_not_matter(wurtzite: Crystal, seen: list[Traits]) -> None:
    """A turned supercell with its atoms in another order has the same distance."""
    domain = learnt(seen)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    repeats = np.array([[1, 1, 0], [0, 1, 0], [0, 0, -2]])
    frac = np.concatenate([wurtzite.frac, wurtzite.frac + np.array([0, 0, 1])])
    order = np.random.default_rng(1).permutation(8)
    other = Crystal(
        repeats @ wurtzite.cell @ turn.T,
        (frac @ np.linalg.inv(repeats))[order],
        np.tile(wurtzite.numbers, 2)[order],
    )
    here, there = traits(wurtzite), traits(other)
    assert there.atoms == here.atoms == 4
    np.testing.assert_allclose(there.structure, here.structure, rtol=1e-9)
    assert domain.distance(there) == pytest.approx(domain.distance(here), rel=1e-6)
    assert here.coordination == pytest.approx(4, abs=0.05)


def test_what_is_alike_is_told_smoothly(wurtzite: Crystal, seen: list[Traits]) -> None:
    """Labels and errors of the training crystals around, the nearest ones above all."""
    plain = learnt(seen)
    rng = np.random.default_rng(2)
    errors = rng.exponential(size=len(seen))
    domain = replace(plain, errors=errors)
    one, *_ = seen[7:]
    told = domain.describe([one, traits(wurtzite)])
    assert told["elements"].shape == (2, 100)
    assert set(np.flatnonzero(told["elements"][1]) + 1) == {
        int(z) for z in wurtzite.numbers
    }
    assert told["distance"][0] == pytest.approx(domain.distance(one))
    assert plain.describe([one])["like_error"] == 0
    # A slow second way, with weights that fall as a Gaussian.
    squares = domain._squares(one)
    near = np.sqrt(np.sort(squares)[:5]).mean()
    weights = np.exp(-squares / (2 * (0.7 * near) ** 2))
    mean = np.average(domain.norms, weights=weights)
    spread = np.sqrt(np.average((domain.norms - mean) ** 2, weights=weights))
    error = np.average(np.sqrt(errors), weights=weights) ** 2
    for name, value in (
        ("like_label", mean),
        ("like_spread", spread),
        ("like_error", error),
    ):
        assert told[name][0] == pytest.approx(value), name
    moved = domain.describe([replace(one, volume=one.volume * (1 + 1e-6))])
    for name in ("like_label", "like_spread", "like_error", "distance"):
        assert moved[name][0] == pytest.approx(told[name][0], rel=1e-3), name


def test_a_training_crystal_is_its_own_neighbour(seen: list[Traits]) -> None:
    """With its name, formula and label."""
    found = learnt(seen).nearest(seen[7], 3)
    assert found[0].name == "row-7"
    assert found[0].distance < 0.05
    assert found[0].norm == 8.0
    assert found[0].distance <= found[1].distance <= found[2].distance


def test_crystals_with_an_element_that_was_left_out_are_told(
    seen: list[Traits],
) -> None:
    """All of them, for every element with at least five; few of the others are."""
    n_seen = {z: sum(z in one.numbers for one in seen) for z in range(1, 101)}
    told = total = 0
    for number, count in n_seen.items():
        if count < FEW:
            continue
        rest = [one for one in seen if number not in one.numbers]
        domain = learnt(rest)
        without = [one for one in seen if number in one.numbers]
        told += sum(bool(reasons(domain, one)) for one in without)
        total += len(without)
    assert total > 300
    assert told >= 0.9 * total


def test_few_crystals_like_the_training_ones_are_told(seen: list[Traits]) -> None:
    """For another reason than a rare element: less than a tenth."""
    domain = learnt(seen[::2])
    found = [reasons(domain, one) for one in seen[1::2]]
    other = [one for one in found if any("contain" not in each for each in one)]
    assert len(other) < 0.1 * len(found)


def test_each_reason_is_named(seen: list[Traits], wurtzite: Crystal) -> None:
    """In words, with the numbers that were seen."""
    domain = learnt(seen)
    plain = traits(wurtzite)
    assert reasons(domain, plain) == []
    strange = {
        "no training crystal contains Pu": replace(
            plain, numbers=np.array([94, 94, 7, 7])
        ),
        "volume per atom 200 Å³: the training crystals have": replace(
            plain, volume=200.0
        ),
        "mean distance to the nearest neighbour 0.7 Å": replace(plain, distance=0.7),
        "mean coordination 20 neighbours": replace(plain, coordination=20.0),
        "primitive cell 400 atoms": replace(plain, atoms=400),
        "no training crystal has the class m-3m": replace(plain, point_group="m-3m"),
        "it is unlike the training crystals": replace(plain, volume=1e5),
    }
    for said, one in strange.items():
        assert any(said in each for each in reasons(domain, one)), said


def test_an_element_in_a_few_crystals_is_rare(seen: list[Traits]) -> None:
    """One crystal, or two."""
    rest = [one for one in seen if 8 not in one.numbers]
    oxides = [one for one in seen if 8 in one.numbers]
    assert "only 1 training crystal contains O" in reasons(
        learnt([*rest, oxides[0]]), oxides[1]
    )
    domain = learnt([*rest, *oxides[:2]])
    assert "only 2 training crystals contain O" in reasons(domain, oxides[2])
    assert domain.rarest(oxides[2]) <= 2


def test_atoms_that_see_nobody_are_described() -> None:
    """An atom alone in a cell of 20 Å."""
    alone = traits(Crystal.from_symbols(20 * np.eye(3), [[0, 0, 0]], ["Ar"]))
    assert alone.coordination == 0
    assert np.isfinite(alone.structure).all()


def test_it_survives_the_way_to_a_file(seen: list[Traits]) -> None:
    """To single precision."""
    errors = np.random.default_rng(3).exponential(size=len(seen))
    domain = replace(learnt(seen), errors=errors)
    again = Domain.restore(domain.arrays(), domain.plain())
    assert again.errors is not None
    np.testing.assert_allclose(again.errors, errors, rtol=1e-6)
    for one in seen[::20]:
        assert again.distance(one) == pytest.approx(domain.distance(one), rel=1e-4)
        assert reasons(again, one) == reasons(domain, one)
    assert again.nearest(seen[3])[0].name == "row-3"


def test_lists_of_different_lengths_are_refused(seen: list[Traits]) -> None:
    """A file that lies must not fail later, in the middle of a prediction."""
    domain = replace(learnt(seen[:20]), errors=np.ones(20))
    for name in ("norms", "points", "errors"):
        arrays = domain.arrays()
        with pytest.raises(DataError, match="differ in length"):
            Domain.restore(arrays | {name: arrays[name][1:]}, domain.plain())
