"""What a prediction may be off by: a covariance that turns with the crystal."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.data.scales import from_learnt
from crystaltensor.symmetry.coordinates import (
    allowed_components,
    component_basis,
    to_components,
)
from crystaltensor.symmetry.notation import rotate, to_voigt
from crystaltensor.symmetry.quantities import propagate
from crystaltensor.symmetry.sites import site_projectors
from crystaltensor.training.calibration import (
    LEVELS,
    Calibration,
    factorised,
    percent,
)
from crystaltensor.training.cases import Cases

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from crystaltensor.data.domain import Domain, Traits
    from crystaltensor.data.graphs import CrystalGraph
    from crystaltensor.symmetry.forms import AllowedForm
    from crystaltensor.symmetry.operations import Symmetry

    Floats = NDArray[np.float64]

_ZERO = 1e-8  # a σ this far below the largest is that of a component that is zero


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What a prediction may be off by.

    Every σ is the half-width of the interval that holds 68.27 % of the errors; those
    of other intervals are not multiples of it as in a normal distribution, see
    `half_widths`.

    Parameters
    ----------
    calibration : Calibration
        Of the model.
    value : ndarray, shape (n_tensors, n_components)
        The mean of the members, on the scale that is learnt.
    matrices : ndarray, shape (n_tensors, n_components, n_components)
        Covariances of the irreducible components, in the frame of the crystal.
    expected : ndarray, shape (n_tensors,)
        Expected norms of the errors.
    quantities : mapping
        σ of what follows from the tensors, shape (n_tensors,) each.
    distance : float
        From the training crystals, in units of the typical one among them.
    turn : ndarray, shape (3, 3)
        From the frame of the crystal to that of the prediction.
    form : AllowedForm or None
        In that frame.
    """

    calibration: Calibration = field(repr=False)
    value: "Floats" = field(repr=False)
    matrices: "Floats" = field(repr=False)
    expected: "Floats"
    quantities: "Mapping[str, Floats]" = field(repr=False)
    distance: float
    turn: "Floats" = field(repr=False)
    form: "AllowedForm | None" = field(repr=False)

    @cached_property
    def _basis(self) -> "Floats":
        """Tensors of the irreducible components in the frame, flattened."""
        row = self.calibration.row
        basis = component_basis(row.index_symmetry)
        if not row.rank or np.array_equal(self.turn, np.eye(3)):
            return basis
        tensors = basis.reshape(-1, *(3,) * row.rank)
        turned = rotate(tensors, self.turn, rank=row.rank)
        flat: Floats = turned.reshape(len(basis), -1)
        return flat

    @cached_property
    def sigma(self) -> "Floats":
        """σ of every Cartesian component, of the shape of the tensor; in its unit.

        That of a scalar whose logarithm is learnt is one to first order.
        """
        row = self.calibration.row
        basis = self._basis.T
        squares = ((basis @ self.matrices) * basis).sum(axis=-1)
        sigmas = np.sqrt(np.maximum(squares, 0))
        sigmas[sigmas < _ZERO * sigmas.max(initial=0)] = 0.0
        if row.logarithmic:
            sigmas *= np.log(10) * from_learnt(self.value, row)
        shaped: Floats = sigmas.reshape(len(sigmas), *(3,) * row.rank)
        return shaped if row.per_atom else shaped[0]

    @cached_property
    def voigt(self) -> "Floats | None":
        """σ of the Voigt form; None for tensors of atoms and scalars."""
        row = self.calibration.row
        if row.per_atom or not row.rank:
            return None
        return self.sigma if row.rank == 2 else to_voigt(self.sigma, row.rank)

    @cached_property
    def covariance(self) -> "Floats | None":
        """Covariance of the independent components, in the order of their names.

        None for tensors of atoms and scalars, which name none.
        """
        if self.form is None:
            return None
        places = dict(
            zip(self.form.names.ravel().tolist(), self.form.flat.ravel(), strict=True)
        )
        chosen = self._basis[:, [places[name] for name in self.form.independent]]
        matrix: Floats = chosen.T @ self.matrices[0] @ chosen
        return matrix

    @cached_property
    def components(self) -> dict[str, float] | None:
        """Name of each independent component to its σ; None where none are named."""
        if self.form is None or self.covariance is None:
            return None
        sigmas = np.sqrt(np.maximum(np.diag(self.covariance), 0)).tolist()
        return dict(zip(self.form.independent, sigmas, strict=True))

    @property
    def half_widths(self) -> dict[str, float]:
        """Half-width of the intervals of a component, in units of its σ, by percentage."""
        return self.calibration.half_widths("component")

    @property
    def percentile(self) -> float:
        """Percentage of the validation crystals that had less error expected."""
        return self.calibration.percentile(float(self.expected.mean()))

    def error_norms(self) -> dict[str, "Floats"]:
        """Bound the Frobenius norm of the error with the probability of each name.

        Returns
        -------
        dict
            ``"50"`` to ``"95"`` to one bound for each tensor, shape (n_tensors,), on the
            scale that is learnt.
        """
        factors = self.calibration.factors["error"][1:]
        return {
            percent(level): factor * self.expected
            for level, factor in zip(LEVELS, factors, strict=True)
        }

    def intervals(self) -> dict[str, tuple[float, float]]:
        """Give the intervals of a scalar, in its unit; inside its physical bound."""
        row = self.calibration.row
        found = {}
        for name, bound in self.error_norms().items():
            ends = from_learnt(self.value[0, 0] + np.array([-bound[0], bound[0]]), row)
            if row.lower_bound is not None:
                ends = np.maximum(ends, row.lower_bound)
            found[name] = (float(ends[0]), float(ends[1]))
        return found

    def derived(self) -> dict[str, dict[str, float]]:
        """Give σ and the half-widths of the intervals of what follows from a tensor."""
        if self.calibration.row.per_atom:
            return {}
        found = {}
        for name, sigmas in self.quantities.items():
            sigma = float(sigmas[0])
            if np.isfinite(sigma):
                widths = self.calibration.half_widths(name)
                found[name] = {"sigma": sigma} | {
                    level: sigma * width for level, width in widths.items()
                }
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        row = self.calibration.row
        common = {
            "percentile": self.percentile,
            "distance": self.distance,
            "calibrated_on": self.calibration.n,
        }
        if not row.rank:
            ends = {level: list(pair) for level, pair in self.intervals().items()}
            return {"sigma": float(self.sigma), "intervals": ends, **common}
        shown = self.sigma if self.voigt is None else self.voigt
        return {
            "sigma": shown.tolist(),
            "components": self.components,
            "covariance": None if self.covariance is None else self.covariance.tolist(),
            "half_widths": self.half_widths,
            "error_norm": {
                level: bounds.tolist() if row.per_atom else float(bounds[0])
                for level, bounds in self.error_norms().items()
            },
            "derived": self.derived(),
            **common,
        }


