"""All that follows from the tensors of a crystal, as plain values with units."""

from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.errors import DataError
from crystaltensor.symmetry.contradictions import contradictions
from crystaltensor.symmetry.derived import (
    moduli,
    piezo_strain,
    principal_values,
    refractive_indices,
    stability,
    strain_voigt,
)
from crystaltensor.symmetry.direction_search import Extreme
from crystaltensor.symmetry.directions import (
    elastic_extremes,
    longitudinal_extreme,
    longitudinal_extremes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

    Extremes = Mapping[str, Extreme | tuple[Extreme, Extreme]]

_UNITS = {
    "young": "GPa",
    "shear": "GPa",
    "poisson": "1",
    "linear_compressibility": "1/TPa",
}


def derive_many(
    tensors: "Sequence[Floats]", name: str
) -> list[tuple[dict[str, Any], list[str]]]:
    """Derive what follows from one tensor of each of many crystals.

    Parameters
    ----------
    tensors : sequence of ndarray
        Full tensors, in the unit of the property.
    name : str
        Name of the property.

    Returns
    -------
    list of (dict, list of str)
        What `derive` gives for each; the extremes are looked for together, which is
        tens of times faster.
    """
    extremes: list[Extremes] = [{} for _ in tensors]
    if name == "piezo":
        places = [index for index, tensor in enumerate(tensors) if tensor.any()]
        if places:
            found = longitudinal_extremes(np.array([tensors[i] for i in places]))
            for index, one in zip(places, found, strict=True):
                extremes[index] = {"longitudinal_e": one}
    if name == "elastic":
        places = [i for i, tensor in enumerate(tensors) if stability(tensor).stable]
        if places:
            pairs = elastic_extremes(np.array([tensors[i] for i in places]))
            for index, several in zip(places, pairs, strict=True):
                extremes[index] = several
    return [
        derive({name: tensor}, own=name, extremes=known)
        for tensor, known in zip(tensors, extremes, strict=True)
    ]


def derive(
    tensors: "Mapping[str, Floats]", *, own: str, extremes: "Extremes | None" = None
) -> tuple[dict[str, Any], list[str]]:
    """Derive what the tensors of one crystal, in one frame, allow.

    Parameters
    ----------
    tensors : mapping
        Name of a property to its full tensor, in the unit of the property.
    own : str
        Name of the property that is asked for; its norm is given.
    extremes : mapping, optional
        Extremes over directions that are known already, by their names.

    Returns
    -------
    derived : dict
        Name to plain values, each with a ``"unit"`` where it has one.
    warnings : list of str
        What cannot be in nature, or makes a quantity meaningless.
    """
    derived: dict[str, Any] = {"norm": float(np.linalg.norm(tensors[own]))}
    warnings = [
        sentence
        for name, tensor in tensors.items()
        for sentence in contradictions(name, tensor)
    ]
    for name in ("dielectric", "dielectric-total"):
        if name in tensors:
            _dielectric(tensors[name], name, derived)
    if "elastic" in tensors:
        _elastic(tensors["elastic"], derived, warnings, extremes or {})
    if "piezo" in tensors:
        _piezo(tensors, derived, warnings, extremes or {})
    if "born-charges" in tensors:
        total = tensors["born-charges"].sum(axis=0)
        derived["acoustic_sum"] = {"value": total.tolist(), "unit": "e"}
    return derived, warnings


def _dielectric(tensor: "Floats", name: str, derived: dict[str, Any]) -> None:
    """Principal values, and refractive indices of the electronic tensor."""
    values, axes = principal_values(tensor)
    key = name.replace("-", "_") + "_principal"
    derived[key] = {"values": values.tolist(), "axes": axes.tolist()}
    if name == "dielectric" and values[0] > 0:
        indices, axes = refractive_indices(tensor)
        derived["refractive_indices"] = {
            "values": indices.tolist(),
            "axes": axes.tolist(),
            "mean": float(indices.mean()),
            "birefringence": float(indices[2] - indices[0]),
        }


def _elastic(
    tensor: "Floats",
    derived: dict[str, Any],
    warnings: list[str],
    extremes: "Mapping[str, Any]",
) -> None:
    """Moduli, stability, and extremes over all directions."""
    born = stability(tensor)
    derived["stability"] = {
        "stable": born.stable,
        "margin": born.margin,
        "unit": "GPa",
        "softest_strain": born.softest.tolist(),
    }
    try:
        derived["moduli"] = {**vars(moduli(tensor)), "unit": "GPa"}
    except DataError as error:
        warnings.append(str(error))
        return
    if born.stable:
        known = extremes if "young" in extremes else elastic_extremes(tensor[None])[0]
        for name, unit in _UNITS.items():
            low, high = known[name]
            derived[name] = {
                "min": _extreme(low),
                "max": _extreme(high),
                "unit": unit,
            }


def _piezo(
    tensors: "Mapping[str, Floats]",
    derived: dict[str, Any],
    warnings: list[str],
    extremes: "Mapping[str, Any]",
) -> None:
    """Longitudinal extremes of e, and of d where the stiffness is there."""
    tensor, stiffness = tensors["piezo"], tensors.get("elastic")
    derived["piezo_norm"] = {"value": float(np.linalg.norm(tensor)), "unit": "C/m^2"}
    if tensor.any():
        derived["longitudinal_e"] = {
            **_extreme(extremes.get("longitudinal_e") or longitudinal_extreme(tensor)),
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
