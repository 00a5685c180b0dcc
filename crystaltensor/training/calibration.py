r"""From what networks get wrong to intervals that hold what they promise.

The covariance of an error is :math:`\Sigma = (g s)^2 \hat\Sigma`: a shape of trace one
(`error_shape`), the expected size g (`error_scale`), and a factor s. Errors have heavier
tails than a normal distribution, so that half-widths of intervals are not multiples of
:math:`\sigma` from its table, but quantiles of what was seen: the scores
:math:`|\text{error}| / \sigma` of crystals that were not learnt from, each from a fit
without it (conformal prediction [1]_). :math:`\sigma` itself is the half-width that holds
68.27 %.

Crystals that were not learnt from are those of the validation set, or, far more of them,
the training crystals, each predicted by a network that was trained without its part of
them, as in CV+ [2]_. The scores of such single networks become those of the ensemble by
a factor and a power for each kind of score, measured on the validation crystals, which
both predict.

References
----------
.. [1] A. N. Angelopoulos and S. Bates, Found. Trends Mach. Learn. 16, 494 (2023).
.. [2] R. F. Barber et al., Ann. Statist. 49, 486 (2021).
"""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.symmetry.coordinates import component_basis
from crystaltensor.symmetry.index_symmetry import parse_index_symmetry
from crystaltensor.symmetry.quantities import propagate, quantities
from crystaltensor.training.cases import Cases
from crystaltensor.training.error_scale import MANY, ErrorScale
from crystaltensor.training.error_shape import ErrorShape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from crystaltensor.properties import TensorProperty

    Floats = NDArray[np.float64]
    Scores = dict[str, tuple[Floats, Floats]]

LEVELS = (0.5, 0.8, 0.9, 0.95)
"""Probabilities of the intervals."""

ONE_SIGMA = 0.6827
"""What an interval of one standard deviation of a normal distribution holds."""

VERSION = 2
"""Of what `Calibration.as_dict` gives."""

FEWEST = 20
"""Validation crystals without which nothing is calibrated."""

_NORMAL = (0.6745, 1.2816, 1.6449, 1.96)  # of a normal distribution, for comparison
_POWERS = (0.3, 1.5)  # of scores, when those of single networks become an ensemble's
_HALVINGS = 40
_ROUNDING = 1e-12  # an eigenvalue this far below the largest is zero
_ZERO = 1e-8  # a σ this far below the largest of a tensor is that of a zero


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
    def fit(cls, cases: Cases, *, plain: bool = False) -> "ErrorModel":
        """Fit both to cases with labels; what an ensemble disagrees by is left out."""
        errors = cases.mean - cases.truth
        shape = ErrorShape.fit(cases.row.index_symmetry, errors, cases.allowed)
        sizes = np.linalg.norm(errors, axis=1)
        scale = ErrorScale.fit(cases.raw, sizes, cases.weights, plain=plain)
        return cls(shape, scale)

    def adapt(self, cases: Cases) -> "ErrorModel":
        """Learn from predictions of an ensemble what its disagreement tells on top."""
        errors = cases.mean - cases.truth
        sizes = np.linalg.norm(errors, axis=1)
        return ErrorModel(
            self.shape.adapt(errors, cases.allowed, cases.spreads),
            self.scale.adapt(cases.raw, sizes, cases.weights),
        )

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
        Fitted to crystals that were not learnt from.
    factors : mapping
        ``"error"``, ``"component"`` and the names of `quantities`, each to the factors
        of one σ and of `LEVELS`: quantiles of the scores.
    sizes : tuple of float
        Expected sizes of the errors of the validation crystals at every 5 %, ascending.
    n : int
        Number of crystals that the factors are from.
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
            "version": VERSION,
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


@dataclass(frozen=True, eq=False)
class LeftOut:
    """What single networks say of crystals that they have not learnt from.

    Parameters
    ----------
    strangers : Cases
        Training crystals, each predicted by a network that was trained without its
        part of them; with `part`.
    twins : sequence of Cases
        The validation crystals, predicted by each of these networks.
    """

    strangers: Cases
    twins: "Sequence[Cases]"


