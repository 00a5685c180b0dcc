"""What a model has seen: statistics of its training crystals, and how far others are."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.crystals.crystal import SYMBOLS, reduced_formula
from crystaltensor.data.features import LAST_ELEMENT, element_features

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from crystaltensor.data.graphs import CrystalGraph

    Floats = NDArray[np.float64]

FEW = 5
"""An element in fewer training crystals than this is a rare one."""

NEAREST = 5
"""Training crystals over which a distance is averaged."""

_FEATURES = 16  # principal components that are kept
_SHELL = 1.2  # neighbours up to this many times the nearest distance are one shell
_FAR = 99.0  # percentile of the distances among the training crystals themselves
_CONSTANT = 1e-3  # what varies less says nothing
_ROUNDING = 1e-6  # of a range
_WEIGHT = 3.0  # of a quantity of the structure, where an element's has 1

QUANTITIES = {
    "volume": ("volume per atom", "Å³"),
    "distance": ("mean distance to the nearest neighbour", "Å"),
    "coordination": ("mean coordination", "neighbours"),
    "atoms": ("primitive cell", "atoms"),
}
"""What the range of the training crystals is known of: its name and its unit."""


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


@dataclass(frozen=True)
class Neighbour:
    """A training crystal that is like another crystal.

    Parameters
    ----------
    name, formula : str
        Of the training crystal.
    distance : float
        In units of the typical distance of a training crystal from its like.
    norm : float
        Frobenius norm of its label.
    """

    name: str
    formula: str
    distance: float
    norm: float


@dataclass(frozen=True, eq=False)
class Domain:
    """The crystals that a model has learnt from, reduced to what is compared.

    Parameters
    ----------
    names, formulas : tuple of str
        Of the training crystals.
    norms : ndarray, shape (n,)
        Frobenius norms of their labels.
    points : ndarray of float16, shape (n, n_features)
        Where they are in the space of features.
    weights : ndarray, shape (104, n_features)
        From the share of each element in the atoms, the three numbers of the structure
        and the constant 1 to the features.
    counts : ndarray of int, shape (100,)
        Training crystals that hold each element.
    ranges : mapping
        Smallest and largest value of each of `QUANTITIES`.
    point_groups : frozenset of str
        Crystal classes that occur; empty if unknown.
    typical, far : float
        Median and 99th percentile of the distances among them.
    """

    names: tuple[str, ...] = field(repr=False)
    formulas: tuple[str, ...] = field(repr=False)
    norms: "Floats" = field(repr=False)
    points: "NDArray[np.float16]" = field(repr=False)
    weights: "Floats" = field(repr=False)
    counts: "NDArray[np.int64]" = field(repr=False)
    ranges: "Mapping[str, tuple[float, float]]"
    point_groups: frozenset[str]
    typical: float
    far: float

    @classmethod
    def fit(
        cls, traits: "Sequence[Traits]", *, names: "Sequence[str]", norms: "Floats"
    ) -> "Domain":
        """Collect the statistics of training crystals.

        Parameters
        ----------
        traits : sequence of Traits
            Of the training crystals, at least two.
        names : sequence of str
            Of the crystals.
        norms : ndarray, shape (n,)
            Frobenius norms of their labels.

        Returns
        -------
        Domain
            The features are principal components of the description of the elements,
            averaged over the atoms, and of three numbers of the structure.
        """
        given = np.stack([_given(each) for each in traits])
        weights = _principal_weights(given)
        points = (given @ weights).astype(np.float16)
        among = _near(points)
        return cls(
            names=tuple(names),
            formulas=tuple(reduced_formula(each.numbers) for each in traits),
            norms=norms.astype(np.float64),
            points=points,
            weights=weights,
            counts=np.count_nonzero(given[:, :LAST_ELEMENT], axis=0),
            ranges={name: _range(traits, name) for name in QUANTITIES},
            point_groups=frozenset(t.point_group for t in traits if t.point_group),
            typical=max(float(np.median(among)), 1e-6),
            far=float(np.percentile(among, _FAR)),
        )

    @cached_property
    def _seen(self) -> "tuple[Floats, Floats]":
        """The training crystals, in double precision, and their squares."""
        points = self.points.astype(np.float64)
        return points, np.square(points).sum(axis=1)

    def _squares(self, traits: "Traits") -> "Floats":
        """Return the squared distances to the training crystals, shape (n,)."""
        here = _given(traits) @ self.weights
        points, squares = self._seen
        found: Floats = squares - 2 * (points @ here) + here @ here
        return np.maximum(found, 0)

    def distance(self, traits: "Traits") -> float:
        """Say how far a crystal is from what was seen.

        Parameters
        ----------
        traits : Traits
            Of the crystal.

        Returns
        -------
        float
            Mean distance to the five nearest training crystals, in units of the median
            of the same among these.
        """
        squares = self._squares(traits)
        few = min(NEAREST, len(squares))
        nearest = np.sqrt(np.partition(squares, few - 1)[:few])
        return float(nearest.mean()) / self.typical

    def rarest(self, traits: "Traits") -> int:
        """Count the training crystals that hold the rarest element of a crystal."""
        return int(self.counts[traits.numbers - 1].min())

    def nearest(self, traits: "Traits", n: int = NEAREST) -> tuple[Neighbour, ...]:
        """List the training crystals that are most like a crystal.

        Parameters
        ----------
        traits : Traits
            Of the crystal.
        n : int
            How many.

        Returns
        -------
        tuple of Neighbour
            The nearest first.
        """
        apart = np.sqrt(self._squares(traits)) / self.typical
        return tuple(
            Neighbour(
                self.names[i], self.formulas[i], float(apart[i]), float(self.norms[i])
            )
            for i in np.argsort(apart, kind="stable")[:n]
        )

    def reasons(self, traits: "Traits", distance: float) -> list[str]:
        """Say what about a crystal is unlike the training crystals.

        Parameters
        ----------
        traits : Traits
            Of the crystal.
        distance : float
            From `distance`.

        Returns
        -------
        list of str
            One sentence for each reason; none for a crystal like those.
        """
        found = [*self._elements(traits), *self._ranges(traits)]
        if self.point_groups and traits.point_group not in self.point_groups | {""}:
            found.append(f"no training crystal has the class {traits.point_group}")
        if distance > self.far / self.typical:
            found.append(
                f"it is unlike the training crystals: {distance:.1f} times as far from "
                "the nearest of them as these are from each other"
            )
        return found

    def _elements(self, traits: "Traits") -> list[str]:
        """Name elements that were never or hardly seen."""
        counts = {int(z): int(self.counts[z - 1]) for z in np.unique(traits.numbers)}
        strange = [SYMBOLS[z] for z, count in counts.items() if not count]
        found = []
        if strange:
            found.append(f"no training crystal contains {', '.join(strange)}")
        for z, count in counts.items():
            if 0 < count < FEW:
                many = "crystal contains" if count == 1 else "crystals contain"
                found.append(f"only {count} training {many} {SYMBOLS[z]}")
        return found

    def _ranges(self, traits: "Traits") -> list[str]:
        """Name quantities outside the range of the training crystals."""
        found = []
        for name, (what, unit) in QUANTITIES.items():
            low, high = self.ranges[name]
            value = getattr(traits, name)
            if not low * (1 - _ROUNDING) <= value <= high * (1 + _ROUNDING):
                found.append(
                    f"{what} {value:.4g} {unit}: the training crystals have "
                    f"{low:.4g} to {high:.4g}"
                )
        return found

    def arrays(self) -> "dict[str, NDArray[Any]]":
        """Return the arrays, as a file holds them."""
        return {
            "norms": self.norms.astype(np.float32),
            "points": self.points,
            "weights": self.weights.astype(np.float32),
            "counts": self.counts.astype(np.int32),
        }

    def plain(self) -> dict[str, Any]:
        """Return the rest, as plain values."""
        return {
            "names": list(self.names),
            "formulas": list(self.formulas),
            "ranges": {name: list(pair) for name, pair in self.ranges.items()},
            "point_groups": sorted(self.point_groups),
            "typical": self.typical,
            "far": self.far,
        }

    @classmethod
    def restore(
        cls, arrays: "Mapping[str, NDArray[Any]]", plain: "Mapping[str, Any]"
    ) -> "Domain":
        """Put together what `arrays` and `plain` gave.

        Parameters
        ----------
        arrays : mapping
            The arrays.
        plain : mapping
            The plain values.

        Returns
        -------
        Domain
            The same, to single precision.
        """
        return cls(
            names=tuple(plain["names"]),
            formulas=tuple(plain["formulas"]),
            norms=arrays["norms"].astype(np.float64),
            points=arrays["points"],
            weights=arrays["weights"].astype(np.float64),
            counts=arrays["counts"].astype(np.int64),
            ranges={name: (low, high) for name, (low, high) in plain["ranges"].items()},
            point_groups=frozenset(plain["point_groups"]),
            typical=float(plain["typical"]),
            far=float(plain["far"]),
        )


def _given(traits: "Traits") -> "Floats":
    """Write down a crystal: shares of the elements, structure, and 1, shape (104,)."""
    shares = np.bincount(traits.numbers - 1, minlength=LAST_ELEMENT)
    return np.concatenate([shares / len(traits.numbers), traits.structure, [1.0]])


def _principal_weights(given: "Floats") -> "Floats":
    """Find the weights of the features, shape (104, n_features).

    Every number of an element's description counts by its standard deviation; principal
    components are scaled by the root of theirs only, so that large ones still lead.
    """
    table = element_features().numpy().astype(np.float64)
    described = given[:, :LAST_ELEMENT] @ table
    spread = described.std(axis=0)
    scales = np.where(spread > _CONSTANT, 1 / np.maximum(spread, _CONSTANT), 0.0)
    width = np.maximum(given[:, LAST_ELEMENT:-1].std(axis=0), _CONSTANT)
    maker = np.zeros((given.shape[1], len(scales) + len(width)))
    maker[:LAST_ELEMENT, : len(scales)] = table * scales
    maker[LAST_ELEMENT:-1, len(scales) :] = np.diag(_WEIGHT / width)
    maker[-1] = -(given @ maker).mean(axis=0)
    _, sizes, axes = np.linalg.svd(given @ maker, full_matrices=False)
    kept = int(np.count_nonzero(sizes[:_FEATURES] > _CONSTANT * sizes[0]))
    axes = axes[:kept]
    # One sign on every machine: the largest entry is positive.
    axes *= np.sign(axes[np.arange(kept), np.abs(axes).argmax(axis=1)])[:, None]
    deviations = sizes[:kept] / np.sqrt(len(given))
    weights: Floats = (maker @ axes.T) / np.sqrt(deviations)
    return weights


def _near(points: "NDArray[np.float16]") -> "Floats":
    """Return the mean distance of each point to its nearest ones, shape (n,)."""
    given = points.astype(np.float64)
    squares = np.square(given).sum(axis=1)
    apart = squares[:, None] + squares - 2 * given @ given.T
    np.fill_diagonal(apart, np.inf)
    few = min(NEAREST, len(given) - 1)
    nearest = np.partition(np.maximum(apart, 0), few - 1, axis=1)[:, :few]
    distances: Floats = np.sqrt(nearest).mean(axis=1)
    return distances


def _range(traits: "Sequence[Traits]", name: str) -> tuple[float, float]:
    """Find the smallest and the largest value of a quantity."""
    values = [float(getattr(each, name)) for each in traits]
    return min(values), max(values)
