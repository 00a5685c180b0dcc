"""Labels that replace those of a table: by name, with what is known of them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.corrections import correct
from crystaltensor.data.datasets import (
    TABLES,
    LabelledCrystal,
    Reading,
    prepare,
    read_table,
)
from crystaltensor.data.hypotheses import symmetry_of
from crystaltensor.data.prepared import possible_labels
from crystaltensor.errors import DataError
from crystaltensor.nn.batch import Neighbourhood
from crystaltensor.properties import DIELECTRIC, PIEZO
from crystaltensor.symmetry.projection import project


def row(name: str, crystal: Crystal) -> LabelledCrystal:
    """Label a crystal with any tensor that it allows."""
    drawn = np.random.default_rng(0).normal(size=(3, 3, 3))
    rotations = symmetry_of(crystal, 0.01).rotations
    tensor = project(drawn, rotations, index_symmetry="ijk=ikj")
    return LabelledCrystal(name, crystal, tensor, "train", sign_known=False, polar=True)


def write(path: Path, *records: dict[str, object]) -> Path:
    """Write a table of labels."""
    path.write_text("".join(json.dumps(each) + "\n" for each in records))
    return path


def test_named_crystals_get_other_labels(
    tmp_path: Path, wurtzite: Crystal, quartz: Crystal
) -> None:
    """The others keep theirs, and what is not said stays as it was."""
    rows = [row("AlN", wurtzite), row("quartz", quartz)]
    voigt = np.arange(18.0).reshape(3, 6)
    path = write(
        tmp_path / "better.jsonl",
        {"id": "quartz", "piezo_e": voigt.tolist(), "axes_reliable": True},
        {"id": "another", "piezo_e": voigt.tolist()},
    )
    first, second = correct(rows, path, PIEZO, Reading())
    assert first is not rows[0]
    np.testing.assert_array_equal(first.tensor, rows[0].tensor)
    assert not first.axes_known
    assert second.tensor[2, 0, 1] == second.tensor[2, 1, 0] == 17
    assert second.axes_known
    assert not second.sign_known


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"id": "AlN"}, "line 1: no label"),
        ({"id": "AlN", "piezo_e": [[1, 2], [3, 4]]}, "line 1: no label .*shape"),
        ({"id": "GaN", "piezo_e": [[0.0] * 6] * 3}, "names none of the crystals"),
        ([1], "line 1: no label"),
    ],
)
def test_a_table_that_corrects_nothing_is_refused(
    tmp_path: Path, wurtzite: Crystal, record: object, message: str
) -> None:
    """By its line, if that is what is wrong."""
    path = tmp_path / "wrong.jsonl"
    path.write_text(json.dumps(record) + "\n")
    with pytest.raises(DataError, match=message):
        correct([row("AlN", wurtzite)], path, PIEZO, Reading())


def test_known_axes_leave_no_choice(wurtzite: Crystal, quartz: Crystal) -> None:
    """Among others with one; and inversion does not change an even tensor."""
    rows = [row("AlN", wurtzite), replace(row("quartz", quartz), axes_known=True)]
    data, _ = prepare(
        rows,
        PIEZO,
        around=Neighbourhood(4.0),
        symprec=(0.01,),
        max_residual=0.2,
        key="test",
        up_to_axes=True,
    )
    assert data.alternatives is not None
    up, *others = data.alternatives[0]
    assert any(np.allclose(each, -up) for each in others)
    assert (data.alternatives[1] == data.tensors[1]).all()
    symmetry = symmetry_of(wurtzite, 0.01)
    (only,) = possible_labels(rows[0], np.eye(3), symmetry, DIELECTRIC)
    np.testing.assert_array_equal(only, np.eye(3))


def test_the_bundled_corrections_are_what_the_labels_may_be() -> None:
    """Rotated, or of the other sign; never of a test crystal."""
    rows, _ = read_table(TABLES / "mp_piezo.jsonl.gz", PIEZO, max_component=20)
    path = TABLES / "mp_piezo_axes.jsonl.gz"
    found = correct(rows, path, PIEZO, Reading())
    pairs = [
        (before, after)
        for before, after in zip(rows, found, strict=True)
        if after.axes_known
    ]
    assert len(pairs) == 275
    assert {after.split for _, after in pairs} == {"train", "val"}
    for before, after in pairs[::20]:
        symmetry = symmetry_of(before.crystal, 0.1)
        label = project(before.tensor, symmetry.rotations, index_symmetry="ijk=ikj")
        choices = possible_labels(before, label, symmetry, PIEZO)
        apart = np.abs(choices - after.tensor).max(axis=(1, 2, 3))
        assert apart.min() < 2e-5
