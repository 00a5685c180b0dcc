"""Tests of crystaltensor.workflows.benchmark.evaluation, and of the test sets."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.datasets import LabelledCrystal
from crystaltensor.data.hypotheses import isotropic_part
from crystaltensor.data.tables import TABLES, read_table
from crystaltensor.inference.models import describe_model, installed_models
from crystaltensor.inference.predictor import load
from crystaltensor.properties import find_property
from crystaltensor.workflows.benchmark.evaluation import (
    TEST_SETS,
    evaluate,
    part_of,
    read_test_set,
)

SOURCES = Path(__file__).parents[4] / "shared" / "data"


@pytest.mark.parametrize("path", sorted(TABLES.glob("*_test.jsonl.gz")), ids=str)
def test_only_test_rows_of_matminer_travel_along(path: Path) -> None:
    """Other rows would be for training, and other sources may not be passed on."""
    with gzip.open(path, "rt") as file:
        rows = [json.loads(line) for line in file]
    assert {row["split"] for row in rows} == {"test"}
    assert all(row["source"].startswith("matminer ") for row in rows)
    assert path.name in (TABLES / "README.md").read_text()


def test_the_tables_are_small() -> None:
    """Less than 2 MB together."""
    assert sum(path.stat().st_size for path in TABLES.iterdir()) < 2e6


@pytest.mark.parametrize("name", sorted(TEST_SETS))
def test_every_test_set_can_be_read(name: str) -> None:
    """With labels of the property."""
    rows, _ = read_table(TABLES / f"{TEST_SETS[name]}.jsonl.gz", find_property(name))
    test = [row for row in rows if row.split == "test"]
    assert len(test) > 80
    assert all(row.tensor.shape == (3,) * find_property(name).rank for row in test)


@pytest.mark.skipif(not SOURCES.is_dir(), reason="needs the tables of the training")
@pytest.mark.parametrize("name", ["mp_dielectric", "mp_elastic"])
def test_test_rows_are_those_of_the_whole_table(name: str) -> None:
    """Number by number."""
    with gzip.open(SOURCES / f"{name}.jsonl.gz", "rt") as file:
        whole = {row["id"]: row for row in map(json.loads, file)}
    with gzip.open(TABLES / f"{name}_test.jsonl.gz", "rt") as file:
        part = {row["id"]: row for row in map(json.loads, file)}
    assert set(part) == {key for key, row in whole.items() if row["split"] == "test"}
    for key, row in part.items():
        assert row["tensors"] == whole[key]["tensors"]
        assert row["structure"] == whole[key]["structure"]


def test_training_means_are_those_of_the_training_rows() -> None:
    """Of piezoelectric tensors all rows travel along, and none has an isotropic part."""
    row = find_property("piezo")
    rows, _ = read_table(TABLES / "mp_piezo.jsonl.gz", row, max_component=20)
    train = [each.tensor for each in rows if each.split == "train"]
    known = json.loads((TABLES / "training_means.json").read_text())
    assert known["piezo"]["n"] == len(train)
    assert not np.any(known["piezo"]["tensor"])
    for name in ("dielectric", "elastic"):
        mean = np.array(known[name]["tensor"])
        again = isotropic_part(mean, find_property(name))
        np.testing.assert_allclose(again, mean, atol=1e-5)
        assert mean.any()
    assert known["dielectric"]["tensor"][0][0] > 1


def test_a_table_of_ones_own_gives_the_mean_of_its_training_rows(
    tmp_path: Path,
) -> None:
    """In place of the one that is kept."""
    with gzip.open(TABLES / "mp_dielectric_test.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file][:4]
    for row, split in zip(rows, ("train", "train", "test", "test"), strict=True):
        row["split"] = split
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = describe_model(installed_models()["dielectric"])
    found = read_test_set(model, str(path))
    assert [row.name for row in found.rows] == [row["id"] for row in rows[2:]]
    tensors = [row["tensors"]["dielectric_electronic"] for row in rows[:2]]
    expected = np.mean([np.trace(tensor) / 3 for tensor in tensors])
    np.testing.assert_allclose(found.training_mean, expected * np.eye(3))


def test_predictions_are_those_of_predict_and_parts_keep_their_order() -> None:
    """The same numbers as one crystal at a time."""
    predictor = load("elastic", device="cpu")
    rows = read_test_set(predictor.model, None).rows[:5]
    found = evaluate(predictor, rows, symprec=0.01)
    for row, tensor in zip(rows, found.predicted, strict=True):
        alone = predictor.predict(row.crystal).tensor
        np.testing.assert_allclose(tensor, alone, atol=1e-4 * np.abs(alone).max())
    chosen = np.array([False, True, False, True, True])
    part = part_of(found, chosen)
    assert [row.name for row in part.rows] == [rows[i].name for i in (1, 3, 4)]
    np.testing.assert_array_equal(part.predicted, found.predicted[chosen])
    assert part.crystals.tolist() == [0, 1, 2]


def test_a_polar_axis_upside_down_is_the_same_up_to_axes() -> None:
    """For the model whose labels leave it open; the label stays what it was."""
    predictor = load("piezo", device="cpu")
    test = read_test_set(predictor.model, None)
    assert test is not None
    row = next(each for each in test.rows if each.polar and each.crystal.n_atoms < 9)
    flipped = replace(row, tensor=-row.tensor)
    found = evaluate(predictor, [row, flipped], symprec=0.01)
    np.testing.assert_allclose(found.label[1], -found.label[0])
    np.testing.assert_allclose(found.nearest[1], found.nearest[0], atol=1e-9)
    errors = [
        np.linalg.norm((found.predicted - labels).reshape(2, -1), axis=1)
        for labels in (found.nearest, found.label)
    ]
    assert (errors[0] <= errors[1] + 1e-9).all()


def test_other_models_have_labels_alone(gallium_arsenide: Crystal) -> None:
    """What a label may be is asked only of those that have learnt so."""
    label = LabelledCrystal(
        "GaAs", gallium_arsenide, 12 * np.eye(3), "test", sign_known=True, polar=False
    )
    predictor = load("dielectric", device="cpu")
    found = evaluate(predictor, [label], symprec=0.01)
    np.testing.assert_array_equal(found.nearest, found.label)
