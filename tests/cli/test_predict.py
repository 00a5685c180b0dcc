"""``crystaltensor predict``, as a user types it."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from crystaltensor.cli.main import main
from crystaltensor.crystals.io import read_crystal, to_pymatgen

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
ALN = EXAMPLES / "POSCAR.AlN"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run ``predict … --property piezo``: exit code, output, errors."""
    with pytest.raises(SystemExit) as ended:
        main(["predict", *arguments, "--property", "piezo"])
    captured = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, captured.out, captured.err


def test_the_table_says_what_a_reader_needs(capsys: pytest.CaptureFixture[str]) -> None:
    """Formula, group, unit, order of the columns, constants, frame, worth."""
    code, out, err = run(capsys, str(ALN))
    assert code == 0
    assert "AlN, 4 atoms, space group P6_3mc (186), class 6mm" in out
    assert "Piezoelectric stress tensor e in C/m²" in out
    header = next(line for line in out.splitlines() if " xx " in line)
    assert header.split() == ["xx", "yy", "zz", "yz", "xz", "xy"]
    assert "3 independent components: e15 = " in out
    assert "‖e‖ = " in out
    assert "largest |e" in out
    assert "Frame: Cartesian axes of the file" in out
    assert "3.12859" in out
    assert "Warning: this model is a rough guide" in err


def test_json_is_one_object_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the warnings inside, and full precision."""
    code, out, err = run(capsys, str(ALN), "--json")
    assert (code, err) == (0, "")
    record = json.loads(out)
    assert out.count("\n") == 1
    assert record["source"] == str(ALN)
    assert record["warnings"]
    assert record["tensor"][2][2][2] != round(record["tensor"][2][2][2], 6)


def test_screen_and_json_agree(capsys: pytest.CaptureFixture[str]) -> None:
    """To the four digits that are shown."""
    _, out, _ = run(capsys, str(ALN))
    record = json.loads(run(capsys, str(ALN), "--json")[1])
    assert f"e33 = {record['components']['e33']:.4g}" in out


def test_all_formats_give_one_tensor(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """POSCAR, pymatgen JSON, extended XYZ and standard input."""
    crystal = read_crystal(str(ALN))
    structure = to_pymatgen(crystal)
    as_json = tmp_path / "AlN.json"
    as_json.write_text(structure.to_json())
    rows = " ".join(map(str, crystal.cell.ravel()))
    lines = [f"{crystal.n_atoms}", f'Lattice="{rows}" Properties=species:S:1:pos:R:3']
    for symbol, place in zip(crystal.symbols, crystal.positions, strict=True):
        lines.append(" ".join([symbol, *map(str, place)]))
    as_xyz = tmp_path / "AlN.extxyz"
    as_xyz.write_text("\n".join(lines) + "\n")
    expected = np.array(json.loads(run(capsys, str(ALN), "--json")[1])["tensor"])
    for path in (as_json, as_xyz):
        found = json.loads(run(capsys, str(path), "--json")[1])["tensor"]
        np.testing.assert_allclose(found, expected, atol=1e-6)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(ALN.read_bytes())))
    record = json.loads(run(capsys, "-", "--json")[1])
    assert record["source"] == "-"
    np.testing.assert_allclose(record["tensor"], expected, atol=1e-6)


def test_zincblende_and_quartz_name_their_constants(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Class 32 has e11 and e14 in the axes that pymatgen gives a CIF."""
    code, out, _ = run(capsys, str(EXAMPLES / "quartz.cif"))
    assert code == 0
    assert "class 32" in out
    assert "2 independent components: " in out


