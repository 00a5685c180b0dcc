"""Graphs: neighbours against brute force, shells, batches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.graphs import (
    available_memory,
    build_graph,
    collate,
    nearest_neighbours,
    neighbours,
)
from crystaltensor.errors import ResourceError
from crystaltensor.nn.batch import Neighbourhood


def brute_force(crystal: Crystal, cutoff: float) -> np.ndarray:
    """All bonds from a cube of images, as sorted rows: target, source, vector."""
    grid = np.stack(np.meshgrid(*[np.arange(-8, 9)] * 3), axis=-1).reshape(-1, 3)
    rows = []
    for target, origin in enumerate(crystal.positions):
        for source, position in enumerate(crystal.positions):
            vectors = position + grid @ crystal.cell - origin
            lengths = np.linalg.norm(vectors, axis=1)
            near = (lengths < cutoff) & (lengths > 1e-6)
            rows += [(target, source, *vector) for vector in vectors[near]]
    return in_order(np.array(rows).reshape(-1, 5))


def in_order(rows: np.ndarray) -> np.ndarray:
    """Sort bonds, their vectors rounded so that equal ones stay together."""
    return rows[np.lexsort(np.round(rows, 6).T[::-1])]


@given(seed=st.integers(0, 2**31), cutoff=st.floats(2.0, 6.0))
@settings(max_examples=25, deadline=None)
def test_neighbours_are_those_of_brute_force(seed: int, cutoff: float) -> None:
    """Skewed cells of either hand, atoms inside and outside of them."""
    rng = np.random.default_rng(seed)
    cell = rng.normal(size=(3, 3)) + np.diag(
        rng.choice([-1, 1], 3) * rng.uniform(3, 6, 3)
    )
    frac = rng.uniform(-1.5, 1.5, (3, 3))
    try:
        crystal = Crystal(cell, frac, [3, 8, 8])
    except Exception:  # noqa: BLE001  a draw may be no crystal
        return
    reach = cutoff * np.linalg.norm(np.linalg.inv(cell), axis=0)
    if reach.max() > 6:
        return
    targets, sources, vectors = neighbours(crystal, cutoff)
    found = in_order(np.column_stack([targets, sources, vectors]))
    np.testing.assert_allclose(found, brute_force(crystal, cutoff), atol=1e-9)


def test_silicon_has_its_shells(silicon: Crystal) -> None:
    """4, 12, 12, 6 neighbours at √3/4, √2/2, √11/4, 1 lattice constants."""
    _, _, vectors = neighbours(silicon, 1.01 * 5.431)
    lengths = np.linalg.norm(vectors, axis=1) / 5.431
    shells, counts = np.unique(lengths.round(6), return_counts=True)
    expected = np.sqrt([3 / 16, 1 / 2, 11 / 16, 1])
    np.testing.assert_allclose(shells, expected, atol=1e-6)
    assert (counts // 2).tolist() == [4, 12, 12, 6]


def test_edges_are_ordered_and_in_both_directions(quartz: Crystal) -> None:
    """What batches rely on."""
    targets, sources, vectors = neighbours(quartz, 4.0)
    assert (np.diff(targets * quartz.n_atoms + sources) >= 0).all()
    there = in_order(np.column_stack([targets, sources, vectors]))
    back = in_order(np.column_stack([sources, targets, -vectors]))
    np.testing.assert_allclose(there, back, atol=1e-9)


def test_chunks_do_not_change_the_neighbours(
    quartz: Crystal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large cells are searched in parts."""
    whole = neighbours(quartz, 4.0)
    monkeypatch.setattr("crystaltensor.data.graphs.CHUNK", 1)
    for part, expected in zip(neighbours(quartz, 4.0), whole, strict=True):
        np.testing.assert_array_equal(part, expected)


def test_nearest_neighbours_take_whole_shells(silicon: Crystal) -> None:
    """The four nearest are a shell; the fifth brings the next twelve."""
    for wanted, got in ((4, 4), (5, 16), (16, 16), (17, 28)):
        targets, _, _ = nearest_neighbours(silicon, wanted)
        assert np.bincount(targets).tolist() == [got, got]


def test_shells_do_not_depend_on_rounding() -> None:
    """SrTiO3 keeps its edges however it is turned; to the last bit, shells split."""
    cell = 3.905 * np.eye(3)
    frac = [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    counts = set()
    for seed in range(20):
        matrix = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
        crystal = Crystal(cell @ matrix.T, np.array(frac) + seed / 7, [38, 22, 8, 8, 8])
        counts.add(len(nearest_neighbours(crystal, 16)[0]))
    assert len(counts) == 1


def test_a_batch_numbers_pairs_and_crystals(silicon: Crystal, quartz: Crystal) -> None:
    """Every edge finds its atoms again through its pair."""
    graphs = [build_graph(each, Neighbourhood(4.0), {}) for each in (silicon, quartz)]
    batch = collate(graphs)
    n_slots = batch.pair_atoms.shape[1]
    targets = (batch.edge_pair // n_slots).numpy()
    sources = batch.pair_atoms.flatten()[batch.edge_pair].numpy()
    first, second = graphs
    shift = silicon.n_atoms
    np.testing.assert_array_equal(
        targets, np.concatenate([first.targets, second.targets + shift])
    )
    np.testing.assert_array_equal(
        sources, np.concatenate([first.sources, second.sources + shift])
    )
    assert batch.crystal.tolist() == [0] * 2 + [1] * 9
    assert batch.density[0].item() == pytest.approx(8 / 5.431**3, rel=1e-6)


def test_what_does_not_fit_is_refused_before_memory_is_asked_for(
    silicon: Crystal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is needed and what is there."""
    monkeypatch.setattr("crystaltensor.data.graphs.available_memory", lambda: 2.0**17)
    with pytest.raises(ResourceError, match=r"need 0\.0 GiB.* use a smaller cell"):
        neighbours(silicon, 8.0)
    assert len(neighbours(silicon, 3.0)[0]) == 8


def test_available_memory_is_plausible() -> None:
    """Of this machine, in bytes."""
    assert 2**26 < available_memory() < 2**46
