"""What predictions may be off by."""

import copy
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.errors import ModelError
from crystaltensor.inference.models import (
    TrainedModel,
    installed_models,
    load_network,
)
from crystaltensor.inference.prediction import Prediction
from crystaltensor.inference.predictor import Predictor, load
from crystaltensor.nn.ensemble import Ensemble
from crystaltensor.symmetry.notation import rotate, to_voigt
from crystaltensor.symmetry.operations import find_symmetry


def three_members(model: TrainedModel) -> Ensemble:
    """Make an ensemble of a shipped network and two that are a little off."""
    network = load_network(model)
    torch.manual_seed(0)
    while len(network) < 3:
        other = copy.deepcopy(network[0])
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.mul_(1 + 0.05 * torch.randn(()))
        network.append(other)
    return network.eval()


@pytest.fixture(scope="module")
def predictors() -> dict[str, Predictor]:
    """Load what is calibrated, with members that disagree."""
    torch.set_num_threads(1)
    found = {}
    for name in ("piezo", "dielectric"):
        model = load(name, device="cpu").model
        assert model.calibration is not None
        # The covariance of the members counts in these tests, whatever the calibration.
        shape = dataclasses.replace(model.calibration.model.shape, weight=0.4)
        errors = dataclasses.replace(model.calibration.model, shape=shape)
        calibration = dataclasses.replace(model.calibration, model=errors)
        model = dataclasses.replace(model, calibration=calibration)
        found[name] = Predictor(model, three_members(model))
    return found


def covariance_of(found: Prediction) -> np.ndarray:
    """Write the covariance of all Cartesian components, flattened."""
    told = found.uncertainty
    assert told is not None
    matrix: np.ndarray = told._basis.T @ told.matrices[0] @ told._basis
    return matrix


@pytest.mark.parametrize("name", ["piezo", "dielectric"])
def test_the_covariance_turns_with_the_crystal(
    predictors: dict[str, Predictor], name: str, quartz: Crystal
) -> None:
    """Also mirrored, in a supercell: it is that of the turned tensor."""
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    repeats = np.array([[1, 1, 0], [0, 1, 0], [0, 0, -2]])
    frac = np.concatenate([quartz.frac, quartz.frac + np.array([0, 0, 1])])
    other = Crystal(
        repeats @ quartz.cell @ turn.T,
        frac @ np.linalg.inv(repeats),
        np.tile(quartz.numbers, 2),
    )
    here, there = (predictors[name].predict(each) for each in (quartz, other))
    rank = here.row.rank
    matrix = covariance_of(here).reshape((3,) * (2 * rank))
    expected = (
        rotate(matrix, turn, rank=2 * rank).reshape(3**rank, 3**rank)
        if rank == 2
        else None
    )
    if expected is None:  # rank six: turned axis by axis
        expected = matrix
        for axis in range(2 * rank):
            expected = np.moveaxis(
                np.tensordot(turn, expected, axes=(1, axis)), 0, axis
            )
        expected = expected.reshape(3**rank, 3**rank)
    size = np.abs(expected).max()
    np.testing.assert_allclose(covariance_of(there), expected, atol=1e-4 * size)
    assert size > 0


def test_what_is_forbidden_is_certain(
    predictors: dict[str, Predictor], wurtzite: Crystal, silicon: Crystal
) -> None:
    """σ is zero where the tensor is; equal entries have equal σ."""
    found = predictors["piezo"].predict(wurtzite)
    told = found.uncertainty
    assert told is not None
    np.testing.assert_array_equal(told.sigma > 0, found.tensor != 0)
    voigt = to_voigt(told.sigma, 3)
    assert voigt[2, 0] == pytest.approx(voigt[2, 1], rel=1e-9)
    assert predictors["piezo"].predict(silicon).uncertainty is None
    assert predictors["piezo"].predict(silicon).as_dict()["uncertainty"] is None


def test_all_forms_of_it_agree(
    predictors: dict[str, Predictor], wurtzite: Crystal
) -> None:
    """Components, their covariance, the Voigt form and JSON; intervals are nested."""
    found = predictors["piezo"].predict(wurtzite)
    told = found.uncertainty
    assert told is not None
    assert told.components is not None
    assert told.covariance is not None
    record = json.loads(json.dumps(found.as_dict()))["uncertainty"]
    assert [*record["components"]] == [*found.components] == ["e15", "e31", "e33"]
    assert told.components["e33"] == pytest.approx(record["sigma"][2][2])
    np.testing.assert_allclose(
        np.sqrt(np.diag(record["covariance"])), [*record["components"].values()]
    )
    for widths in (
        record["half_widths"],
        record["error_norm"],
        record["derived"]["norm"],
    ):
        levels = [widths[level] for level in ("50", "80", "90", "95")]
        assert levels == sorted(levels)
        assert levels[0] > 0
    # ‖e‖² is a sum of e15², e31² and e33² with weights 4, 2 and 1.
    values = np.array([*found.components.values()]) * np.array([4, 2, 1])
    slope = values / found.norm
    factors = told.calibration.factors
    first = (slope @ told.covariance @ slope) ** 0.5
    expected = first * factors["norm"][0] / factors["component"][0]
    assert record["derived"]["norm"]["sigma"] == pytest.approx(expected, rel=1e-4)


def test_other_axes_have_their_own_sigma(
    predictors: dict[str, Predictor], quartz: Crystal
) -> None:
    """A prediction in IEEE axes carries the covariance there."""
    plain = predictors["piezo"].predict(quartz)
    turned = predictors["piezo"].predict(quartz, frame="ieee")
    np.testing.assert_allclose(
        np.trace(covariance_of(turned)), np.trace(covariance_of(plain)), rtol=1e-9
    )
    assert turned.uncertainty is not None
    np.testing.assert_array_equal(turned.uncertainty.sigma > 0, turned.tensor != 0)


