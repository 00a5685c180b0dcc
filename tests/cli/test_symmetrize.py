"""``crystaltensor symmetrize`` as its users meet it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from crystaltensor.cli.symmetrize import symmetrize
from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.io import read_crystal
from crystaltensor.crystals.writing import poscar_text
from crystaltensor.errors import CrystalTensorError
from crystaltensor.symmetry.operations import find_symmetry

PIEZO = [
    [0, 0, 0, 0, -0.29, 0],
    [0, 0, 0, -0.29, 0, 0],
    [-0.58, -0.58, 1.46, 0, 0, 0],
]


@pytest.fixture
def folder(tmp_path: Path, wurtzite: Crystal) -> Path:
    """AlN, its e, and its C with a little noise."""
    (tmp_path / "POSCAR").write_text(poscar_text(wurtzite))
    (tmp_path / "e.json").write_text(json.dumps({"voigt": PIEZO}))
    stiff = np.diag([259.0, 259, 373, 116, 116, 129.5])
    stiff[0, 0] = stiff[1, 1] = 396
    stiff[0, 1] = stiff[1, 0] = 137
    stiff[:2, 2] = stiff[2, :2] = 108
    (tmp_path / "C.json").write_text(json.dumps(stiff.tolist()))
    np.savetxt(
        tmp_path / "vasp.txt", stiff[np.ix_([0, 1, 2, 5, 3, 4], [0, 1, 2, 5, 3, 4])]
    )
    return tmp_path


def call(*arguments: object, stdin: str | None = None) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(
        symmetrize, [str(one) for one in arguments], input=stdin, catch_exceptions=True
    )


def test_the_form_of_a_crystal_and_of_a_class(folder: Path) -> None:
    """Without a tensor; the help names the options."""
    found = call(folder / "POSCAR", "--property", "piezo")
    assert found.exit_code == 0
    assert "space group P6_3mc (186), class 6mm" in found.stdout
    assert "3 independent components: e15, e31, e33" in found.stdout
    trigonal = call("--point-group", "3m", "--property", "elastic")
    assert "(C11 - C12)/2" in trigonal.stdout
    assert "-C14" in trigonal.stdout
    nothing = call("--point-group", "432", "--property", "piezo")
    assert "Exactly zero: the operations of the point group 432" in nothing.stdout
    axial = call("--point-group", "4/m", "--rank", 2, "--axial")
    assert "Axial tensor of rank 2" in axial.stdout
    assert "--voigt-order" in call("--help").stdout


def test_a_tensor_is_shown_before_and_after(folder: Path) -> None:
    """With what follows from it, together with another one."""
    also = f"elastic={folder / 'C.json'}"
    found = call(
        folder / "POSCAR", folder / "e.json", "--property", "piezo", "--also", also
    )
    assert found.exit_code == 0
    for text in (
        "Given in C/m²",
        "Projected in C/m²",
        "e15 = -0.2900, e31 = -0.5800, e33 = 1.460 C/m²",
        "Bulk modulus: 207.5 GPa (Hill)",
        "longitudinal d, pC/N",
        "d = e·S in pC/N",
        "Frame: Cartesian axes of the file",
    ):
        assert text in found.stdout


def test_the_order_of_another_tensor_follows_its_name(folder: Path) -> None:
    """The same d from the stiffness in VASP's order."""
    arguments = (folder / "POSCAR", folder / "e.json", "--property", "piezo", "--json")
    plain = call(*arguments, "--also", f"elastic={folder / 'C.json'},voigt")
    vasp = call(*arguments, "--also", f"elastic={folder / 'vasp.txt'},vasp,voigt")
    one, other = (json.loads(found.stdout)["derived"]["d"] for found in (plain, vasp))
    np.testing.assert_allclose(one["voigt"], other["voigt"], atol=1e-12)


def test_one_json_object_has_the_fields_of_a_prediction(folder: Path) -> None:
    """And what was given, and the form."""
    found = call(folder / "POSCAR", folder / "e.json", "--property", "piezo", "--json")
    record = json.loads(found.stdout)
    for key in (
        "schema source formula n_atoms lattice space_group property tensor voigt unit "
        "frame rotation independent_components symmetry_residual components derived "
        "warnings status given form forbidden"
    ).split():
        assert key in record
    assert record["space_group"]["point_group"] == "6mm"
    assert record["unit"] == "C/m^2"
    np.testing.assert_allclose(record["voigt"], PIEZO, atol=1e-14)


def test_a_wrong_order_is_said_with_the_option_that_mends_it(folder: Path) -> None:
    """On standard error, so that the table stays clean."""
    arguments = (folder / "POSCAR", folder / "vasp.txt", "--property", "elastic")
    found = call(*arguments)
    assert "(--voigt-order vasp)" in found.stderr
    mended = call(*arguments, "--voigt-order", "vasp")
    assert "large" not in mended.stderr
    assert "C66" not in mended.stdout


