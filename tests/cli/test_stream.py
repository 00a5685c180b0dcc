"""``crystaltensor predict`` and ``merge`` for many structures, as a user types it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crystaltensor.cli.main import main
from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.writing import write_crystal

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command line in this process: exit code, output, errors."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    captured = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, captured.out, captured.err


@pytest.fixture
def folder(tmp_path: Path, wurtzite: Crystal, quartz: Crystal) -> Path:
    """Two crystals, one of them in a folder of its own, and a text."""
    inside = tmp_path / "in"
    (inside / "deep").mkdir(parents=True)
    write_crystal(wurtzite, inside / "POSCAR.AlN")
    write_crystal(quartz, inside / "deep" / "quartz.cif")
    (inside / "notes.txt").write_text("no structure")
    return inside


def predict(
    capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> tuple[int, str, str]:
    """Predict piezoelectric tensors with one process."""
    given = ["predict", *map(str, arguments), "--property", "piezo"]
    return run(capsys, *given, "--device", "cpu")


def test_a_folder_goes_to_a_file_with_a_summary(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    """What was skipped is told; with -r nothing is missing."""
    output = folder.parent / "out.jsonl"
    code, out, err = predict(capsys, folder, "-o", output, "--workers", "1")
    assert code == 0
    assert "Failed" not in err
    assert re.search(r"predicted +1\b", out)
    assert re.search(r"other files, skipped +1\b", out)
    assert f"Written to {output}" in out
    code, out, _ = predict(
        capsys, folder, "-r", "-o", output, "--overwrite", "--json", "--workers", "1"
    )
    summary = json.loads(out)
    assert (code, summary["n_ok"], summary["complete"]) == (0, 2, True)
    names = [json.loads(line)["formula"] for line in output.read_text().splitlines()]
    assert names == ["AlN", "SiO2"]
    header = json.loads(Path(f"{output}.run.json").read_text())
    assert len(header["models"][0]["sha256"]) == 64
    assert header["properties"] == ["piezo"]
    assert not Path(f"{output}.errors.jsonl").exists()


def test_exit_codes_tell_how_many_failed(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    """3 if some did, 1 if all did; with --strict the first ends the run."""
    bad = folder / "bad.cif"
    bad.write_text("data_x\n")
    output = folder.parent / "out.jsonl"
    one = ("--workers", "1")
    code, out, err = predict(capsys, folder, "-r", "-o", output, *one)
    assert code == 3
    assert err.count("Failed: ") == 1
    assert str(bad) in err
    assert re.search(r"failed: FormatError +1\b", out)
    assert f"{output}.errors.jsonl" in out
    code, _, err = predict(capsys, bad, bad, "-o", output, "--overwrite", "-q", *one)
    assert (code, err) == (1, "")
    code, _, err = predict(
        capsys, folder, "-o", output, "--overwrite", "--strict", *one
    )
    assert code == 1
    assert err.startswith(f"Error: {bad}: ")


def test_without_a_file_records_are_printed(
    capfdbinary: pytest.CaptureFixture[bytes], folder: Path
) -> None:
    """As lines to read, or as JSON."""
    one = ["-r", "--property", "piezo", "--device", "cpu", "--workers", "1", "-q"]
    for more, check in (
        ([], b"AlN, 4 atoms, P6_3mc; piezo: e15 = "),
        (["--json"], b'"AlN"'),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["predict", str(folder), *one, *more])
        assert ended.value.code == 0
        out = capfdbinary.readouterr().out
        assert out.count(b"\n") == 2
        assert check in out.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument"),
        (["missing.cif"], "does not exist"),
        (["in", "--resume"], "--resume needs --output"),
        (["in", "--shard", "1/2"], "--shard needs --output"),
        (["in", "-o", "x.jsonl", "--resume", "--overwrite"], "exclude each other"),
        (["in", "-o", "x.jsonl", "--address", "auto"], "--address needs --engine ray"),
        (["in/POSCAR.AlN", "--recursive"], "is for several structures"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With exit code 2."""
    monkeypatch.chdir(folder.parent)
    code, _, err = predict(capsys, *arguments)
    assert code == 2
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in", "-o", "x.xlsx"], "the name of the output says its form"),
        (["in", "-o", "x.jsonl", "--shard", "3/2"], "a shard is written 3/16"),
        (["in/*.vasp", "-o", "x.jsonl"], "fits no file"),
    ],
)
def test_what_cannot_be_is_one_line(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With exit code 1."""
    monkeypatch.chdir(folder.parent)
    code, _, err = predict(capsys, *arguments)
    assert code == 1
    assert err.count("\n") == 1
    assert message in err


def test_shards_are_merged(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if a pattern of the shell catches what lies beside them."""
    monkeypatch.setattr("crystaltensor.workflows.blocks.BLOCK_RECORDS", 1)
    (folder / "bad.cif").write_text("data_x\n")
    whole, output = folder.parent / "whole.jsonl", folder.parent / "out.jsonl"
    one = ("-r", "--workers", "1", "-q")
    predict(capsys, folder, "-o", whole, *one)
    for index in (1, 2):
        predict(capsys, folder, "-o", output, "--shard", f"{index}/2", *one)
    caught = sorted(map(str, folder.parent.glob("out.shard-*")))
    assert len(caught) > 4
    code, out, _ = run(capsys, "merge", str(output), *caught)
    assert code == 0
    assert out == f"2 shards joined to {output}: 2 predicted, 1 failed\n"
    assert output.read_bytes() == whole.read_bytes()
    code, out, _ = run(capsys, "merge", str(output), *caught, "--overwrite", "--json")
    assert json.loads(out)["n_failed"] == 1


def test_ctrl_c_ends_cleanly_and_says_how_to_go_on(tmp_path: Path) -> None:
    """And --resume ends with the bytes of a run that was left alone."""
    text = (EXAMPLES / "zincblende.extxyz").read_text()
    (tmp_path / "many.extxyz").write_text(400 * text)
    command = [sys.executable, "-m", "crystaltensor", "predict", "many.extxyz"]
    command += ["--property", "piezo", "--device", "cpu", "--workers", "2", "-o"]
    environment = {**os.environ, "COLUMNS": "200"}
    process = subprocess.Popen(
        [*command, "out.jsonl"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    journal = tmp_path / "out.jsonl.journal"
    while not (journal.exists() and journal.stat().st_size):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Stopped after" in err
    assert "--resume" in err
    assert "Traceback" not in err
    assert '"complete"' not in journal.read_text()
    for more in (["out.jsonl", "--resume"], ["whole.jsonl"]):
        subprocess.run([*command, *more, "-q"], cwd=tmp_path, check=True)
    whole = (tmp_path / "whole.jsonl").read_bytes()
    assert (tmp_path / "out.jsonl").read_bytes() == whole
    assert whole.count(b"\n") == 1600
