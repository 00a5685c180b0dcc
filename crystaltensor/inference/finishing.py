"""From the numbers of networks to predictions that are exactly symmetric."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.crystals.crystal import SYMBOLS
from crystaltensor.data.scales import from_learnt
from crystaltensor.inference.metals import metal_signs
from crystaltensor.inference.prediction import Prediction
from crystaltensor.symmetry.contradictions import contradictions
from crystaltensor.symmetry.forms import AllowedForm, allowed_form
from crystaltensor.symmetry.frames import frame_rotation
from crystaltensor.symmetry.notation import rotate
from crystaltensor.symmetry.projection import project, why_forbidden
from crystaltensor.symmetry.sites import project_site_tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crystaltensor.crystals.crystal import Crystal
    from crystaltensor.data.domain import Traits
    from crystaltensor.inference.models import TrainedModel
    from crystaltensor.inference.uncertainty import Uncertainty
    from crystaltensor.symmetry.operations import Symmetry

    Floats = NDArray[np.float64]

LARGE_RESIDUAL = 1e-3
"""A part of the networks' output that symmetry forbids is rounding below this."""


@dataclass(frozen=True, eq=False)
class Outline:
    """What is known of a prediction before a network has run.

    Parameters
    ----------
    model : TrainedModel
        The model.
    symmetry : Symmetry
        Of the crystal.
    frame : str
        Of the tensor: ``"input"``, ``"ieee"`` or ``"standard"``.
    """

    model: "TrainedModel"
    symmetry: "Symmetry"
    frame: str
    turn: "Floats"
    group: "Floats"
    form: AllowedForm | None

    @classmethod
    def of(cls, model: "TrainedModel", symmetry: "Symmetry", frame: str) -> "Outline":
        """Find the axes of the tensor and its form.

        Raises
        ------
        ConfigError
            If there is no such frame.
        """
        row = model.row
        turn = frame_rotation(symmetry, frame)
        if not row.rank:  # the same in all axes
            frame = "input"
        group = turn @ symmetry.rotations @ turn.T
        form = None  # tensors of atoms have no common one, and a scalar needs none
        if row.rank and not row.per_atom:
            form = allowed_form(group, row.index_symmetry, symbol=row.symbol)
        return cls(model, symmetry, frame, turn, group, form)

    @property
    def forbidden(self) -> bool:
        """Whether the crystal has no such tensor: no network is asked then."""
        return self.form is not None and not self.form.n_independent

    def finish(
        self,
        raw: "Floats | None",
        source: str | None,
        *,
        uncertainty: "Uncertainty | None" = None,
        traits: "Traits | None" = None,
    ) -> Prediction:
        """Make the prediction.

        Parameters
        ----------
        raw : ndarray, shape (n_members, 3, ..., 3) or (n_members, n_atoms, 3, ..., 3)
            What the members of the ensemble return, in the frame of the crystal; None
            if the tensor is forbidden.
        source : str or None
            Where the crystal is from.
        uncertainty : Uncertainty, optional
            Of the prediction.
        traits : Traits, optional
            Of the crystal, to be held against the training crystals.

        Returns
        -------
        Prediction
            The mean of the members, projected.
        """
        row, symmetry = self.model.row, self.symmetry
        residual = reason = None
        if raw is None:
            tensor = np.zeros((3,) * row.rank)
            reason = why_forbidden(self.group, row.index_symmetry)
        else:
            tensor, residual = self._allowed(raw.mean(axis=0))
        return Prediction(
            source=source,
            crystal=symmetry.crystal,
            space_group=symmetry.named(),
            row=row,
            tensor=tensor,
            components=None if self.form is None else self.form.values(tensor),
            symmetry_residual=residual,
            warnings=(
                *symmetry.warnings,
                # That a forbidden tensor is zero is certain.
                *(
                    []
                    if reason
                    else self._warnings(tensor, residual, traits, uncertainty)
                ),
            ),
            model=self.model.identity(),
            forbidden=reason,
            frame=self.frame,
            rotation=None if self.frame == "input" else self.turn,
            uncertainty=uncertainty,
        )

    def _warnings(
        self,
        tensor: "Floats",
        residual: float | None,
        traits: "Traits | None",
        uncertainty: "Uncertainty | None",
    ) -> list[str]:
        """Say what the prediction is worth, and why it may be worth less."""
        model, row = self.model, self.model.row
        caution = [row.caution] if row.caution else []
        known = self.model.elements
        if not row.rank and not known.issuperset(
            self.symmetry.crystal.numbers.tolist()
        ):
            caution.insert(0, "the reference of an element it has not seen is a guess")
        return [
            *contradictions(row.name, tensor),
            *_distrust(model, residual),
            *_strangeness(
                model,
                self.symmetry.crystal,
                traits,
                None if uncertainty is None else uncertainty.distance,
            ),
            *metal_signs(self.symmetry, row),
            *caution,
            *worth(model),
        ]

    def _allowed(self, raw: "Floats") -> "tuple[Floats, float | None]":
        """Project and turn; tell which part of the network's output was lost."""
        row, symmetry = self.model.row, self.symmetry
        if not row.rank:
            return from_learnt(raw, row), None
        if row.per_atom:
            tensor = project_site_tensors(raw, symmetry, sum_rule=True)
        else:
            tensor = project(raw, symmetry.rotations, index_symmetry=row.index_symmetry)
        norm = float(np.linalg.norm(raw))
        residual = float(np.linalg.norm(raw - tensor)) / norm if norm else None
        if self.frame != "input" and row.per_atom:
            tensor = rotate(tensor, self.turn, rank=row.rank)
        elif self.frame != "input":  # projected again, so that zeros are exactly zero
            turned = rotate(tensor, self.turn)
            tensor = project(turned, self.group, index_symmetry=row.index_symmetry)
        return tensor, residual


