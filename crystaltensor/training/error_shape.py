r"""How the error of a predicted tensor spreads over its components.

The covariance of an error of size one is a mixture of two, both of which turn with the
crystal and are confined to what its symmetry allows:

.. math:: \Sigma = w \frac{S}{\operatorname{tr} S}
    + (1 - w) \frac{P D P}{\operatorname{tr} P D}

S is the covariance of the members of the ensemble, of low rank; P projects on the allowed
components; D is the same for all crystals and invariant under rotations, so that it holds
one small matrix for each kind of irreducible component.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.symmetry.coordinates import component_blocks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_STEPS = 30  # of the iteration, which converges linearly
_RIDGE = (
    0.05  # share of an isotropic matrix in each block: few crystals show some kinds
)
_WEIGHTS = (0.0, 0.15, 0.3, 0.45, 0.6)  # of the ensemble's own covariance
_NONE = 1e-10  # an eigenvalue of a projector below this is zero


@dataclass(frozen=True, eq=False)
class ErrorShape:
    """The directions that an error prefers.

    Parameters
    ----------
    index_symmetry : str
        Of the tensors.
    blocks : tuple of ndarray, shape (n_copies, n_copies)
        One for each kind of irreducible component, as `component_blocks` orders them.
    weight : float
        Of the covariance of the ensemble, from 0 to 1.
    """

    index_symmetry: str
    blocks: "tuple[Floats, ...]" = field(repr=False)
    weight: float

    @classmethod
    def fit(
        cls, index_symmetry: str, errors: "Floats", allowed: "Floats"
    ) -> "ErrorShape":
        r"""Estimate D from the directions of errors; their sizes do not count.

        The blocks solve the equation of Tyler's estimator [1]_, restricted to matrices
        that rotations leave alone.

        Parameters
        ----------
        index_symmetry : str
            Of the tensors.
        errors : ndarray, shape (n, n_components)
            In irreducible components.
        allowed : ndarray, shape (n, n_components, n_components)
            Projectors on what the symmetries allow.

        Returns
        -------
        ErrorShape
            The estimate, without the ensemble.

        References
        ----------
        .. [1] D. E. Tyler, Ann. Statist. 15, 234 (1987).
        """
        seen = np.linalg.norm(errors, axis=1) > 0
        places = component_blocks(index_symmetry)
        return cls(index_symmetry, _tyler(places, errors[seen], allowed[seen]), 0.0)

    def adapt(
        self, errors: "Floats", allowed: "Floats", spreads: "Floats | None"
    ) -> "ErrorShape":
        """Choose the weight of the ensemble by errors of its own.

        It maximises the likelihood of the directions under the angular Gaussian
        distribution that it belongs to.

        Parameters
        ----------
        errors, allowed
            As in `fit`.
        spreads : ndarray, shape (n, n_components, n_components), or None
            Covariances of the ensemble; None if it has one member.

        Returns
        -------
        ErrorShape
            With the same D.
        """
        seen = np.linalg.norm(errors, axis=1) > 0
        if spreads is None or not seen.any() or errors.shape[1] == 1:
            return self
        tried = [replace(self, weight=weight) for weight in _WEIGHTS]
        merits = [
            _likelihood(
                errors[seen],
                allowed[seen],
                each.covariance(allowed[seen], spreads[seen]),
            )
            for each in tried
        ]
        return tried[int(np.argmax(merits))]

    @cached_property
    def invariant(self) -> "Floats":
        """The matrix D, shape (n_components, n_components)."""
        places = component_blocks(self.index_symmetry)
        n_components = sum(part.size for part in places)
        whole = np.zeros((n_components, n_components))
        for block, part in zip(self.blocks, places, strict=True):
            for row, left in zip(block, part, strict=True):
                for value, right in zip(row, part, strict=True):
                    whole[left, right] = value
        return whole

    def covariance(self, allowed: "Floats", spread: "Floats | None") -> "Floats":
        """Give covariances of trace one, shape (..., n_components, n_components).

        Parameters
        ----------
        allowed : ndarray, shape (..., n_components, n_components)
            Projectors on what the symmetries allow.
        spread : ndarray, shape (..., n_components, n_components), or None
            Covariances of the ensemble; None if it has one member.

        Returns
        -------
        ndarray, shape (..., n_components, n_components)
            Zero where nothing is allowed.
        """
        general = _trace_one(self.invariant @ allowed)  # they commute
        if spread is None or self.weight == 0:
            return general
        own = _trace_one(spread)
        has_one = np.trace(own, axis1=-2, axis2=-1)[..., None, None] > 0
        mixed: Floats = self.weight * own + (1 - self.weight) * general
        return np.where(has_one, mixed, general)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "weight": self.weight,
            "blocks": [block.tolist() for block in self.blocks],
        }

    @classmethod
    def restore(cls, index_symmetry: str, plain: "Mapping[str, Any]") -> "ErrorShape":
        """Make it from the index symmetry and what `as_dict` gave."""
        blocks = tuple(np.array(block, dtype=np.float64) for block in plain["blocks"])
        return cls(index_symmetry, blocks, float(plain["weight"]))


def _trace_one(matrices: "Floats") -> "Floats":
    """Divide matrices by their traces; those without any stay zero."""
    traces = np.trace(matrices, axis1=-2, axis2=-1)[..., None, None]
    scaled: Floats = np.zeros_like(matrices)
    np.divide(matrices, traces, out=scaled, where=traces > 0)
    return scaled


def _tyler(
    places: "list[NDArray[np.int64]]", errors: "Floats", allowed: "Floats"
) -> "tuple[Floats, ...]":
    """Iterate to the matrices that rotations leave alone and the directions suggest."""
    dimensions = [
        np.einsum("nii->n", allowed[:, part[0][:, None], part[0]]) for part in places
    ]
    total = sum(len(part) * size for part, size in zip(places, dimensions, strict=True))
    products = [
        np.einsum("num,nvm->nuv", errors[:, part], errors[:, part]) for part in places
    ]
    blocks = [np.eye(len(part)) for part in places]
    for _ in range(_STEPS):
        lengths = sum(
            np.einsum("uv,nvu->n", np.linalg.inv(block), product)
            for block, product in zip(blocks, products, strict=True)
        )
        shares = total / np.maximum(lengths, 1e-300)
        blocks = [
            _ridged(np.einsum("n,nuv->uv", shares, product) / max(size.sum(), 1.0))
            for product, size in zip(products, dimensions, strict=True)
        ]
        scale = np.mean([np.trace(block) / len(block) for block in blocks])
        blocks = [
            block / scale if scale > 0 else np.eye(len(block)) for block in blocks
        ]
    # A kind that no crystal shows is taken to be like the others.
    return tuple(
        block if size.sum() > 0 else np.eye(len(block))
        for block, size in zip(blocks, dimensions, strict=True)
    )


def _ridged(block: "Floats") -> "Floats":
    """Keep a block away from a singular one."""
    isotropic = max(float(np.trace(block)) / len(block), 1e-6) * np.eye(len(block))
    ridged: Floats = (1 - _RIDGE) * block + _RIDGE * isotropic
    return ridged


def _likelihood(errors: "Floats", allowed: "Floats", covariances: "Floats") -> float:
    """Sum the logarithms of the angular Gaussian densities of directions."""
    total = 0.0
    for error, projector, covariance in zip(errors, allowed, covariances, strict=True):
        values, vectors = np.linalg.eigh(projector)
        basis = vectors[:, values > 0.5]
        inside = basis.T @ covariance @ basis
        along = basis.T @ error
        sizes, axes = np.linalg.eigh(inside)
        kept = sizes > _NONE * max(sizes.max(initial=0.0), _NONE)
        lengths = np.square(axes[:, kept].T @ along) / sizes[kept]
        total -= 0.5 * np.log(sizes[kept]).sum()
        total -= 0.5 * kept.sum() * np.log(max(lengths.sum(), 1e-300))
    return float(total)
