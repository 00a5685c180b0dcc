"""Tests of crystaltensor.workflows.benchmark.statistics."""

import numpy as np
import pytest

from crystaltensor.training.metrics import TensorErrors, measure, tensor_errors
from crystaltensor.workflows.benchmark.statistics import figures_of, mean_of


def drawn(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw predictions and labels."""
    rng = np.random.default_rng(1)
    label = rng.normal(size=(n, 3, 3)) + 3
    return label + 0.5 * rng.normal(size=label.shape), label


def test_figures_are_those_of_training() -> None:
    """With the same bootstrap, up to the way a percentile is interpolated."""
    predicted, label = drawn(60)
    theirs = measure(predicted, label)
    ours = figures_of(tensor_errors(predicted, label), np.arange(60))
    assert ours.fnorm.value == pytest.approx(theirs.fnorm)
    assert (ours.fnorm.low, ours.fnorm.high) == pytest.approx(
        theirs.fnorm_interval, rel=1e-3
    )
    assert [each.value for each in ours.ewt] == pytest.approx(
        [theirs.ewt_25, theirs.ewt_10, theirs.ewt_5]
    )
    assert ours.median_relative.value == pytest.approx(theirs.median_relative)
    assert ours.mae.value == pytest.approx(theirs.mae)


def test_the_interval_of_a_mean_is_that_of_a_normal_distribution() -> None:
    """For many numbers: 1.96 standard errors on both sides."""
    values = np.random.default_rng(0).normal(5.0, 2.0, size=4000)
    found = mean_of(values)
    width = 1.96 * values.std() / np.sqrt(len(values))
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.value == pytest.approx(width, rel=0.1)
    assert found.value - found.low == pytest.approx(width, rel=0.1)


def test_atoms_of_one_crystal_are_drawn_together() -> None:
    """Ten atoms that are all alike are no more than one."""
    predicted, label = drawn(40)
    errors = tensor_errors(predicted, label)
    tenfold = TensorErrors(*(np.repeat(each, 10) for each in vars(errors).values()))
    alone = figures_of(errors, np.arange(40))
    together = figures_of(tenfold, np.repeat(np.arange(40), 10))
    apart = figures_of(tenfold, np.arange(400))
    assert together.n == 40
    assert together.fnorm.value == pytest.approx(alone.fnorm.value)
    wide = alone.fnorm.high - alone.fnorm.low
    assert together.fnorm.high - together.fnorm.low == pytest.approx(wide, rel=0.1)
    assert apart.fnorm.high - apart.fnorm.low < 0.5 * wide


def test_labels_of_zero_leave_an_infinite_median() -> None:
    """Not a number that looks like one, and no warning."""
    predicted, label = drawn(9)
    label[:6] = 0
    found = figures_of(tensor_errors(predicted, label), np.arange(9))
    assert found.median_relative.value == np.inf
