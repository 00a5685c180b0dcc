"""Several prepared data sets as one: a crystal that is in more of them counts once."""

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.data.graphs import CrystalGraph
from crystaltensor.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from crystaltensor.data.prepared import PreparedData

    Projectors = Mapping[tuple[int, bool], NDArray[np.float64]]


@dataclass(frozen=True)
class Pool:
    """The crystals of several data sets.

    Parameters
    ----------
    graphs : list of CrystalGraph
        One per crystal, each with the projectors of all data sets.
    splits : ndarray of str
        One per crystal.
    rows : list of ndarray of int
        For each data set and each crystal of the pool the place of that crystal in the
        data set; -1 where it does not hold it.
    """

    graphs: list[CrystalGraph]
    splits: "NDArray[np.str_]"
    rows: "list[NDArray[np.int64]]"

    def part(self, split: str) -> "NDArray[np.int64]":
        """Return the indices of the crystals of one split."""
        return np.flatnonzero(self.splits == split)


def join_data(many: "Sequence[PreparedData]") -> Pool:
    """Join data sets; crystals with equal graphs are one.

    Parameters
    ----------
    many : sequence of PreparedData
        One or more, of networks that see the same neighbourhood.

    Returns
    -------
    Pool
        The crystals of the first in their order, then those that others add.

    Raises
    ------
    DataError
        If a crystal is in different splits of two data sets: what is learnt from one
        would be measured by the other.
    """
    if len(many) == 1:
        (only,) = many
        return Pool(only.graphs, only.splits, [np.arange(len(only.graphs))])
    common = set.intersection(*(set(data.graphs[0].projectors) for data in many))
    places: dict[bytes, int] = {}
    found: list[dict[int, int]] = []
    for number, data in enumerate(many):
        for index, graph in enumerate(data.graphs):
            place = places.setdefault(_digest(graph, common), len(found))
            if place == len(found):
                found.append({})
            found[place].setdefault(number, index)
    rows = np.array([[each.get(n, -1) for n in range(len(many))] for each in found])
    splits = np.array([_split(each, many) for each in found])
    sizes = _sizes(many)
    graphs = [_joined(each, many, sizes) for each in found]
    return Pool(graphs, splits, list(rows.T))


def _digest(graph: CrystalGraph, kinds: set[tuple[int, bool]]) -> bytes:
    """Hash what a network sees of a crystal."""
    digest = hashlib.sha256(graph.numbers.tobytes())
    digest.update(np.float64(graph.volume).tobytes())
    digest.update(np.ascontiguousarray(graph.vectors).tobytes())
    for kind in sorted(kinds):
        digest.update(graph.projectors[kind].round(6).tobytes())
    return digest.digest()


def _split(found: dict[int, int], many: "Sequence[PreparedData]") -> str:
    """Give the one split of a crystal."""
    splits = {str(many[number].splits[index]) for number, index in found.items()}
    if len(splits) > 1:
        number, index = next(iter(found.items()))
        raise DataError(
            f"{many[number].names[index]} is in the splits {' and '.join(sorted(splits))} "
            "of data sets that are learnt together; draw the splits of both with one seed"
        )
    return splits.pop()


def _sizes(many: "Sequence[PreparedData]") -> dict[tuple[int, bool], int]:
    """Collect the kinds of projectors and their sizes."""
    return {
        kind: len(matrix)
        for data in many
        for kind, matrix in data.graphs[0].projectors.items()
    }


def _joined(
    found: dict[int, int],
    many: "Sequence[PreparedData]",
    sizes: dict[tuple[int, bool], int],
) -> CrystalGraph:
    """Give a graph all projectors; those that none of its labels needs do nothing."""
    graphs = [many[number].graphs[index] for number, index in found.items()]
    projectors = {kind: np.eye(size) for kind, size in sizes.items()}
    for graph in graphs:
        projectors.update(graph.projectors)
    return replace(graphs[0], projectors=projectors)