def _distrust(model: "TrainedModel", residual: float | None) -> list[str]:
    """Say that the networks' own output has not got the symmetry of the crystal."""
    limit = max(10 * model.usual_residual, LARGE_RESIDUAL)
    if residual is None or residual <= limit:
        return []
    return [
        (
            f"{100 * residual:.2g} % of the networks' own output is forbidden by the "
            f"symmetry of the crystal, where {100 * model.usual_residual:.2g} % is usual: "
            "do not trust this prediction"
        )
    ]


def _strangeness(
    model: "TrainedModel",
    crystal: "Crystal",
    traits: "Traits | None",
    distance: float | None,
) -> list[str]:
    """Say what about the crystal is unlike the training crystals."""
    if model.domain is not None and traits is not None:
        if distance is None:
            distance = model.domain.distance(traits)
        return model.domain.reasons(traits, distance)
    strange = sorted(set(crystal.numbers.tolist()) - model.elements)
    if not strange:
        return []
    names = ", ".join(SYMBOLS[number] for number in strange)
    return [f"no training crystal contains {names}"]


def worth(model: "TrainedModel") -> list[str]:
    """Say in one sentence how a model does on its test crystals.

    Parameters
    ----------
    model : TrainedModel
        With figures for a set ``"test"``.

    Returns
    -------
    list of str
        One sentence; none if the model does well.
    """
    test, row = model.test_figures, model.row
    if not test:
        return []
    # An energy may be near zero: its relative error says nothing.
    good = test["ewt_25"] >= 50 if row.rank else test["fnorm"] < test["zero_fnorm"] / 2
    if good:
        return []
    unit = "" if row.learnt_unit == "1" else f" {row.learnt_unit}"
    known = "predicting zero" if row.rank else "the mean of the training crystals"
    sentence = (
        f"this model is a rough guide: on {test['n']} test crystals its mean error is "
        f"{test['fnorm']:.3g}{unit}, where {known} gives "
        f"{test['zero_fnorm']:.3g}, and {test['ewt_25']:.0f} % are within 25 %"
    )
    return [sentence]
