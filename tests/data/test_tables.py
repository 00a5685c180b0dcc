"""Data sets as people have them: CSV with structure files, data frames, pickles."""

import csv
import gzip
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.io import to_pymatgen
from crystaltensor.data.datasets import Reading, read_table, structure_files
from crystaltensor.errors import ConfigError, DataError
from crystaltensor.properties import BORN_CHARGES, DIELECTRIC, ELASTIC, PIEZO
from crystaltensor.symmetry.notation import from_voigt, to_voigt

FLAGS = re.DOTALL | re.MULTILINE
DOCS = Path(__file__).parents[2] / "docs"

POSCAR = """ZnS
1.0
0.0 2.7 2.7
2.7 0.0 2.7
2.7 2.7 0.0
Zn S
1 1
Direct
0.0 0.0 0.0
0.25 0.25 0.25
"""
E14 = [0.0, 0, 0, 0.15, 0, 0, 0, 0, 0, 0, 0.15, 0, 0, 0, 0, 0, 0, 0.15]
HEADER = ["id", *(f"e{i}{j}" for i in range(1, 4) for j in range(1, 7))]


@pytest.fixture
def zincblende() -> Crystal:
    """Return the crystal of `POSCAR`."""
    cell = 2.7 * (np.ones((3, 3)) - np.eye(3))
    return Crystal(cell, [[0, 0, 0], [0.25] * 3], [30, 16])


@pytest.fixture
def expected() -> np.ndarray:
    """Return the tensor of a zincblende crystal."""
    return from_voigt(np.reshape(E14, (3, 6)), 3)


