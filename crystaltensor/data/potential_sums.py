"""Sums of pair potentials over all images, as networks for scalars see them."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from crystaltensor.data.graphs import available_memory, neighbours
from crystaltensor.errors import ResourceError
from crystaltensor.lattice.kernels import Shell, as_number
from crystaltensor.lattice.potentials import parse_potential
from crystaltensor.lattice.sums import lattice_sums

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from crystaltensor.crystals.crystal import Crystal
    from crystaltensor.lattice.potentials import Potential
    from crystaltensor.nn.batch import Neighbourhood

    Floats = NDArray[np.float64]

TOLERANCE = 1e-7
"""Largest error of a sum; the networks have 32 bits."""

_BATCH = 128
_BYTES_PER_ENTRY = 64


def potential_sums(
    crystals: "Sequence[Crystal]", around: "Neighbourhood"
) -> "Iterator[Floats]":
    """Sum potentials over the images of all pairs of atoms.

    Parameters
    ----------
    crystals : sequence of Crystal
        Any cells; many at once are faster than one by one.
    around : Neighbourhood
        With the potentials, and the reach of the sums.

    Yields
    ------
    ndarray, shape (n_potentials, n_atoms, n_atoms)
        S(a, b) for each crystal in turn, in the unit of each potential, in float64.

    Raises
    ------
    ResourceError
        If the sums of a crystal do not fit into the memory.
    """
    potentials = [parse_potential(name) for name in around.potentials]
    for crystal in crystals:
        refuse_too_many(crystal, around)
    for first in range(0, len(crystals), _BATCH):
        batch = crystals[first : first + _BATCH]
        if around.reach is not None:
            for crystal in batch:
                yield _truncated(crystal, potentials, around.reach)
            continue
        cells = torch.from_numpy(np.stack([each.cell for each in batch]))
        positions = [torch.from_numpy(each.frac @ each.cell) for each in batch]
        for matrices in lattice_sums(cells, positions, potentials, TOLERANCE).matrices:
            yield matrices.numpy()


def refuse_too_many(crystal: "Crystal", around: "Neighbourhood") -> None:
    """Refuse a crystal whose sums would not fit into memory, before they are made.

    Parameters
    ----------
    crystal : Crystal
        Any cell.
    around : Neighbourhood
        With the potentials.

    Raises
    ------
    ResourceError
        With the memory that is needed and that is there.
    """
    n_entries = len(around.potentials) * crystal.n_atoms**2
    needed, there = n_entries * _BYTES_PER_ENTRY, available_memory()
    if needed > there:
        raise ResourceError(
            f"{crystal.n_atoms} atoms need {needed / 2**30:.1f} GiB for the sums of all "
            f"pairs, and {there / 2**30:.1f} GiB are free; use a smaller cell of the "
            "same crystal"
        )


def _truncated(
    crystal: "Crystal", potentials: "list[Potential]", reach: float
) -> "Floats":
    """Sum over the images within a radius only."""
    targets, sources, vectors = neighbours(crystal, reach)
    n_atoms = crystal.n_atoms
    shell = Shell(torch.from_numpy(np.square(vectors).sum(axis=1)))
    sums = []
    for potential in potentials:
        values = np.zeros(len(targets))
        own = 0.0
        for weight, kernel in potential.terms():
            values += as_number(weight) * kernel.bare(shell, 1.0).numpy()
            own += 0.0 if kernel.singular else as_number(weight)
        places = targets * n_atoms + sources
        flat = np.bincount(places, weights=values, minlength=n_atoms**2)
        sums.append(flat.reshape(n_atoms, n_atoms) + own * np.eye(n_atoms))
    return np.stack(sums)