def calibrate(
    cases: Cases, left_out: LeftOut | None = None
) -> "tuple[Calibration, dict[str, Any]] | None":
    """Fit shape, size and factors to crystals that were not learnt from.

    Parameters
    ----------
    cases : Cases
        Predictions of the ensemble for the validation crystals, with their labels.
    left_out : LeftOut, optional
        Predictions for training crystals that the networks had not seen.

    Returns
    -------
    calibration : Calibration
        The result.
    coverage : dict
        What the intervals hold of the validation crystals, as `measure_coverage` returns
        it; with ``"normal"``, the same of components if one factor and the quantiles of
        a normal distribution were used in place of the scores' own.

    None if there are fewer than 20 crystals, or no errors.
    """
    errors = np.linalg.norm(cases.mean - cases.truth, axis=1)
    if cases.n_crystals < FEWEST or not errors.any():
        return None
    strangers = cases if left_out is None else left_out.strangers
    plain = strangers.n_crystals < MANY
    alone = ErrorModel.fit(strangers, plain=plain)
    model = alone.adapt(cases)
    if left_out is None:
        scores, expected = _crossed(cases, plain=plain, adapting=True)
        factors = {name: _factors(found) for name, found in scores.items()}
    else:
        strange, _ = _crossed(strangers, plain=plain, adapting=False)
        scores, expected = _scores(model, cases), model.expected(cases)
        twins = [_scores(alone, twin) for twin in left_out.twins]
        factors = {
            name: _factors(found, *_transfer(found, _joined(twins, name), scores[name]))
            for name, found in strange.items()
        }
    sizes = np.quantile(model.expected(cases), np.linspace(0, 1, 21))
    calibration = Calibration(
        cases.row, model, factors, tuple(sizes.tolist()), strangers.n_crystals
    )
    coverage = {
        "n": cases.n_crystals,
        **{
            name: _shares_inside(*scores[name], factors[name][1:])
            for name in ("error", "component")
        },
        "normal": _normal_shares(*scores["component"]),
        "worst_fifth": _share_of_worst(expected, errors),
    }
    return calibration, coverage


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


@cache
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


def _crossed(cases: Cases, *, plain: bool, adapting: bool) -> "tuple[Scores, Floats]":
    """Score every part, and expect its errors, by a model that is fitted to the others."""
    scores: list[Scores] = []
    expected = np.empty(len(cases.mean))
    for part in cases.folds():
        others, own = cases.take(~part), cases.take(part)
        model = ErrorModel.fit(others, plain=plain)
        model = model.adapt(others) if adapting else model
        scores.append(_scores(model, own))
        expected[part] = model.expected(own)
    return {name: _joined(scores, name) for name in scores[0]}, expected


def _joined(scores: "Sequence[Scores]", name: str) -> "tuple[Floats, Floats]":
    """Put the scores of several parts together."""
    values, weights = zip(*(each[name] for each in scores), strict=True)
    return np.concatenate(values), np.concatenate(weights)


def _transfer(
    seen: "tuple[Floats, Floats]",
    theirs: "tuple[Floats, Floats]",
    ours: "tuple[Floats, Floats]",
) -> tuple[float, float]:
    r"""Find what makes scores of single networks those of an ensemble.

    Its scores are taken to be :math:`c t^\beta`: smaller, and, as far as its spread tells
    large errors from small ones, with shorter tails. Both numbers are from means of the
    scores and of their roots: for the crystals that both predict, these change by the
    factors by which they are to change for all.
    """
    if not all(values.any() for values, _ in (seen, theirs, ours)):
        return 1.0, 1.0
    wanted = _tails(*seen) + _tails(*ours) - _tails(*theirs)
    low, high = _POWERS
    for _ in range(_HALVINGS):
        power = (low + high) / 2
        above = _tails(seen[0] ** power, seen[1]) > wanted
        low, high = (low, power) if above else (power, high)
    power = (low + high) / 2
    root = _mean_root(*seen) * _mean_root(*ours) / _mean_root(*theirs)
    return (root / _mean_root(seen[0] ** power, seen[1])) ** 2, power


def _mean_root(values: "Floats", weights: "Floats") -> float:
    """Average the roots of scores."""
    return float(np.average(np.sqrt(values), weights=weights))


def _tails(values: "Floats", weights: "Floats") -> float:
    """Compare the mean of scores with that of their roots; it grows with their tails."""
    mean = float(np.average(values, weights=weights))
    return float(np.log(mean) - 2 * np.log(_mean_root(values, weights)))


def _factors(
    scored: "tuple[Floats, Floats]", ratio: float = 1.0, power: float = 1.0
) -> tuple[float, ...]:
    """Find the quantiles of scores, transferred, for one σ and for every level."""
    return tuple(
        ratio * _quantile(*scored, level) ** power for level in (ONE_SIGMA, *LEVELS)
    )


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


def _normal_shares(values: "Floats", weights: "Floats") -> dict[str, float]:
    """Weigh the scores inside the intervals that a normal distribution would give."""
    width = float(np.sqrt(np.average(values**2, weights=weights)))
    limits = tuple(width * factor for factor in _NORMAL)
    return _shares_inside(values, weights, limits)


def _share_of_worst(expected: "Floats", errors: "Floats") -> float:
    """Say which share of all error the fifth with the largest expected error carries."""
    worst = np.argsort(-expected, kind="stable")[: max(1, round(0.2 * len(errors)))]
    return float(errors[worst].sum() / errors.sum())