@dataclass(frozen=True, eq=False)
class Asked:
    """A crystal whose prediction is to get an uncertainty.

    Parameters
    ----------
    raw : ndarray, shape (n_members, 3, ..., 3) or (n_members, n_atoms, 3, ..., 3)
        What the members return.
    graph : CrystalGraph
        Of the crystal.
    symmetry : Symmetry
        Of the crystal.
    traits : Traits
        Of the crystal.
    turn : ndarray, shape (3, 3)
        To the frame of the prediction.
    form : AllowedForm or None
        In that frame.
    """

    raw: "Floats" = field(repr=False)
    graph: "CrystalGraph" = field(repr=False)
    symmetry: "Symmetry" = field(repr=False)
    traits: "Traits"
    turn: "Floats" = field(repr=False)
    form: "AllowedForm | None" = field(repr=False)


def estimate(
    calibration: Calibration, domain: "Domain", asked: "Sequence[Asked]"
) -> list[Uncertainty]:
    """Say what predictions for several crystals may be off by.

    Parameters
    ----------
    calibration : Calibration
        Of the model.
    domain : Domain
        Its training crystals.
    asked : sequence of Asked
        At least one crystal.

    Returns
    -------
    list of Uncertainty
        In the same order.
    """
    row = calibration.row
    if row.per_atom:
        counts = [each.raw.shape[1] for each in asked]
        raw = np.concatenate([each.raw for each in asked], axis=1)
        allowed = np.concatenate(
            [site_projectors(each.symmetry, row.index_symmetry) for each in asked]
        )
    else:
        counts = [1] * len(asked)
        raw = np.stack([each.raw for each in asked], axis=1)
        allowed = np.stack(
            [
                allowed_components(each.graph.projectors, row.index_symmetry)
                for each in asked
            ]
        )
    known = domain.describe([each.traits for each in asked])
    cases = Cases(
        row,
        (to_components(raw, row.index_symmetry)[..., None, :] @ allowed)[..., 0, :],
        allowed,
        {name: np.repeat(values, counts, axis=0) for name, values in known.items()},
    )
    covariances = calibration.model.covariances(cases)
    expected = calibration.model.expected(cases)
    sigmas = propagate(cases.mean, factorised(covariances), row)
    scaled = calibration.factors["component"][0] ** 2 * covariances
    quantities = {
        name: calibration.factors[name][0] * sigma for name, sigma in sigmas.items()
    }
    ends = np.cumsum(counts)
    return [
        Uncertainty(
            calibration,
            cases.mean[end - count : end],
            scaled[end - count : end],
            expected[end - count : end],
            {name: sigma[end - count : end] for name, sigma in quantities.items()},
            float(distance),
            each.turn,
            each.form,
        )
        for each, end, count, distance in zip(
            asked, ends, counts, known["distance"], strict=True
        )
    ]
