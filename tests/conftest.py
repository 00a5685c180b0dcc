"""A few small crystals, made in code, and a small data set."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.tables import TABLES

FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


@pytest.fixture
def silicon() -> Crystal:
    """Diamond structure, space group 227, centrosymmetric."""
    return Crystal.from_symbols(5.431 * FCC, [[0, 0, 0], [0.25] * 3], ["Si", "Si"])


@pytest.fixture
def gallium_arsenide() -> Crystal:
    """Zincblende, space group 216, class -43m."""
    return Crystal.from_symbols(5.653 * FCC, [[0, 0, 0], [0.25] * 3], ["Ga", "As"])


@pytest.fixture
def rock_salt() -> Crystal:
    """NaCl, space group 225."""
    return Crystal.from_symbols(5.64 * FCC, [[0, 0, 0], [0.5] * 3], ["Na", "Cl"])


@pytest.fixture
def wurtzite() -> Crystal:
    """AlN, space group 186, class 6mm."""
    a, c, u = 3.128, 5.017, 0.3821
    cell = [[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, c]]
    frac = [
        [1 / 3, 2 / 3, 0],
        [2 / 3, 1 / 3, 0.5],
        [1 / 3, 2 / 3, u],
        [2 / 3, 1 / 3, 0.5 + u],
    ]
    return Crystal.from_symbols(cell, frac, ["Al", "Al", "N", "N"])


@pytest.fixture
def quartz() -> Crystal:
    """Right-handed alpha quartz, space group 152, class 32."""
    a, c = 4.9137, 5.4047
    x, (u, v, w) = 0.4697, (0.4133, 0.2672, 0.2145)
    cell = [[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, c]]
    frac = [
        [x, 0, 1 / 3],
        [0, x, 2 / 3],
        [-x, -x, 0],
        [u, v, w],
        [-v, u - v, w + 1 / 3],
        [v - u, -u, w + 2 / 3],
        [v, u, -w],
        [u - v, -v, -w + 2 / 3],
        [-u, v - u, -w + 1 / 3],
    ]
    return Crystal.from_symbols(cell, frac, ["Si"] * 3 + ["O"] * 6)


@pytest.fixture
def triclinic() -> Crystal:
    """Six atoms without any symmetry, space group 1."""
    cell = [[4.1, 0.2, -0.3], [0.7, 5.3, 0.4], [-0.5, 0.9, 6.2]]
    frac = np.random.default_rng(3).random((6, 3)) * 0.25
    frac += [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0.5, 0.5, 0], [0, 0, 0.5], [0.5] * 3]
    return Crystal.from_symbols(cell, frac, ["Ti", "O", "Li", "F", "S", "K"])


@pytest.fixture
def write_sample(tmp_path: Path) -> Callable[[str, int], Path]:
    """Write a configuration, and beside it every n-th row of the bundled data set."""

    def write(settings: str, every: int) -> Path:
        with gzip.open(TABLES / "mp_piezo.jsonl.gz", "rt") as file:
            rows = [json.loads(line) for line in file][::every]
        for index, row in enumerate(rows):
            row["split"] = ("train", "train", "val", "test")[index % 4]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "few.jsonl").write_text(text)
        path = tmp_path / "run.toml"
        path.write_text(settings)
        return path

    return write
