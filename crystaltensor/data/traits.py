"""What of a crystal is compared with others."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crystaltensor.data.graphs import CrystalGraph

    Floats = NDArray[np.float64]

_SHELL = 1.2  # neighbours up to this many times the nearest distance are one shell


@dataclass(frozen=True)
class Traits:
    """What is compared of a crystal; the same for every cell of it, in any frame.

    Parameters
    ----------
    numbers : ndarray of int, shape (n_atoms,)
        Atomic numbers.
    volume : float
        Per atom, in Å³.
    distance : float
        Mean over the atoms of the distance to the nearest neighbour, in Å.
    coordination : float
        Mean number of neighbours within about 1.2 times that distance.
    atoms : int
        In the primitive cell.
    point_group : str
        Symbol of the crystal class; empty if unknown.
    """

    numbers: "NDArray[np.int64]" = field(repr=False)
    volume: float
    distance: float
    coordination: float
    atoms: int
    point_group: str

    @classmethod
    def of(cls, graph: "CrystalGraph", *, atoms: int, point_group: str) -> "Traits":
        """Read them off a graph.

        Parameters
        ----------
        graph : CrystalGraph
            Of any cell of the crystal.
        atoms : int
            In the primitive cell.
        point_group : str
            Symbol of the crystal class.

        Returns
        -------
        Traits
            Of the crystal.
        """
        lengths = np.sqrt(np.square(graph.vectors).sum(axis=1))
        starts = np.flatnonzero(np.diff(graph.targets, prepend=-1))
        if not len(starts):  # atoms too far apart to see each other
            reach = float(graph.volume) ** (1 / 3)
            nearest, shell = np.array([reach]), np.zeros(1)
        else:
            nearest = np.minimum.reduceat(lengths, starts)
            per_edge = np.repeat(nearest, np.diff([*starts, len(lengths)]))
            # Continuous, so that noise in the positions does not jump to the features.
            shares = np.clip((_SHELL + 0.1 - lengths / per_edge) / 0.2, 0, 1)
            shell = np.add.reduceat(shares, starts)
        return cls(
            graph.numbers,
            graph.volume / len(graph.numbers),
            float(nearest.mean()),
            float(shell.mean()),
            atoms,
            point_group,
        )

    @property
    def structure(self) -> "Floats":
        """Return what is compared of the structure, shape (3,)."""
        return np.array([np.log(self.volume), np.log(self.distance), self.coordination])