def test_far_from_the_training_crystals_it_grows(
    predictors: dict[str, Predictor], wurtzite: Crystal
) -> None:
    """AlN, a training crystal, against a nitride of plutonium, at equal prediction."""
    predictor = predictors["piezo"]
    asked = predictor.needs.describe(find_symmetry(wurtzite))
    strange = Crystal(wurtzite.cell * 1.3, wurtzite.frac, [94, 94, 7, 7])
    other = predictor.needs.describe(find_symmetry(strange))
    near, far = (predictor.traits(each) for each in (asked, other))
    domain = predictor.model.domain
    assert domain is not None
    assert domain.distance(far) > 2 * domain.distance(near)
    found = predictor.predict(strange)
    assert any("contains Pu" in warning for warning in found.warnings)
    calibration = predictor.model.calibration
    assert calibration is not None
    raw = domain.describe([near, near])
    raw |= {name: np.ones(2) for name in ("spread", "norm", "value")}
    raw |= {"distance": np.array([1.0, 4.0]), "rarest": np.array([50.0, 0.0])}
    sizes = calibration.model.scale.expected(raw)
    assert sizes[1] > sizes[0]


def test_batches_and_repeats_give_the_same(
    predictors: dict[str, Predictor], wurtzite: Crystal, quartz: Crystal
) -> None:
    """The same bits for the same call, 1e-6 in another batch."""
    for predictor in predictors.values():
        inputs = [
            predictor.needs.describe(find_symmetry(each)) for each in (quartz, wurtzite)
        ]
        (alone,) = predictor.predict_described(inputs[1:])
        (again,) = predictor.predict_described(inputs[1:])
        assert alone.as_dict() == again.as_dict()
        together = predictor.predict_described(inputs)[1]
        size = np.abs(alone.tensor).max()
        np.testing.assert_allclose(together.tensor, alone.tensor, atol=1e-6 * size)
        assert alone.uncertainty is not None
        assert together.uncertainty is not None
        sigma = alone.uncertainty.sigma
        np.testing.assert_allclose(
            together.uncertainty.sigma, sigma, atol=1e-5 * sigma.max()
        )


def test_neighbours_are_named_where_they_are_wanted(
    predictors: dict[str, Predictor], wurtzite: Crystal
) -> None:
    """AlN is among the training crystals."""
    predictor = predictors["piezo"]
    found = predictor.predict(wurtzite)
    assert "training_neighbours" not in found.as_dict()
    named = predictor.nearest(predictor.needs.describe(find_symmetry(wurtzite)))
    explained = dataclasses.replace(found, neighbours=named)
    first, *_ = explained.as_dict()["training_neighbours"]
    assert first["formula"] == "AlN"
    assert first["distance"] < 0.1


def test_a_model_without_a_calibration_gives_none(
    wurtzite: Crystal, tmp_path: Path
) -> None:
    """As those of older versions; unseen elements are told all the same."""
    source = installed_models()["piezo"]
    for name in ("config.toml", "weights.safetensors"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    record = json.loads((source / "record.json").read_text())
    for name in ("uncertainty", "domain", "symmetry_residual"):
        record.pop(name, None)
    (tmp_path / "record.json").write_text(json.dumps(record))
    predictor = load(tmp_path, device="cpu")
    found = predictor.predict(wurtzite)
    assert found.uncertainty is None
    assert found.as_dict()["uncertainty"] is None
    assert predictor.nearest(predictor.needs.describe(find_symmetry(wurtzite))) == ()
    strange = Crystal(wurtzite.cell * 1.2, wurtzite.frac, [94, 94, 7, 7])
    assert "no training crystal contains Pu" in predictor.predict(strange).warnings


def test_a_calibration_of_another_version_is_not_used(
    wurtzite: Crystal, tmp_path: Path
) -> None:
    """The model predicts, without an uncertainty; a damaged one is refused."""
    source = installed_models()["piezo"]
    for name in ("config.toml", "weights.safetensors", "training.safetensors"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    record = json.loads((source / "record.json").read_text())
    told = record["uncertainty"]
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record | {"uncertainty": told | {"version": 1}}))
    assert load(tmp_path, device="cpu").predict(wurtzite).uncertainty is None
    for name in ("means", "elements"):
        scale = told["scale"] | {name: told["scale"][name][1:]}
        path.write_text(json.dumps(record | {"uncertainty": told | {"scale": scale}}))
        with pytest.raises(ModelError, match="a calibration must have"):
            load(tmp_path, device="cpu")


def test_outputs_without_the_symmetry_are_distrusted(
    predictors: dict[str, Predictor], wurtzite: Crystal
) -> None:
    """The part that is projected away, as no network of ours has it, is told."""
    predictor = copy.copy(predictors["piezo"])
    run = predictor.run_networks

    def noisy(inputs: list) -> list:
        noise = np.random.default_rng(0).normal(size=(3, 3, 3, 3))
        return [raw + noise for raw in run(inputs)]

    predictor.run_networks = noisy
    found = predictor.predict(wurtzite)
    assert any("do not trust this prediction" in one for one in found.warnings)
    assert found.symmetry_residual > 0.1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_what_the_cpu_gives(wurtzite: Crystal, quartz: Crystal) -> None:
    """To 1e-4 of the largest component."""
    for name in installed_models():
        cpu, gpu = (load(name, device=device) for device in ("cpu", "cuda"))
        for crystal in (wurtzite, quartz):
            expected = cpu.predict(crystal).tensor
            size = np.abs(expected).max(initial=1e-3)
            np.testing.assert_allclose(
                gpu.predict(crystal).tensor, expected, atol=1e-4 * size
            )
