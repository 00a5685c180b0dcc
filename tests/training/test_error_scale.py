"""The expected size of an error."""

import json

import numpy as np
import pytest

from crystaltensor.training.error_scale import FEATURES, ErrorScale


def known(n: int, seed: int) -> dict[str, np.ndarray]:
    """Draw what the size depends on."""
    rng = np.random.default_rng(seed)
    return {
        "spread": np.exp(rng.normal(-2, 1, n)),
        "norm": np.exp(rng.normal(1, 1, n)),
        "value": rng.normal(0, 1, n),
        "distance": np.exp(rng.normal(0, 0.7, n)),
        "rarest": rng.integers(1, 300, n).astype(float),
        "volume": np.exp(rng.normal(3, 0.3, n)),
        "coordination": rng.normal(6, 2, n),
        "atoms": rng.integers(1, 40, n).astype(float),
        "like_label": rng.normal(0, 1, n),
        "like_spread": np.exp(rng.normal(size=n)),
        "like_error": np.exp(rng.normal(size=n)),
        "elements": (rng.random((n, 100)) < 0.03).astype(float),
    }


def test_powers_that_made_the_errors_are_found() -> None:
    """With the norm to the power 0.8, and twice as large with lithium."""
    raw = known(4000, 0)
    true = raw["norm"] ** 0.8 * 2 ** raw["elements"][:, 2]
    sizes = true * np.random.default_rng(1).exponential(size=4000)
    found = ErrorScale.fit(raw, sizes, np.ones(4000))
    fresh = known(500, 2)
    wanted = fresh["norm"] ** 0.8 * 2 ** fresh["elements"][:, 2]
    # The factors of a calibration settle the constant.
    ratio = np.log(found.expected(fresh) / wanted)
    assert ratio.std() < 0.2
    assert found.elements[2] == pytest.approx(np.log(2), abs=0.35)
    assert np.abs(found.elements).argmax() == 2


def test_the_spread_counts_as_far_as_it_tells() -> None:
    """Its power is found from few predictions; none where it says the opposite."""
    raw = known(2000, 3)
    rng = np.random.default_rng(4)
    sizes = raw["norm"] * rng.exponential(size=2000)
    alone = ErrorScale.fit(raw, sizes, np.ones(2000))
    few = known(300, 5)
    own = few["norm"] * few["spread"] ** 0.5 * rng.exponential(size=300)
    adapted = alone.adapt(few, own, np.ones(300))
    assert adapted.spread == pytest.approx(0.5, abs=0.15)
    assert adapted.power == pytest.approx(0.0, abs=0.3)
    fresh = known(500, 6)
    ratio = np.log(adapted.expected(fresh) / fresh["norm"] / fresh["spread"] ** 0.5)
    assert ratio.std() < 0.3
    assert np.median(own / adapted.expected(few)) == pytest.approx(
        np.median(sizes / alone.expected(raw)), rel=0.2
    )
    against = few["norm"] / few["spread"]
    assert alone.adapt(few, against, np.ones(300)).spread == 0


def test_errors_never_shrink_away_from_the_training_crystals() -> None:
    """Where few data say the opposite, distance and rarity count for nothing."""
    raw = known(100, 3)
    sizes = 1 / raw["distance"]
    found = ErrorScale.fit(raw, sizes, np.ones(100))
    coefficients = dict(zip(FEATURES, found.coefficients, strict=True))
    assert coefficients["distance"] == 0
    assert coefficients["rarity"] >= 0


def test_one_member_has_no_spread() -> None:
    """Nothing is learnt from zeros, and they do no harm."""
    raw = known(200, 4) | {"spread": np.zeros(200)}
    sizes = raw["norm"] * np.random.default_rng(5).exponential(size=200)
    found = ErrorScale.fit(raw, sizes, np.ones(200))
    assert found.adapt(raw, sizes, np.ones(200)) is found
    assert np.isfinite(found.expected(raw)).all()


def test_elements_that_were_not_seen_change_nothing() -> None:
    """Their factor is one: rarity speaks for them."""
    raw = known(500, 7)
    raw["elements"][:, 50] = 0
    found = ErrorScale.fit(raw, raw["norm"], np.ones(500))
    assert found.elements[50] == 0
    assert np.count_nonzero(found.elements) > 80


def test_few_crystals_tell_little() -> None:
    """No more than norm, distance and rarity: the rest would be chance."""
    raw = known(100, 8)
    found = ErrorScale.fit(raw, raw["norm"], np.ones(100), plain=True)
    assert not found.elements.any()
    named = dict(zip(FEATURES, found.coefficients, strict=True))
    assert {name for name, value in named.items() if value} <= {
        *("norm", "distance", "rarity")
    }


def test_it_survives_the_way_to_a_file() -> None:
    """To the last bit."""
    raw = known(50, 6)
    found = ErrorScale.fit(raw, raw["norm"], np.ones(50))
    again = ErrorScale.restore(json.loads(json.dumps(found.as_dict())))
    np.testing.assert_array_equal(again.expected(raw), found.expected(raw))
