"""The learned parts that come along, and textbook crystals with potentials."""

import json
from pathlib import Path

import numpy as np
import pytest

from crystaltensor.crystals.io import read_crystal
from crystaltensor.inference.models import models_folder
from crystaltensor.properties import DIELECTRIC_TOTAL, PIEZO
from crystaltensor.response.archive import load_responses
from crystaltensor.response.composition import Composer
from crystaltensor.response.correction import (
    FOLDER,
    describe,
    find_correction,
    load_correction,
)
from crystaltensor.response.formulas import IonicResponse
from crystaltensor.response.modes import Modes
from crystaltensor.response.potentials import find_potential
from crystaltensor.response.responder import Responder
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.workflows.fit_response import RESPONSES

ALN = Path(__file__).parents[2] / "docs" / "examples" / "POSCAR.AlN"
SHIPPED = sorted((models_folder() / FOLDER).iterdir())


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_every_learned_part_loads_and_has_a_card(folder: Path) -> None:
    """The networks take what `describe` returns, and give a weight for each part."""
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    correction = load_correction(folder, record["property"])
    assert (folder / "CARD.md").is_file()
    stored = load_responses(folder / RESPONSES)
    assert stored.identity == record["potential"]
    assert len(stored.crystals) == sum(record["counts"].values())
    assert record["metrics"]["test"]["n"] > 10
    ionic = IonicResponse(
        Modes(np.array([5.0, 6.0, 7.0]), np.ones((3, 2, 3))),
        np.ones((2, 3, 3, 3)),
        np.ones((2, 3, 3)),
        40.0,
    )
    parts = correction.parts(ionic.piezo)
    weights = correction.weigh(describe(np.array([13, 7]), ionic, parts, 5 * np.eye(3)))
    assert weights.shape[1] == len(correction.dampings) == len(parts)
    assert np.isfinite(weights).all()
    assert correction.expected_error(1.0, 2.0) > correction.expected_error(
        1.0, 0.0
    ) or (record["error"]["softness"] == 0)
    assert "within 25 %" in correction.worth()[0]


def test_they_are_found_by_property_and_potential() -> None:
    """A colon in the name of a potential becomes a hyphen."""
    found = find_correction("dielectric-total", "sevenn:7net-0")
    assert found is not None
    assert found.name == "dielectric-total-sevenn-7net-0"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_aluminium_nitride_has_the_signs_of_the_textbook() -> None:
    """DFT has e33 = 1.46, e31 = -0.58, e15 = -0.29 C/m² (de Jong et al., 2015)."""
    pytest.importorskip("chgnet")
    symmetry = find_symmetry(read_crystal(ALN))
    response = Responder(find_potential("chgnet")).respond(symmetry)
    assert response.constants.n_calls == 12
    composer = Composer(device="cpu")
    found = composer.predict(response, PIEZO)
    ionic, whole = found.parts["ionic"], found.prediction.tensor
    assert ionic[2, 2, 2] == pytest.approx(1.7, rel=0.15)
    assert ionic[2, 0, 0] < 0 > ionic[0, 0, 2]
    assert whole[2, 2, 2] == pytest.approx(1.46, rel=0.4)
    assert whole[2, 0, 0] < 0 > whole[0, 0, 2]
    total = composer.predict(response, DIELECTRIC_TOTAL).prediction.tensor
    assert 7 < total[2, 2] < 11  # measured: 8.5 to 10.7
