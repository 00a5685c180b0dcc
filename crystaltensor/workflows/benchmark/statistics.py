"""Figures with their bootstrap intervals."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.workflows.benchmark.report import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from crystaltensor.training.metrics import TensorErrors

    Floats = NDArray[np.float64]

N_DRAWS = 2000


@dataclass(frozen=True)
class Figures:
    """What errors amount to, each with its 95 % interval.

    Parameters
    ----------
    n : int
        Number of crystals.
    fnorm : Estimate
        Mean norm of the error.
    ewt : tuple of Estimate
        Percentages below 25, 10, 5 % of the label's norm.
    median_relative : Estimate
        Median of the relative errors.
    mae : Estimate
        Mean absolute error of a component.
    """

    n: int
    fnorm: Estimate
    ewt: tuple[Estimate, Estimate, Estimate]
    median_relative: Estimate
    mae: Estimate


def figures_of(errors: "TensorErrors", crystals: "NDArray[np.int64]") -> Figures:
    """Sum up errors.

    Parameters
    ----------
    errors : TensorErrors
        One for each tensor.
    crystals : ndarray of int, shape (n,)
        Which crystal each belongs to: the bootstrap draws crystals, since the atoms of
        one are alike.

    Returns
    -------
    Figures
        From 2,000 draws with a fixed seed.
    """
    draw = _Draws(crystals)
    relative = errors.relative
    within = [
        draw.estimate(lambda x: 100 * x.mean(axis=-1), (relative < limit).astype(float))
        for limit in (0.25, 0.10, 0.05)
    ]
    return Figures(
        n=len(np.unique(crystals)),
        fnorm=draw.estimate(_mean, errors.errors),
        ewt=(within[0], within[1], within[2]),
        median_relative=draw.estimate(_median, relative),
        mae=draw.estimate(_mean, errors.absolute),
    )


def mean_of(values: "Floats") -> Estimate:
    """Average values of crystals.

    Parameters
    ----------
    values : ndarray, shape (n,)
        One for each crystal.

    Returns
    -------
    Estimate
        The mean.
    """
    return _Draws(np.arange(len(values))).estimate(_mean, values)


class _Draws:
    """Samples of crystals with replacement, the same for every statistic."""

    def __init__(self, crystals: "NDArray[np.int64]") -> None:
        present, counts = np.unique(crystals, return_counts=True)
        rng = np.random.default_rng(0)
        drawn = rng.integers(len(present), size=(N_DRAWS, len(present)))
        self.alike = bool((counts == 1).all())
        if self.alike:
            self.rows: list[NDArray[np.int64]] = [drawn]
            return
        members = np.split(np.argsort(crystals, kind="stable"), np.cumsum(counts)[:-1])
        self.rows = [np.concatenate([members[i] for i in draw]) for draw in drawn]

    def estimate(
        self, statistic: "Callable[[Floats], Floats]", values: "Floats"
    ) -> Estimate:
        """Evaluate a statistic over the last axis, for all values and for each draw."""
        if self.alike:
            found = statistic(values[self.rows[0]])
        else:
            found = np.array([statistic(values[rows]) for rows in self.rows])
        low, high = np.percentile(found, [2.5, 97.5], method="nearest")
        return Estimate(float(statistic(values)), float(low), float(high))


def _mean(values: "Floats") -> "Floats":
    """Average the last axis."""
    return np.asarray(values.mean(axis=-1))


def _median(values: "Floats") -> "Floats":
    """Find the middle of the last axis."""
    return np.asarray(np.median(values, axis=-1))
