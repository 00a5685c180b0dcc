"""From data sets to prepared data: audited, split, and without what is not wanted."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crystaltensor.data.datasets import TABLES
from crystaltensor.errors import DataError
from crystaltensor.training.config import TrainingConfig
from crystaltensor.workflows.preparation import audit_data, prepare_data

NETWORK = {"channels": 4, "n_layers": 1, "n_radial": 4, "cutoff": 3.0, "n_pooled": 2}


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    """Return a dozen rows whose labels were published in other axes."""
    with gzip.open(TABLES / "mp_piezo.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    chosen = [row for row in rows if row["frame_ok"] and row["nsites"] < 5]
    return [row for row in chosen if not row["also_ok_in_published_axes"]][:12]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write a table."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def published(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the labels back into the axes that they were published in."""
    return [
        {
            "id": row["id"],
            "structure": row["structure"],
            "mine": row["tensor_published_voigt"],
        }
        for row in rows
    ]


def config(*data: str, **changes: Any) -> TrainingConfig:
    """Make settings."""
    return TrainingConfig(property="piezo", data=data, network=NETWORK, **changes)


def test_labels_in_other_axes_are_found_and_turned_back(
    tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    """The audit names the axes; with `label_frame` the tensors are the bundled ones."""
    write(tmp_path / "raw.jsonl", published(lines))
    wrong = config("raw.jsonl", column="mine")
    found = audit_data(wrong, tmp_path / "a", base=tmp_path)
    assert found.audit.explained["standard"] == len(lines)
    assert found.file.is_file()
    right = config("raw.jsonl", column="mine", label_frame="standard")
    data, prepared = prepare_data(right, tmp_path / "a", base=tmp_path)
    assert prepared.audited is not None
    assert "frame" not in prepared.audited.audit.counts
    assert data.names == [row["id"] for row in lines]
    expected = [row["tensors"]["piezo_e"] for row in lines]
    np.testing.assert_allclose(data.tensors, expected, atol=2e-3)


def test_splits_that_the_file_has_not_are_drawn(
    tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    """By the seed; the prepared data of other settings are not taken for these."""
    bare = [{key: row[key] for key in row if key != "split"} for row in lines]
    write(tmp_path / "bare.jsonl", bare)
    first, report = prepare_data(config("bare.jsonl"), tmp_path, base=tmp_path)
    assert all(report.counts.values())
    again, report = prepare_data(config("bare.jsonl"), tmp_path, base=tmp_path)
    assert report.cached
    assert again.splits.tolist() == first.splits.tolist()
    changed = config("bare.jsonl", split_seed=1)
    other, report = prepare_data(changed, tmp_path, base=tmp_path)
    assert not report.cached
    assert other.splits.tolist() != first.splits.tolist()


def test_only_what_the_settings_name_is_dropped(
    tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    """A row twice is learnt twice, unless `drop` says duplicate; the file names it."""
    write(tmp_path / "twice.jsonl", [*lines[:4], {**lines[0], "id": "again"}])
    data, report = prepare_data(config("twice.jsonl"), tmp_path, base=tmp_path)
    assert len(data.names) == 5
    assert report.audited is not None
    assert report.audited.audit.counts == {"duplicate": 1}
    chosen = config("twice.jsonl", drop=("duplicate",))
    data, report = prepare_data(chosen, tmp_path, base=tmp_path)
    assert "again" not in data.names
    with (tmp_path / "dropped.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["name"] == "again"
    assert row["reason"].startswith("duplicate: the same crystal")
    raw = write(tmp_path / "raw.jsonl", published(lines[:3]))
    nothing = config(raw.name, column="mine", drop=("frame",))
    with pytest.raises(DataError, match="the settings leave no row"):
        prepare_data(nothing, tmp_path, base=tmp_path)


def test_another_structure_file_makes_other_data(
    tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    """The cache follows the files that a table refers to."""
    table = []
    for row in lines[:3]:
        structure = row["structure"]
        rows = [" ".join(map(str, each)) for each in structure["lattice"]]
        rows += [" ".join(structure["species"]), " ".join("1" * row["nsites"])]
        rows += ["Direct", *(" ".join(map(str, x)) for x in structure["frac_coords"])]
        (tmp_path / f"{row['id']}.vasp").write_text("\n".join([row["id"], "1", *rows]))
        table.append([row["id"], *np.ravel(row["tensors"]["piezo_e"])])
    with (tmp_path / "id_prop.csv").open("w", newline="") as file:
        csv.writer(file).writerows(table)
    settings = config("id_prop.csv")
    data, _ = prepare_data(settings, tmp_path, base=tmp_path)
    assert data.names == [row["id"] for row in lines[:3]]
    assert prepare_data(settings, tmp_path, base=tmp_path)[1].cached
    path = tmp_path / f"{lines[0]['id']}.vasp"
    path.write_text(path.read_text().replace("\n1\n", "\n1.01\n", 1))
    assert not prepare_data(settings, tmp_path, base=tmp_path)[1].cached


def test_born_charges_are_prepared_atom_by_atom(tmp_path: Path) -> None:
    """One label for each atom of each crystal, and their sum is zero."""
    cell = (2.5 * (np.ones((3, 3)) - np.eye(3))).tolist()
    rows = [
        {
            "id": f"{symbol}O",
            "split": split,
            "structure": {
                "lattice": cell,
                "species": [symbol, "O"],
                "frac_coords": [[0, 0, 0], [0.5] * 3],
            },
            "born_charges": [(1.9 * np.eye(3)).tolist(), (-2.1 * np.eye(3)).tolist()],
        }
        for symbol, split in (("Mg", "train"), ("Ca", "val"))
    ]
    write(tmp_path / "born.jsonl", rows)
    settings = TrainingConfig(property="born-charges", data=("born.jsonl",))
    data, report = prepare_data(settings, tmp_path, base=tmp_path)
    assert report.counts == {"train": 1, "val": 1, "test": 0}
    expected = [2 * np.eye(3), -2 * np.eye(3)] * 2
    np.testing.assert_allclose(data.tensors, expected, atol=1e-12)
