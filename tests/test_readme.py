"""The README does what it says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from crystaltensor.inference.models import models_folder

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
LONG = ("make", "python3", ".venv", "crystaltensor train")


def blocks(language: str) -> list[str]:
    """Return the code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


COMMANDS = [
    line.split("  #")[0]
    for block in blocks("sh")
    for line in block.splitlines()
    if line and not line.startswith(LONG)
]


def test_the_two_commands_stand_first() -> None:
    """Before anything else that can be typed."""
    first = [line.split("#")[0].strip() for line in blocks("sh")[0].splitlines()]
    assert first == ["make demo", "make test"]
    makefile = (ROOT / "Makefile").read_text()
    assert "\ndemo:" in makefile
    assert "\ntest:" in makefile


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs(command: str) -> None:
    """As it stands, in the folder of the repository."""
    spelled = command.replace(
        "crystaltensor ", f"{sys.executable} -m crystaltensor ", 1
    )
    done = subprocess.run(
        ["bash", "-c", spelled], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("program", blocks("python"))
def test_every_snippet_runs(program: str) -> None:
    """In a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "C/m^2" in done.stdout


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("piezo", " C/m²"),
        ("dielectric", ""),
        ("dielectric-total", ""),
        ("elastic", " GPa"),
        ("born-charges", " e"),
    ],
)
def test_figures_are_those_of_the_models(name: str, unit: str) -> None:
    """Errors in the table of models, rounded."""
    record = json.loads((models_folder() / name / "record.json").read_text())
    test = record["metrics"]["test"]
    (row,) = [line for line in README.splitlines() if line.startswith(f"| `{name}` |")]
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[3].split()[0] == str(test["n"])
    assert cells[4] == f"{test['fnorm']:.3g}{unit}"
    assert cells[5] == f"{test['zero_fnorm']:.3g}{unit}"


def test_links_lead_somewhere() -> None:
    """To files of the repository."""
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert (ROOT / target).exists(), target
