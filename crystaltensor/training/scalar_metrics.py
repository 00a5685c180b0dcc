"""The figures by which models for scalars are compared."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.data.scales import from_learnt
from crystaltensor.training.metrics import mean_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crystaltensor.properties import TensorProperty

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class ScalarMetrics:
    """Errors of a scalar over a set of crystals.

    Parameters
    ----------
    n : int
        Number of crystals.
    fnorm : float
        Mean absolute error, on the scale on which the property is learnt.
    fnorm_interval : tuple of float
        95 % bootstrap interval of `fnorm`.
    zero_fnorm : float
        The same for predicting the mean of the training crystals everywhere.
    ewt_25, ewt_10, ewt_5 : float
        Percentage of values whose error is below 25, 10, 5 % of the label.
    median_relative : float
        Median of the error over the size of the label.
    mae : float
        Mean absolute error, in the unit of the property.
    """

    n: int
    fnorm: float
    fnorm_interval: tuple[float, float]
    zero_fnorm: float
    ewt_25: float
    ewt_10: float
    ewt_5: float
    median_relative: float
    mae: float

    def as_dict(self) -> dict[str, object]:
        """Return the figures as plain values."""
        return asdict(self)


def measure_scalars(
    predicted: "Array", label: "Array", row: "TensorProperty", *, mean: float
) -> ScalarMetrics:
    """Compare predictions of a scalar with labels.

    Parameters
    ----------
    predicted, label : ndarray, shape (n,)
        On the scale on which the property is learnt.
    row : TensorProperty
        What they are.
    mean : float
        Of the training labels.

    Returns
    -------
    ScalarMetrics
        The bootstrap draws 2,000 samples with a fixed seed.
    """
    errors = np.abs(predicted - label)
    values = from_learnt(label, row)
    plain = np.abs(from_learnt(predicted, row) - values)
    sizes = np.abs(values)
    relative = np.divide(plain, sizes, out=np.full_like(plain, np.inf), where=sizes > 0)
    return ScalarMetrics(
        n=len(errors),
        fnorm=float(errors.mean()),
        fnorm_interval=mean_interval(errors),
        zero_fnorm=float(np.abs(label - mean).mean()),
        ewt_25=float(100 * (relative < 0.25).mean()),
        ewt_10=float(100 * (relative < 0.10).mean()),
        ewt_5=float(100 * (relative < 0.05).mean()),
        median_relative=float(np.median(relative)),
        mae=float(plain.mean()),
    )
