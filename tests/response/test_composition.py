"""Properties put together from their parts."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.errors import ConfigError, PotentialError
from crystaltensor.properties import BORN_CHARGES, DIELECTRIC_TOTAL, ELASTIC, PIEZO
from crystaltensor.response.composition import Composer
from crystaltensor.response.potentials import AsePotential
from crystaltensor.response.responder import CrystalResponse, Responder
from crystaltensor.response.units import E_PER_A2_IN_C_PER_M2
from crystaltensor.symmetry.operations import Symmetry, find_symmetry
from tests.response.conftest import EDGE


@pytest.fixture
def response(zincblende: Symmetry, stiff: AsePotential) -> CrystalResponse:
    """Force constants of stiff zincblende, with stresses."""
    return Responder(stiff).respond(zincblende, elastic=True)


@pytest.fixture
def composer(tmp_path: Path) -> Composer:
    """With charges of ±2 e."""
    charges = 2.0 * np.array([np.eye(3), -np.eye(3)])
    path = tmp_path / "born.json"
    path.write_text(json.dumps(charges.tolist()), encoding="utf-8")
    return Composer(born=path, device="cpu")


def test_without_a_learned_part_e_is_that_of_the_ions(
    response: CrystalResponse, composer: Composer
) -> None:
    """And it is said to be."""
    found = composer.predict(response, PIEZO)
    whole = found.prediction
    assert [*found.parts] == ["ionic"]
    limit = 2.0 / EDGE**2 * E_PER_A2_IN_C_PER_M2  # ζ = 1; the second shell lowers ζ
    assert 0.2 * limit < abs(whole.components["e14"]) < limit
    assert any("electronic part is missing" in text for text in whole.warnings)
    assert whole.tensor[0, 0, 0] == 0.0
    assert found.uncertainty > 0.2 * whole.norm


def test_the_record_holds_parts_modes_and_counts(
    response: CrystalResponse, composer: Composer
) -> None:
    """All of it is plain JSON."""
    record = composer.predict(response, PIEZO, source="POSCAR").as_dict()
    told = record["response"]
    np.testing.assert_allclose(told["parts"]["ionic"], record["voigt"])
    assert told["potential"]["force_calls"] < told["potential"]["force_calls_unreduced"]
    assert told["modes"][0]["stiffness"] == pytest.approx(
        response.modes.softest, rel=0.2
    )
    assert record["uncertainty"]["norm"] > 0
    json.dumps(record)


def test_elastic_constants_are_relaxed_and_stable(
    response: CrystalResponse, composer: Composer
) -> None:
    """The ions make the crystal softer, not unstable."""
    found = composer.predict(response, ELASTIC)
    clamped, ionic = found.parts["clamped"], found.parts["ionic"]
    np.testing.assert_allclose(found.prediction.tensor, clamped + ionic)
    assert 0 < found.prediction.components["C44"] < clamped[1, 2, 1, 2]


def test_the_static_dielectric_tensor_adds_ions_to_electrons(
    response: CrystalResponse, composer: Composer
) -> None:
    """The electronic part is that of a model."""
    found = composer.predict(response, DIELECTRIC_TOTAL)
    assert found.parts["electronic"][0, 0] > 1
    assert found.parts["ionic"][0, 0] > 0
    np.testing.assert_allclose(
        found.prediction.tensor, sum(found.parts.values()), rtol=1e-12
    )


def test_parts_turn_into_the_frame_asked_for(
    response: CrystalResponse, composer: Composer
) -> None:
    """Parts and sum have one frame."""
    found = composer.predict(response, PIEZO, frame="ieee")
    assert found.prediction.frame == "ieee"
    np.testing.assert_allclose(found.parts["ionic"], found.prediction.tensor)


def test_uncertainty_grows_as_a_mode_softens(
    response: CrystalResponse, composer: Composer
) -> None:
    """Relative to the tensor itself."""
    scaled = replace(response.constants, phi=0.03 * response.constants.phi)
    soft = replace(response, constants=scaled)
    hard_found = composer.predict(response, PIEZO)
    soft_found = composer.predict(soft, PIEZO)
    relative = soft_found.uncertainty / soft_found.prediction.norm
    assert relative > 1.2 * hard_found.uncertainty / hard_found.prediction.norm


def test_an_unstable_structure_is_refused(
    response: CrystalResponse, composer: Composer
) -> None:
    """With a sentence, not with a number."""
    wrong = replace(response.constants, phi=-response.constants.phi)
    with pytest.raises(
        PotentialError, match="structure unstable in this potential: e is"
    ):
        composer.predict(replace(response, constants=wrong), PIEZO)


def test_what_symmetry_forbids_is_exactly_zero_even_if_unstable(
    stiff: AsePotential, composer: Composer
) -> None:
    """Symmetry needs no potential."""
    half = EDGE / 2
    diamond = Crystal.from_symbols(
        [[0, half, half], [half, 0, half], [half, half, 0]],
        [[0, 0, 0], [0.25, 0.25, 0.25]],
        ["Si", "Si"],
    )
    found = composer.predict(Responder(stiff).respond(find_symmetry(diamond)), PIEZO)
    assert not found.prediction.tensor.any()
    assert "inversion" in found.prediction.forbidden


def test_other_properties_are_refused(
    response: CrystalResponse, composer: Composer
) -> None:
    """With those that do follow from forces."""
    with pytest.raises(
        ConfigError, match="born-charges does not follow from the forces"
    ):
        composer.predict(response, BORN_CHARGES)
