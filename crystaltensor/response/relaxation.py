r"""Move the atoms to where a potential exerts no force on them, the cell kept.

Newton's steps with the force constants of the start,

.. math:: u = \sum_m v_m \, (v_m \cdot F) / \max(|\lambda_m|, \lambda_0) ,

go downhill along unstable modes too and keep the symmetry: the forces have it exactly.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.errors import PotentialError
from crystaltensor.response.modes import Modes
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.symmetry.sites import project_site_tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crystaltensor.response.potentials import Potential
    from crystaltensor.symmetry.operations import Symmetry

    Floats = NDArray[np.float64]

FORCE_TOLERANCE = 0.01
"""Largest force on an atom of a relaxed crystal, in eV/Å."""

_STIFFEST_SOFT = 2.0  # eV/Å²: λ₀, so that a soft mode takes no leap
_LONGEST_STEP = 0.1  # Å
_FINE = 1e-4  # Å


@dataclass(frozen=True, eq=False)
class Relaxation:
    """A relaxed crystal.

    Parameters
    ----------
    symmetry : Symmetry
        Of the crystal where it came to rest, which it holds.
    largest_move : float
        Of an atom, in Å.
    n_calls : int
        Force calculations made.
    """

    symmetry: "Symmetry"
    largest_move: float
    n_calls: int


def relax(
    symmetry: "Symmetry", potential: "Potential", phi: "Floats", *, most: int = 50
) -> Relaxation:
    """Relax the atoms of a primitive crystal within its space group.

    Parameters
    ----------
    symmetry : Symmetry
        Of the primitive crystal.
    potential : Potential
        Whence the forces are.
    phi : ndarray, shape (n_atoms, 3, n_atoms, 3)
        Force constants at the start, in eV/Å².
    most : int
        Steps at most.

    Returns
    -------
    Relaxation
        No force is larger than `FORCE_TOLERANCE`.

    Raises
    ------
    PotentialError
        If the forces do not vanish within `most` steps.
    """
    modes = Modes.of(phi)
    weights = 1 / np.maximum(np.abs(modes.stiffness), _STIFFEST_SOFT)
    start = current = symmetry.crystal
    back = np.linalg.inv(start.cell)
    for n_calls in range(1, most + 1):
        (found,) = potential.evaluate([current])
        forces = project_site_tensors(found.forces, symmetry, sum_rule=True)
        if np.linalg.norm(forces, axis=1).max() < FORCE_TOLERANCE:
            moved = (current.frac - start.frac) @ start.cell
            return Relaxation(
                find_symmetry(current, symprec=_FINE),
                float(np.linalg.norm(moved, axis=1).max()),
                n_calls,
            )
        along = np.einsum("mna,na->m", modes.vectors, forces) * weights
        step = np.einsum("m,mna->na", along, modes.vectors)
        longest = np.linalg.norm(step, axis=1).max()
        step *= min(1.0, _LONGEST_STEP / longest)
        current = Crystal(start.cell, current.frac + step @ back, start.numbers)
    raise PotentialError(
        f"{start.formula}: {potential.name} leaves a force of "
        f"{np.linalg.norm(forces, axis=1).max():.2g} eV/Å after {most} steps; start "
        "from a structure that is closer to a minimum, or leave out --relax"
    )
