"""The command line as a whole: quick, one line for each error, honest exit codes."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from crystaltensor import __version__
from crystaltensor.cli import main as entry
from crystaltensor.cli.main import COMMANDS, main

ROOT = Path(__file__).parents[2]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command line in this process: exit code, output, errors."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    captured = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, captured.out, captured.err


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """With one line each, and without importing any of them."""
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for name in COMMANDS:
        assert f"  {name} " in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An example is worth more than a list of options."""
    code, out, _ = run(capsys, command, "--help")
    assert code == 0
    example = " ".join(out.split()).partition("Example")[2]
    assert f"crystaltensor {command} " in example


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    """One place for it."""
    code, out, _ = run(capsys, "--version")
    assert (code, out) == (0, f"crystaltensor, version {__version__}\n")


@pytest.mark.parametrize(
    "module", ["torch", "e3nn", "pymatgen", "ase", "numpy", "spglib"]
)
def test_help_imports_nothing_heavy(module: str) -> None:
    """The names of the modules that were imported are checked, not seconds."""
    program = (
        "import sys\nfrom crystaltensor.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"sys.exit({module!r} in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False
    )
    assert done.returncode == 0


def test_predict_does_without_e3nn_pymatgen_and_ase() -> None:
    """Their imports would cost seconds."""
    program = (
        "import sys\nfrom crystaltensor.cli.main import main\n"
        f"try:\n    main(['predict', {str(ROOT / 'docs/examples/POSCAR.AlN')!r}, "
        "'--property', 'piezo', '--json'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(bool({'e3nn', 'pymatgen', 'ase', 'matplotlib'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("predict",), "Missing option '--property'"),
        (("predict", "nowhere", "--property", "piezo"), "'nowhere' does not exist"),
        (("predict", "--colour"), "No such option"),
        (("predict", "-", "--property", "piezo", "--symprec", "0"), "not in the range"),
        (
            ("predict", "-", "--property", "piezo", "--device", "tpu"),
            "'tpu' is not one",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No usage text over several lines; where to read more is said."""
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("Error: ")
    assert message in err
    assert "--help'" in err


def test_without_arguments_the_help_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On standard error, with the code of wrong usage."""
    code, out, err = run(capsys)
    assert (code, out) == (2, "")
    assert "Commands:" in err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "out of memory; use a smaller cell"),
        (
            PermissionError(13, "Permission denied", "x.cif"),
            1,
            "x.cif: Permission denied",
        ),
        (
            ZeroDivisionError("a\nb"),
            1,
            "ZeroDivisionError: a b (a fault of crystaltensor",
        ),
    ],
)
def test_whatever_goes_wrong_is_one_line(
    error: BaseException,
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The traceback is for --debug."""

    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(entry.cli, "main", fail)
    ended, out, err = run(capsys, "predict")
    assert (ended, out) == (code, "")
    assert err.count("\n") == 1
    assert message in err


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """And the line after it."""
    code, _, err = run(
        capsys, "--debug", "predict", str(ROOT / "LICENSE"), "--property", "piezo"
    )
    assert code == 1
    assert "Traceback (most recent call last)" in err
    assert "FormatError" in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full disk")
def test_an_output_that_cannot_be_written_is_one_line() -> None:
    """Neither a traceback nor a silent success."""
    command = [sys.executable, "-m", "crystaltensor", "predict", "--property", "piezo"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*command, str(ROOT / "docs/examples/POSCAR.AlN")],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "No space left on device" in done.stderr


def test_the_package_names_itself_once() -> None:
    """The version stands in one place only."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" in project["dynamic"]
