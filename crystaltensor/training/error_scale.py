r"""How large the error of a prediction is expected to be.

The expected size is a product of powers,

.. math:: g = \exp\Bigl(b_0 + \sum_j b_j \frac{x_j - m_j}{s_j}\Bigr) ,

of what is known before the label is: the spread of the ensemble, the size of the
prediction, the distance to the training crystals, and the rarity of the elements.
"""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FEATURES = ("spread", "norm", "distance", "rarity")
"""What the expected size of an error depends on."""

_RIDGE = 3.0  # chosen on val; a weight of three crystals for coefficients of zero
_ROUNDS = 50
_FLOOR = 0.01  # of spread and norm, in units of the typical norm
_GROWING = (
    True,
    False,
    True,
    True,
)  # errors do not shrink with these, only with the norm


@dataclass(frozen=True)
class ErrorScale:
    """The expected size of an error.

    Parameters
    ----------
    unit : float
        Typical norm of a prediction.
    means, widths, coefficients : tuple of float
        m, s and b of each of `FEATURES`.
    constant : float
        The coefficient b₀.
    """

    unit: float
    means: tuple[float, ...]
    widths: tuple[float, ...]
    coefficients: tuple[float, ...]
    constant: float

    @classmethod
    def fit(
        cls, raw: "Mapping[str, Floats]", sizes: "Floats", weights: "Floats"
    ) -> "ErrorScale":
        r"""Maximise a likelihood of the sizes with tails that single outliers do not rule.

        That of Weibull's distribution with the exponent one half, of which g is the
        scale: the density falls as :math:`e^{-2 \sqrt{d / g}}`.

        Parameters
        ----------
        raw : mapping
            ``"spread"``, ``"norm"``, ``"distance"`` and ``"rarest"``, shape (n,) each;
            the last one counts the training crystals with the rarest element.
        sizes : ndarray, shape (n,)
            Of the errors; not all zero.
        weights : ndarray, shape (n,)
            How much each counts.

        Returns
        -------
        ErrorScale
            With coefficients that are not negative, the norm's excepted.
        """
        unit = max(float(np.median(raw["norm"])), 1e-12)
        given = _features(raw, unit)
        means = np.average(given, axis=0, weights=weights)
        widths = np.sqrt(np.average((given - means) ** 2, axis=0, weights=weights))
        widths = np.where(widths > 1e-9, widths, np.inf)
        scaled = (given - means) / widths
        typical = float(np.median(sizes[sizes > 0]))
        used = [place for place in range(len(FEATURES)) if np.isfinite(widths[place])]
        while True:
            found = _newton(scaled[:, used], sizes / typical, weights)
            wrong = [
                place
                for place, value in zip(used, found[1:], strict=True)
                if _GROWING[place] and value < 0
            ]
            if not wrong:
                break
            used = [place for place in used if place not in wrong]
        coefficients = np.zeros(len(FEATURES))
        coefficients[used] = found[1:]
        return cls(
            unit,
            tuple(means.tolist()),
            tuple(np.where(np.isfinite(widths), widths, 1.0).tolist()),
            tuple(coefficients.tolist()),
            float(found[0] + np.log(typical)),
        )

    def expected(self, raw: "Mapping[str, Floats]") -> "Floats":
        """Return the expected sizes, shape (n,), from what `fit` takes."""
        scaled = (_features(raw, self.unit) - self.means) / self.widths
        sizes: Floats = np.exp(self.constant + scaled @ np.array(self.coefficients))
        return sizes

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def restore(cls, plain: "Mapping[str, Any]") -> "ErrorScale":
        """Make it from what `as_dict` gave."""
        lists = {
            name: tuple(float(value) for value in plain[name])
            for name in ("means", "widths", "coefficients")
        }
        return cls(
            unit=float(plain["unit"]), constant=float(plain["constant"]), **lists
        )


def _features(raw: "Mapping[str, Floats]", unit: float) -> "Floats":
    """Write down what the size depends on, shape (n, n_features)."""
    return np.stack(
        [
            np.log(raw["spread"] / unit + _FLOOR),
            np.log(raw["norm"] / unit + _FLOOR),
            np.log(raw["distance"] + 0.1),
            -np.log1p(raw["rarest"]),
        ],
        axis=1,
    )


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
