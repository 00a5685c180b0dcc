"""Crystals as graphs, and graphs as batches."""

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from crystaltensor.errors import ResourceError
from crystaltensor.nn.batch import GraphBatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from crystaltensor.crystals.crystal import Crystal
    from crystaltensor.nn.batch import Neighbourhood

CHUNK = 2_000_000
"""Pairs of atoms looked at together when neighbours are searched (16 MB an array)."""

BYTES_PER_EDGE = 3072
"""What the networks need at the peak, measured and rounded up."""


FEWEST = 4
"""Rows below which a product of matrices is summed in another order by BLAS."""


@dataclass(frozen=True)
class CrystalGraph:
    """The neighbours of the atoms of one crystal.

    Parameters
    ----------
    numbers : ndarray of int, shape (n_atoms,)
        Atomic numbers.
    volume : float
        Of the cell, in Å³.
    targets, sources : ndarray of int, shape (n_edges,)
        Atoms at the two ends, ordered by target, then by source.
    vectors : ndarray, shape (n_edges, 3)
        From target to source, in Å.
    projectors : dict
        ``(degree, pseudo)`` to a matrix, shape (2 * degree + 1, 2 * degree + 1).
    sums : ndarray, shape (n_potentials, n_atoms, n_atoms), optional
        Sums of potentials over the images of each pair of atoms.
    """

    numbers: "NDArray[np.int64]"
    volume: float
    targets: "NDArray[np.int64]"
    sources: "NDArray[np.int64]"
    vectors: "NDArray[np.float64]"
    projectors: "Mapping[tuple[int, bool], NDArray[np.float64]]"
    sums: "NDArray[np.float64] | None" = None


