"""Properties as functions of a direction: what pictures of tensors are drawn from."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.symmetry.derived import compliance
from crystaltensor.symmetry.directions import longitudinal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Surface:
    """A property drawn as a distance from the origin along each direction.

    Parameters
    ----------
    title : str
        What it is.
    unit : str
        Of the values; empty for pure numbers.
    function : callable
        Maps unit vectors, shape (..., 3), to values, shape (...). The distance is the
        absolute value; the sign is shown by colour.
    """

    title: str
    unit: str
    function: "Callable[[Floats], Floats]"


def surfaces(tensors: "Mapping[str, Floats]") -> list[Surface]:
    """List what can be drawn of the tensors of a crystal.

    Parameters
    ----------
    tensors : mapping
        Name of a property to its full tensor: ``"elastic"`` (GPa), ``"piezo"`` (C/m²),
        ``"piezo-strain"`` (pC/N), ``"dielectric"``, ``"dielectric-total"``.

    Returns
    -------
    list of Surface
        Young's modulus, the extremes of the shear modulus and the linear
        compressibility; the longitudinal e and d; the index ellipsoid.

    Raises
    ------
    DataError
        If the stiffness has no inverse.
    """
    found = []
    for name, title, unit in (
        ("piezo", "Longitudinal e(n, n, n)", "C/m²"),
        ("piezo-strain", "Longitudinal d(n, n, n)", "pC/N"),
    ):
        if name in tensors:
            found.append(Surface(title, unit, _along(tensors[name])))
    if "dielectric" in tensors:
        found.append(
            Surface("Refractive index ellipsoid", "", _ellipsoid(tensors["dielectric"]))
        )
    if "dielectric-total" in tensors:
        static = tensors["dielectric-total"]
        found.append(Surface("Permittivity ε⁰(n, n)", "", _along(static)))
    if "elastic" in tensors:
        soft = compliance(tensors["elastic"])
        found += [
            Surface("Young's modulus", "GPa", lambda n: 1 / longitudinal(soft, n)),
            Surface("Largest shear modulus", "GPa", lambda n: _shear(soft, n, 0)),
            Surface("Smallest shear modulus", "GPa", lambda n: _shear(soft, n, 1)),
            Surface(
                "Linear compressibility",
                "1/TPa",
                _along(1000 * np.einsum("ijkk->ij", soft)),
            ),
        ]
    return found


def _along(tensor: "Floats") -> "Callable[[Floats], Floats]":
    """T(n, ..., n)."""
    return lambda directions: longitudinal(tensor, directions)


def _ellipsoid(dielectric: "Floats") -> "Callable[[Floats], Floats]":
    r"""Distance to the indicatrix, :math:`n \cdot \epsilon^{-1} n = 1`."""
    inverse = np.linalg.inv((dielectric + dielectric.T) / 2)
    return lambda directions: 1 / np.sqrt(longitudinal(inverse, directions))


def _shear(soft: "Floats", directions: "Floats", which: int) -> "Floats":
    """Extreme of 1/(4 S(n, m, n, m)) over m, from a 2×2 eigenvalue problem."""
    n = directions.reshape(-1, 3)
    helper = np.eye(3)[np.abs(n).argmin(axis=1)]
    first = np.cross(n, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    plane = np.stack([first, np.cross(n, first)], axis=1)  # (n, 2, 3)
    pairs = (n[:, :, None] * n[:, None, :]).reshape(-1, 9)
    table = soft.transpose(0, 2, 1, 3).reshape(9, 9)
    inner = (pairs @ table).reshape(-1, 3, 3)
    values = np.linalg.eigvalsh(plane @ inner @ plane.swapaxes(1, 2))
    return (1 / (4 * values[:, which])).reshape(directions.shape[:-1])