def test_a_centrosymmetric_crystal_says_why_it_has_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Zeros without a sign or an exponent."""
    path = tmp_path / "NaCl.vasp"
    path.write_text(
        "rock salt\n5.64\n0 0.5 0.5\n0.5 0 0.5\n0.5 0.5 0\nNa Cl\n1 1\nDirect\n"
        "0 0 0\n0.5 0.5 0.5\n"
    )
    code, out, err = run(capsys, str(path))
    assert (code, err) == (0, "")
    assert "Exactly zero: " in out
    assert "inversion" in out
    assert "e-" not in out


POSCAR = "name\n1.0\n4 0 0\n0 4 0\n0 0 4\nGa As\n1 1\nDirect\n0 0 0\n0.3 0.3 0.3\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (POSCAR[:40], "POSCAR"),
        (POSCAR.replace("0.3 0.3 0.3", "0.3 0.3 nan"), "finite"),
        (POSCAR.replace("0 0 4", "0 4 0"), "volume"),
        (POSCAR.replace("0.3 0.3 0.3", "0.0 0.0 1.0"), "same place"),
        (POSCAR.replace("1 1", "0 0"), "atom"),
        (POSCAR.replace("Ga As", "D As"), "isotope"),
        (POSCAR.replace("Ga As", "Lr As"), "beyond Fm"),
        (POSCAR.replace("Ga As", "Xx As"), "Xx"),
        ("\x00\x01\x02" * 50, "binary"),
    ],
)
def test_bad_input_is_one_line_with_the_path_and_code_1(
    text: str, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Where, what, and the way out."""
    path = tmp_path / "POSCAR"
    path.write_text(text)
    code, out, err = run(capsys, str(path))
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert err.startswith(f"Error: {path}")
    assert message in err


def test_a_left_handed_cell_is_fine(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It is a crystal like any other."""
    path = tmp_path / "POSCAR"
    path.write_text(POSCAR.replace("4 0 0", "-4 0 0"))
    assert run(capsys, str(path))[0] == 0


def test_partial_occupancies_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The site is named."""
    path = tmp_path / "mixed.cif"
    path.write_text(
        "data_x\n_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 4\n"
        "_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90\n"
        "_symmetry_space_group_name_H-M 'P 1'\nloop_\n_atom_site_label\n"
        "_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n"
        "_atom_site_fract_z\n_atom_site_occupancy\nGa1 Ga 0 0 0 0.5\n"
    )
    code, _, err = run(capsys, str(path))
    assert code == 1
    assert "Ga1" in err
    assert "occup" in err


def test_a_model_of_another_property_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The numbers would be nonsense."""
    folder = EXAMPLES.parents[1] / "models" / "piezo"
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(ALN), "--property", "elastic", "--model", str(folder)])
    assert ended.value.code == 1
    assert "predicts piezo, not elastic" in capsys.readouterr().err


def test_one_of_several_structures_is_picked_by_its_index(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Counted from zero; without an index the way out is told."""
    several = str(EXAMPLES / "zincblende.extxyz")
    code, _, err = run(capsys, several)
    assert code == 1
    assert "holds 4 structures" in err
    code, out, _ = run(capsys, f"{several}#1", "--json")
    assert code == 0
    assert json.loads(out)["source"] == f"{several}#1"


def test_all_properties_come_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """One line of JSON for each model that comes along; names may be repeated."""
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(ALN), "--property", "all", "--json"])
    assert ended.value.code == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = [record["property"] for record in records]
    assert {"dielectric", "piezo", "born-charges"} <= set(names)
    assert len({json.dumps(record["space_group"]) for record in records}) == 1
    twice = ["--property", "eps", "--property", "piezo", "--property", "dielectric"]
    with pytest.raises(SystemExit):
        main(["predict", str(ALN), *twice])
    out = capsys.readouterr().out
    assert out.index("dielectric tensor") < out.index("Piezoelectric stress tensor")
    assert out.count("dielectric tensor") == 1
    assert out.count("space group") == 1


def test_one_model_of_your_own_is_for_one_property(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It could not be meant for both."""
    folder = str(EXAMPLES.parents[1] / "models" / "piezo")
    several = ["--property", "all", "--model", folder]
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(ALN), *several])
    assert ended.value.code == 1
    assert "predicts one property" in capsys.readouterr().err
