"""What about a tensor cannot be in nature."""

from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.symmetry.derived import principal_values, stability
from crystaltensor.symmetry.notation import to_voigt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_ROUNDING = 1e-6
_SUM = 0.01  # e; a sum of Born charges below this is noise


def contradictions(name: str, tensor: "Floats") -> list[str]:
    """Look for what physics forbids of a tensor, beyond the symmetry of its crystal.

    Parameters
    ----------
    name : str
        Of the property.
    tensor : ndarray, shape (3, ..., 3) or (n_atoms, 3, ..., 3)
        In the unit of the property.

    Returns
    -------
    list of str
        One sentence each: a principal value of a dielectric tensor below 1; a strain
        that costs no energy, with that strain; Born charges that do not add up to zero.
    """
    if name in {"dielectric", "dielectric-total"}:
        return _dielectric(name, tensor)
    if name == "elastic":
        return _elastic(tensor)
    if name == "born-charges":
        return _born(tensor)
    return []


def _dielectric(name: str, tensor: "Floats") -> list[str]:
    """Compare principal values with those of the vacuum."""
    smallest = float(principal_values(tensor)[0][0])
    if smallest <= 0:
        return [
            (
                f"{name} is not positive definite: its smallest principal value is "
                f"{smallest:.4g}"
            )
        ]
    if smallest < 1 - _ROUNDING:
        return [f"a principal value of {name} is {smallest:.4g}, less than 1"]
    return []


def _elastic(tensor: "Floats") -> list[str]:
    """Apply Born's criterion."""
    born = stability(tensor)
    if born.stable:
        return []
    strain = " ".join(f"{entry + 0.0:.2g}" for entry in to_voigt(born.softest, 2))
    return [
        (
            f"unstable: the smallest Kelvin-Mandel eigenvalue of C is {born.margin:.4g} GPa, "
            f"so that the strain ({strain}) (xx yy zz yz xz xy) costs no energy; extremes "
            "over directions mean nothing and are left out"
        )
    ]


def _born(tensor: "Floats") -> list[str]:
    """Apply the acoustic sum rule."""
    largest = float(np.abs(tensor.sum(axis=0)).max())
    if largest <= _SUM:
        return []
    return [
        (
            f"the Born charges add up to {largest:.3g} e in an entry, where the acoustic sum "
            "rule asks for zero"
        )
    ]
