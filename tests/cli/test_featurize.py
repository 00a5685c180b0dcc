"""``crystaltensor featurize``, as a user types it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from crystaltensor.cli.main import main

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
ALN = EXAMPLES / "POSCAR.AlN"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder of three structure files, of six structures."""
    folder = tmp_path / "structures"
    folder.mkdir()
    for name in ("POSCAR.AlN", "quartz.cif", "zincblende.extxyz"):
        shutil.copy(EXAMPLES / name, folder)
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run ``featurize``: exit code, output, errors."""
    with pytest.raises(SystemExit) as ended:
        main(["featurize", *arguments])
    captured = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, captured.out, captured.err


def test_help_names_the_potentials(capsys: pytest.CaptureFixture[str]) -> None:
    """And the exit codes."""
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert "lennard-jones:SIGMA:EPSILON" in out
    assert "Exit code" in out


def test_the_summary_shows_ranges_sites_pairs_and_bounds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """For one small crystal."""
    code, out, err = run(capsys, str(ALN))
    assert (code, err) == (0, "")
    assert "AlN, 4 atoms" in out
    for part in ("Ranges", "error at most", "Sites", "Pairs", "1 Al – 3 N", "1/Å^6"):
        assert part in out


def test_json_is_what_the_documentation_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One object, full precision, S_aa with e⁰ = 1 and without 1/0."""
    code, out, err = run(capsys, str(ALN), "--json")
    assert (code, err) == (0, "")
    record = json.loads(out)
    assert record["schema"] == 1
    assert record["source"] == str(ALN)
    assert (record["formula"], record["n_atoms"]) == ("AlN", 4)
    assert np.array(record["lattice"]).shape == (3, 3)
    assert list(record["potentials"]) == ["coulomb", "london", "pauli:3.0"]
    coulomb = record["potentials"]["coulomb"]
    matrix = np.array(coulomb["matrix"])
    assert matrix.shape == (4, 4)
    np.testing.assert_array_equal(matrix, matrix.T)
    assert 0 < coulomb["error_bound"] < 1.1e-10
    assert coulomb["unit"] == "1/Å"
    assert 1 < record["potentials"]["pauli:3.0"]["matrix"][0][0] < 1.01
    assert record["seconds"] > 0


def test_potentials_and_tolerance_are_options(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The names come back as keys."""
    arguments = ("--potential", "inverse-power:4,pauli:2", "--tolerance", "1e-6")
    record = json.loads(run(capsys, str(ALN), *arguments, "--json")[1])
    assert list(record["potentials"]) == ["inverse-power:4", "pauli:2.0"]
    assert record["potentials"]["inverse-power:4"]["error_bound"] > 1e-9


def test_several_structures_are_a_line_each(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    """Or an object each."""
    code, out, _ = run(capsys, str(folder))
    assert code == 0
    assert len(out.splitlines()) == 6
    code, out, _ = run(capsys, str(folder), "--json")
    assert [json.loads(line)["n_atoms"] for line in out.splitlines()] == [
        4, 9, 2, 2, 2, 2,
    ]  # fmt: skip


def test_an_archive_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """For one crystal only."""
    target = tmp_path / "aln.npz"
    code, out, _ = run(capsys, str(ALN), "-o", str(target))
    assert code == 0
    assert "Written to" in out
    with np.load(target) as arrays:
        assert arrays["coulomb"].shape == (4, 4)
    code, _, err = run(capsys, str(tmp_path), "-o", str(target))
    assert code == 2
    assert "an .npz file holds one crystal" in err
    code, _, err = run(capsys, str(EXAMPLES / "zincblende.extxyz"), "-o", str(target))
    assert code == 1
    assert "holds 4 structures" in err


def test_a_store_is_filled_and_the_exit_code_tells_of_failures(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, folder: Path
) -> None:
    """0 if all went well, 3 if some failed, 1 if none worked."""
    bad = tmp_path / "bad.cif"
    bad.write_text("data_x\n")
    store = str(tmp_path / "out")
    code, out, err = run(capsys, str(folder), "-o", store)
    assert (code, err) == (0, "")
    assert "6 crystals in" in out
    code, out, err = run(capsys, str(folder), str(bad), "-o", store, "--json")
    assert code == 3
    assert f"Failed: {bad}" in err
    assert json.loads(out) == {
        "schema": 1,
        "store": store,
        "n_files": 4,
        "n_summed": 6,
        "n_failed": 1,
    }
    code, out, err = run(capsys, str(bad), "-o", str(tmp_path / "other"))
    assert code == 1
    code, out, err = run(capsys, str(bad))
    assert (code, out) == (1, "")
    assert f"Failed: {bad}" in err


def test_a_user_error_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Settings, missing files, folders of something else."""
    code, _, err = run(capsys, str(ALN), "--potential", "columb")
    assert code == 1
    assert err.startswith("Error: unknown potential 'columb'; known: coulomb")
    assert err.count("\n") == 1
    code, _, err = run(capsys, str(tmp_path / "no.cif"))
    assert code == 2
    code, _, err = run(capsys, str(ALN), "-o", str(EXAMPLES))
    assert code == 1
    assert "is no feature store, and not empty" in err
