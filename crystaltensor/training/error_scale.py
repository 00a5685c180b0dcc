r"""How large the error of a prediction is expected to be.

The expected size is a product of powers,

.. math:: g_1 = \exp\Bigl(b_0 + \sum_j b_j \frac{x_j - m_j}{s_j} + \sum_{Z} c_Z\Bigr) ,

of what is known before the label is: the prediction, the distance from the training
crystals, the labels of those that are alike and the errors that were made there, rarity
and structure; and a factor for each element Z of the crystal. What the members of an
ensemble disagree by is known of fewer crystals, and is put on top of it:

.. math:: g = g_1^{1 + p} \, \Bigl(\frac{\text{spread}}{s_0} + f\Bigr)^q .
"""

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.data.features import LAST_ELEMENT
from crystaltensor.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FEATURES = (
    *("norm", "value", "distance", "rarity", "volume", "coordination", "atoms"),
    *("kinds", "like_error", "like_spread", "contrast"),
)
"""What the expected size of an error depends on, the elements apart."""

MANY = 300
"""Crystals that can tell about all of these, and about the elements."""

_GROWING = ("distance", "rarity")  # errors do not shrink with these
_PLAIN = ("norm", "distance", "rarity")  # all that few crystals can tell
_RIDGE = 3.0  # chosen on val; a weight of three crystals for coefficients of zero
_ROUNDS = 60
_FLOOR = 0.01  # of norms and differences, in units of the typical norm
_FLOOR_ERROR = 0.05  # of errors and of the spread, in units of the typical one
_LEAST = -0.9  # of the power p: what is known beside the spread always counts
_LARGEST = 5.0  # a value counts up to this many times the typical norm


@dataclass(frozen=True, eq=False)
class ErrorScale:
    """The expected size of an error.

    Parameters
    ----------
    unit, error_unit : float
        Typical norm of a prediction, and of an error.
    means, widths, coefficients : ndarray, shape (n_features,)
        m, s and b of each of `FEATURES`.
    elements : ndarray, shape (n_elements,)
        c of each element.
    constant : float
        The coefficient b₀.
    spread_unit, power, spread : float
        s₀, p and q.
    """

    unit: float
    error_unit: float
    means: "Floats" = field(repr=False)
    widths: "Floats" = field(repr=False)
    coefficients: "Floats"
    elements: "Floats" = field(repr=False)
    constant: float
    spread_unit: float = 1.0
    power: float = 0.0
    spread: float = 0.0

    @classmethod
    def fit(
        cls,
        raw: "Mapping[str, Floats]",
        sizes: "Floats",
        weights: "Floats",
        *,
        plain: bool = False,
    ) -> "ErrorScale":
        r"""Maximise a likelihood of the sizes with tails that single outliers do not rule.

        That of Weibull's distribution with the exponent one half, of which g is the
        scale: the density falls as :math:`e^{-2 \sqrt{d / g}}`. The spread is left out,
        see `adapt`.

        Parameters
        ----------
        raw : mapping
            What is known of each prediction, from `Cases.raw`, shape (n, ...) each.
        sizes : ndarray, shape (n,)
            Of the errors; not all zero.
        weights : ndarray, shape (n,)
            How much each counts.
        plain : bool
            Whether these are too few crystals to tell about more than the norm of the
            prediction, distance and rarity, see `MANY`.

        Returns
        -------
        ErrorScale
            In which errors do not shrink with distance or rarity.
        """
        unit = max(float(np.median(raw["norm"])), 1e-12)
        typical = float(np.median(sizes[sizes > 0]))
        given = _features(raw, unit, typical)
        means = np.average(given, axis=0, weights=weights)
        widths = np.sqrt(np.average((given - means) ** 2, axis=0, weights=weights))
        used = (widths > 1e-9) & (np.isin(FEATURES, _PLAIN) | (not plain))
        widths = np.where(used, widths, 1.0)
        design = np.hstack([(given - means) / widths, raw["elements"]])
        bound = np.isin(FEATURES, _GROWING)
        while True:
            kept = np.concatenate([used, (not plain) & np.any(raw["elements"], axis=0)])
            found = _newton(design[:, kept], sizes / typical, weights)
            coefficients = np.zeros(design.shape[1])
            coefficients[kept] = found[1:]
            wrong = bound & (coefficients[: len(FEATURES)] < 0)
            if not wrong.any():
                break
            used &= ~wrong
        return cls(
            unit,
            typical,
            means,
            widths,
            coefficients[: len(FEATURES)],
            coefficients[len(FEATURES) :],
            float(found[0] + np.log(typical)),
        )

    def adapt(
        self, raw: "Mapping[str, Floats]", sizes: "Floats", weights: "Floats"
    ) -> "ErrorScale":
        """Learn from predictions of an ensemble how much its spread tells on top.

        Parameters
        ----------
        raw, sizes, weights
            As in `fit`.

        Returns
        -------
        ErrorScale
            With powers for the spread, which is not negative, and for the rest.
        """
        spread = raw["spread"]
        if not spread.any() or not sizes.any():
            return self
        unit = float(np.median(spread[spread > 0]))
        before = self.expected(raw)
        given = np.stack([np.log(before), _log_spread(spread, unit)], axis=1)
        means = np.average(given, axis=0, weights=weights)
        shift, power, root = _newton(given - means, sizes / before, weights)
        if root < 0:
            shift, power = _newton((given - means)[:, :1], sizes / before, weights)
        power, root = max(float(power), _LEAST), max(float(root), 0.0)
        # g is g_1 to the power 1 + p, and the constant of g_1 is raised with it.
        shift -= means @ (power, root)
        return replace(
            self,
            constant=self.constant + float(shift) / (1 + power),
            spread_unit=unit,
            power=power,
            spread=root,
        )

    def expected(self, raw: "Mapping[str, Floats]") -> "Floats":
        """Return the expected sizes, shape (n,), from what `fit` takes."""
        given = _features(raw, self.unit, self.error_unit)
        scaled = (given - self.means) / self.widths
        logs = self.constant + scaled @ self.coefficients
        logs += raw["elements"] @ self.elements
        logs *= 1 + self.power
        logs += self.spread * _log_spread(raw["spread"], self.spread_unit)
        sizes: Floats = np.exp(logs)
        return sizes

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def restore(cls, plain: "Mapping[str, Any]") -> "ErrorScale":
        """Make it from what `as_dict` gave.

        Raises
        ------
        DataError
            If a list is of another length.
        """
        arrays = {"means", "widths", "coefficients", "elements"}
        given: dict[str, Any] = {
            name: np.array(value, dtype=np.float64) if name in arrays else float(value)
            for name, value in plain.items()
        }
        n = len(FEATURES)
        wanted = dict.fromkeys(("means", "widths", "coefficients"), (n,))
        if any(given[name].shape != shape for name, shape in wanted.items()):
            raise DataError(f"a calibration must have {n} coefficients")
        if given["elements"].shape != (LAST_ELEMENT,):
            raise DataError("a calibration must have a coefficient for each element")
        return cls(**given)


