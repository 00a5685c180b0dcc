"""Tensors as lists of irreducible components, in which a rotation moves few at a time."""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.symmetry.irreps import tensor_irreps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


@lru_cache
def component_basis(index_symmetry: str) -> "Floats":
    """Give the orthonormal basis of the irreducible components.

    Parameters
    ----------
    index_symmetry : str
        Such as ``"ijk=ikj"``; empty for a scalar.

    Returns
    -------
    ndarray, shape (n_components, 3**rank)
        One flattened tensor for each component; read only.
    """
    if not index_symmetry:
        basis = np.ones((1, 1))
    else:
        irreps = tensor_irreps(index_symmetry)
        basis = irreps.basis.reshape(len(irreps.basis), -1).copy()
    basis.setflags(write=False)
    return basis


def to_components(tensors: "ArrayLike", index_symmetry: str) -> "Floats":
    """Write tensors (..., 3, ..., 3) as components, shape (..., n_components).

    Norms and scalar products are kept if the tensors have the index symmetry.
    """
    given = np.asarray(tensors, dtype=np.float64)
    basis = component_basis(index_symmetry)
    rank = len(index_symmetry.split("=", maxsplit=1)[0])
    lead = given.shape[: given.ndim - rank]
    found: Floats = given.reshape(*lead, 3**rank) @ basis.T
    return found


def from_components(components: "Floats", index_symmetry: str) -> "Floats":
    """Write components, shape (..., n_components), as tensors (..., 3, ..., 3)."""
    rank = len(index_symmetry.split("=", maxsplit=1)[0])
    flat = components @ component_basis(index_symmetry)
    tensors: Floats = flat.reshape(*components.shape[:-1], *(3,) * rank)
    return tensors


def component_blocks(index_symmetry: str) -> "list[NDArray[np.int64]]":
    """Group the components by irreducible representation.

    Parameters
    ----------
    index_symmetry : str
        Such as ``"ijk=ikj"``; empty for a scalar.

    Returns
    -------
    list of ndarray of int, shape (n_copies, 2 * degree + 1)
        Places of the components; the copies of one kind transform alike.
    """
    found: dict[tuple[int, bool], list[NDArray[np.int64]]] = {}
    start = 0
    for kind in _kinds(index_symmetry):
        size = 2 * kind[0] + 1
        found.setdefault(kind, []).append(np.arange(start, start + size))
        start += size
    return [np.stack(places) for places in found.values()]


def allowed_components(
    projectors: "Mapping[tuple[int, bool], Floats]", index_symmetry: str
) -> "Floats":
    """Put the projectors of the kinds together to one of all components.

    Parameters
    ----------
    projectors : mapping
        ``(degree, pseudo)`` to a matrix, from `irrep_projectors`.
    index_symmetry : str
        Such as ``"ijk=ikj"``; empty for a scalar, which everything allows.

    Returns
    -------
    ndarray, shape (n_components, n_components)
        Symmetric and idempotent.
    """
    kinds = _kinds(index_symmetry)
    n_components = sum(2 * degree + 1 for degree, _ in kinds)
    whole = np.zeros((n_components, n_components))
    start = 0
    for kind in kinds:
        part = slice(start, start + 2 * kind[0] + 1)
        whole[part, part] = projectors[kind] if index_symmetry else 1.0
        start = part.stop
    return whole


def _kinds(index_symmetry: str) -> list[tuple[int, bool]]:
    """List degree and parity of each part, in the order of the components."""
    if not index_symmetry:
        return [(0, False)]
    irreps = tensor_irreps(index_symmetry)
    return list(zip(irreps.degrees, irreps.pseudo, strict=True))
