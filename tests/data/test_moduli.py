"""Crystals with moduli alone: what is read, what is left out, and that nothing leaks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.moduli import prepare_moduli, read_moduli
from crystaltensor.data.rows import Reading
from crystaltensor.data.splits import group_of
from crystaltensor.errors import DataError
from crystaltensor.nn.batch import Neighbourhood

SETTINGS: dict[str, Any] = {
    "around": Neighbourhood(4.0),
    "symprec": 0.01,
    "key": "test",
}


def record(name: str, crystal: Crystal, **more: object) -> dict[str, object]:
    """Write a row of a table."""
    structure = {
        "lattice": crystal.cell.tolist(),
        "species": crystal.symbols,
        "frac_coords": crystal.frac.tolist(),
    }
    return {"id": name, "structure": structure, **more}


def table(path: Path, rows: "list[dict[str, object]]") -> Path:
    """Write a table of JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def rows(
    wurtzite: Crystal, quartz: Crystal, gallium_arsenide: Crystal
) -> list[dict[str, object]]:
    """Three crystals with both moduli, one of them, and the other one."""
    return [
        record("AlN", wurtzite, K_VRH=200.0, G_VRH=120.0),
        record("quartz", quartz, K_VRH=38.0, G_VRH=None),
        record("GaAs", gallium_arsenide, K_VRH="", G_VRH=46.0),
    ]


def test_rows_may_lack_one_of_the_moduli(
    tmp_path: Path, rows: list[dict[str, object]]
) -> None:
    """And stay in the order of the file, up to those that have no K."""
    found, dropped = read_moduli(table(tmp_path / "few.jsonl", rows), Reading())
    assert [each.row.name for each in found] == ["AlN", "quartz", "GaAs"]
    np.testing.assert_array_equal(
        [each.values for each in found],
        [[200.0, 120.0], [38.0, np.nan], [np.nan, 46.0]],
    )
    assert dropped == []


def test_rows_without_either_are_named(
    tmp_path: Path, rows: list[dict[str, object]], rock_salt: Crystal
) -> None:
    """A modulus that is not positive counts as none."""
    rows.append(record("salt", rock_salt, K_VRH=-1.0, G_VRH=None))
    found, dropped = read_moduli(table(tmp_path / "few.jsonl", rows), Reading())
    assert len(found) == 3
    assert len(dropped) == 1
    assert "line 4" in dropped[0].name
    assert "positive" in dropped[0].reason


def test_a_table_may_have_one_column_only(tmp_path: Path, wurtzite: Crystal) -> None:
    """One with neither is no such table."""
    path = table(tmp_path / "g.jsonl", [record("AlN", wurtzite, G_VRH=120.0)])
    (only,), _ = read_moduli(path, Reading())
    np.testing.assert_array_equal(only.values, [np.nan, 120.0])
    path = table(tmp_path / "none.jsonl", [record("AlN", wurtzite, gap=6.0)])
    with pytest.raises(DataError, match="no row can be used"):
        read_moduli(path, Reading())


def test_graphs_are_those_of_a_network_of_the_stiffness(
    tmp_path: Path, rows: list[dict[str, object]]
) -> None:
    """With projectors up to degree four, and all of them to learn from."""
    found, _ = read_moduli(table(tmp_path / "few.jsonl", rows), Reading())
    data, dropped = prepare_moduli(found, taken=(), **SETTINGS)
    assert not dropped
    assert data.splits.tolist() == ["train"] * 3
    assert set(data.graphs[0].projectors) == {(0, False), (2, False), (4, False)}
    np.testing.assert_array_equal(data.tensors[:, 0], [200.0, 38.0, np.nan])


def test_what_is_measured_elsewhere_is_not_learnt_from(
    tmp_path: Path,
    rows: list[dict[str, object]],
    wurtzite: Crystal,
    gallium_arsenide: Crystal,
) -> None:
    """Neither a crystal of val or test here or there, however its cell is written."""
    rows[1]["split"] = "test"
    doubled = Crystal(
        2 * gallium_arsenide.cell,
        np.concatenate(
            [(gallium_arsenide.frac + shift) / 2 for shift in np.ndindex(2, 2, 2)]
        ),
        np.tile(gallium_arsenide.numbers, 8),
    )
    taken = {group_of(doubled, symprec=0.01)}
    found, _ = read_moduli(table(tmp_path / "few.jsonl", rows), Reading())
    data, dropped = prepare_moduli(found, taken=taken, **SETTINGS)
    assert data.names == ["AlN"]
    reasons = {each.name: each.reason for each in dropped}
    assert reasons["quartz"] == "its table has it in the split test"
    assert reasons["GaAs"] == "GaAs|216 is among the crystals with all of C"
    both = taken | {group_of(wurtzite, symprec=0.01)}
    with pytest.raises(DataError, match="is left to learn from"):
        prepare_moduli(found, taken=both, **SETTINGS)
