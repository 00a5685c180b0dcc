"""What a model has seen: statistics of its training crystals, and how far others are."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.crystals.crystal import SYMBOLS, reduced_formula
from crystaltensor.data.features import LAST_ELEMENT, element_features
from crystaltensor.data.traits import Traits
from crystaltensor.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["FEW", "NEAREST", "QUANTITIES", "Domain", "Neighbour", "Traits"]

FEW = 5
"""An element in fewer training crystals than this is a rare one."""

NEAREST = 5
"""Training crystals over which a distance is averaged."""

_FEATURES = 16  # principal components that are kept
_FAR = 99.0  # percentile of the distances among the training crystals themselves
_ALIKE = 0.7  # crystals this much of the distance away count as alike, chosen on val
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
    errors : ndarray, shape (n,), optional
        Norms of the errors of networks that had not learnt from them.
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
    errors: "Floats | None" = field(repr=False, default=None)

    @classmethod
    def fit(
        cls,
        traits: "Sequence[Traits]",
        *,
        names: "Sequence[str]",
        norms: "Floats",
        errors: "Floats | None" = None,
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
        errors : ndarray, shape (n,), optional
            Norms of the errors of networks that had not learnt from them.

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
            errors=errors,
        )

    @cached_property
    def _seen(self) -> "tuple[Floats, Floats]":
        """The training crystals, in double precision, and their squares."""
        points = self.points.astype(np.float64)
        return points, np.square(points).sum(axis=1)

    def _squares(self, traits: Traits) -> "Floats":
        """Return the squared distances to the training crystals, shape (n,)."""
        here = _given(traits) @ self.weights
        points, squares = self._seen
        found: Floats = squares - 2 * (points @ here) + here @ here
        return np.maximum(found, 0)

    def distance(self, traits: Traits) -> float:
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
        return _nearest_mean(self._squares(traits)) / self.typical

    def describe(self, many: "Sequence[Traits]") -> "dict[str, Floats]":
        """Collect what the error of a prediction may depend on, the prediction apart.

        Parameters
        ----------
        many : sequence of Traits
            Of the crystals.

        Returns
        -------
        dict
            Shape (n,) each: ``"distance"`` and ``"rarest"``, from the methods of these
            names; ``"volume"``, ``"coordination"`` and ``"atoms"``, as in `Traits`;
            ``"like_label"``, ``"like_spread"`` and ``"like_error"``, mean and standard
            deviation of the norms of the labels, and typical error, of the training
            crystals that are alike, the last one zero where errors are not known; and
            ``"elements"``, shape (n, n_elements), 1 for those that a crystal holds.
        """
        alike = [self._alike(traits) for traits in many]
        held = np.zeros((len(many), LAST_ELEMENT))
        for row, traits in zip(held, many, strict=True):
            row[traits.numbers - 1] = 1.0
        found = {
            name: np.array([float(getattr(traits, name)) for traits in many])
            for name in ("volume", "coordination", "atoms")
        }
        names = ("distance", "like_label", "like_spread", "like_error")
        found |= dict(zip(names, np.array(alike).reshape(-1, 4).T, strict=True))
        rarest = np.array([float(self.rarest(traits)) for traits in many])
        return found | {"rarest": rarest, "elements": held}

    def _alike(self, traits: Traits) -> tuple[float, float, float, float]:
        """Return the distance, and what is known of the training crystals around.

        Weights fall smoothly with the distance, so that noise moves nothing by a jump.
        """
        squares = self._squares(traits)
        distance = _nearest_mean(squares)
        width = max(_ALIKE * distance, _CONSTANT * self.typical)
        weights = np.exp((squares.min() - squares) / (2 * width**2))
        weights /= weights.sum()
        label = float(weights @ self.norms)
        spread = float(np.sqrt(weights @ np.square(self.norms - label)))
        error = 0.0
        if self.errors is not None:
            error = float(weights @ np.sqrt(self.errors)) ** 2
        return distance / self.typical, label, spread, error

    def rarest(self, traits: Traits) -> int:
        """Count the training crystals that hold the rarest element of a crystal."""
        return int(self.counts[traits.numbers - 1].min())

    def nearest(self, traits: Traits, n: int = NEAREST) -> tuple[Neighbour, ...]:
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

    def reasons(self, traits: Traits, distance: float) -> list[str]:
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

    def _elements(self, traits: Traits) -> list[str]:
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

    def _ranges(self, traits: Traits) -> list[str]:
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
        errors = {} if self.errors is None else {"errors": self.errors}
        return {
            **{name: each.astype(np.float32) for name, each in errors.items()},
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

        Raises
        ------
        DataError
            If the arrays do not belong together.
        """
        n = len(plain["names"])
        listed = [plain["formulas"], *(arrays[name] for name in ("norms", "points"))]
        if any(len(each) != n for each in (*listed, arrays.get("errors", listed[0]))):
            raise DataError("the lists of training crystals differ in length")
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
            errors=arrays["errors"].astype(np.float64) if "errors" in arrays else None,
        )


def _nearest_mean(squares: "Floats") -> float:
    """Average the distances to the nearest points, from the squares of all."""
    few = min(NEAREST, len(squares))
    return float(np.sqrt(np.partition(squares, few - 1)[:few]).mean())


def _given(traits: Traits) -> "Floats":
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