def write_csv(path: Path, *lines: list[Any]) -> Path:
    """Write a table."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return path


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("POSCAR-JVASP-1.vasp", "POSCAR-JVASP-1.vasp"),
        ("1", "1.vasp"),
        ("JVASP-1", "POSCAR-JVASP-1"),
        ("mp-1", "mp-1/POSCAR"),
    ],
)
@pytest.mark.parametrize("header", [True, False])
def test_a_csv_table_finds_its_structures(
    name: str, file: str, header: bool, tmp_path: Path, expected: np.ndarray
) -> None:
    """By file name or identifier, with a header or without."""
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(POSCAR)
    lines = [HEADER, [name, *E14]] if header else [[name, *E14]]
    path = write_csv(tmp_path / "id_prop.csv", *lines)
    (row,), dropped = read_table(path, PIEZO)
    assert (row.name, row.split, row.crystal.formula) == (name, "", "ZnS")
    assert not dropped
    np.testing.assert_array_equal(row.tensor, expected)
    assert structure_files(path, Reading()) == [tmp_path / file]


def test_structures_may_be_in_another_folder_and_splits_in_the_table(
    tmp_path: Path,
) -> None:
    """As the setting says; columns in any order."""
    (tmp_path / "poscars").mkdir()
    (tmp_path / "poscars" / "a.vasp").write_text(POSCAR)
    lines = [HEADER[0], "Split", *HEADER[:0:-1]], ["a.vasp", "val", *E14[::-1]]
    path = write_csv(tmp_path / "id_prop.csv", *lines)
    (row,), _ = read_table(path, PIEZO, reading=Reading(structures="poscars"))
    assert row.split == "val"
    assert to_voigt(row.tensor, 3)[0, 3] == 0.15
    with pytest.raises(
        DataError, match=r"line 2: .*no structure file a\.vasp in .*set"
    ):
        read_table(path, PIEZO)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([["a.vasp", "1", "2"]], "line 1: .*2 numbers are not a tensor e"),
        ([HEADER, ["a.vasp", *E14[:-1]]], "line 2: .*'' is not a number"),
        ([HEADER, ["a.vasp", *E14[:-1], "?"]], "line 2: .*'\\?' is not a number"),
        ([["id", "gap"], ["a.vasp", 1]], "no column is named like a component of e"),
        ([[*HEADER, "split"], ["a.vasp", *E14, "dev"]], "split must be one of"),
        ([HEADER[:-1], ["a.vasp", *E14]], "Voigt numbers 36; give all 18"),
    ],
)
def test_mistakes_in_a_csv_table_are_named(
    lines: list[list[Any]], message: str, tmp_path: Path
) -> None:
    """File, line and what is wrong."""
    (tmp_path / "a.vasp").write_text(POSCAR)
    path = write_csv(tmp_path / "id_prop.csv", *lines)
    with pytest.raises(DataError, match=rf"id_prop\.csv.*{message}"):
        read_table(path, PIEZO)


def test_atoms_do_not_fit_into_a_line_of_csv(tmp_path: Path) -> None:
    """Born charges need JSON lines."""
    path = write_csv(tmp_path / "id_prop.csv", HEADER, ["a", *E14])
    with pytest.raises(DataError, match=r"belong to atoms.*use JSON lines"):
        read_table(path, BORN_CHARGES)


@pytest.mark.parametrize("orient", ["split", "records", "matminer csv"])
def test_data_frames_are_read_as_pandas_and_matminer_write_them(
    orient: str, tmp_path: Path, zincblende: Crystal, expected: np.ndarray
) -> None:
    """Pymatgen objects, or the text of a POSCAR, beside a Voigt matrix."""
    structure = to_pymatgen(zincblende).as_dict()
    matrix = np.reshape(E14, (3, 6)).tolist()
    columns = ["material_id", "structure", "piezoelectric_tensor"]
    cells = ["mp-10695", structure, matrix]
    if orient == "split":
        path = tmp_path / "frame.json.gz"
        frame = {"index": [7], "columns": columns, "data": [cells]}
        path.write_bytes(gzip.compress(json.dumps(frame).encode()))
    elif orient == "records":
        path = tmp_path / "frame.json"
        path.write_text(json.dumps([dict(zip(columns, cells, strict=True))]))
    else:
        path = write_csv(
            tmp_path / "frame.csv",
            [*columns, "poscar"],
            ["mp-10695", "Full Formula (Zn1 S1)", str(matrix), POSCAR],
        )
    (row,), _ = read_table(path, PIEZO)
    assert row.name == "mp-10695"
    np.testing.assert_array_equal(row.tensor, expected)
    np.testing.assert_allclose(row.crystal.cell, zincblende.cell)


def test_a_column_can_be_named(tmp_path: Path, zincblende: Crystal) -> None:
    """Else the known names are looked for, and listed if none is there."""
    record = {
        "structure": to_pymatgen(zincblende).as_dict(),
        "mine": [[3.0, 0, 0], [0, 3.0, 0], [0, 0, 3.0]],
    }
    path = tmp_path / "frame.json"
    path.write_text(json.dumps([record]))
    (row,), _ = read_table(path, DIELECTRIC, reading=Reading(column="mine"))
    np.testing.assert_array_equal(row.tensor, 3 * np.eye(3))
    with pytest.raises(DataError, match=r"no label: .*e_electronic.*setting 'column'"):
        read_table(path, DIELECTRIC)
    with pytest.raises(ConfigError, match="did you mean 'vasp'"):
        Reading(voigt_order="vaps")


def jarvis_rows() -> list[dict[str, Any]]:
    """Return what the published pickles hold, for one crystal and an empty one."""
    atoms = {
        "lattice_mat": (2.7 * (np.ones((3, 3)) - np.eye(3))).tolist(),
        "coords": [[0.0] * 3, [0.25] * 3],
        "elements": ["Zn", "S"],
        "cartesian": False,
    }
    stiffness = np.diag([1000.0, 1000, 1000, 400, 500, 600])
    piezo = np.zeros((3, 6))
    piezo[0, 4] = piezo[1, 5] = piezo[2, 3] = 0.15  # e14 in the order of VASP
    full = {
        "JARVIS_ID": "JVASP-1",
        "atoms": atoms,
        "dielectric": 3 * np.eye(3),
        "piezoelectric_C_m2": piezo,
        "elastic_total_kbar": stiffness.tolist(),
        "other": {1, 2},
    }
    return [full, {**full, "JARVIS_ID": "JVASP-2", "elastic_total_kbar": []}]


def test_the_converter_of_the_docs_makes_readable_data(
    tmp_path: Path, expected: np.ndarray
) -> None:
    """Names, the order of VASP and kbar are known; an empty label is left out."""
    text = (DOCS / "training.md").read_text()
    found = re.search(r"<<'END'\n(import json, pickle, sys.*?)^END$", text, FLAGS)
    assert found
    (tmp_path / "convert.py").write_text(found[1])
    source, target = tmp_path / "data.pkl", tmp_path / "data.jsonl"
    source.write_bytes(pickle.dumps(jarvis_rows()))
    subprocess.run(
        [sys.executable, tmp_path / "convert.py", source, target], check=True
    )
    rows, _ = read_table(target, PIEZO)
    assert [row.name for row in rows] == ["JVASP-1", "JVASP-2"]
    np.testing.assert_array_equal(rows[0].tensor, expected)
    asked = Reading(voigt_order="vasp")
    np.testing.assert_array_equal(
        read_table(target, PIEZO, reading=asked)[0][0].tensor, expected
    )
    (row,), (dropped,) = read_table(target, ELASTIC)
    np.testing.assert_allclose(
        to_voigt(row.tensor, 4), np.diag([100.0, 100, 100, 50, 60, 40])
    )
    assert (dropped.name, dropped.reason) == ("JVASP-2", "it has no elastic")
    (row, _), _ = read_table(target, DIELECTRIC)
    np.testing.assert_array_equal(row.tensor, 3 * np.eye(3))
    with pytest.raises(
        DataError, match=r"data\.pkl: pickles are refused.*docs/training"
    ):
        read_table(source, PIEZO)


def test_born_charges_are_one_tensor_for_each_atom(
    tmp_path: Path, zincblende: Crystal
) -> None:
    """Their number is checked."""
    record = {
        "id": "ZnS",
        "structure": to_pymatgen(zincblende).as_dict(),
        "born_charges": [(2 * np.eye(3)).tolist(), (-2 * np.eye(3)).tolist()],
    }
    path = tmp_path / "born.jsonl"
    path.write_text(json.dumps(record) + "\n")
    (row,), _ = read_table(path, BORN_CHARGES)
    assert row.tensor.shape == (2, 3, 3)
    record["born_charges"] *= 2
    path.write_text(json.dumps(record) + "\n")
    with pytest.raises(DataError, match="4 born_charges for 2 atoms"):
        read_table(path, BORN_CHARGES)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", r"data sets are \.jsonl, \.csv or \.json files"),
        ("a.json", "{}", "not a data frame; write it with"),
        ("a.json", "[", "not JSON"),
        ("a.json", '{"columns": ["a"], "data": [[1, 2]]}', "row 0: not 1 cells"),
        ("a.jsonl", "[1]\n", r"line 1: .*expected a JSON object, not '\[1\]'"),
        ("a.jsonl", '{"piezo_e": "x"}\n', "a tensor cannot be read from 'x'"),
        ("a.jsonl", '{"piezo_e": [[NaN]]}\n', "must be finite"),
        ("a.jsonl", json.dumps({"piezo_e": [[0] * 6] * 3}), "no structure: expected"),
        ("a.jsonl.gz", "no gzip", "cannot be read"),
    ],
)
def test_other_mistakes_are_named(
    name: str, text: str, message: str, tmp_path: Path
) -> None:
    """With the file."""
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=rf"{re.escape(name)}.*{message}"):
        read_table(tmp_path / name, PIEZO)
