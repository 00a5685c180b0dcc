"""From the unit of a property to the scale on which it is learnt, and back."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crystaltensor.properties import TensorProperty

    Floats = NDArray[np.float64]


def to_learn(values: "Floats", row: "TensorProperty") -> "Floats":
    """Take the decadic logarithm of a property that is learnt so.

    Parameters
    ----------
    values : ndarray
        In the unit of the property; positive if their logarithm is learnt.
    row : TensorProperty
        What they are.

    Returns
    -------
    ndarray
        Of the same shape.
    """
    return np.log10(values) if row.logarithmic else values


def from_learnt(values: "Floats", row: "TensorProperty") -> "Floats":
    """Undo `to_learn`.

    Parameters
    ----------
    values : ndarray
        What a network returns.
    row : TensorProperty
        What they are.

    Returns
    -------
    ndarray
        In the unit of the property.
    """
    return np.asarray(10.0**values) if row.logarithmic else values
