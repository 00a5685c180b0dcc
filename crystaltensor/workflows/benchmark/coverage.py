"""Whether predictions know how wrong they are."""

from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.data.scales import to_learn
from crystaltensor.training.metrics import tensor_errors
from crystaltensor.workflows.benchmark.report import Figure, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crystaltensor.properties import TensorProperty
    from crystaltensor.workflows.benchmark.evaluation import Evaluated
    from crystaltensor.workflows.benchmark.report import Cell

    Floats = NDArray[np.float64]

LEVELS = ("50", "80", "90", "95")
"""Percentages of the intervals that predictions give."""


def judge_uncertainty(
    row: "TensorProperty", found: "Evaluated"
) -> tuple[Table | None, list[Figure]]:
    """Count how often errors stay within what predictions say of them.

    Parameters
    ----------
    row : TensorProperty
        What was predicted.
    found : Evaluated
        Predictions and labels.

    Returns
    -------
    table : Table or None
        Coverage of the intervals, and whether large errors are expected to be large;
        None if the model gives no uncertainty.
    figures : list of Figure
        How far the coverage of the norms is from its level, at 90 %.
    """
    told = np.array([each is not None for each in found.uncertainties])
    if not told.any():
        return None, []
    tensors = told[found.crystals]
    errors = _errors(row, found)[tensors]
    given = [each for each in found.uncertainties if each is not None]
    bounds = {
        level: np.concatenate([np.ravel(each.error_norms()[level]) for each in given])
        for level in LEVELS
    }
    expected = np.concatenate([np.ravel(each.expected) for each in given])
    shares = [100 * float((errors <= bounds[level]).mean()) for level in LEVELS]
    half = expected <= np.median(expected)
    line: tuple[Cell, ...] = (
        "norm of the error" if row.rank else "error",
        int(tensors.sum()),
        *shares,
        _rank_correlation(expected, errors),
        float(errors[half].mean() / errors[~half].mean()) if (~half).any() else None,
    )
    lines = [line]
    if row.rank:
        lines.append(_component_line(row, found, tensors))
    columns = ("", "n", *(f"in {level} %" for level in LEVELS), "ranks", "sure/unsure")
    note = (
        "Percentages of errors within the intervals of these percentages. Ranks: "
        "Spearman's correlation of expected and true error; sure/unsure: mean error of "
        "the half that expects less over that of the other half."
    )
    table = Table(f"{row.name}, uncertainty", columns, tuple(lines), (note,))
    gap = abs(shares[2] - 90)
    return table, [Figure(f"{row.name} coverage gap", "error", gap, "%", floor=10.0)]


def _errors(row: "TensorProperty", found: "Evaluated") -> "Floats":
    """Give the norms of the errors on the scale that is learnt."""
    flip = found.up_to_sign() if row.rank else None
    scaled = to_learn(found.predicted, row), to_learn(found.nearest, row)
    return tensor_errors(*scaled, up_to_sign=flip).errors


def _component_line(
    row: "TensorProperty", found: "Evaluated", tensors: "NDArray[np.bool_]"
) -> "tuple[Cell, ...]":
    """Count the components that lie within their intervals."""
    label = found.nearest.copy()
    axes = tuple(range(1, label.ndim))
    against = (label * found.predicted).sum(axis=axes) < 0
    label[found.up_to_sign() & against] *= -1
    errors = np.abs(found.predicted - label)[tensors].ravel()
    given = [each for each in found.uncertainties if each is not None]
    stack = np.concatenate if row.per_atom else np.stack
    sigmas = stack([each.sigma for each in given]).ravel()
    free = sigmas > 0
    widths = given[0].half_widths
    shares = (
        100 * float((errors[free] <= widths[level] * sigmas[free]).mean())
        for level in LEVELS
    )
    ranks = _rank_correlation(sigmas[free], errors[free])
    return ("components", int(free.sum()), *shares, ranks, None)


def _rank_correlation(one: "Floats", other: "Floats") -> float:
    """Correlate the ranks of two quantities, after Spearman."""
    first, second = (
        np.argsort(np.argsort(each)).astype(float) for each in (one, other)
    )
    if len(first) < 3:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
