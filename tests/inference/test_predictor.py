"""Predictions of the shipped model: exact symmetry, frames, refusals, warnings."""

import copy
import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import crystaltensor
from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.io import to_ase, to_pymatgen
from crystaltensor.data.datasets import TABLES, read_table
from crystaltensor.errors import ConfigError, ElementError, ModelError, ResourceError
from crystaltensor.inference.inputs import Needs
from crystaltensor.inference.models import models_folder, save_model
from crystaltensor.inference.predictor import Predictor, load
from crystaltensor.properties import PIEZO
from crystaltensor.symmetry.notation import rotate
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.symmetry.sites import project_site_tensors

FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    """Load the model that comes along."""
    torch.set_num_threads(1)
    return load("piezo", device="cpu")


def random_rotation(seed: int) -> np.ndarray:
    """Draw an orthogonal matrix, every other one improper."""
    matrix, upper = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    matrix = matrix * np.sign(np.diag(upper))
    return matrix * np.sign(np.linalg.det(matrix)) * (-1) ** seed


def test_a_prediction_is_typed_and_complete(
    predictor: Predictor, wurtzite: Crystal
) -> None:
    """Every field of the contract, as plain JSON."""
    found = predictor.predict(wurtzite, source="POSCAR")
    record = json.loads(json.dumps(found.as_dict()))
    assert record["schema"] == 1
    assert record["source"] == "POSCAR"
    assert record["formula"] == "AlN"
    assert record["property"] == "piezo"
    assert record["unit"] == found.unit == "C/m^2"
    assert record["frame"] == "input"
    assert record["rotation"] is None
    assert record["status"] == "ok"
    assert record["space_group"] == {
        "number": 186,
        "symbol": "P6_3mc",
        "point_group": "6mm",
        "symprec": 0.01,
    }
    assert np.shape(record["tensor"]) == (3, 3, 3)
    assert np.shape(record["voigt"]) == (3, 6)
    assert record["independent_components"] == 3
    assert [*record["components"]] == ["e15", "e31", "e33"]
    assert record["components"]["e33"] == record["tensor"][2][2][2]
    assert record["voigt"][0][4] == record["tensor"][0][0][2]
    assert record["derived"]["norm"] == pytest.approx(np.linalg.norm(record["tensor"]))
    assert record["symmetry_residual"] < 1e-5
    assert len(record["model"]["sha256"]) == 64
    np.testing.assert_allclose(record["lattice"], wurtzite.cell)


def test_a_wurtzite_has_three_constants_and_exact_zeros(
    predictor: Predictor, wurtzite: Crystal
) -> None:
    """Nye, table 8: the form of class 6mm; AlN has e33 > 0 > e31 (Bernardini, 1997)."""
    voigt = predictor.predict(wurtzite).voigt
    e15, e31, e33 = voigt[0, 4], voigt[2, 0], voigt[2, 2]
    form = np.zeros((3, 6))
    form[0, 4], form[1, 3] = e15, voigt[1, 3]
    form[2, :3] = [e31, voigt[2, 1], e33]
    np.testing.assert_array_equal(voigt, form)
    np.testing.assert_allclose([voigt[1, 3], voigt[2, 1]], [e15, e31], rtol=1e-12)
    assert e33 > 0 > e31


def test_digits_lost_in_a_file_do_not_cost_the_symmetry(
    predictor: Predictor, wurtzite: Crystal
) -> None:
    """Four decimals in every number."""
    rough = Crystal(wurtzite.cell.round(4), wurtzite.frac.round(4), wurtzite.numbers)
    voigt = predictor.predict(rough).voigt
    assert np.count_nonzero(np.abs(voigt) > 1e-12) == 5
    np.testing.assert_allclose(voigt[0, 4], voigt[1, 3], rtol=1e-12)
    np.testing.assert_allclose(voigt[2, 0], voigt[2, 1], rtol=1e-12)


def test_real_crystals_in_other_clothes_have_the_same_tensor(
    predictor: Predictor,
) -> None:
    """Turned or mirrored, in another cell, order and origin: 1e-5 of the norm."""
    rows, _ = read_table(TABLES / "mp_piezo.jsonl.gz", PIEZO, max_component=20)
    repeats = np.array([[1, 1, 0], [0, 1, 0], [0, 0, -2]])
    seen = 0.0
    for seed, row in enumerate(rows[::60]):
        crystal, rng = row.crystal, np.random.default_rng(seed)
        matrix = random_rotation(seed)
        frac = np.concatenate([crystal.frac, crystal.frac + np.array([0, 0, 1])])
        frac = frac @ np.linalg.inv(repeats) + rng.random(3)
        order = rng.permutation(len(frac))
        other = Crystal(
            repeats @ crystal.cell @ matrix.T,
            frac[order],
            np.tile(crystal.numbers, 2)[order],
        )
        plain = predictor.predict(crystal, symprec=0.1).tensor
        found = predictor.predict(other, symprec=0.1).tensor
        apart = np.linalg.norm(found - rotate(plain, matrix))
        assert apart <= 1e-5 * max(np.linalg.norm(plain), 0.1), row.name
        seen += np.linalg.norm(plain)
    assert seen > 5


