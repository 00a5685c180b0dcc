"""Parts of the training crystals that networks are trained without."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest

from crystaltensor.crystals.crystal import reduced_formula
from crystaltensor.data.datasets import (
    TABLES,
    PreparedData,
    assign_splits,
    prepare,
    read_table,
)
from crystaltensor.data.folds import LEFT_OUT, fold_numbers, leave_out
from crystaltensor.nn.batch import Neighbourhood
from crystaltensor.properties import PIEZO


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """Prepare every eighth crystal of the bundled data, and some of them twice."""
    with gzip.open(TABLES / "mp_piezo.jsonl.gz", "rt") as file:
        lines = list(file)[::8]
    rows = [json.loads(line) for line in lines]
    twice = [{**row, "id": f"{row['id']}-again"} for row in rows[::3]]
    path = tmp_path_factory.mktemp("data") / "few.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, *twice]))
    read, _ = read_table(path, PIEZO, max_component=20)
    drawn = assign_splits(
        read, source="group", seed=0, fractions=(0.8, 0.1, 0.1), symprec=0.1
    )
    prepared, _ = prepare(
        drawn,
        PIEZO,
        around=Neighbourhood(4.0),
        symprec=(0.1, 0.01),
        max_residual=0.2,
        key="key",
    )
    return prepared


def groups(data: PreparedData, chosen: np.ndarray) -> set[tuple[str, str]]:
    """Name formulas and classes of some crystals."""
    return {
        (reduced_formula(data.graphs[i].numbers), str(data.point_groups[i]))
        for i in chosen
    }


def test_folds_share_no_group(data: PreparedData) -> None:
    """Every training crystal is left out once, with all of its formula and class."""
    seen: set[int] = set()
    for fold in range(5):
        part = leave_out(data, fold, 5, seed=0)
        out, rest = part.part(LEFT_OUT), part.part("train")
        assert len(out) > 5
        assert not groups(data, out) & groups(data, rest)
        assert seen.isdisjoint(out.tolist())
        seen |= set(out.tolist())
        for split in ("val", "test"):
            np.testing.assert_array_equal(part.part(split), data.part(split))
        assert part.key != data.key
    assert seen == set(data.part("train").tolist())


def test_a_crystal_is_in_the_same_fold_of_every_data_set(data: PreparedData) -> None:
    """Whatever else is in it, so that properties can be learnt together."""
    chosen = np.arange(len(data.graphs))[::3]
    some = replace(
        data,
        graphs=[data.graphs[i] for i in chosen],
        point_groups=data.point_groups[chosen],
    )
    whole = fold_numbers(data, 4, seed=1)
    np.testing.assert_array_equal(fold_numbers(some, 4, seed=1), whole[chosen])
    assert (fold_numbers(data, 4, seed=2) != whole).any()
