"""A response property with its parts, its softest modes and what it is worth."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crystaltensor.symmetry.notation import to_voigt

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from crystaltensor.inference.prediction import Prediction

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ModeShare:
    """What one mode adds to a property.

    Parameters
    ----------
    stiffness : float
        λ in eV/Å².
    norm : float
        Frobenius norm of its contribution, in the unit of the property.
    """

    stiffness: float
    norm: float


@dataclass(frozen=True, eq=False)
class ResponsePrediction:
    """A property from forces, Born charges and what was learned.

    Parameters
    ----------
    prediction : Prediction
        The whole tensor; its model is that of the learned part.
    parts : mapping
        Name of each part to its tensor, in the frame and unit of the whole, which is
        their sum.
    modes : tuple of ModeShare
        The softest that add to it, the softest first.
    uncertainty : float
        Half-width of the interval of the norm of the error that holds 68 % of crystals.
    potential : mapping
        Its name, the force calculations made now, with symmetry and without it, the
        largest residual force (eV/Å), the smallest λ (eV/Å²), the displacement by the
        relaxation (Å, or None).
    born_charges : str
        Where they are from.
    """

    prediction: "Prediction"
    parts: "Mapping[str, Floats]"
    modes: tuple[ModeShare, ...]
    uncertainty: float
    potential: "Mapping[str, Any]"
    born_charges: str

    def as_dict(self) -> dict[str, Any]:
        """Return the prediction as plain values, as one line of a JSONL file holds it."""
        found = self.prediction.as_dict()
        rank = self.prediction.row.rank
        found["uncertainty"] = {"norm": self.uncertainty, "coverage": 0.68}
        found["response"] = {
            "parts": {
                name: (tensor if rank == 2 else to_voigt(tensor, rank)).tolist()
                for name, tensor in self.parts.items()
            },
            "modes": [
                {"stiffness": mode.stiffness, "norm": mode.norm} for mode in self.modes
            ],
            "potential": dict(self.potential),
            "born_charges": self.born_charges,
        }
        return found
