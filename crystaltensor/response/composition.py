"""From force constants to a property: its parts, its sum, and what that is worth."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.errors import ConfigError, PotentialError
from crystaltensor.inference.prediction import Prediction
from crystaltensor.inference.predictor import Predictor, load
from crystaltensor.properties import (
    BORN_CHARGES,
    DIELECTRIC,
    DIELECTRIC_TOTAL,
    ELASTIC,
    PIEZO,
)
from crystaltensor.response.born_charges import read_born_charges, to_primitive
from crystaltensor.response.cautions import cautions, unstable
from crystaltensor.response.correction import (
    Correction,
    describe,
    find_correction,
    load_correction,
)
from crystaltensor.response.formulas import IonicResponse
from crystaltensor.response.modes import DAMPING
from crystaltensor.response.prediction import ModeShare, ResponsePrediction
from crystaltensor.response.units import EV_PER_A3_IN_GPA
from crystaltensor.symmetry.forms import allowed_form
from crystaltensor.symmetry.frames import frame_rotation
from crystaltensor.symmetry.notation import rotate
from crystaltensor.symmetry.projection import project, why_forbidden

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from crystaltensor.properties import TensorProperty
    from crystaltensor.response.responder import CrystalResponse

    Floats = NDArray[np.float64]

PROPERTIES = (PIEZO, DIELECTRIC_TOTAL, ELASTIC)
"""What follows from forces."""

_N_MODES = 3  # shown
_SHIFT = 0.3  # eV/Å²: what the softest λ of two potentials differ by, typically
_RELATIVE_SHIFT = 0.15
_PLAIN_ERROR = {PIEZO.name: 0.5, DIELECTRIC_TOTAL.name: 0.4, ELASTIC.name: 0.2}
# Of the norm, without a learned part: about what the validation crystals show.


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a property before symmetry is imposed.

    Parameters
    ----------
    tensors : mapping
        Name to tensor, in the unit of the property.
    contributions : ndarray, shape (n_modes, 3, ..., 3)
        Of the modes to the ionic part.
    error : float
        Expected norm of the error.
    model : mapping
        Identity of what was learned.
    warnings : tuple of str
        What limits the numbers.
    """

    tensors: "Mapping[str, Floats]"
    contributions: "Floats"
    error: float
    model: "Mapping[str, str]"
    warnings: tuple[str, ...] = ()


