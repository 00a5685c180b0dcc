"""The expected size of an error."""

import numpy as np
import pytest

from crystaltensor.training.error_scale import FEATURES, ErrorScale


def known(n: int, seed: int) -> dict[str, np.ndarray]:
    """Draw what the size depends on."""
    rng = np.random.default_rng(seed)
    return {
        "spread": np.exp(rng.normal(-2, 1, n)),
        "norm": np.exp(rng.normal(1, 1, n)),
        "distance": np.exp(rng.normal(0, 0.7, n)),
        "rarest": rng.integers(1, 300, n).astype(float),
    }


def test_powers_that_made_the_errors_are_found() -> None:
    """Errors grow as the root of the spread, and with the norm to the power 0.8."""
    raw = known(4000, 0)
    true = raw["spread"] ** 0.5 * raw["norm"] ** 0.8
    sizes = true * np.random.default_rng(1).exponential(size=4000)
    found = ErrorScale.fit(raw, sizes, np.ones(4000))
    fresh = known(500, 2)
    wanted = fresh["spread"] ** 0.5 * fresh["norm"] ** 0.8
    # The factors of a calibration settle the constant.
    ratio = np.log(found.expected(fresh) / wanted)
    assert np.abs(ratio - ratio.mean()).max() < 0.35
    assert ratio.std() < 0.1


def test_errors_never_shrink_away_from_the_training_crystals() -> None:
    """Where few data say the opposite, distance and rarity count for nothing."""
    raw = known(100, 3)
    sizes = 1 / raw["distance"]
    found = ErrorScale.fit(raw, sizes, np.ones(100))
    coefficients = dict(zip(FEATURES, found.coefficients, strict=True))
    assert coefficients["distance"] == 0
    assert all(coefficients[name] >= 0 for name in ("spread", "distance", "rarity"))


def test_one_member_has_no_spread() -> None:
    """A constant says nothing, and does no harm."""
    raw = known(200, 4) | {"spread": np.zeros(200)}
    sizes = raw["norm"] * np.random.default_rng(5).exponential(size=200)
    found = ErrorScale.fit(raw, sizes, np.ones(200))
    assert found.coefficients[0] == 0
    assert np.isfinite(found.expected(raw)).all()


def test_it_survives_the_way_to_a_file() -> None:
    """To the last bit."""
    raw = known(50, 6)
    found = ErrorScale.fit(raw, raw["norm"], np.ones(50))
    again = ErrorScale.restore(found.as_dict())
    np.testing.assert_array_equal(again.expected(raw), found.expected(raw))


def test_a_huge_error_does_not_derail_the_fit() -> None:
    """One far beyond the rest, which are still told apart."""
    raw = known(300, 8)
    sizes = raw["norm"] * np.random.default_rng(9).exponential(size=300)
    sizes[0] = 1e4
    found = ErrorScale.fit(raw, sizes, np.ones(300))
    assert np.isfinite(found.expected(raw)).all()
    assert found.coefficients[1] == pytest.approx(1.0, abs=0.5)