@pytest.mark.parametrize("shake", [0.0, 1e-3])
def test_centrosymmetric_crystals_have_exactly_none(
    predictor: Predictor, shake: float
) -> None:
    """Silicon, rock salt and fluorite, also shaken; the reason is told."""
    rng = np.random.default_rng(0)
    for symbols, frac in (
        (["Si", "Si"], [[0, 0, 0], [0.25] * 3]),
        (["Na", "Cl"], [[0, 0, 0], [0.5] * 3]),
        (["Ca", "F", "F"], [[0, 0, 0], [0.25] * 3, [0.75] * 3]),
    ):
        moved = np.array(frac) + shake / 5.4 * rng.uniform(-1, 1, (len(frac), 3))
        found = predictor.predict(Crystal.from_symbols(5.4 * FCC, moved, symbols))
        assert not found.tensor.any()
        assert found.as_dict()["independent_components"] == 0
        assert found.forbidden is not None
        assert "inversion" in found.forbidden


def test_class_432_has_none_although_it_has_no_centre(predictor: Predictor) -> None:
    """A made-up P432 crystal, atoms on a general position: Nye, ch. VII."""
    x, y, z = 0.12, 0.23, 0.37
    orders = [(x, y, z), (z, x, y), (y, z, x)]
    even = [
        (a * i, b * j, c * i * j)
        for a, b, c in orders
        for i in (1, -1)
        for j in (1, -1)
    ]
    odd = [
        (b * i, a * j, -c * i * j)
        for a, b, c in orders
        for i in (1, -1)
        for j in (1, -1)
    ]
    crystal = Crystal(8.0 * np.eye(3), np.array(even + odd), np.full(24, 14))
    found = predictor.predict(crystal)
    assert found.space_group["point_group"] == "432"
    assert not found.tensor.any()
    assert found.forbidden is not None
    assert "432" in found.forbidden


def test_born_charges_obey_the_sum_rule_and_the_space_group(quartz: Crystal) -> None:
    """One tensor per atom; equivalent atoms alike; silicon positive, oxygen negative."""
    found = load("born-charges", device="cpu").predict(quartz)
    charges = found.tensor
    assert charges.shape == (9, 3, 3)
    np.testing.assert_allclose(charges.sum(axis=0), 0, atol=1e-12)
    traces = np.trace(charges, axis1=1, axis2=2) / 3
    assert (traces[:3] > 2).all()
    assert (traces[3:] < -1).all()
    symmetry = find_symmetry(quartz)
    projected = project_site_tensors(charges, symmetry, sum_rule=True)
    np.testing.assert_allclose(projected, charges, atol=1e-12)
    record = found.as_dict()
    assert record["voigt"] is None
    assert record["components"] is None
    assert "of atom" in record["derived"]["largest_component"]["name"]


def test_dielectric_tensors_are_above_one(quartz: Crystal, rock_salt: Crystal) -> None:
    """And give refractive indices: quartz and rock salt both have 1.54."""
    predictor = load("dielectric", device="cpu")
    for crystal, index in ((quartz, 1.54), (rock_salt, 1.54)):
        found = predictor.predict(crystal)
        assert np.linalg.eigvalsh(found.tensor).min() > 1
        assert found.derived["refractive_indices"]["mean"] == pytest.approx(
            index, rel=0.25
        )


def test_elastic_tensors_are_stable_and_give_moduli(silicon: Crystal) -> None:
    """The bulk modulus of silicon is 98 GPa (Hall, Phys. Rev. 161, 756, 1967)."""
    found = load("elastic", device="cpu").predict(silicon)
    assert set(found.components) == {"C11", "C12", "C44"}
    assert found.derived["stability"]["stable"]
    assert found.derived["moduli"]["bulk_hill"] == pytest.approx(98, rel=0.25)


def test_pymatgen_and_ase_objects_are_taken(
    predictor: Predictor, wurtzite: Crystal
) -> None:
    """The same numbers, whatever the crystal is wrapped in."""
    plain = predictor.predict(wurtzite).tensor
    for other in (to_pymatgen(wurtzite), to_ase(wurtzite)):
        np.testing.assert_allclose(predictor.predict(other).tensor, plain, atol=1e-6)


def test_the_public_entry_is_one_line(wurtzite: Crystal) -> None:
    """``crystaltensor.load("piezo").predict(structure)``."""
    found = crystaltensor.load("piezoelectric").predict(wurtzite)
    assert found.tensor.shape == (3, 3, 3)
    assert found.voigt.shape == (3, 6)


