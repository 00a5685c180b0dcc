"""Tests of crystaltensor.workflows.benchmark.symmetry."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.errors import DataError, ElementError
from crystaltensor.inference.prediction import Prediction
from crystaltensor.inference.predictor import Predictor, load
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.workflows.benchmark.symmetry import (
    CONTINUOUS,
    FLOOR,
    TRANSFORMATIONS,
    _examine,
    benchmark_symmetry,
    choose_crystals,
)


class Spoiled(Predictor):
    """A model whose tensors are changed afterwards."""

    change: Callable[[Prediction], np.ndarray]

    def predict_described(self, *args: object, **options: object) -> list[Prediction]:
        """Predict, and change."""
        found = super().predict_described(*args, **options)
        return [replace(each, tensor=self.change(each)) for each in found]


def spoiled(name: str, change: Callable[[Prediction], np.ndarray]) -> Spoiled:
    """Load a model and spoil it."""
    model = load(name, device="cpu")
    found = Spoiled(model.model, model.network)
    found.change = change
    return found


def worst(predictor: Predictor, crystal: Crystal) -> dict[str, float]:
    """Give the worst change under each transformation."""
    found = _examine(predictor, [("crystal", crystal)], 0.01)
    return {name: tally.worst[0] for name, tally in found.tallies.items()}


@pytest.mark.parametrize("name", list(TRANSFORMATIONS))
def test_transformations_describe_the_same_crystal(
    name: str, wurtzite: Crystal, quartz: Crystal
) -> None:
    """The same class, volume per atom and distances of neighbours."""
    for crystal in (wurtzite, quartz):
        other, turn = TRANSFORMATIONS[name](crystal, np.random.default_rng(4))
        assert np.allclose(turn @ turn.T, np.eye(3))
        before, after = find_symmetry(crystal), find_symmetry(other)
        assert after.point_group == before.point_group
        assert np.isclose(
            other.volume / other.n_atoms, crystal.volume / crystal.n_atoms
        )
        group = turn @ before.rotations @ turn.T
        for rotation in after.rotations:  # the class is turned with the crystal
            assert np.abs(group - rotation).max(axis=(1, 2)).min() < 1e-3
        moved = name in CONTINUOUS
        same = other.cell.shape == crystal.cell.shape and (
            np.allclose(other.cell, crystal.cell)
            and np.allclose(other.frac, crystal.frac, atol=1e-12)
            if other.n_atoms == crystal.n_atoms
            else False
        )
        assert not same, f"{name} leaves the crystal as it is"
        if moved:
            steps = (other.frac - crystal.frac) @ crystal.cell
            assert np.allclose(np.linalg.norm(steps, axis=1), float(name.split()[2]))


def test_a_model_follows_its_crystals(quartz: Crystal) -> None:
    """To the rounding of 32-bit numbers, where it must."""
    found = worst(load("piezo", device="cpu"), quartz)
    for name in set(TRANSFORMATIONS) - set(CONTINUOUS):
        assert found[name] < FLOOR, name
    assert 0 < found["atoms moved 1e-3 Å"] < 0.1


def test_what_does_not_turn_is_found(quartz: Crystal) -> None:
    """A part that is fixed in space changes by rotation and inversion alone."""
    fixed = np.zeros((3, 3, 3))
    fixed[2, 2, 2] = 1.0
    found = worst(spoiled("piezo", lambda each: each.tensor + fixed), quartz)
    assert found["rotation"] > 0.1
    assert found["inversion"] > 0.1
    assert found["origin"] < FLOOR


def test_what_counts_atoms_is_found(quartz: Crystal) -> None:
    """It grows with the cell."""
    model = spoiled("dielectric", lambda each: each.tensor * each.n_atoms)
    found = worst(model, quartz)
    assert found["supercell"] == pytest.approx(1.0, rel=1e-4)
    assert found["rotation"] < FLOOR


def test_centrosymmetric_crystals_that_are_not_zero_are_counted(
    rock_salt: Crystal, quartz: Crystal
) -> None:
    """One of the two has an inversion."""
    crystals = [("salt", rock_salt), ("quartz", quartz)]
    exact = _examine(load("piezo", device="cpu"), crystals, 0.01)
    assert (exact.centrosymmetric, exact.nonzero, exact.nonzero_moved) == (1, 0, 0)
    noisy = _examine(spoiled("piezo", lambda each: each.tensor + 1e-9), crystals, 0.01)
    assert (noisy.centrosymmetric, noisy.nonzero) == (1, 1)


def test_crystals_that_cannot_be_predicted_are_named() -> None:
    """And if none can, that is an error."""
    unknown = Crystal(np.eye(3) * 4, [[0, 0, 0]], [110])
    model = load("dielectric", device="cpu")
    with pytest.raises(DataError, match="Ds"):
        _examine(model, [("new", unknown)], 0.01)
    with pytest.raises(ElementError):
        model.predict(unknown)


def test_crystals_are_real_and_made() -> None:
    """Enough of them, each with its name, and none twice."""
    found = choose_crystals(240)
    assert len(found) > 200
    names = [name for name, _ in found]
    assert sum(name.startswith("mp-") for name in names) > 150
    assert len(set(names)) > 190  # one crystal may be in two tables


def test_the_report_has_a_figure_for_each_transformation() -> None:
    """And the same figures in every run."""
    first, second = (benchmark_symmetry(["piezo"], n_crystals=4) for _ in range(2))
    names = {figure.name for figure in first.figures}
    assert {f"piezo {name}" for name in TRANSFORMATIONS} < names
    assert first.figures == second.figures
    assert first.settings == second.settings
