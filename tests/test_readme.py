"""The README says what is true; `test_documentation` runs what it shows."""

import json
import re
from pathlib import Path

import pytest

from crystaltensor.inference.models import models_folder

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_two_commands_stand_first() -> None:
    """Before anything else that can be typed."""
    first = [line.split("#")[0].strip() for line in blocks("sh")[0].splitlines()]
    assert first == ["make demo", "make test"]
    makefile = (ROOT / "Makefile").read_text()
    assert "\ndemo:" in makefile
    assert "\ntest:" in makefile


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("piezo", " C/m²"),
        ("dielectric", ""),
        ("dielectric-total", ""),
        ("elastic", " GPa"),
        ("born-charges", " e"),
        ("formation-energy", " eV/atom"),
        ("bulk-modulus", " log10(GPa)"),
        ("shear-modulus", " log10(GPa)"),
        ("band-gap", " eV"),
    ],
)
def test_figures_are_those_of_the_models(name: str, unit: str) -> None:
    """Errors in the table of models, rounded."""
    record = json.loads((models_folder() / name / "record.json").read_text())
    figures = record["metrics"]
    test = figures.get("test, up to axes", figures["test"])
    (row,) = [line for line in README.splitlines() if line.startswith(f"| `{name}` |")]
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[3].split()[0] == str(test["n"])
    assert cells[4] == f"{test['fnorm']:.3g}{unit}"
    assert cells[5] == f"{test['zero_fnorm']:.3g}{unit}"
