"""``crystaltensor models``: what is installed, and what it is worth."""

import json
from pathlib import Path

import pytest

from crystaltensor.cli.main import main
from crystaltensor.inference.models import installed_models, models_folder


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command line in this process: exit code, output, errors."""
    with pytest.raises(SystemExit) as ended:
        main(["models", *arguments])
    captured = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, captured.out, captured.err


def test_every_installed_model_is_listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the figures of its record."""
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run(capsys)
    assert code == 0
    for name in installed_models():
        record = json.loads((models_folder() / name / "record.json").read_text())
        (row,) = [line for line in out.splitlines() if line.startswith(f" {name} ")]
        assert f" {record['metrics']['test']['n']} " in row
        assert f" {record['counts']['train']} " in row


def test_json_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    """And sizes that are those of the files."""
    code, out, _ = run(capsys, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [line["name"] for line in lines] == list(installed_models())
    for line in lines:
        weights = Path(line["folder"]) / "weights.safetensors"
        assert line["n_bytes"] == weights.stat().st_size
        assert line["test"]["n"] > 0


def test_a_model_of_ones_own_stands_beside_it(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the order asked for, by its folder."""
    monkeypatch.setenv("COLUMNS", "300")
    mine = tmp_path / "mine"
    mine.mkdir()
    for path in (models_folder() / "piezo").iterdir():
        (mine / path.name).write_bytes(path.read_bytes())
    record = json.loads((mine / "record.json").read_text())
    record |= {"metrics": {}, "counts": {}}
    (mine / "record.json").write_text(json.dumps(record))
    code, out, _ = run(capsys, str(mine), "piezo")
    assert code == 0
    assert f" {mine} " in out
    assert out.index(f" {mine} ") < out.index("\n piezo ")


def test_a_model_that_is_not_there_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """In one line."""
    code, out, err = run(capsys, str(tmp_path))
    assert (code, out) == (1, "")
    assert err.startswith(f"Error: {tmp_path}: no model in this folder")
    assert run(capsys, "piezzo")[2].startswith("Error: unknown property 'piezzo'")
