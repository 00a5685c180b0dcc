r"""Which displacements and strains suffice, by the symmetry of a crystal.

The forces after a displacement :math:`R^g u` are those after :math:`u`, rotated and
permuted. One displacement thus stands for its images under the group of its site, and a
strain for its images under the point group; the fewest whose images span all of space
are chosen. A direction whose opposite is an image of itself needs one calculation
instead of the two of a central difference.
"""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.symmetry.notation import to_mandel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crystaltensor.symmetry.operations import Symmetry

    Floats = NDArray[np.float64]

_SAME = 1e-6  # two unit directions closer than this are one
_SPREAD = 0.15  # smallest singular value of the images of chosen unit directions


@dataclass(frozen=True, eq=False)
class Direction:
    """A displacement of one atom, or a strain.

    Parameters
    ----------
    vector : ndarray, shape (3,) or (3, 3)
        Of unit length: Cartesian displacement of `atom`, or a symmetric strain.
    atom : int or None
        Which atom is displaced; None for a strain.
    opposite : int or None
        An operation that turns it round; None if there is none.
    """

    vector: "Floats"
    atom: int | None = None
    opposite: int | None = None

    @property
    def n_calls(self) -> int:
        """Number of force calculations of a central difference."""
        return 2 if self.opposite is None else 1


@dataclass(frozen=True, eq=False)
class Reduction:
    """Displacements and strains that determine all others.

    Parameters
    ----------
    symmetry : Symmetry
        Of a primitive crystal.
    """

    symmetry: "Symmetry" = field(repr=False)

    @property
    def n_atoms(self) -> int:
        """Atoms of the primitive cell."""
        return self.symmetry.crystal.n_atoms

    @cached_property
    def representatives(self) -> "list[int]":
        """The first atom of each orbit."""
        return [int(one) for one in np.unique(self.symmetry.permutations.min(axis=0))]

    def site_operations(self, atom: int) -> "NDArray[np.int64]":
        """Operations that leave an atom where it is."""
        return np.flatnonzero(self.symmetry.permutations[:, atom] == atom)

    @cached_property
    def displacements(self) -> list[Direction]:
        """Displacements, in Cartesian directions of length 1; none of a single atom."""
        if self.n_atoms == 1:
            return []  # it would be a translation
        combined = np.array(list(product((0, 1, -1), repeat=3))[1:])
        combined = np.vstack([combined @ self.symmetry.crystal.cell, np.eye(3)])
        candidates = list(combined / np.linalg.norm(combined, axis=1)[:, None])
        found = []
        for atom in self.representatives:
            operations = self.site_operations(atom)
            rotations = self.symmetry.rotations[operations]
            for vector in _spanning(candidates, rotations):
                back = _opposite(vector, rotations)
                opposite = None if back is None else int(operations[back])
                found.append(Direction(vector, atom, opposite))
        return found

    @cached_property
    def strains(self) -> list[Direction]:
        """Symmetric strains of Frobenius norm 1."""
        axes = self.symmetry.std_rotation
        units = [
            (np.outer(axes[i], axes[j]) + np.outer(axes[j], axes[i]))
            / (2 if i == j else np.sqrt(2))
            for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
        ]
        candidates = [
            sum(chosen) / np.sqrt(size)
            for size in (1, 2, 3)
            for chosen in combinations(units, size)
        ]
        return [
            Direction(vector, opposite=_opposite(vector, self.symmetry.rotations))
            for vector in _spanning(candidates, self.symmetry.rotations)
        ]

    @property
    def n_calls(self) -> int:
        """Number of force calculations with this reduction."""
        return sum(one.n_calls for one in (*self.displacements, *self.strains))

    @property
    def n_calls_unreduced(self) -> int:
        """Number of force calculations without symmetry: 6 n + 12 as given."""
        return 6 * self.n_atoms + 12


def images_of(vector: "Floats", rotations: "Floats") -> "Floats":
    """Images of a displacement or a strain in orthonormal components, (n_ops, 3 or 6)."""
    if vector.ndim == 1:
        return np.asarray(rotations @ vector)
    return to_mandel(rotations @ vector @ rotations.swapaxes(1, 2), 2)


def _opposite(vector: "Floats", rotations: "Floats") -> int | None:
    """Find an operation that turns a direction round."""
    images = images_of(vector, rotations)
    back = np.flatnonzero(np.abs(images + images[0]).max(axis=1) < _SAME)
    return int(back[0]) if back.size else None


def _spanning(candidates: "list[Floats]", rotations: "Floats") -> "list[Floats]":
    """Choose directions whose images span the space, with few calculations."""
    images = [images_of(one, rotations) for one in candidates]
    costs = [2 if _opposite(one, rotations) is None else 1 for one in candidates]
    size = images[0].shape[1]
    span = np.zeros((0, size))
    chosen: list[Floats] = []
    while (rank := _rank(span)) < size:
        gains = [
            (_rank(np.vstack([span, more])) - rank) / cost
            for more, cost in zip(images, costs, strict=True)
        ]
        best = int(np.argmax(gains))
        span = np.vstack([span, images[best]])
        chosen.append(candidates[best])
    return chosen


def _rank(vectors: "Floats") -> int:
    """Count the dimensions that unit vectors span well."""
    if len(vectors) == 0:
        return 0
    return int((np.linalg.svd(vectors, compute_uv=False) > _SPREAD).sum())