def neighbours(
    crystal: "Crystal", cutoff: float
) -> tuple["NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.float64]"]:
    """Find all images of all atoms within a radius of each atom.

    Parameters
    ----------
    crystal : Crystal
        Any cell: skewed, left-handed, positions inside or outside.
    cutoff : float
        The radius, in Å.

    Returns
    -------
    targets, sources : ndarray of int, shape (n_edges,)
        Ordered by target, then by source; both directions of each bond are there.
    vectors : ndarray, shape (n_edges, 3)
        From target to source, in Å.

    Raises
    ------
    ResourceError
        If there are more neighbours than a network can treat.
    """
    cell, frac = crystal.cell, crystal.frac
    n_atoms = len(frac)
    refuse_too_large(crystal, cutoff)
    # Planes of equal fractional coordinate lie 1/|b| apart, b a column of the inverse;
    # differences of positions are first brought into [-1/2, 1/2].
    spacing = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    reach = np.floor(cutoff / spacing + 0.5 + 1e-9).astype(int)
    ranges = [np.arange(-r, r + 1) for r in reach]
    images = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    shifts = images @ cell
    rows = max(1, CHUNK // (n_atoms * len(shifts)))
    starts = range(0, n_atoms, rows)
    found = [
        _neighbours_of(
            np.arange(n_atoms)[first : first + rows], crystal, shifts, cutoff
        )
        for first in starts
    ]
    targets, sources, vectors = (
        np.concatenate(part) for part in zip(*found, strict=True)
    )
    return targets, sources, vectors


def refuse_too_large(crystal: "Crystal", cutoff: float) -> None:
    """Refuse a crystal whose graph would not fit into memory, before it is built.

    Parameters
    ----------
    crystal : Crystal
        Any cell.
    cutoff : float
        Radius of the graph, in Å.

    Raises
    ------
    ResourceError
        With the memory that is needed and that is there.
    """
    n_edges = crystal.n_atoms**2 / crystal.volume * 4.19 * cutoff**3
    needed, there = n_edges * BYTES_PER_EDGE, available_memory()
    if needed > there:
        raise ResourceError(
            f"{crystal.n_atoms} atoms with about {n_edges:.2g} neighbours within "
            f"{cutoff:g} Å need {needed / 2**30:.1f} GiB, and {there / 2**30:.1f} GiB are "
            "free; use a smaller cell of the same crystal, and check the unit of the "
            "lattice vectors (Å)"
        )


def available_memory() -> float:
    """Return the memory in bytes that can be had without swapping; 8 GiB if unknown."""
    return _memory_in(int(time.monotonic()))


@lru_cache(maxsize=1)
def _memory_in(second: int) -> float:  # noqa: ARG001 - a new one is looked at anew
    """Ask the system, which takes as long as finding neighbours, once a second."""
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return 1024.0 * int(line.split()[1])
    except OSError:
        pass
    return 8.0 * 2**30


def nearest_neighbours(
    crystal: "Crystal", n_nearest: int, *, start: float = 4.0, tolerance: float = 1e-4
) -> tuple["NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.float64]"]:
    """Find the nearest neighbours of each atom, shells of equal distance whole.

    Parameters
    ----------
    crystal : Crystal
        Any cell.
    n_nearest : int
        How many each atom has at least.
    start : float
        Radius of the first search, in Å.
    tolerance : float
        Distances that differ by less, in Å, are of one shell.

    Returns
    -------
    targets, sources, vectors
        As `neighbours` returns them; a bond that one of its atoms wants is in both
        directions.

    Raises
    ------
    ResourceError
        If there are more neighbours than a network can treat.
    """
    radius = start
    while True:
        targets, sources, vectors = neighbours(crystal, radius)
        counts = np.bincount(targets, minlength=crystal.n_atoms)
        if counts.min() >= n_nearest:
            break
        radius *= 1.5
    distances = np.linalg.norm(vectors, axis=1)
    ordered = distances[np.lexsort((distances, targets))]
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    reach = ordered[first + n_nearest - 1] + tolerance
    if reach.max() > radius:  # the last shell may go on beyond the search
        targets, sources, vectors = neighbours(crystal, radius + tolerance)
        distances = np.linalg.norm(vectors, axis=1)
    kept = distances <= np.maximum(reach[targets], reach[sources])
    return targets[kept], sources[kept], vectors[kept]


def _neighbours_of(
    atoms: "NDArray[np.int64]",
    crystal: "Crystal",
    shifts: "NDArray[np.float64]",
    cutoff: float,
) -> tuple["NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.float64]"]:
    """Find the neighbours of a few atoms."""
    frac, cell = crystal.frac, crystal.cell
    apart = frac[None, :, :] - frac[atoms, None, :]
    apart -= np.round(apart)
    nearest = apart @ cell  # (rows, n_atoms, 3)
    squares = np.square(nearest).sum(axis=-1)[..., None] + np.square(shifts).sum(axis=1)
    squares += 2 * (nearest @ shifts.T)  # (rows, n_atoms, n_images)
    near = squares < cutoff**2
    home = int(np.flatnonzero(~shifts.any(axis=1))[0])
    near[np.arange(len(atoms)), atoms, home] = False
    row, source, image = np.nonzero(near)
    return atoms[row], source, nearest[row, source] + shifts[image]


def build_graph(
    crystal: "Crystal",
    around: "Neighbourhood",
    projectors: "Mapping[tuple[int, bool], NDArray[np.float64]]",
    *,
    sums: "NDArray[np.float64] | None" = None,
) -> CrystalGraph:
    """Make the graph of a crystal.

    Parameters
    ----------
    crystal : Crystal
        Any cell.
    around : Neighbourhood
        Which neighbours there are.
    projectors : mapping
        Means over the point group of the matrices of the irreducible tensors that the
        network predicts.
    sums : ndarray, shape (n_potentials, n_atoms, n_atoms), optional
        From `potential_sums`, if there are potentials around.

    Returns
    -------
    CrystalGraph
        The same for every cell of the crystal, up to the number of its atoms.

    Raises
    ------
    ResourceError
        If there are more neighbours than a network can treat.
    """
    if around.n_nearest is None:
        found = neighbours(crystal, around.cutoff)
    else:
        found = nearest_neighbours(crystal, around.n_nearest, start=around.cutoff)
    return CrystalGraph(crystal.numbers, crystal.volume, *found, projectors, sums)


def in_company(graphs: "Sequence[CrystalGraph]") -> "list[CrystalGraph]":
    """Add lone atoms to a small batch, so that it is computed as a large one is.

    Sums over few rows are rounded otherwise than those over many, and a tensor that is
    small because large parts of it cancel would show it.

    Parameters
    ----------
    graphs : sequence of CrystalGraph
        At least one.

    Returns
    -------
    list of CrystalGraph
        Those, and behind them as many as it takes for `FEWEST`.
    """
    first = graphs[0]
    alone = CrystalGraph(
        first.numbers[:1],
        first.volume,
        first.targets[:0],
        first.sources[:0],
        first.vectors[:0],
        first.projectors,
        None if first.sums is None else first.sums[:, :1, :1],
    )
    return [*graphs, *[alone] * (FEWEST - len(graphs))]


def collate(
    graphs: "Sequence[CrystalGraph]",
    *,
    dtype: torch.dtype = torch.float32,
    vector_dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
) -> GraphBatch:
    """Join graphs to a batch.

    Parameters
    ----------
    graphs : sequence of CrystalGraph
        At least one, all with the same kinds of projectors.
    dtype, device
        Of the floating-point tensors of the batch, and where they go.
    vector_dtype
        Of bond vectors and lattice sums, if they are to be more precise than the rest.

    Returns
    -------
    GraphBatch
        With the atoms in the order of the graphs.
    """
    n_atoms = np.array([len(graph.numbers) for graph in graphs])
    first = np.concatenate([[0], np.cumsum(n_atoms)[:-1]])
    targets = np.concatenate(
        [g.targets + f for g, f in zip(graphs, first, strict=True)]
    )
    sources = np.concatenate(
        [g.sources + f for g, f in zip(graphs, first, strict=True)]
    )
    pair_atoms, edge_pair = _pair_slots(targets, sources, int(n_atoms.sum()))
    volumes = np.array([graph.volume for graph in graphs])

    def real(array: "NDArray[np.float64]") -> torch.Tensor:
        return torch.from_numpy(array).to(device=device, dtype=dtype)

    def fine(array: "NDArray[np.float64]") -> torch.Tensor:
        return torch.from_numpy(array).to(device=device, dtype=vector_dtype or dtype)

    def whole(array: "NDArray[np.int64]") -> torch.Tensor:
        return torch.from_numpy(array).to(device=device)

    return GraphBatch(
        numbers=whole(np.concatenate([graph.numbers for graph in graphs])),
        crystal=whole(np.repeat(np.arange(len(graphs)), n_atoms)),
        density=real(n_atoms / volumes),
        pair_atoms=whole(pair_atoms),
        edge_pair=whole(edge_pair),
        edge_vectors=fine(np.concatenate([graph.vectors for graph in graphs])),
        projectors={
            kind: real(np.stack([graph.projectors[kind] for graph in graphs]))
            for kind in graphs[0].projectors
        },
        sums=fine(_padded_sums(graphs)) if graphs[0].sums is not None else None,
    )


def _padded_sums(graphs: "Sequence[CrystalGraph]") -> "NDArray[np.float64]":
    """Put sums below each other, shape (n_atoms, n_potentials, n_largest)."""
    found = [graph.sums for graph in graphs if graph.sums is not None]
    largest = max(sums.shape[1] for sums in found)
    total = np.zeros((sum(sums.shape[1] for sums in found), len(found[0]), largest))
    first = 0
    for sums in found:
        n_atoms = sums.shape[1]
        total[first : first + n_atoms, :, :n_atoms] = sums.transpose(1, 0, 2)
        first += n_atoms
    return total


def _pair_slots(
    targets: "NDArray[np.int64]", sources: "NDArray[np.int64]", n_atoms: int
) -> tuple["NDArray[np.int64]", "NDArray[np.int64]"]:
    """Give each distinct pair a slot; edges are ordered by target and source."""
    new = np.ones(len(targets), dtype=bool)
    new[1:] = (np.diff(targets) != 0) | (np.diff(sources) != 0)
    pair_of_edge = np.cumsum(new) - 1
    pair_targets, pair_sources = targets[new], sources[new]
    degrees = np.bincount(pair_targets, minlength=n_atoms)
    starts = np.concatenate([[0], np.cumsum(degrees)[:-1]])
    slots = np.arange(len(pair_targets)) - starts[pair_targets]
    n_slots = max(1, int(degrees.max(initial=0)))
    pair_atoms = np.zeros((n_atoms, n_slots), dtype=np.int64)
    pair_atoms[pair_targets, slots] = pair_sources
    return pair_atoms, (pair_targets * n_slots + slots)[pair_of_edge]
