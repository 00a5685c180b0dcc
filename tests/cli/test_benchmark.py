"""Tests of ``crystaltensor benchmark``."""

import json
from pathlib import Path

import pytest

from crystaltensor.cli.main import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command; exit code, output, errors."""
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", *arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def few(*more: str, name: str = "piezo") -> tuple[str, ...]:
    """Examine a few crystals: the quickest benchmark there is."""
    return ("symmetry", "--property", name, "--crystals", "3", *more)


@pytest.mark.parametrize("name", ["accuracy", "symmetry", "sums", "speed"])
def test_help_shows_an_example(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """And the options of all benchmarks."""
    code, out, _ = run(capsys, name, "--help")
    assert code == 0
    assert f"Example: crystaltensor benchmark {name}" in out
    assert "--compare BASELINE.json" in out
    assert "4 if --compare finds a regression" in " ".join(out.split())


def test_a_table_is_printed_and_kept(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """For people, and as Markdown."""
    kept = tmp_path / "kept" / "symmetry.md"
    code, out, err = run(capsys, *few("-o", str(kept)))
    assert code == 0
    assert err == ""
    assert "the same crystal, written otherwise" in out
    assert "centrosymmetric crystals" in out
    assert str(kept) in out
    text = kept.read_text()
    assert text.startswith("## piezo: the same crystal")
    assert "| rotation | 3 |" in text


def test_json_is_one_object_and_can_be_compared(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With itself: no regression."""
    kept = tmp_path / "base.json"
    code, out, _ = run(capsys, *few("--json", "-o", str(kept)))
    record = json.loads(out)
    assert code == 0
    assert record["benchmark"] == "symmetry"
    assert record["machine"]["threads"] == 1
    assert json.loads(kept.read_text())["figures"] == record["figures"]
    code, out, _ = run(capsys, *few("--json", "--compare", str(kept)))
    assert code == 0
    assert json.loads(out)["comparison"]["regressions"] == []


def test_a_regression_ends_with_4_and_says_which(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A baseline that was better than what is possible."""
    kept = tmp_path / "base.json"
    some = few("--crystals", "24", name="dielectric")  # enough to exceed the floor
    run(capsys, *some, "-o", str(kept))
    record = json.loads(kept.read_text())
    for figure in record["figures"]:
        if figure["name"] == "dielectric atoms moved 1e-3 Å":
            figure["value"] /= 1000
    kept.write_text(json.dumps(record))
    code, _, err = run(capsys, *some, "--compare", str(kept))
    assert code == 4
    assert "Regression: dielectric atoms moved 1e-3 Å: error" in err
    assert "1 worse, 0 missing" in err
    patience = ("--max-error-increase", "1000000")
    code, _, _ = run(capsys, *some, "--compare", str(kept), *patience)
    assert code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (few("-o", "report.txt"), 1, "a .json or an .md file"),
        (few("--max-slowdown", "0.5"), 2, "0.5 is not in the range"),
        (("accuracy", "--protocol", "best"), 2, "'best' is not one of"),
        (("accuracy", "--property", "peizo"), 1, "did you mean 'piezo'"),
        (("symmetry", "--property", "band-gap"), 1, "is a scalar"),
        (("sums", "--compare", "none.json"), 2, "does not exist"),
        (("fast",), 2, "No such command 'fast'"),
    ],
)
def test_mistakes_are_one_line(
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    """Before anything is measured."""
    found, out, err = run(capsys, *arguments)
    assert found == code
    assert out == ""
    assert err.startswith("Error: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_baseline_of_another_benchmark_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Before anything is measured."""
    kept = tmp_path / "base.json"
    run(capsys, *few("-o", str(kept)))
    code, _, err = run(capsys, "sums", "--compare", str(kept))
    assert code == 1
    assert "a report of benchmark 'symmetry', not 'sums'" in err
