"""All that follows from the tensors of a crystal, as plain values with units."""

from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.errors import DataError
from crystaltensor.symmetry.derived import (
    moduli,
    piezo_strain,
    principal_values,
    refractive_indices,
    stability,
    strain_voigt,
)
from crystaltensor.symmetry.directions import (
    Extreme,
    compressibility_extremes,
    longitudinal_extreme,
    poisson_extremes,
    shear_extremes,
    young_extremes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_PAIRS = (
    ("young", "GPa", young_extremes),
    ("shear", "GPa", shear_extremes),
    ("poisson", "1", poisson_extremes),
    ("linear_compressibility", "1/TPa", compressibility_extremes),
)


def derive(
    tensors: "Mapping[str, Floats]", *, own: str
) -> tuple[dict[str, Any], list[str]]:
    """Derive what the tensors of one crystal, in one frame, allow.

    Parameters
    ----------
    tensors : mapping
        Name of a property to its full tensor, in the unit of the property.
    own : str
        Name of the property that is asked for; its norm is given.

    Returns
    -------
    derived : dict
        Name to plain values, each with a ``"unit"`` where it has one.
    warnings : list of str
        What cannot be in nature, or makes a quantity meaningless.
    """
    derived: dict[str, Any] = {"norm": float(np.linalg.norm(tensors[own]))}
    warnings: list[str] = []
    for name in ("dielectric", "dielectric-total"):
        if name in tensors:
            _dielectric(tensors[name], name, derived, warnings)
    if "elastic" in tensors:
        _elastic(tensors["elastic"], derived, warnings)
    if "piezo" in tensors:
        _piezo(tensors["piezo"], tensors.get("elastic"), derived, warnings)
    if "born-charges" in tensors:
        total = tensors["born-charges"].sum(axis=0)
        derived["acoustic_sum"] = {"value": total.tolist(), "unit": "e"}
        if np.abs(total).max() > 0.01:
            warnings.append(
                f"the Born charges add up to {np.abs(total).max():.3g} e in an entry, "
                "where the acoustic sum rule asks for zero"
            )
    return derived, warnings


def _dielectric(
    tensor: "Floats", name: str, derived: dict[str, Any], warnings: list[str]
) -> None:
    """Principal values, and refractive indices of the electronic tensor."""
    values, axes = principal_values(tensor)
    key = name.replace("-", "_") + "_principal"
    derived[key] = {"values": values.tolist(), "axes": axes.tolist()}
    if values[0] <= 0:
        warnings.append(
            f"{name} is not positive definite: its smallest principal value is "
            f"{values[0]:.4g}"
        )
    elif values[0] < 1 - 1e-6:
        warnings.append(f"a principal value of {name} is {values[0]:.4g}, less than 1")
    if name == "dielectric" and values[0] > 0:
        indices, axes = refractive_indices(tensor)
        derived["refractive_indices"] = {
            "values": indices.tolist(),
            "axes": axes.tolist(),
            "mean": float(indices.mean()),
            "birefringence": float(indices[2] - indices[0]),
        }


def _elastic(tensor: "Floats", derived: dict[str, Any], warnings: list[str]) -> None:
    """Moduli, stability, and extremes over all directions."""
    born = stability(tensor)
    derived["stability"] = {
        "stable": born.stable,
        "margin": born.margin,
        "unit": "GPa",
        "softest_strain": born.softest.tolist(),
    }
    if not born.stable:
        warnings.append(
            f"unstable: the smallest Kelvin-Mandel eigenvalue of C is "
            f"{born.margin:.4g} GPa, so that a strain costs no energy; extremes over "
            "directions mean nothing and are left out"
        )
    try:
        derived["moduli"] = {**vars(moduli(tensor)), "unit": "GPa"}
    except DataError as error:
        warnings.append(str(error))
        return
    if born.stable:
        for name, unit, extremes in _PAIRS:
            low, high = extremes(tensor)
            derived[name] = {
                "min": _extreme(low),
                "max": _extreme(high),
                "unit": unit,
            }


def _piezo(
    tensor: "Floats",
    stiffness: "Floats | None",
    derived: dict[str, Any],
    warnings: list[str],
) -> None:
    """Longitudinal extremes of e, and of d where the stiffness is there."""
    derived["piezo_norm"] = {"value": float(np.linalg.norm(tensor)), "unit": "C/m^2"}
    if tensor.any():
        derived["longitudinal_e"] = {
            **_extreme(longitudinal_extreme(tensor)),
            "unit": "C/m^2",
        }
    if stiffness is None:
        return
    try:
        strain = piezo_strain(tensor, stiffness)
    except DataError as error:
        warnings.append(str(error))
        return
    strain = np.where(np.abs(strain) < 1e-13 * np.abs(strain).max(), 0.0, strain)
    derived["d"] = {
        "voigt": strain_voigt(strain).tolist(),
        "tensor": strain.tolist(),
        "unit": "pC/N",
    }
    if strain.any():
        derived["longitudinal_d"] = {
            **_extreme(longitudinal_extreme(strain)),
            "unit": "pC/N",
        }


def _extreme(found: Extreme) -> dict[str, Any]:
    """Write an extreme as plain values."""
    record: dict[str, Any] = {
        "value": found.value,
        "direction": found.direction.tolist(),
    }
    if found.across is not None:
        record["across"] = found.across.tolist()
    return record
