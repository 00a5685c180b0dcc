"""Signs that a crystal is a metal, for which some tensors are not defined."""

from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.crystals.crystal import atomic_number

if TYPE_CHECKING:
    from crystaltensor.crystals.crystal import Crystal
    from crystaltensor.properties import TensorProperty
    from crystaltensor.symmetry.operations import Symmetry

INSULATORS_ONLY = {"dielectric", "dielectric-total", "piezo", "born-charges"}
"""Properties that free carriers screen away."""

NOT_METALLIC = frozenset(
    map(
        atomic_number,
        "H He B C N O F Ne Si P S Cl Ar Ge As Se Br Kr Sb Te I Xe At Rn".split(),
    )
)
"""Atomic numbers of nonmetals and metalloids."""

SMALL_GAP = 0.3
"""A predicted gap below this, in eV, may be none: half of the typical error."""

_MOST_ATOMS = (
    50  # in larger cells the sums of the model take longer than a hint is worth
)


def metal_signs(symmetry: "Symmetry", row: "TensorProperty") -> list[str]:
    """Say why a crystal may be a metal, if that matters for a property.

    Parameters
    ----------
    symmetry : Symmetry
        Of the crystal, which it holds.
    row : TensorProperty
        What is predicted.

    Returns
    -------
    list of str
        At most one sentence. A band holds two electrons for each primitive cell, so
        that an odd number of them leaves one half full, unless spins order.
    """
    if row.name not in INSULATORS_ONLY:
        return []
    signs = []
    numbers = symmetry.crystal.numbers
    if not NOT_METALLIC & set(numbers.tolist()):
        signs.append("it holds metals only")
    # One primitive cell of all that the cell holds.
    n_copies = round(len(numbers) / symmetry.n_primitive)
    if int(np.sum(numbers)) // n_copies % 2:
        signs.append(
            "its primitive cell has an odd number of electrons, which without magnetic "
            "order leaves a band half full"
        )
    if not signs:
        return []
    return [
        (
            f"this may be a metal, for which the {row.title} would not be defined: "
            f"{', and '.join(signs)}"
        )
    ]


def gap_is_worth_asking(crystal: "Crystal") -> bool:
    """Say whether a cell is small enough for the model of band gaps to give a hint."""
    return crystal.n_atoms <= _MOST_ATOMS


def gap_signs(gap: float) -> list[str]:
    """Say what a predicted band gap, in eV, means for a property of insulators.

    Parameters
    ----------
    gap : float
        From the model for band gaps.

    Returns
    -------
    list of str
        At most one sentence.
    """
    if gap >= SMALL_GAP:
        return []
    return [
        (
            f"this may be a metal: the model for band gaps, which has seen none, gives "
            f"{gap:.2g} eV"
        )
    ]
