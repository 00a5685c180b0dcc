"""The figures by which models for tensors are compared."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class TensorMetrics:
    """Errors over a set of crystals.

    Parameters
    ----------
    n : int
        Number of tensors: one per crystal, or one per atom.
    fnorm : float
        Mean Frobenius norm of the error, in the unit of the property.
    fnorm_interval : tuple of float
        95 % bootstrap interval of `fnorm`.
    zero_fnorm : float
        The same for predicting zero everywhere: the mean norm of the labels.
    ewt_25, ewt_10, ewt_5 : float
        Percentage of tensors whose error is below 25, 10, 5 % of the label's norm.
    median_relative : float
        Median of the error over the label's norm.
    median_cosine : float
        Median cosine of the angle between prediction and label.
    mae : float
        Mean absolute error of a component, in the unit of the property.
    """

    n: int
    fnorm: float
    fnorm_interval: tuple[float, float]
    zero_fnorm: float
    ewt_25: float
    ewt_10: float
    ewt_5: float
    median_relative: float
    median_cosine: float
    mae: float

    def as_dict(self) -> dict[str, object]:
        """Return the figures as plain values."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class TensorErrors:
    """Errors tensor by tensor, from which all figures follow.

    Parameters
    ----------
    errors : ndarray, shape (n,)
        Frobenius norms of the errors, in the unit of the property.
    norms : ndarray, shape (n,)
        Frobenius norms of the labels.
    relative : ndarray, shape (n,)
        Errors over norms; infinite for a label that is zero.
    cosines : ndarray, shape (n,)
        Of the angles between prediction and label.
    absolute : ndarray, shape (n,)
        Mean absolute errors of the components.
    """

    errors: "Array"
    norms: "Array"
    relative: "Array"
    cosines: "Array"
    absolute: "Array"


def tensor_errors(
    predicted: "Array", label: "Array", *, up_to_sign: "NDArray[np.bool_] | None" = None
) -> TensorErrors:
    """Compare predictions with labels, one by one.

    Parameters
    ----------
    predicted, label : ndarray, shape (n, ...)
        In one unit and one frame.
    up_to_sign : ndarray of bool, shape (n,), optional
        Crystals for which the sign of the label is a convention.

    Returns
    -------
    TensorErrors
        In the order given.
    """
    flat_predicted = predicted.reshape(len(predicted), -1).copy()
    flat_label = label.reshape(len(label), -1)
    products = (flat_predicted * flat_label).sum(axis=1)
    if up_to_sign is not None:
        flip = up_to_sign & (products < 0)
        flat_predicted[flip] *= -1
        products[flip] *= -1
    errors = np.linalg.norm(flat_predicted - flat_label, axis=1)
    norms = np.linalg.norm(flat_label, axis=1)
    sizes = np.linalg.norm(flat_predicted, axis=1) * norms
    relative = np.divide(
        errors, norms, out=np.full_like(errors, np.inf), where=norms > 0
    )
    cosines = np.divide(products, sizes, out=np.zeros_like(errors), where=sizes > 0)
    absolute = np.abs(flat_predicted - flat_label).mean(axis=1)
    return TensorErrors(errors, norms, relative, cosines, absolute)


def nearest_labels(
    predicted: "Array", alternatives: "Array", *, up_to_sign: "NDArray[np.bool_]"
) -> "Array":
    """Choose among what labels may be.

    Parameters
    ----------
    predicted : ndarray, shape (n, ...)
        In the unit and frame of the labels.
    alternatives : ndarray, shape (n, n_alternatives, ...)
        Of each label.
    up_to_sign : ndarray of bool, shape (n,)
        Where the negatives of those are possible too.

    Returns
    -------
    ndarray, shape (n, ...)
        For each prediction the nearest one, with the sign that it has here.
    """
    errors = [
        tensor_errors(predicted, one, up_to_sign=up_to_sign).errors
        for one in np.moveaxis(alternatives, 1, 0)
    ]
    chosen: Array = alternatives[np.arange(len(predicted)), np.argmin(errors, axis=0)]
    return chosen


def mean_interval(errors: "Array") -> tuple[float, float]:
    """Give the 95 % bootstrap interval of a mean, from 2,000 draws with a fixed seed."""
    drawn = np.random.default_rng(0).integers(len(errors), size=(2000, len(errors)))
    low, high = np.percentile(errors[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def measure(
    predicted: "Array", label: "Array", *, up_to_sign: "NDArray[np.bool_] | None" = None
) -> TensorMetrics:
    """Compare predictions with labels.

    Parameters
    ----------
    predicted, label : ndarray, shape (n, 3, ..., 3)
        In one unit and one frame.
    up_to_sign : ndarray of bool, shape (n,), optional
        Crystals for which the sign of the label is a convention.

    Returns
    -------
    TensorMetrics
        The bootstrap draws 2,000 samples with a fixed seed.
    """
    found = tensor_errors(predicted, label, up_to_sign=up_to_sign)
    errors, relative = found.errors, found.relative
    return TensorMetrics(
        n=len(errors),
        fnorm=float(errors.mean()),
        fnorm_interval=mean_interval(errors),
        zero_fnorm=float(found.norms.mean()),
        ewt_25=float(100 * (relative < 0.25).mean()),
        ewt_10=float(100 * (relative < 0.10).mean()),
        ewt_5=float(100 * (relative < 0.05).mean()),
        median_relative=float(np.median(relative)),
        median_cosine=float(np.median(found.cosines)),
        mae=float(found.absolute.mean()),
    )
