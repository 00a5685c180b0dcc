"""What the documentation says of the data that the models were trained on."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SHARED = Path(__file__).parents[3] / "shared" / "data"
LIMITS = Path(__file__).parents[2] / "docs" / "limits.md"
TRAINED_ON = (
    "mp_binary_moduli",
    "mp_dielectric",
    "mp_dielectric_born",
    "mp_elastic",
    "mp_elastic_extra",
    "mp_formation_energy",
    "mp_piezo",
)

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the data are not here")


def rows(name: str) -> list[dict[str, Any]]:
    """Read one set."""
    with gzip.open(SHARED / f"{name}.jsonl.gz", "rt") as file:
        return [json.loads(line) for line in file]


def test_the_share_of_small_cells_is_as_documented() -> None:
    """Of all crystals of the training sets."""
    sizes = [
        len(row["structure"]["species"]) for name in TRAINED_ON for row in rows(name)
    ]
    share = 100 * np.mean(np.array(sizes) < 20)
    assert f"{share:.0f} % of them with fewer than 20 atoms" in LIMITS.read_text()


def test_the_difference_of_two_functionals_is_as_documented() -> None:
    """Eigenvalues of ε^∞ of crystals that are in both sets once."""
    sets = []
    for name in ("mp_dielectric", "mp_dielectric_born"):
        found: dict[str, list[Any]] = {}
        for row in rows(name):
            tensor = np.array(row["tensors"]["dielectric_electronic"])
            values = np.linalg.eigvalsh((tensor + tensor.T) / 2)
            found.setdefault(row["group"], []).append(values)
        sets.append({group: each[0] for group, each in found.items() if len(each) == 1})
    common = sorted(sets[0].keys() & sets[1].keys())
    differences = [
        np.linalg.norm(sets[0][group] - sets[1][group]) / np.linalg.norm(sets[0][group])
        for group in common
    ]
    said = " ".join(LIMITS.read_text().split())
    assert f"On the {len(common)} crystals" in said
    assert f"by a median of {100 * np.median(differences):.1f} %" in said
