"""Tests of crystaltensor.workflows.output_formats: one truth in several forms."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.io import ReadCrystal
from crystaltensor.errors import ConfigError, StructureError
from crystaltensor.inference.models import find_model
from crystaltensor.properties import BORN_CHARGES, ELASTIC, PIEZO
from crystaltensor.workflows.blocks import Outcome
from crystaltensor.workflows.output_formats import (
    BriefLines,
    Csv,
    JsonFolder,
    JsonLines,
    Parquet,
    output_format,
)
from crystaltensor.workflows.predict_work import PredictWork
from crystaltensor.workflows.structure_files import Failure

ROWS = (PIEZO, ELASTIC, BORN_CHARGES)


@pytest.fixture(scope="module")
def work() -> PredictWork:
    """Real networks for three properties."""
    folders = tuple(str(find_model(row.name)) for row in ROWS)
    return PredictWork(folders, 0.01, "input", "cpu")


@pytest.fixture
def named(
    work: PredictWork, wurtzite: Crystal, silicon: Crystal
) -> list[tuple[str, Outcome]]:
    """Predictions for two crystals, and a failure between them."""
    reads = [
        ReadCrystal(wurtzite, "a/AlN.cif"),
        ReadCrystal(silicon, "b/Si.cif", ("odd",)),
    ]
    ready = work.gather([work.prepare(read) for read in reads])
    first, second = work.finish(ready)
    failure = Failure("x, y.cif", StructureError("x, y.cif: no atom"))
    return [("00000000", first), ("00000001", failure), ("00000002", second)]


def test_lines_are_the_records(named: list[tuple[str, Outcome]]) -> None:
    """Packed or not; the same bytes every time."""
    text, files = JsonLines().render(named)
    assert files == ()
    records = [json.loads(line) for line in text.splitlines()]
    assert [r.get("property") for r in records] == [
        *("piezo", "elastic", "born-charges", None, "piezo", "elastic", "born-charges")
    ]
    assert records[:3] == named[0][1]
    assert records[3]["error"] == {
        "type": "StructureError",
        "message": "x, y.cif: no atom",
    }
    packed = JsonLines(compressed=True).render(named)[0]
    assert gzip.decompress(packed) == text
    assert JsonLines(compressed=True).render(named)[0] == packed
    assert gzip.decompress(packed + packed) == text + text  # members follow each other


def cells(text: str) -> list[dict[str, Any]]:
    """Read a table."""
    return list(csv.DictReader(io.StringIO(text)))


def test_a_table_has_voigt_names_and_units(named: list[tuple[str, Outcome]]) -> None:
    """One row for each structure, with full precision."""
    form = Csv(ROWS)
    rows = cells((form.head() + form.render(named)[0]).decode())
    piezo, elastic, charges = named[0][1]
    assert [row["source"] for row in rows] == ["a/AlN.cif", "x, y.cif", "b/Si.cif"]
    assert [row["status"] for row in rows] == ["ok", "error", "ok"]
    assert float(rows[0]["piezo.e33 (C/m^2)"]) == piezo["voigt"][2][2]
    assert float(rows[0]["elastic.C44 (GPa)"]) == elastic["voigt"][3][3]
    assert json.loads(rows[0]["born-charges (e)"]) == charges["tensor"]
    found = float(rows[0]["elastic.moduli.bulk_hill (GPa)"])
    assert found == elastic["derived"]["moduli"]["bulk_hill"]
    assert float(rows[0]["lattice.c_z (Å)"]) == piezo["lattice"][2][2]
    assert rows[0]["space_group.symbol"] == "P6_3mc"
    assert rows[1]["error.message"] == "x, y.cif: no atom"
    assert rows[1]["piezo.e33 (C/m^2)"] == ""
    assert float(rows[2]["piezo.e14 (C/m^2)"]) == 0  # silicon has inversion
    assert rows[2]["piezo.longitudinal_e.value (C/m^2)"] == ""
    assert rows[2]["warnings"].startswith("odd")


def test_parquet_has_nested_tensors_beside_the_columns(
    named: list[tuple[str, Outcome]], tmp_path: Path
) -> None:
    """The numbers of the records, and nothing where there are none."""
    parquet = pytest.importorskip("pyarrow.parquet")
    form = Parquet(ROWS)
    lines = tmp_path / "out.part"
    lines.write_bytes(form.render(named[:1])[0] + form.render(named[1:])[0])
    form.complete(lines, tmp_path / "out.parquet")
    rows = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["source"] for row in rows] == ["a/AlN.cif", "x, y.cif", "b/Si.cif"]
    for row, (_, outcome) in zip(rows, named, strict=True):
        for record in outcome if isinstance(outcome, list) else []:
            assert row[f"{record['property']}.tensor"] == record["tensor"]
    assert rows[1]["piezo.tensor"] is None
    assert rows[1]["error.type"] == "StructureError"
    flat = cells((Csv(ROWS).head() + Csv(ROWS).render(named)[0]).decode())
    for row, other in zip(rows, flat, strict=True):
        for name, value in other.items():
            assert ("" if row[name] is None else str(row[name])) == value


def test_a_folder_has_a_file_for_each_record(named: list[tuple[str, Outcome]]) -> None:
    """No two have one name, whatever the sources are called."""
    twice = [("00010000", named[0][1]), *named, ("00010001-1", named[0][1])]
    _, files = JsonFolder().render(twice)
    names = [name for name, _ in files]
    assert len(set(names)) == len(names) == 13
    assert names[0] == "0001/00010000_AlN.piezo.json"
    assert "0000/00000001_x__y.error.json" in names
    assert json.loads(files[0][1]) == named[0][1][0]


def test_people_read_the_independent_components(
    named: list[tuple[str, Outcome]],
) -> None:
    """In a line for each property; a failure is told elsewhere."""
    lines = BriefLines().render(named)[0].decode().splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("a/AlN.cif: AlN, 4 atoms, P6_3mc; piezo: e15 = ")
    assert lines[0].endswith(" C/m^2")
    assert lines[3].endswith("piezo: exactly zero by symmetry")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("out.jsonl", "jsonl"),
        ("a.b/OUT.JSONL.GZ", "jsonl"),
        ("x.csv", "csv"),
        ("some/folder", "folder"),
        ("a.folder/", "folder"),
    ],
)
def test_the_name_says_the_form(name: str, kind: str) -> None:
    """Upper and lower case do not count."""
    assert output_format(name, ROWS).name == kind


def test_other_names_are_refused() -> None:
    """With those that are known."""
    with pytest.raises(ConfigError, match=r"\.jsonl, \.jsonl\.gz, \.csv, \.parquet"):
        output_format("out.xlsx", ROWS)