class Composer:
    """Properties of crystals whose force constants are known.

    Parameters
    ----------
    born : path, optional
        File of Born charges; those of the model that comes along if left out.
    learned : path, optional
        Folder of a learned part; that which comes along for the potential if left out.
    device : str
        Where the networks run.
    """

    def __init__(
        self,
        *,
        born: str | Path | None = None,
        learned: Path | None = None,
        device: str = "auto",
    ) -> None:
        self.born, self.learned, self.device = born, learned, device
        self._predictors: dict[str, Predictor] = {}

    def predict(
        self,
        response: "CrystalResponse",
        row: "TensorProperty",
        *,
        frame: str = "input",
        source: str | None = None,
    ) -> ResponsePrediction:
        """Put a property together.

        Parameters
        ----------
        response : CrystalResponse
            Force constants.
        row : TensorProperty
            One of `PROPERTIES`.
        frame : str
            Frame of the tensor: ``"input"``, ``"ieee"`` or ``"standard"``.
        source : str, optional
            Where the crystal is from.

        Returns
        -------
        ResponsePrediction
            The tensor and its parts, exactly as symmetric as the crystal.

        Raises
        ------
        PotentialError
            If the structure is unstable in the potential: nothing is defined then.
        ConfigError
            If the property is none of these, or there is no such frame.
        FormatError, ShapeError
            If the file of Born charges does not fit.
        ModelError
            If the learned part is damaged, or of another property.
        """
        refuse_other(row)
        symmetry = response.symmetry
        turn = frame_rotation(symmetry, frame)
        group = turn @ symmetry.rotations @ turn.T
        form = allowed_form(group, row.index_symmetry, symbol=row.symbol)
        if form.n_independent:
            if not response.modes.stable:
                raise PotentialError(unstable(response, row))
            parts = self._parts(response, row)
        else:
            parts = _nothing(row)
        allowed = {
            name: project(rotate(part, turn), group, index_symmetry=row.index_symmetry)
            for name, part in parts.tensors.items()
        }
        total = np.sum(list(allowed.values()), axis=0)
        forbidden = (
            None if form.n_independent else why_forbidden(group, row.index_symmetry)
        )
        return ResponsePrediction(
            prediction=Prediction(
                source=source,
                crystal=symmetry.crystal,
                space_group=symmetry.named(),
                row=row,
                tensor=total,
                components=form.values(total),
                symmetry_residual=None,
                warnings=(*symmetry.warnings, *cautions(response), *parts.warnings)
                if forbidden is None
                else symmetry.warnings,
                model=parts.model,
                forbidden=forbidden,
                frame=frame,
                rotation=None if frame == "input" else turn,
            ),
            parts=allowed,
            modes=_shares(response, parts.contributions),
            uncertainty=parts.error,
            potential=_described(response),
            born_charges=str(self.born or "model born-charges"),
        )

    def _parts(self, response: "CrystalResponse", row: "TensorProperty") -> Parts:
        """Compute the parts of a property that the crystal allows."""
        if row == ELASTIC:
            return self._elastic(response)
        ionic, warnings = self._ionic(response)
        correction = (
            find_correction(row.name, response.potential)
            if self.learned is None
            else load_correction(self.learned, row.name)
        )
        of = ionic.piezo if row == PIEZO else ionic.dielectric
        contributions = of()
        tensors: dict[str, Floats] = {}
        model: Mapping[str, str] = {}
        if row == DIELECTRIC_TOTAL or correction is not None:
            found = self._predictor(DIELECTRIC.name).predict_symmetric(
                response.symmetry
            )
        if row == DIELECTRIC_TOTAL:
            tensors["electronic"], model = found.tensor, found.model
            warnings += tuple(
                one for one in found.warnings if one not in response.symmetry.warnings
            )
        tensors["ionic"] = contributions.sum(axis=0)
        size = float(np.linalg.norm(tensors["ionic"]))
        error = math.hypot(_PLAIN_ERROR[row.name] * size, softness(ionic, of))
        if correction is None:
            if row == PIEZO:
                missing = (
                    f"nothing was learned for {response.potential}: the electronic part "
                    "is missing, and e is the ionic part alone"
                )
                warnings += (missing,)
        else:
            learned, error = _learned(correction, response, ionic, of, found.tensor)
            name = "electronic" if row == PIEZO else "correction"
            tensors[name] = learned - tensors["ionic"]
            model = correction.identity()
            warnings += correction.worth()
        return Parts(tensors, contributions, error, model, warnings)

    def _elastic(self, response: "CrystalResponse") -> Parts:
        """Compute the stiffness at clamped ions and what their relaxation takes."""
        clamped = response.constants.clamped
        if clamped is None:
            raise ConfigError("elastic constants need force constants with stresses")
        ionic = IonicResponse(
            response.modes,
            response.constants.internal_strain,
            np.zeros((response.primitive.crystal.n_atoms, 3, 3)),
            response.primitive.crystal.volume,
        )
        contributions = ionic.elastic()
        tensors = {
            "clamped": clamped * EV_PER_A3_IN_GPA,
            "ionic": contributions.sum(axis=0),
        }
        size = float(np.linalg.norm(sum(tensors.values())))
        return Parts(
            tensors,
            contributions,
            math.hypot(
                _PLAIN_ERROR[ELASTIC.name] * size, softness(ionic, ionic.elastic)
            ),
            {},
        )

    def _ionic(
        self, response: "CrystalResponse"
    ) -> tuple[IonicResponse, tuple[str, ...]]:
        """Join force constants and Born charges."""
        warnings: tuple[str, ...] = ()
        if self.born is None:
            found = self._predictor(BORN_CHARGES.name).predict_symmetric(
                response.symmetry
            )
            charges = found.tensor
            warnings = tuple(
                one for one in found.warnings if one not in response.symmetry.warnings
            )
        else:
            charges = read_born_charges(self.born, response.symmetry)
        ionic = IonicResponse(
            response.modes,
            response.constants.internal_strain,
            to_primitive(charges, response.index),
            response.primitive.crystal.volume,
        )
        return ionic, warnings

    def _predictor(self, name: str) -> Predictor:
        """Load a model once."""
        if name not in self._predictors:
            self._predictors[name] = load(name, device=self.device)
        return self._predictors[name]