@pytest.mark.parametrize("notation", ["voigt", "mandel", "full"])
def test_an_output_comes_back_through_standard_input(
    folder: Path, notation: str
) -> None:
    """In IEEE axes; the file says which."""
    out = folder / "out.csv"
    arguments = (folder / "POSCAR", "--property", "piezo")
    done = call(
        *arguments[:1], folder / "e.json", *arguments[1:],
        "--frame", "ieee", "--notation", notation, "-o", out,
    )  # fmt: skip
    assert done.exit_code == 0
    again = call(*arguments[:1], "-", *arguments[1:], "--json", stdin=out.read_text())
    np.testing.assert_allclose(json.loads(again.stdout)["voigt"], PIEZO, atol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["POSCAR"], "say what the tensor is"),
        ([], "give STRUCTURE, or --point-group"),
        (
            ["--property", "piezo", "--scan-symprec", "--point-group", "3"],
            "needs STRUCTURE",
        ),
        (["POSCAR", "--property", "piezo", "-o", "x.json"], "--output needs TENSOR"),
        (["POSCAR", "--property", "piezo", "--plot", "x.png"], "--plot needs TENSOR"),
        (
            ["POSCAR", "e.json", "--property", "piezo", "--ieee-signs"],
            "needs --frame ieee",
        ),
        (["POSCAR", "e.json", "--property", "piezo", "--notation", "full"], "--output"),
        (
            ["POSCAR", "e.json", "--property", "piezo", "--also", "C.json"],
            "takes NAME=FILE",
        ),
        (
            ["POSCAR", "e.json", "--property", "piezo", "--also", "elastic=C.json,abc"],
            "'abc' is no order or notation",
        ),
        (["-", "-", "--property", "piezo"], "only one of STRUCTURE and TENSOR"),
        (["--batch", "--property", "piezo"], "--batch needs a file"),
        (["POSCAR", "nothing.json", "--property", "piezo"], "does not exist"),
    ],
)
def test_wrong_usage_ends_with_two(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    """One line says what to do."""
    monkeypatch.chdir(folder)
    found = call(*arguments)
    assert found.exit_code == 2
    assert message in found.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["POSCAR", "e.json", "--property", "elastic"], "has 18 numbers"),
        (["POSCAR", "e.json", "--property", "piezoo"], "did you mean 'piezo'"),
        (
            ["POSCAR", "e.json", "--property", "piezo", "--parity", "even"],
            "parity of piezo",
        ),
        (["--point-group", "7m", "--property", "piezo"], "unknown point group '7m'"),
        (
            ["POSCAR", "e.json", "--property", "piezo", "-o", "x.foo"],
            "must end in one of",
        ),
        (
            ["POSCAR", "e.json", "--property", "piezo", "-o", "no/x.csv"],
            "cannot be written",
        ),
        (
            ["POSCAR", "e.json", "--property", "piezo", "--plot", "x.pdf"],
            "must end in one of",
        ),
    ],
)
def test_bad_data_is_an_error_of_ours(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    """The entry point turns it into one line and exit code 1; nothing is left behind."""
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    found = call(*arguments)
    assert isinstance(found.exception, CrystalTensorError)
    assert message in str(found.exception)
    assert sorted(folder.iterdir()) == before


def test_tolerances_are_scanned_in_one_table(folder: Path) -> None:
    """With a property, a tensor, or neither."""
    found = call(folder / "POSCAR", "--scan-symprec")
    assert found.stdout.count("P6_3mc") == 11
    with_tensor = call(
        folder / "POSCAR", folder / "e.json", "--property", "piezo",
        "--scan-symprec", "--json",
    )  # fmt: skip
    rows = json.loads(with_tensor.stdout)["scan"]
    assert rows[0]["symprec"] == 1e-5
    assert rows[-1]["symprec"] == 0.3
    assert rows[5]["symmetry_residual"] < 1e-12


@pytest.mark.parametrize("name", ["out.vasp", "out.cif", "out.xyz"])
def test_the_structure_is_written_symmetrised(
    folder: Path, wurtzite: Crystal, name: str
) -> None:
    """With the displacement it took; the noise is gone."""
    rng = np.random.default_rng(0)
    noisy = Crystal(
        wurtzite.cell, wurtzite.frac + 1e-3 * rng.normal(size=(4, 3)), wurtzite.numbers
    )
    (folder / "noisy").write_text(poscar_text(noisy))
    found = call(
        folder / "noisy", "--format", "poscar", "--symprec", 0.1,
        "--structure-out", folder / name, "--json",
    )  # fmt: skip
    moved = json.loads(found.stdout)["structure"]
    assert 1e-3 < moved["mean_displacement"] <= moved["largest_displacement"] < 0.02
    assert moved["strain"] < 1e-9
    again = read_crystal(folder / name)
    # CIF and extended XYZ are written with eight decimals.
    assert find_symmetry(again, symprec=1e-5).symbol == "P6_3mc"
    table = call(folder / "noisy", "--format", "poscar", "--symprec", 0.1,
                 "--structure-out", folder / name, "--property", "piezo")  # fmt: skip
    assert "Symmetrised structure: atoms moved by" in table.stdout


@pytest.mark.parametrize(
    ("name", "start"),
    [("p.png", b"\x89PNG"), ("p.svg", b"<?xml"), ("p.html", b"<!doctype html>")],
)
def test_pictures_are_drawn(folder: Path, name: str, start: bytes) -> None:
    """The page asks for nothing from elsewhere."""
    target = folder / name
    (folder / "eps.txt").write_text("4.4 0 0\n0 4.4 0\n0 0 4.7\n")
    also = ("--also", f"piezo={folder / 'e.json'}") if name.endswith("html") else ()
    found = call(
        folder / "POSCAR", folder / "eps.txt", "--property", "dielectric",
        "--plot", target, *also,
    )  # fmt: skip
    assert found.exit_code == 0, found.exception
    content = target.read_bytes()
    assert content.startswith(start)
    if name.endswith("html"):
        text = content.decode()
        assert 'src="http' not in text
        assert "Refractive index ellipsoid" in text
        assert "Longitudinal e" in text
        assert "Plotly" in text


def test_a_batch_writes_a_line_for_each_and_ends_with_three(folder: Path) -> None:
    """Some failed; if all fail the exit code is 1."""
    crystal = read_crystal(folder / "POSCAR")
    structure = {
        "lattice": crystal.cell.tolist(),
        "species": crystal.symbols,
        "frac_coords": crystal.frac.tolist(),
    }
    good = json.dumps({"id": "a", "structure": structure, "voigt": PIEZO})
    source, out = folder / "rows.jsonl", folder / "out.jsonl"
    source.write_text(f"{good}\n\nnot json\n{good}\n")
    found = call(source, "--batch", "--property", "piezo", "-o", out)
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [one["status"] for one in records] == ["ok", "error", "ok"]
    assert "1 of 3 inputs failed" in found.stderr
    printed = call("-", "--batch", "--property", "piezo", stdin=good + "\n")
    assert json.loads(printed.stdout)["status"] == "ok"
    np.save(folder / "many.npy", np.ones((7, 3, 3, 3)))
    arguments = (
        folder / "POSCAR",
        folder / "many.npy",
        "--batch",
        "--property",
        "piezo",
    )
    done = call(*arguments, "-o", folder / "done.npy")
    assert "7 tensors projected" in done.stdout
    assert np.load(folder / "done.npy").shape == (7, 3, 3, 3)
    listed = call(*arguments, "--notation", "voigt")
    assert len(listed.stdout.splitlines()) == 7
    assert "voigt" in json.loads(listed.stdout.splitlines()[0])


def test_exit_codes_of_the_whole_program(folder: Path) -> None:
    """In a process of its own: 3 for a batch of which some failed; no torch is loaded."""
    (folder / "rows.jsonl").write_text("not json\n")
    code = (
        "import sys; from crystaltensor.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n"
        "    print({'torch', 'e3nn', 'scipy', 'pymatgen', 'ase'} & set(sys.modules))\n"
        "    sys.exit(end.code)\n"
    )

    def process(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, "symmetrize", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=folder, check=False
        )

    good = process("POSCAR", "e.json", "--property", "piezo")
    assert good.returncode == 0
    assert good.stdout.splitlines()[-1] == "set()"
    bad = process("POSCAR", "e.json", "--property", "elastic")
    assert bad.returncode == 1
    assert bad.stderr.startswith("Error: e.json: has 18 numbers")
    failed = process("rows.jsonl", "--batch", "--property", "dielectric")
    assert failed.returncode == 1
    assert '"status": "error"' in failed.stdout
    record = {
        "structure": {
            "lattice": [[4, 0, 0], [0, 4, 0], [0, 0, 4]],
            "species": ["Cs", "Cl"],
            "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
        },
        "tensor": [[3, 0, 0], [0, 3, 0], [0, 0, 3]],
    }
    (folder / "rows.jsonl").write_text(f"not json\n{json.dumps(record)}\n")
    some = process("rows.jsonl", "--batch", "--property", "dielectric")
    assert some.returncode == 3
    assert "1 of 2 inputs failed" in some.stderr
