"""From a crystal to what networks take: done once, whatever is predicted."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crystaltensor.crystals.crystal import SYMBOLS, Crystal
from crystaltensor.data.features import LAST_ELEMENT
from crystaltensor.data.graphs import refuse_too_large
from crystaltensor.data.potential_sums import refuse_too_many
from crystaltensor.data.prepared import build_graphs
from crystaltensor.errors import ElementError
from crystaltensor.symmetry.irreps import irrep_projectors
from crystaltensor.symmetry.operations import Symmetry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from crystaltensor.data.graphs import CrystalGraph
    from crystaltensor.nn.batch import Neighbourhood

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NetworkInput:
    """A crystal as networks take it.

    Parameters
    ----------
    symmetry : Symmetry
        Of the crystal, which it holds.
    graphs : mapping
        One graph for each neighbourhood.
    """

    symmetry: Symmetry
    graphs: "Mapping[Neighbourhood, CrystalGraph]"

    @property
    def n_atoms(self) -> int:
        """Count the atoms of the cell."""
        return self.symmetry.crystal.n_atoms

    @property
    def n_edges(self) -> int:
        """Count the edges of the largest graph."""
        return max(len(graph.targets) for graph in self.graphs.values())


@dataclass(frozen=True)
class Needs:
    """What networks must be told of a crystal; needs no network itself.

    Parameters
    ----------
    neighbourhoods : frozenset of Neighbourhood
        Which neighbours of an atom they see.
    index_symmetries : frozenset of str
        Of the tensors they predict.
    """

    neighbourhoods: "frozenset[Neighbourhood]"
    index_symmetries: frozenset[str]

    @classmethod
    def union(cls, many: "Iterable[Needs]") -> "Needs":
        """Join the needs of several networks."""
        parts = list(many)
        return cls(
            frozenset().union(*(part.neighbourhoods for part in parts)),
            frozenset().union(*(part.index_symmetries for part in parts)),
        )

    def refuse_unfit(self, crystal: Crystal) -> None:
        """Refuse a crystal that cannot be treated, before anything is computed.

        Parameters
        ----------
        crystal : Crystal
            Any crystal.

        Raises
        ------
        ElementError
            If it holds an element that no model knows.
        ResourceError
            If it is too large for the memory.
        """
        refuse_unknown_elements(crystal)
        for around in self.neighbourhoods:
            refuse_too_large(crystal, around.cutoff)
            refuse_too_many(crystal, around)

    def describe(self, symmetry: Symmetry) -> NetworkInput:
        """Describe a crystal to networks.

        Parameters
        ----------
        symmetry : Symmetry
            Of the crystal, which it holds.

        Returns
        -------
        NetworkInput
            It can be pickled.

        Raises
        ------
        ResourceError
            If there are more neighbours than a network can treat.
        """
        return self.describe_many([symmetry])[0]

    def describe_many(self, symmetries: "Sequence[Symmetry]") -> list[NetworkInput]:
        """Describe several crystals, whose sums of potentials are quicker together.

        Parameters
        ----------
        symmetries : sequence of Symmetry
            Of the crystals, which they hold.

        Returns
        -------
        list of NetworkInput
            In their order.

        Raises
        ------
        ResourceError
            If there are more neighbours than a network can treat.
        """
        irreps = [self._irreps(symmetry) for symmetry in symmetries]
        crystals = [symmetry.crystal for symmetry in symmetries]
        columns = {
            around: build_graphs(crystals, around, irreps)
            for around in self.neighbourhoods
        }
        return [
            NetworkInput(
                symmetry, {around: graphs[i] for around, graphs in columns.items()}
            )
            for i, symmetry in enumerate(symmetries)
        ]

    def _irreps(self, symmetry: Symmetry) -> "dict[tuple[int, bool], Floats]":
        """Give the projectors of all kinds of irreducible tensors."""
        return {
            kind: matrix
            for index_symmetry in sorted(self.index_symmetries - {""})
            for kind, matrix in irrep_projectors(
                symmetry.rotations, index_symmetry
            ).items()
        }


def refuse_unknown_elements(crystal: Crystal) -> None:
    """Refuse what no model can describe.

    Parameters
    ----------
    crystal : Crystal
        Any crystal.

    Raises
    ------
    ElementError
        If it holds an element beyond the last one that is described.
    """
    if crystal.numbers.max() > LAST_ELEMENT:
        symbol = SYMBOLS[int(crystal.numbers.max())]
        raise ElementError(
            f"{symbol} is beyond {SYMBOLS[LAST_ELEMENT]} (Z = {LAST_ELEMENT}), "
            "the last element the models describe"
        )
