"""Data sets joined: crystals count once, and splits may not contradict each other."""

from dataclasses import replace

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.datasets import LabelledCrystal, PreparedData, prepare
from crystaltensor.data.pool import join_data
from crystaltensor.errors import DataError
from crystaltensor.nn.batch import Neighbourhood
from crystaltensor.properties import DIELECTRIC, PIEZO, TensorProperty


def prepared(
    crystals: dict[str, Crystal], row: TensorProperty, splits: dict[str, str]
) -> PreparedData:
    """Label crystals with ones as far as symmetry allows."""
    rows = [
        LabelledCrystal(
            name=name,
            crystal=crystal,
            tensor=np.eye(3) * 4 if row.rank == 2 else np.zeros((3, 3, 3)),
            split=splits[name],
            sign_known=True,
            polar=True,
        )
        for name, crystal in crystals.items()
    ]
    settings = {"around": Neighbourhood(4.0), "symprec": (0.01,), "max_residual": 0.2}
    return prepare(rows, row, key=row.name, **settings)[0]


@pytest.fixture
def both(
    wurtzite: Crystal, quartz: Crystal, gallium_arsenide: Crystal
) -> tuple[PreparedData, PreparedData]:
    """Two sets that have a crystal in common."""
    splits = {"AlN": "train", "quartz": "val", "GaAs": "train"}
    first = prepared({"AlN": wurtzite, "quartz": quartz}, PIEZO, splits)
    second = prepared({"GaAs": gallium_arsenide, "AlN": wurtzite}, DIELECTRIC, splits)
    return first, second


def test_a_crystal_of_two_sets_counts_once(
    both: tuple[PreparedData, PreparedData],
) -> None:
    """And has the projectors of both; one that lacks a label has one that does nothing."""
    pool = join_data(both)
    assert [rows.tolist() for rows in pool.rows] == [[0, 1, -1], [1, -1, 0]]
    assert pool.splits.tolist() == ["train", "val", "train"]
    kinds = set(both[0].graphs[0].projectors) | set(both[1].graphs[0].projectors)
    assert all(set(graph.projectors) == kinds for graph in pool.graphs)
    common = pool.graphs[0].projectors
    for data, index in zip(both, (0, 1), strict=True):
        for kind, matrix in data.graphs[index].projectors.items():
            np.testing.assert_array_equal(common[kind], matrix)
    np.testing.assert_array_equal(pool.graphs[2].projectors[3, False], np.eye(7))


def test_one_set_is_left_as_it_is(both: tuple[PreparedData, PreparedData]) -> None:
    """Duplicates in it included."""
    pool = join_data(both[:1])
    assert pool.graphs is both[0].graphs
    assert pool.rows[0].tolist() == [0, 1]


def test_a_crystal_learnt_from_here_and_measured_there_is_refused(
    both: tuple[PreparedData, PreparedData],
) -> None:
    """Nothing leaks from one property to the figures of another."""
    moved = replace(both[1], splits=np.array(["train", "test"]))
    with pytest.raises(DataError, match="AlN is in the splits test and train"):
        join_data([both[0], moved])
