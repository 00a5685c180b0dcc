"""Numbers that follow from a tensor, for many tensors at once, and how errors reach them."""

from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.symmetry.coordinates import component_basis
from crystaltensor.symmetry.derived import Moduli, moduli_of_mandel
from crystaltensor.symmetry.notation import to_mandel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crystaltensor.properties import TensorProperty

    Floats = NDArray[np.float64]

_STEP = 1e-4  # of the norm: central differences are then good to 1e-7


def quantities(components: "Floats", row: "TensorProperty") -> "dict[str, Floats]":
    """Derive what has a value for every tensor of a property.

    Parameters
    ----------
    components : ndarray, shape (n, n_components)
        Irreducible components, in the unit of the property.
    row : TensorProperty
        Whose tensors they are.

    Returns
    -------
    dict
        Name to values, shape (n,): ``"norm"``; the fields of `Moduli` and ``"margin"``
        for a stiffness; ``"principal_1"`` to ``"principal_3"`` for a dielectric tensor,
        and for the electronic one ``"refractive_1"`` to ``"refractive_3"``,
        ``"refractive_mean"`` and ``"birefringence"``. NaN where there is none. A scalar
        has nothing.
    """
    if not row.rank:
        return {}
    found = {"norm": np.sqrt(np.square(components).sum(axis=-1))}
    if row.name == "elastic":
        matrices = _mandel(components, row.index_symmetry)
        found["margin"] = np.linalg.eigvalsh(matrices)[..., 0]
        values = moduli_of_mandel(matrices)
        names = Moduli.__dataclass_fields__
        found |= {name: values[..., place] for place, name in enumerate(names)}
    if row.name in {"dielectric", "dielectric-total"}:
        tensors = (components @ component_basis(row.index_symmetry)).reshape(-1, 3, 3)
        principal = np.linalg.eigvalsh(tensors)
        found |= {f"principal_{i + 1}": principal[:, i] for i in range(3)}
        if row.name == "dielectric":
            found |= _refractive(principal)
    return found


def propagate(
    components: "Floats", factor: "Floats", row: "TensorProperty"
) -> "dict[str, Floats]":
    r"""Carry covariances of tensors over to what follows from them, to first order.

    .. math:: \sigma_q^2 = \sum_j \left( \partial_{L_j} q \right)^2 ,
              \qquad \Sigma = L L^T

    Parameters
    ----------
    components : ndarray, shape (n, n_components)
        Irreducible components of the tensors.
    factor : ndarray, shape (n, n_components, n_columns)
        The factors L.
    row : TensorProperty
        Whose tensors they are.

    Returns
    -------
    dict
        Name, as `quantities` gives it, to standard deviations, shape (n,).
    """
    n, n_components, n_columns = factor.shape
    norms = np.linalg.norm(components, axis=1)
    sizes = np.linalg.norm(factor, axis=(1, 2))
    # A tensor that is zero, such as the Born charges of an element, has steps as well.
    there = (sizes > 0) & (norms > 0)
    steps = np.divide(_STEP * norms, sizes, out=np.full(n, _STEP), where=there)
    moves = steps[:, None, None] * factor.swapaxes(1, 2)
    moved = components[:, None, None] + np.stack([moves, -moves], axis=1)
    values = quantities(moved.reshape(-1, n_components), row)
    found = {}
    for name, flat in values.items():
        ends = flat.reshape(n, 2, n_columns)
        slopes = (ends[:, 0] - ends[:, 1]) / (2 * steps[:, None])
        found[name] = np.sqrt(np.square(slopes).sum(axis=1))
    return found


def _mandel(components: "Floats", index_symmetry: str) -> "Floats":
    """Write tensors of rank four as Kelvin-Mandel matrices."""
    basis = component_basis(index_symmetry).reshape(-1, 3, 3, 3, 3)
    matrices: Floats = np.tensordot(components, to_mandel(basis, 4), axes=1)
    return matrices


def _refractive(principal: "NDArray[np.floating[Any]]") -> "dict[str, Floats]":
    """Refractive indices; NaN where a principal value is negative."""
    indices = np.sqrt(np.where(principal >= 0, principal, np.nan))
    found = {f"refractive_{i + 1}": indices[:, i] for i in range(3)}
    found["refractive_mean"] = indices.mean(axis=1)
    found["birefringence"] = indices[:, 2] - indices[:, 0]
    return found