def test_elements_beyond_the_table_are_refused(predictor: Predictor) -> None:
    """And those that no training crystal holds get a warning."""
    beyond = Crystal.from_symbols(6 * FCC, [[0, 0, 0], [0.25] * 3], ["Lr", "N"])
    with pytest.raises(ElementError, match=r"Lr is beyond Fm \(Z = 100\)"):
        predictor.predict(beyond)
    strange = Crystal.from_symbols(6 * FCC, [[0, 0, 0], [0.25] * 3], ["Pu", "N"])
    warnings = predictor.predict(strange).warnings
    assert any("no training crystal contains Pu" in warning for warning in warnings)


def test_the_worth_of_the_model_is_told_in_its_own_figures(
    predictor: Predictor, wurtzite: Crystal
) -> None:
    """Its test error beside that of the zero tensor."""
    record = json.loads((models_folder() / "piezo" / "record.json").read_text())
    test = record["metrics"]["test, up to axes"]
    (warning,) = predictor.predict(wurtzite).warnings
    assert f"{test['fnorm']:.3g} C/m^2" in warning
    assert f"zero gives {test['zero_fnorm']:.3g}" in warning


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    """Not silently replaced."""
    with pytest.raises(ResourceError, match="no CUDA device is available"):
        load("piezo", device="cuda")


def test_models_that_are_not_there_are_named(tmp_path: Path) -> None:
    """A folder without one, an unknown property."""
    with pytest.raises(ModelError, match="no model in this folder"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="did you mean 'piezo'"):
        load("pieso")


def test_a_property_without_a_model_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With those that have one, and the way out."""
    monkeypatch.setattr(
        "crystaltensor.inference.models.models_folder", lambda: tmp_path
    )
    with pytest.raises(ModelError, match=r"no model for 'piezo'.*nothing.*--model"):
        load("piezo")


def test_a_damaged_model_is_named(tmp_path: Path) -> None:
    """Weights cut short, weights of another network, a record that is not JSON."""
    for path in (models_folder() / "piezo").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = tmp_path / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="these are not the weights"):
        load(tmp_path)
    weights.write_bytes(whole)
    settings = tmp_path / "config.toml"
    settings.write_text(settings.read_text().replace("channels = 32", "channels = 16"))
    with pytest.raises(ModelError, match="these are not the weights"):
        load(tmp_path)
    (tmp_path / "record.json").write_text("{")
    with pytest.raises(ModelError, match="not a complete model"):
        load(tmp_path)


def test_weights_that_are_not_finite_are_told(wurtzite: Crystal) -> None:
    """NaN never leaves the tool as a number."""
    broken = load("piezo", device="cpu")
    with torch.no_grad():
        next(broken.network.parameters()).fill_(float("nan"))
    with pytest.raises(ModelError, match="numbers that are not finite"):
        broken.predict(wurtzite)


def test_batches_give_what_single_crystals_give(
    wurtzite: Crystal, quartz: Crystal, silicon: Crystal, rock_salt: Crystal
) -> None:
    """To rounding, also for tensors of atoms; inputs survive the way to a process."""
    crystals = [quartz, silicon, wurtzite, rock_salt]
    predictors = [load(name, device="cpu") for name in ("piezo", "born-charges")]
    needs = Needs.union(predictor.needs for predictor in predictors)
    inputs = [needs.describe(find_symmetry(crystal)) for crystal in crystals]
    inputs = pickle.loads(pickle.dumps(inputs))  # noqa: S301 - its own output
    for predictor in predictors:
        many = predictor.predict_described(inputs, sources=["a", "b", "c", "d"])
        assert [found.source for found in many] == ["a", "b", "c", "d"]
        for crystal, found in zip(crystals, many, strict=True):
            alone = predictor.predict(crystal).tensor
            size = np.abs(alone).max(initial=1e-3)
            np.testing.assert_allclose(found.tensor, alone, atol=1e-6 * size)


def test_an_ensemble_predicts_its_mean(wurtzite: Crystal, tmp_path: Path) -> None:
    """Of members that differ; each has its part of the one file of weights."""
    predictor = load("piezo", device="cpu")
    first = predictor.network[0]
    second = copy.deepcopy(first)
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.mul_(0.9)
    config = dataclasses.replace(predictor.model.config, members=2)
    record = json.loads((predictor.model.folder / "record.json").read_text())
    tensors = []
    for name, members in (("a", [first]), ("b", [second]), ("both", [first, second])):
        folder = tmp_path / name
        folder.mkdir()
        chosen = dataclasses.replace(config, members=len(members))
        save_model(folder, members, chosen, record)
        tensors.append(load(folder, device="cpu").predict(wurtzite).tensor)
    assert not np.allclose(tensors[0], tensors[1])
    np.testing.assert_allclose(tensors[2], (tensors[0] + tensors[1]) / 2, atol=1e-7)