def refuse_other(row: "TensorProperty") -> None:
    """Refuse a property that does not follow from forces.

    Parameters
    ----------
    row : TensorProperty
        Any.

    Raises
    ------
    ConfigError
        If it is none of `PROPERTIES`.
    """
    if row not in PROPERTIES:
        names = ", ".join(one.name for one in PROPERTIES)
        raise ConfigError(
            f"{row.name} does not follow from the forces of a potential; these do: {names}"
        )


def _learned(
    correction: Correction,
    response: "CrystalResponse",
    ionic: IonicResponse,
    of: "Callable[[float], Floats]",
    electronic: "Floats",
) -> "tuple[Floats, float]":
    """Weigh the ionic response at each damping; tell the expected error."""
    parts = correction.parts(of)
    numbers = response.primitive.crystal.numbers
    features = describe(numbers, ionic, parts, electronic)
    weights = correction.weigh(features)
    members = np.einsum("mp,p...->m...", weights, parts)
    size = float(np.linalg.norm(parts[0]))
    return members.mean(axis=0), correction.expected_error(size, softness(ionic, of))


def softness(ionic: IonicResponse, of: "Callable[[float], Floats]") -> float:
    """Estimate what an error of λ changes: each mode on its own, in quadrature.

    Parameters
    ----------
    ionic : IonicResponse
        With its modes.
    of : callable
        Gives the contributions of the modes, such as ``ionic.piezo``.

    Returns
    -------
    float
        A norm, in the unit of the property.
    """
    gain = ionic.modes.gain()
    if not len(gain):
        return 0.0
    shift = _SHIFT + _RELATIVE_SHIFT * ionic.modes.stiffness
    hard = np.maximum(ionic.modes.stiffness, DAMPING)
    norms = _norms(of(DAMPING))
    return float(np.linalg.norm(norms * shift / hard))


def _norms(contributions: "Floats") -> "Floats":
    """Take the Frobenius norm of the contribution of each mode."""
    axes = tuple(range(1, contributions.ndim))
    return np.asarray(np.sqrt(np.square(contributions).sum(axis=axes)))


def _shares(
    response: "CrystalResponse", contributions: "Floats"
) -> tuple[ModeShare, ...]:
    """List the softest modes that contribute."""
    norms = _norms(contributions)
    seen = np.flatnonzero(norms > 0.01 * norms.max(initial=0.0))
    return tuple(
        ModeShare(float(response.modes.stiffness[one]), float(norms[one]))
        for one in seen[:_N_MODES]
    )


def _nothing(row: "TensorProperty") -> Parts:
    """Say of a property that the crystal forbids that it is zero."""
    zero = np.zeros((3,) * row.rank)
    return Parts({"ionic": zero}, np.zeros((0, *zero.shape)), 0.0, {})


def _described(response: "CrystalResponse") -> dict[str, Any]:
    """Say what the potential was asked, and what it answered."""
    constants = response.constants
    return {
        "name": response.potential,
        "force_calls": response.n_calls,
        "force_calls_reduced": constants.n_calls,
        "force_calls_unreduced": constants.n_calls_unreduced,
        "residual_force": constants.residual_force,
        "softest_mode": response.modes.softest,
        "relaxed_by": response.moved,
    }
