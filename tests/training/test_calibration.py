"""Intervals that hold what they promise."""

import json

import numpy as np
import pytest

from crystaltensor.errors import DataError
from crystaltensor.properties import DIELECTRIC, FORMATION_ENERGY, PIEZO, TensorProperty
from crystaltensor.training.calibration import (
    FEWEST,
    LEVELS,
    Calibration,
    LeftOut,
    calibrate,
    measure_coverage,
    percent,
)
from crystaltensor.training.cases import Cases

SIZES = {"dielectric": 6, "piezo": 18, "formation-energy": 1}


def draw_known(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw what is known of crystals."""
    return {
        "distance": np.exp(rng.normal(size=n)),
        "rarest": rng.integers(1, 99, n).astype(float),
        "volume": np.exp(rng.normal(3, 0.3, n)),
        "coordination": rng.normal(6, 2, n),
        "atoms": rng.integers(1, 40, n).astype(float),
        "like_label": rng.normal(20, 3, n),
        "like_spread": np.exp(rng.normal(size=n)),
        "like_error": np.exp(rng.normal(size=n)),
        "elements": (rng.random((n, 100)) < 0.03).astype(float),
    }


def draw(
    n: int,
    seed: int,
    row: TensorProperty = DIELECTRIC,
    *,
    n_members: int = 3,
    lie: float = 1.0,
) -> Cases:
    """Draw members that scatter about a truth, with tails as heavy as Student's, ν = 3.

    Those of half the crystals scatter five times as far; `lie` scales what they seem to.
    """
    rng = np.random.default_rng(seed)
    size = SIZES[row.name]
    truth = rng.normal(size=(n, size)) * 3
    if row is DIELECTRIC:
        truth[:, 0] += 20
    wide = np.where(rng.random(n) < 0.5, 1.0, 5.0)[:, None]
    tail = np.sqrt(3 / rng.chisquare(3, (n, 1)))
    mean = truth + 0.2 * wide * tail * rng.normal(size=(n, size))
    members = mean + lie * 0.2 * wide * rng.normal(size=(n_members, n, size))
    members += mean - members.mean(axis=0)
    return Cases(
        row,
        members,
        np.repeat(np.eye(size)[None], n, axis=0),
        draw_known(n, rng),
        truth,
        np.ones(n, dtype=bool),
    )


@pytest.mark.parametrize("row", [DIELECTRIC, PIEZO, FORMATION_ENERGY])
@pytest.mark.parametrize("lie", [0.1, 10.0])
def test_intervals_hold_new_crystals(row: TensorProperty, lie: float) -> None:
    """Whether members scatter too little or too much; three standard errors.

    The calibration on 400 crystals has an error itself, so that variances add up.
    """
    calibration, inside = calibrate(draw(400, 0, row, lie=lie))
    found = measure_coverage(calibration, draw(1000, 1, row, lie=lie))
    for level in LEVELS:
        allowed = 3 * (level * (1 - level) * (1 / 400 + 1 / 1000)) ** 0.5
        for name in ("error", "component"):
            assert found[name][percent(level)] == pytest.approx(level, abs=allowed)
            assert inside[name][percent(level)] == pytest.approx(level, abs=0.03)


def test_uncertain_crystals_are_told_from_certain_ones() -> None:
    """Half of them have five times the error: their fifth carries the more of it."""
    calibration, _ = calibrate(draw(400, 2))
    fresh = draw(1000, 3)
    assert measure_coverage(calibration, fresh)["worst_fifth"] > 0.3
    sizes = calibration.model.expected(fresh)
    assert np.quantile(sizes, 0.9) / np.quantile(sizes, 0.1) > 3
    assert calibration.percentile(sizes.max()) > 90
    assert calibration.percentile(sizes.min()) < 10


def test_a_normal_distribution_would_hold_too_much_in_the_middle() -> None:
    """The tails widen its σ: what the comparison in the record shows."""
    _, inside = calibrate(draw(400, 4))
    assert inside["normal"]["50"] > inside["component"]["50"] + 0.05


def test_one_member_is_calibrated_as_well() -> None:
    """By the size of the prediction and the distance from the training crystals."""
    calibration, inside = calibrate(draw(300, 5, n_members=1))
    assert calibration.model.shape.weight == 0
    assert inside["error"]["90"] == pytest.approx(0.9, abs=0.05)


def law(known: dict[str, np.ndarray]) -> np.ndarray:
    """Errors grow with the distance, and are three times as large with helium."""
    size: np.ndarray = known["distance"] ** 0.5 * 3.0 ** known["elements"][:, 1]
    return size


def draw_folds(
    n: int, seed: int, row: TensorProperty = DIELECTRIC
) -> tuple[Cases, LeftOut]:
    """Draw validation crystals and four times as many that single networks left out.

    Errors of single networks have a part that an ensemble of three has as well.
    """
    rng = np.random.default_rng(seed)
    size = SIZES[row.name]

    def one(n: int, n_networks: int, part: np.ndarray | None = None) -> list[Cases]:
        known = draw_known(n, rng)
        known["elements"][:, 1] = rng.random(n) < 0.3
        truth = rng.normal(size=(n, size)) * 3 + 10
        width = law(known)[:, None]
        tail = np.sqrt(4 / rng.chisquare(4, (n, 1)))
        common = width * tail * rng.normal(size=(n, size))
        own = 0.8 * width * rng.normal(size=(n_networks, n, size))
        allowed = np.repeat(np.eye(size)[None], n, axis=0)
        members = truth + common + own
        groups = [members[:3]] if n_networks == 3 else members[:, None]
        if n_networks > 3:
            groups = [members[:3], *members[3:, None]]
        return [Cases(row, each, allowed, known, truth, part=part) for each in groups]

    (strangers,) = one(4 * n, 1, rng.integers(0, 5, 4 * n))
    val, *twins = one(n, 8)
    return val, LeftOut(strangers, twins)


@pytest.mark.parametrize("row", [DIELECTRIC, PIEZO, FORMATION_ENERGY])
def test_crystals_left_out_calibrate_the_ensemble(row: TensorProperty) -> None:
    """Single networks err more than their mean: the ratio is found from few crystals.

    Three standard errors of both sets, and one percent for the ratio.
    """
    val, left_out = draw_folds(150, 0, row)
    calibration, inside = calibrate(val, left_out)
    assert calibration.n == 600
    assert inside["n"] == 150
    fresh = draw_folds(1500, 1, row)[0]
    found = measure_coverage(calibration, fresh)
    for level in LEVELS:
        allowed = 3 * (level * (1 - level) * (1 / 600 + 1 / 1500)) ** 0.5 + 0.01
        for name in ("error", "component"):
            assert found[name][percent(level)] == pytest.approx(level, abs=allowed)
    sizes, helium = calibration.model.expected(fresh), fresh.known["elements"][:, 1] > 0
    assert 2 < np.median(sizes[helium]) / np.median(sizes[~helium]) < 4.5
    # Those with the element and far from all others are known to be uncertain.
    assert found["worst_fifth"] > 0.38


def test_noise_that_is_learnt_gains_nothing() -> None:
    """111 coefficients from 600 crystals: a crystal is judged by a fit without it."""
    calibration, _ = calibrate(*draw_folds(150, 2))
    found = measure_coverage(calibration, draw_folds(1500, 3)[0])
    for level in LEVELS:
        allowed = 3 * (level * (1 - level) / 600) ** 0.5
        assert found["error"][percent(level)] == pytest.approx(level, abs=allowed)


def test_signs_that_are_conventions_are_no_errors() -> None:
    """Turned labels give the same calibration where the sign means nothing."""
    cases = draw(200, 6, PIEZO)
    turned = Cases(
        PIEZO,
        cases.members,
        cases.allowed,
        cases.known,
        -cases.label,
        np.zeros(200, dtype=bool),
    )
    plain, other = calibrate(cases)[0], calibrate(turned)[0]
    np.testing.assert_allclose(
        other.factors["error"], plain.factors["error"], rtol=1e-6
    )


def test_atoms_of_one_crystal_share_its_vote() -> None:
    """Folds never split a crystal, and a large cell counts no more than a small one."""
    cases = draw(120, 7)
    crystal = np.repeat(np.arange(30), 4)
    cases = Cases(
        cases.row,
        cases.members,
        cases.allowed,
        cases.known,
        cases.label,
        cases.sign_known,
        crystal,
    )
    assert cases.n_crystals == 30
    for part in cases.folds():
        kept = np.unique(crystal[part])
        assert not set(kept) & set(crystal[~part])
    assert calibrate(cases)[0].n == 30


def test_too_few_crystals_calibrate_nothing() -> None:
    """And neither does an ensemble without errors."""
    assert calibrate(draw(FEWEST - 1, 8)) is None
    cases = draw(50, 9)
    perfect = Cases(
        cases.row,
        np.stack([cases.label] * 2),
        cases.allowed,
        cases.known,
        cases.label,
    )
    assert calibrate(perfect) is None


def test_it_survives_the_way_to_a_file() -> None:
    """As JSON: the same covariances, to the last bit."""
    calibration, _ = calibrate(draw(60, 10))
    text = json.dumps(calibration.as_dict())
    again = Calibration.restore(DIELECTRIC, json.loads(text))
    fresh = draw(5, 11)
    np.testing.assert_array_equal(
        again.model.covariances(fresh), calibration.model.covariances(fresh)
    )
    assert again.half_widths("component") == calibration.half_widths("component")
    assert again.n == 60


def test_nothing_is_measured_without_the_truth() -> None:
    """A mistake of the caller is told."""
    cases = draw(30, 12)
    blind = Cases(cases.row, cases.members, cases.allowed, cases.known)
    with pytest.raises(DataError, match="the truth of these predictions is not known"):
        calibrate(blind)
