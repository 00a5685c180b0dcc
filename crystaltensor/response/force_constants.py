r"""Force constants and internal strain by central differences.

.. math:: \Phi_{\kappa a, \lambda b} = -\partial F_{\lambda b} / \partial u_{\kappa a},
          \qquad
          \Lambda_{\kappa a, jk} = \partial F_{\kappa a} / \partial \epsilon_{jk}

with the strain at fixed fractional coordinates [1]_. Both are those of the centre of the
Brillouin zone of the primitive cell, which is all that uniform fields and strains reach.

References
----------
.. [1] X. Wu, D. Vanderbilt and D. R. Hamann, Phys. Rev. B 72, 035105 (2005).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.response.directions import Direction, Reduction, images_of
from crystaltensor.response.potentials import Forces
from crystaltensor.symmetry.notation import from_mandel
from crystaltensor.symmetry.projection import project

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from crystaltensor.response.potentials import Potential
    from crystaltensor.symmetry.operations import Symmetry

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

STRAIN_PER_DISPLACEMENT = 1 / 3
"""Strain of a central difference for a displacement in Å: bonds change alike."""

_SMALL = 1e-9  # eV/Å²: less is no force constant


@dataclass(frozen=True, eq=False)
class ForceConstants:
    """Second derivatives of the energy of a primitive crystal.

    Parameters
    ----------
    phi : ndarray, shape (n_atoms, 3, n_atoms, 3)
        Force constants in eV/Å², symmetric; the acoustic sum rule holds.
    internal_strain : ndarray, shape (n_atoms, 3, 3, 3)
        Λ in eV/Å, symmetric in its last axes, summing to zero over the atoms.
    clamped : ndarray, shape (3, 3, 3, 3), or None
        Clamped-ion stiffness in eV/Å³, where stresses were asked for.
    forces : ndarray, shape (n_atoms, 3)
        In the crystal as it is, in eV/Å.
    stress : ndarray, shape (3, 3), or None
        In the crystal as it is, in eV/Å³, where it was asked for.
    n_calls, n_calls_unreduced : int
        Force calculations made, and what they would be without symmetry.
    sum_rule_error : float
        What the acoustic sum rule removed of `phi`, relative to its norm.
    """

    phi: "Floats"
    internal_strain: "Floats"
    clamped: "Floats | None"
    forces: "Floats"
    stress: "Floats | None"
    n_calls: int
    n_calls_unreduced: int
    sum_rule_error: float

    @property
    def residual_force(self) -> float:
        """Largest force on an atom in the crystal as it is, in eV/Å."""
        return float(np.linalg.norm(self.forces, axis=1).max())


def strained(crystal: Crystal, strain: "Floats") -> Crystal:
    """Deform a cell by a symmetric strain at fixed fractional coordinates."""
    return Crystal(crystal.cell @ (np.eye(3) + strain), crystal.frac, crystal.numbers)


def displaced(crystal: Crystal, atom: int, vector: "Floats") -> Crystal:
    """Move one atom by a Cartesian vector in Å."""
    frac = crystal.frac.copy()
    frac[atom] += np.linalg.solve(crystal.cell.T, vector)
    return Crystal(crystal.cell, frac, crystal.numbers)


def find_force_constants(
    symmetry: "Symmetry",
    potential: "Potential",
    *,
    elastic: bool = False,
    on_call: "Callable[[int, int], None] | None" = None,
) -> ForceConstants:
    """Differentiate the forces of a potential.

    Parameters
    ----------
    symmetry : Symmetry
        Of a primitive crystal, which it holds, as `primitive_symmetry` returns it.
    potential : Potential
        Whence the forces are.
    elastic : bool
        Whether stresses are wanted too, for the clamped-ion stiffness.
    on_call : callable, optional
        Told how many force calculations are done, and of how many.

    Returns
    -------
    ForceConstants
        Exactly as symmetric as the crystal.

    Raises
    ------
    PotentialError
        If the potential fails.
    """
    reduction = Reduction(symmetry)
    directions = [*reduction.displacements, *reduction.strains]
    steps = [(one, sign) for one in directions for sign in (1, -1)[: one.n_calls]]
    crystal, step = symmetry.crystal, potential.displacement
    deformed = [_deform(crystal, one, sign * step) for one, sign in steps]
    found: list[Forces] = []
    for each in potential.evaluate([crystal, *deformed], stress=elastic):
        found.append(each)
        if on_call is not None:
            on_call(len(found), len(deformed) + 1)
    base, *others = found
    pairs: dict[int, list[Forces]] = {}
    for (one, _), each in zip(steps, others, strict=True):
        pairs.setdefault(id(one), []).append(each)
    slopes = {
        id(one): _slope(one, pairs[id(one)], symmetry, step) for one in directions
    }
    raw = _force_constants(reduction, slopes)
    phi, size = _acoustic(raw), float(np.linalg.norm(raw))
    strain, clamped = _strain_response(reduction, slopes)
    return ForceConstants(
        phi=phi,
        internal_strain=strain - strain.mean(axis=0),
        clamped=clamped,
        forces=base.forces,
        stress=base.stress,
        n_calls=len(found),
        n_calls_unreduced=reduction.n_calls_unreduced,
        sum_rule_error=float(np.linalg.norm(raw - phi) / max(_SMALL, size)),
    )


def _deform(crystal: Crystal, direction: Direction, step: float) -> Crystal:
    """Move an atom by a step in Å, or strain the cell."""
    if direction.atom is None:
        return strained(crystal, direction.vector * step * STRAIN_PER_DISPLACEMENT)
    return displaced(crystal, direction.atom, direction.vector * step)


def _slope(
    direction: Direction, pair: list[Forces], symmetry: "Symmetry", step: float
) -> Forces:
    """Take the derivative of forces and stress along a direction."""
    forward = pair[0]
    if direction.opposite is None:
        backward = pair[1]
    else:
        turn = np.array([direction.opposite])
        stress = forward.stress
        if stress is not None:
            (rotation,) = symmetry.rotations[turn]
            stress = rotation @ stress @ rotation.T
        backward = Forces(_images(forward.forces, symmetry, turn)[0], stress)
    width = 2 * step * (STRAIN_PER_DISPLACEMENT if direction.atom is None else 1)
    stress = None
    if forward.stress is not None and backward.stress is not None:
        stress = (forward.stress - backward.stress) / width
    return Forces((forward.forces - backward.forces) / width, stress)


def _images(slopes: "Floats", symmetry: "Symmetry", operations: "Integers") -> "Floats":
    """Rotate and permute vectors of atoms by each operation, (n_operations, n, 3)."""
    turned = np.empty((len(operations), *slopes.shape))
    for row, operation in zip(turned, operations, strict=True):
        row[symmetry.permutations[operation]] = slopes @ symmetry.rotations[operation].T
    return turned


def _force_constants(reduction: Reduction, slopes: "dict[int, Forces]") -> "Floats":
    """Solve for the force constants of each orbit, and turn them to its atoms."""
    symmetry, n = reduction.symmetry, reduction.n_atoms
    phi = np.zeros((n, 3, n, 3))
    if n == 1:
        return phi
    for atom in reduction.representatives:
        operations = reduction.site_operations(atom)
        rotations = symmetry.rotations[operations]
        mine = [one for one in reduction.displacements if one.atom == atom]
        moves = np.concatenate([images_of(one.vector, rotations) for one in mine])
        answers = np.concatenate(
            [_images(slopes[id(one)].forces, symmetry, operations) for one in mine]
        )
        block = _solve(moves, answers)  # (3, n, 3)
        targets = symmetry.permutations[:, atom]
        for rotation, images, target in zip(
            symmetry.rotations, symmetry.permutations, targets, strict=True
        ):
            turned = np.einsum("ab,bnc,dc->and", rotation, block, rotation)
            phi[target][:, images] -= turned / np.count_nonzero(targets == target)
    return (phi + phi.transpose(2, 3, 0, 1)) / 2


def _strain_response(
    reduction: Reduction, slopes: "dict[int, Forces]"
) -> "tuple[Floats, Floats | None]":
    """Solve for the internal strain and the clamped-ion stiffness."""
    symmetry = reduction.symmetry
    operations = np.arange(symmetry.n_ops)
    strains = np.concatenate(
        [images_of(one.vector, symmetry.rotations) for one in reduction.strains]
    )
    forces = np.concatenate(
        [
            _images(slopes[id(one)].forces, symmetry, operations)
            for one in reduction.strains
        ]
    )
    internal = from_mandel(np.moveaxis(_solve(strains, forces), 0, -1), 2)
    stresses = [slopes[id(one)].stress for one in reduction.strains]
    tensions = [
        images_of(stress, symmetry.rotations)
        for stress in stresses
        if stress is not None
    ]
    if not tensions:
        return internal, None
    stiffness = _solve(strains, np.concatenate(tensions))  # Kelvin-Mandel, (6, 6)
    full = from_mandel((stiffness + stiffness.T) / 2, 4)
    return internal, project(full, symmetry.rotations, rank=4)


def _solve(directions: "Floats", answers: "Floats") -> "Floats":
    """Find the linear map from directions (m, d) to answers (m, ...): (d, ...)."""
    flat = np.linalg.lstsq(directions, answers.reshape(len(answers), -1), rcond=None)[0]
    return np.asarray(flat, np.float64).reshape(-1, *answers.shape[1:])


def _acoustic(phi: "Floats") -> "Floats":
    """Remove what a rigid translation would feel, from both sides."""
    once = phi - phi.mean(axis=0, keepdims=True)
    result: Floats = once - once.mean(axis=2, keepdims=True)
    return result
