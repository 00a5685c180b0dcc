"""Structures as JSON."""

import io
import json
from typing import Any

import numpy as np
import pytest

from crystaltensor.crystals.conversion import to_pymatgen
from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.parsing import Parsed
from crystaltensor.crystals.records import crystal_from_dict, parse_json
from crystaltensor.errors import CrystalTensorError, FormatError

ROW: dict[str, Any] = {
    "lattice": [[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]],
    "species": ["Ga", "As"],
    "frac_coords": [[0, 0, 0], [0.25, 0.25, 0.25]],
}


def parsed(text: str) -> list[Parsed | CrystalTensorError]:
    """Read all structures."""
    return list(parse_json(io.StringIO(text)))


def test_pymatgen_json_reads_back_exactly(triclinic: Crystal) -> None:
    """On one line or on many, with oxidation states."""
    structure = to_pymatgen(triclinic)
    structure.add_oxidation_state_by_element(dict.fromkeys(triclinic.symbols, 1))
    for text in (structure.to_json(), json.dumps(structure.as_dict(), indent=2)):
        (found,) = parsed(text)
        assert isinstance(found, Parsed)
        assert np.array_equal(found.crystal.frac, triclinic.frac)
        assert np.array_equal(found.crystal.cell, triclinic.cell)
        assert found.crystal.symbols == triclinic.symbols


@pytest.mark.parametrize(
    "record",
    [
        ROW,
        {"structure": ROW, "id": 1},
        {
            "atoms": {
                "lattice_mat": ROW["lattice"],
                "elements": ["Ga ", "As"],
                "coords": [[0, 0, 0], [1.4, 1.4, 1.4]],
                "cartesian": True,
            }
        },
    ],
)
def test_rows_of_data_sets_are_crystals(record: object) -> None:
    """Ours, with an id, and those of JARVIS."""
    crystal = crystal_from_dict(record)
    assert crystal.symbols == ["Ga", "As"]
    np.testing.assert_allclose(crystal.frac[1], 0.25, rtol=0, atol=1e-16)


def test_lists_and_lines_hold_several() -> None:
    """A bad one does not stop the next."""
    row = json.dumps(ROW)
    bad = row.replace("As", "D")
    for text in (f"[{row}, {bad},\n{row}]", f"{row}\n\n{bad}\n{row}\n"):
        found = parsed(text)
        assert [isinstance(one, Parsed) for one in found] == [True, False, True]
    found = parsed(f"{row}\nnot json\n{row}")
    assert "line 2 is not valid JSON" in str(found[1])
    assert isinstance(found[2], Parsed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"species": ["Ga", "X"]}, "'X' is not a chemical element"),
        ({"species": ["Ga"]}, "1 atomic numbers do not fit"),
        ({"species": "GaAs"}, "must be a list of symbols"),
        ({"species": [31, 33]}, "must be a list of symbols"),
        ({"species": None}, "cannot be used"),
        ({"lattice": [[1, 2], [3]]}, "cannot be used"),
        ({"lattice": {"a": 3}}, "cannot be used"),
        ({"frac_coords": [[0, 0, 0], [0, "y", 0]]}, "cannot be used"),
        ({"frac_coords": [[0, 0, 0], [0, float("nan"), 0]]}, "not finite"),
        ({"frac_coords": [[0, 0, 0], [0, 10**400, 0]]}, "cannot be used"),
    ],
)
def test_wrong_entries_are_named(change: dict[str, Any], message: str) -> None:
    """Each error is one line."""
    with pytest.raises(CrystalTensorError, match=message) as caught:
        crystal_from_dict({**ROW, **change})
    assert "\n" not in str(caught.value)


def test_missing_entries_are_named() -> None:
    """With the two forms that are expected."""
    with pytest.raises(FormatError, match="has no 'lattice'"):
        crystal_from_dict({"species": []})
    with pytest.raises(FormatError, match="expected a structure, a JSON object"):
        crystal_from_dict(7)


def test_disorder_and_slabs_are_refused(rock_salt: Crystal) -> None:
    """As from the objects of pymatgen."""
    record = to_pymatgen(rock_salt).as_dict()
    record["sites"][1]["species"][0]["occu"] = 0.5
    with pytest.raises(CrystalTensorError, match=r"site 2 is disordered \('Cl 0.5'\)"):
        crystal_from_dict(record)
    record = to_pymatgen(rock_salt).as_dict()
    record["lattice"]["pbc"] = [True, True, False]
    with pytest.raises(CrystalTensorError, match="not periodic"):
        crystal_from_dict(record)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"lattice": [[1,', "not valid JSON.*cut short"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * 100_000 + "\n", "nested too deeply"),
        ("9" * 5000, "too long"),
    ],
)
def test_text_that_is_no_json_is_refused(text: str, message: str) -> None:
    """Cut short, nested without end, a number of 5,000 digits."""
    with pytest.raises(FormatError, match=message):
        parsed(text)