def _features(raw: "Mapping[str, Floats]", unit: float, typical: float) -> "Floats":
    """Write down what the size depends on, shape (n, n_features)."""
    return np.stack(
        [
            np.log(raw["norm"] / unit + _FLOOR),
            np.clip(raw["value"] / unit, -_LARGEST, _LARGEST),
            np.log(raw["distance"] + 0.1),
            -np.log1p(raw["rarest"]),
            np.log(raw["volume"]),
            raw["coordination"],
            np.log(raw["atoms"]),
            np.count_nonzero(raw["elements"], axis=1),
            np.log(raw["like_error"] / typical + _FLOOR_ERROR),
            np.log(raw["like_spread"] / unit + _FLOOR),
            np.log(np.abs(raw["value"] - raw["like_label"]) / unit + _FLOOR),
        ],
        axis=1,
    )


def _log_spread(spread: "Floats", unit: float) -> "Floats":
    """Write down what the members disagree by, shape (n,)."""
    logs: Floats = np.log(spread / unit + _FLOOR_ERROR)
    return logs


def _newton(given: "Floats", sizes: "Floats", weights: "Floats") -> "Floats":
    """Fit the constant and the coefficients; the problem is convex."""
    design = np.hstack([np.ones((len(given), 1)), given])
    ridge = np.diag([0.0] + [_RIDGE] * given.shape[1])
    found = np.zeros(design.shape[1])
    for _ in range(_ROUNDS):
        roots = weights * np.sqrt(sizes * np.exp(-design @ found))
        slope = design.T @ (weights - roots) + ridge @ found
        curve = (design.T * (0.5 * roots)) @ design + ridge + 1e-9 * np.eye(len(found))
        step = np.linalg.solve(curve, slope)
        # Far from the solution a full step would overshoot.
        step *= min(1.0, 1.0 / max(float(np.abs(design @ step).max()), 1e-300))
        found -= step
        if np.abs(step).max() < 1e-10:
            break
    return found
