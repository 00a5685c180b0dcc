r"""From the disagreement of an ensemble to intervals that hold what they promise.

The covariance of an error is :math:`\Sigma = (g s)^2 \hat\Sigma`: a shape of trace one
(`error_shape`), the expected size g (`error_scale`), and a factor s. Errors have heavier
tails than a normal distribution, so that half-widths of intervals are not multiples of
:math:`\sigma` from its table, but quantiles of what was seen: the scores
:math:`|\text{error}| / \sigma` of the validation crystals, each from a fit without it
(split conformal prediction [1]_, with cross-validation inside the validation set).
:math:`\sigma` itself is the half-width that holds 68.27 %.

References
----------
.. [1] A. N. Angelopoulos and S. Bates, Found. Trends Mach. Learn. 16, 494 (2023).
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.errors import DataError
from crystaltensor.symmetry.coordinates import component_basis
from crystaltensor.symmetry.index_symmetry import parse_index_symmetry
from crystaltensor.symmetry.quantities import propagate, quantities
from crystaltensor.training.error_scale import ErrorScale
from crystaltensor.training.error_shape import ErrorShape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from crystaltensor.properties import TensorProperty

    Floats = NDArray[np.float64]
    Scores = dict[str, tuple[Floats, Floats]]

LEVELS = (0.5, 0.8, 0.9, 0.95)
"""Probabilities of the intervals."""

ONE_SIGMA = 0.6827
"""What an interval of one standard deviation of a normal distribution holds."""

FEWEST = 20
"""Validation crystals without which nothing is calibrated."""

_NORMAL = (0.6745, 1.2816, 1.6449, 1.96)  # of a normal distribution, for comparison
_FOLDS = 10
_ROUNDING = 1e-12  # an eigenvalue this far below the largest is zero
_ZERO = 1e-8  # a σ this far below the largest of a tensor is that of a zero


@dataclass(frozen=True, eq=False)
class Cases:
    """Predictions of an ensemble, with what is known of each and, if it is, the truth.

    Parameters
    ----------
    row : TensorProperty
        What was predicted.
    members : ndarray, shape (n_members, n, n_components)
        Allowed irreducible components, on the scale on which they are learnt.
    allowed : ndarray, shape (n, n_components, n_components)
        Projectors on what symmetry allows.
    distance : ndarray, shape (n,)
        From the training crystals.
    rarest : ndarray, shape (n,)
        Training crystals with the rarest element.
    label : ndarray, shape (n, n_components), optional
        The truth; left out where it is not known.
    sign_known : ndarray of bool, shape (n,), optional
        False where the truth may as well be its negative.
    crystal : ndarray of int, shape (n,), optional
        To which crystal a tensor belongs, if that has several.
    """

    row: "TensorProperty"
    members: "Floats" = field(repr=False)
    allowed: "Floats" = field(repr=False)
    distance: "Floats" = field(repr=False)
    rarest: "Floats" = field(repr=False)
    label: "Floats | None" = field(repr=False, default=None)
    sign_known: "NDArray[np.bool_] | None" = field(repr=False, default=None)
    crystal: "NDArray[np.int64] | None" = field(repr=False, default=None)

    @cached_property
    def mean(self) -> "Floats":
        """Mean of the members, shape (n, n_components)."""
        mean: Floats = self.members.mean(axis=0)
        return mean

    @cached_property
    def spreads(self) -> "Floats | None":
        """Covariances of the members, (n, n_components, n_components); None of one."""
        if len(self.members) < 2:
            return None
        apart = self.members - self.mean
        matrices: Floats = np.einsum("mna,mnb->nab", apart, apart, optimize=True)
        return matrices / (len(self.members) - 1)

    @cached_property
    def raw(self) -> "dict[str, Floats]":
        """What the expected size of the error is computed from."""
        spread = np.zeros(len(self.mean))
        if self.spreads is not None:
            spread = np.sqrt(np.trace(self.spreads, axis1=1, axis2=2))
        return {
            "spread": spread,
            "norm": np.linalg.norm(self.mean, axis=1),
            "distance": self.distance,
            "rarest": self.rarest,
        }

    @cached_property
    def truth(self) -> "Floats":
        """The labels, with the sign of the prediction where that is a convention."""
        if self.label is None:
            raise DataError("the truth of these predictions is not known")
        if self.sign_known is None:
            return self.label
        against = np.einsum("na,na->n", self.mean, self.label) < 0
        flip = against & ~self.sign_known
        return np.where(flip[:, None], -self.label, self.label)

    @cached_property
    def weights(self) -> "Floats":
        """One vote for each crystal, shared by its tensors."""
        if self.crystal is None:
            return np.ones(len(self.mean))
        _, place, counts = np.unique(
            self.crystal, return_inverse=True, return_counts=True
        )
        votes: Floats = 1.0 / counts[place]
        return votes

    @property
    def n_crystals(self) -> int:
        """Count the crystals."""
        return round(float(self.weights.sum()))

    def folds(self) -> "list[NDArray[np.bool_]]":
        """Draw the parts of the cross-validation: whole crystals, always the same."""
        crystal = np.arange(len(self.mean)) if self.crystal is None else self.crystal
        kinds, place = np.unique(crystal, return_inverse=True)
        drawn = np.random.default_rng(0).permutation(len(kinds)) % _FOLDS
        return [drawn[place] == part for part in range(_FOLDS)]

    def take(self, chosen: "NDArray[np.bool_]") -> "Cases":
        """Return some of the cases."""

        def pick(values: Any) -> Any:  # noqa: ANN401 - an array of any kind, or None
            return None if values is None else values[chosen]

        return replace(
            self,
            members=self.members[:, chosen],
            allowed=self.allowed[chosen],
            distance=self.distance[chosen],
            rarest=self.rarest[chosen],
            label=pick(self.label),
            sign_known=pick(self.sign_known),
            crystal=pick(self.crystal),
        )


@dataclass(frozen=True, eq=False)
class ErrorModel:
    """Shape and expected size of errors, before the factors.

    Parameters
    ----------
    shape : ErrorShape
        Of trace one.
    scale : ErrorScale
        The expected size.
    """

    shape: ErrorShape
    scale: ErrorScale

    @classmethod
    def fit(cls, cases: Cases) -> "ErrorModel":
        """Fit both to cases with labels."""
        errors = cases.mean - cases.truth
        shape = ErrorShape.fit(
            cases.row.index_symmetry, errors, cases.allowed, cases.spreads
        )
        sizes = np.linalg.norm(errors, axis=1)
        return cls(shape, ErrorScale.fit(cases.raw, sizes, cases.weights))

    def expected(self, cases: Cases) -> "Floats":
        """Return the expected sizes g of the errors, shape (n,)."""
        return self.scale.expected(cases.raw)

    def covariances(self, cases: Cases) -> "Floats":
        """Return the covariances without a factor, (n, n_components, n_components)."""
        shapes = self.shape.covariance(cases.allowed, cases.spreads)
        covariances: Floats = self.expected(cases)[:, None, None] ** 2 * shapes
        return covariances


@dataclass(frozen=True, eq=False)
class Calibration:
    """All that turns the members' tensors into intervals.

    Parameters
    ----------
    row : TensorProperty
        What they are of.
    model : ErrorModel
        Fitted to the validation crystals.
    factors : mapping
        ``"error"``, ``"component"`` and the names of `quantities`, each to the factors
        of one σ and of `LEVELS`: quantiles of the scores.
    sizes : tuple of float
        Expected sizes of the errors of the validation crystals at every 5 %, ascending.
    n : int
        Number of validation crystals.
    """

    row: "TensorProperty"
    model: ErrorModel
    factors: "Mapping[str, tuple[float, ...]]"
    sizes: tuple[float, ...]
    n: int

    def half_widths(self, name: str) -> dict[str, float]:
        """Return the half-width of the interval at each level, in units of one σ."""
        return self._half_widths[name]

    @cached_property
    def _half_widths(self) -> dict[str, dict[str, float]]:
        """Those of all names."""
        return {
            name: {
                percent(level): factor / one if one else 0.0
                for level, factor in zip(LEVELS, rest, strict=True)
            }
            for name, (one, *rest) in self.factors.items()
        }

    def percentile(self, expected: float) -> float:
        """Say which percentage of the validation crystals had less error expected."""
        places = np.linspace(0, 100, len(self.sizes))
        return float(np.interp(expected, self.sizes, places))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "n": self.n,
            "levels": [ONE_SIGMA, *LEVELS],
            "factors": {name: list(values) for name, values in self.factors.items()},
            "sizes": list(self.sizes),
            "shape": self.model.shape.as_dict(),
            "scale": self.model.scale.as_dict(),
        }

    @classmethod
    def restore(
        cls, row: "TensorProperty", plain: "Mapping[str, Any]"
    ) -> "Calibration":
        """Make it from a property and what `as_dict` gave."""
        return cls(
            row,
            ErrorModel(
                ErrorShape.restore(row.index_symmetry, plain["shape"]),
                ErrorScale.restore(plain["scale"]),
            ),
            {
                str(name): tuple(float(value) for value in values)
                for name, values in plain["factors"].items()
            },
            tuple(float(value) for value in plain["sizes"]),
            int(plain["n"]),
        )


def calibrate(cases: Cases) -> "tuple[Calibration, dict[str, Any]] | None":
    """Fit shape, size and factors to validation crystals.

    Parameters
    ----------
    cases : Cases
        Predictions for crystals that were not learnt from, with their labels.

    Returns
    -------
    calibration : Calibration
        The result.
    coverage : dict
        What the intervals hold of crystals they were not fitted to, as `measure_coverage`
        returns it; with ``"normal"``, the same of components if one factor and the
        quantiles of a normal distribution are used in place of the scores' own.

    None if there are fewer than 20 crystals, or no errors.
    """
    errors = np.linalg.norm(cases.mean - cases.truth, axis=1)
    if cases.n_crystals < FEWEST or not errors.any():
        return None
    parts = cases.folds()
    scores: list[Scores] = []
    expected = np.empty(len(errors))
    for part in parts:
        model = ErrorModel.fit(cases.take(~part))
        own = cases.take(part)
        scores.append(_scores(model, own))
        expected[part] = model.expected(own)
    factors = {name: _factors(_joined(scores, name)) for name in scores[0]}
    held = {name: _cross_coverage(scores, name) for name in ("error", "component")}
    coverage = {
        "n": cases.n_crystals,
        **held,
        "normal": _cross_coverage(scores, "component", normal=True),
        "worst_fifth": _share_of_worst(expected, errors),
    }
    model = ErrorModel.fit(cases)
    sizes = np.quantile(model.expected(cases), np.linspace(0, 1, 21))
    found = Calibration(
        cases.row, model, factors, tuple(sizes.tolist()), cases.n_crystals
    )
    return found, coverage


def measure_coverage(calibration: Calibration, cases: Cases) -> dict[str, Any]:
    """Count how often the truth is inside the intervals.

    Parameters
    ----------
    calibration : Calibration
        Fitted to other crystals.
    cases : Cases
        With labels.

    Returns
    -------
    dict
        ``"n"``, the number of crystals; for the error of the whole tensor, its
        components and each of `quantities`, the share inside at each of `LEVELS`;
        ``"two_standard_errors"`` of such a share; and ``"worst_fifth"``, the share of
        all error that the most uncertain fifth of the tensors carries.
    """
    found: dict[str, Any] = {"n": cases.n_crystals}
    for name, (values, weights) in _scores(calibration.model, cases).items():
        limits = calibration.factors[name][1:]
        found[name] = _shares_inside(values, weights, limits)
    found["two_standard_errors"] = {
        percent(level): 2 * (level * (1 - level) / cases.n_crystals) ** 0.5
        for level in LEVELS
    }
    errors = np.linalg.norm(cases.mean - cases.truth, axis=1)
    found["worst_fifth"] = _share_of_worst(calibration.model.expected(cases), errors)
    return found


def percent(level: float) -> str:
    """Name a level: 0.95 is ``"95"``."""
    return f"{100 * level:g}"


def entry_matrix(row: "TensorProperty") -> "Floats":
    """Give the different entries of a tensor, shape (n_components, n_entries)."""
    basis = component_basis(row.index_symmetry)
    if not row.rank:
        return basis
    return basis[:, parse_index_symmetry(row.index_symmetry).free]


def factorised(covariances: "Floats") -> "Floats":
    """Write covariances (n, c, c) as products L L^T, L without columns of zeros."""
    values, vectors = np.linalg.eigh(covariances)
    largest = values.max(axis=1, keepdims=True)
    rank = max(1, int((values > _ROUNDING * largest).sum(axis=1).max()))
    factors: Floats = vectors * np.sqrt(np.maximum(values, 0))[:, None, :]
    return factors[:, :, -rank:]


def _scores(model: ErrorModel, cases: Cases) -> "Scores":
    """Divide errors by what was expected; each with the weight it counts with."""
    covariances = model.covariances(cases)
    errors = cases.mean - cases.truth
    sizes = np.linalg.norm(errors, axis=1) / model.expected(cases)
    found = {"error": (sizes, cases.weights)}
    matrix = entry_matrix(cases.row)
    sigmas = np.sqrt(
        np.maximum(
            np.einsum("ae,nab,be->ne", matrix, covariances, matrix, optimize=True), 0
        )
    )
    there = sigmas > _ZERO * sigmas.max(axis=1, keepdims=True, initial=1e-300)
    votes = cases.weights / np.maximum(there.sum(axis=1), 1)
    found["component"] = (
        (np.abs(errors @ matrix) / np.where(there, sigmas, 1.0))[there],
        np.broadcast_to(votes[:, None], there.shape)[there],
    )
    factor = factorised(covariances)
    predicted, true = (
        quantities(each, cases.row) for each in (cases.mean, cases.truth)
    )
    for name, sigma in propagate(cases.mean, factor, cases.row).items():
        with np.errstate(divide="ignore", invalid="ignore"):
            score = np.abs(predicted[name] - true[name]) / sigma
        good = np.isfinite(score)
        found[name] = (score[good], cases.weights[good])
    return found


def _joined(scores: "list[Scores]", name: str) -> "tuple[Floats, Floats]":
    """Put the scores of several parts together."""
    values, weights = zip(*(each[name] for each in scores), strict=True)
    return np.concatenate(values), np.concatenate(weights)


def _factors(scored: "tuple[Floats, Floats]") -> tuple[float, ...]:
    """Find the quantiles of scores for one σ and for every level."""
    return tuple(_quantile(*scored, level) for level in (ONE_SIGMA, *LEVELS))


def _quantile(values: "Floats", weights: "Floats", level: float) -> float:
    """Find the smallest limit that a new case keeps with a probability."""
    if not len(values):
        return 0.0
    order = np.argsort(values, kind="stable")
    total = weights.sum()
    # The new case is one more than those seen: (n + 1) level of them must be below.
    reached = np.cumsum(weights[order]) >= level * (total + 1) - 1e-9
    place = int(reached.argmax()) if reached.any() else len(values) - 1
    return float(values[order][place])


def _shares_inside(
    values: "Floats", weights: "Floats", limits: "tuple[float, ...]"
) -> dict[str, float]:
    """Weigh the scores inside the limit of every level."""
    total = max(float(weights.sum()), 1e-300)
    return {
        percent(level): float(weights[values <= limit].sum()) / total
        for level, limit in zip(LEVELS, limits, strict=True)
    }


def _cross_coverage(
    scores: "list[Scores]", name: str, *, normal: bool = False
) -> dict[str, float]:
    """Hold the scores of each part against the factors of all the others."""
    inside = dict.fromkeys(map(percent, LEVELS), 0.0)
    total = 0.0
    for part, own in enumerate(scores):
        others = _joined(scores[:part] + scores[part + 1 :], name)
        limits = _factors(others)[1:]
        if normal:
            width = float(np.sqrt(np.average(others[0] ** 2, weights=others[1])))
            limits = tuple(width * factor for factor in _NORMAL)
        values, weights = own[name]
        for level, share in _shares_inside(values, weights, limits).items():
            inside[level] += share * float(weights.sum())
        total += float(weights.sum())
    return {level: share / total for level, share in inside.items()}


def _share_of_worst(expected: "Floats", errors: "Floats") -> float:
    """Say which share of all error the fifth with the largest expected error carries."""
    worst = np.argsort(-expected, kind="stable")[: max(1, round(0.2 * len(errors)))]
    return float(errors[worst].sum() / errors.sum())
