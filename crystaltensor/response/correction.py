r"""The part of a response that forces do not hold, learned from DFT.

A potential knows nothing of electrons: the clamped-ion part of e is missing from its
ionic response, and its force constants have errors that are alike in like crystals. Both
are learned together as weights of the ionic response at several dampings,

.. math:: T = \sum_k w_k(x) \, T^{ion}(\delta_k) ,

where the weights are those of a small network that sees invariants x alone: the
elements, the softest mode, the size of the ionic response, ε^∞, which tells ionic from
covalent bonds. Every part is as symmetric as the crystal, and turns with it.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.errors import ModelError
from crystaltensor.inference.models import models_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from crystaltensor.response.formulas import IonicResponse

    Floats = NDArray[np.float64]

WEIGHTS, RECORD = "weights.safetensors", "record.json"
FOLDER = "response"
"""Of the models that come along, below ``models``."""

_FARTHEST = 4.0  # standard deviations: features beyond are taken to be there


def describe(
    numbers: "NDArray[np.int64]",
    ionic: "IonicResponse",
    parts: "Floats",
    electronic: "Floats",
) -> "Floats":
    """Describe a crystal by numbers that no rotation changes.

    Parameters
    ----------
    numbers : ndarray of int, shape (n_atoms,)
        Atomic numbers of the primitive cell.
    ionic : IonicResponse
        Its modes, charges and volume.
    parts : ndarray, shape (n_parts, 3, ..., 3)
        The ionic response at each damping.
    electronic : ndarray, shape (3, 3)
        ε^∞.

    Returns
    -------
    ndarray, shape (n_features,)
        Without units.
    """
    elements = _elements()[numbers - 1]
    stiffness = ionic.modes.stiffness
    soft, hard = (
        (stiffness[0], stiffness[-1]) if len(stiffness) else (_NO_MODE, _NO_MODE)
    )
    sizes = [float(np.linalg.norm(part)) + 0.05 for part in parts]
    invariants = [
        np.log(max(soft, 0.03)),
        float(soft > 0),
        np.log(sizes[0]),
        np.log(sizes[-1] / sizes[0]),
        np.sqrt(np.square(ionic.mode_charges).sum() / len(numbers)),
        np.log(max(hard, 0.1)),
        np.log(ionic.volume / len(numbers)),
        np.log(max(1.0, np.trace(electronic) / 3)),
        np.vdot(parts[0], parts[-1]) / (sizes[0] * sizes[-1]),
        np.log(np.abs(np.trace(ionic.charges, axis1=1, axis2=2)).mean() / 3 + 0.1),
    ]
    return np.concatenate([elements.mean(axis=0), elements.max(axis=0), invariants])


_NO_MODE = 10.0  # eV/Å²: a crystal of one atom


@cache
def _elements() -> "Floats":
    """Describe the elements as the networks do, (n_elements, n_features)."""
    from crystaltensor.data.features import element_features

    table: Floats = element_features().double().numpy()
    return table


def damped_parts(
    of: "Callable[[float], Floats]", dampings: "Sequence[float]"
) -> "Floats":
    """Compute an ionic response at several dampings.

    Parameters
    ----------
    of : callable
        Gives the contributions of the modes at a damping, such as
        ``IonicResponse.piezo``.
    dampings : sequence of float
        δ in eV/Å².

    Returns
    -------
    ndarray, shape (n_dampings, 3, ..., 3)
        In the unit of the property, all of about one size: a damping above 1 eV/Å²
        makes a part smaller and is multiplied out.
    """
    return np.stack([of(one).sum(axis=0) * max(1.0, one) for one in dampings])


@dataclass(frozen=True, eq=False)
class Correction:
    """Small networks that weigh the parts of an ionic response.

    Parameters
    ----------
    name : str
        Of the folder.
    dampings : tuple of float
        δ of each part in eV/Å².
    arrays : mapping
        ``mean``, ``scale`` (n_features,); ``hidden`` (n_members, n_hidden, n_features),
        ``hidden_bias``, ``out`` (n_members, n_parts, n_hidden), ``out_bias``.
    record : mapping
        What is known of it, see its card.
    """

    name: str
    dampings: tuple[float, ...]
    arrays: "Mapping[str, Floats]"
    record: "Mapping[str, Any]"

    def parts(self, of: "Callable[[float], Floats]") -> "Floats":
        """Compute the ionic response at each damping.

        Parameters
        ----------
        of : callable
            Gives the contributions of the modes at a damping, such as
            ``IonicResponse.piezo``.

        Returns
        -------
        ndarray, shape (n_parts, 3, ..., 3)
            As `damped_parts` returns them.
        """
        return damped_parts(of, self.dampings)

    def expected_error(self, size: float, softness: float) -> float:
        """Expect the norm of the error, such that 68 % of crystals have a smaller one.

        Parameters
        ----------
        size : float
            Norm of the first part.
        softness : float
            What the error of the force constants may change, as a norm.

        Returns
        -------
        float
            In the unit of the property.
        """
        fitted = self.record["error"]
        terms = (
            fitted["absolute"],
            fitted["relative"] * size,
            fitted["softness"] * softness,
        )
        return float(np.linalg.norm(terms))

    def identity(self) -> dict[str, str]:
        """Return what a prediction says about its model."""
        return {
            "name": self.name,
            "version": str(self.record["version"]),
            "sha256": str(self.record["sha256"]),
        }

    def worth(self) -> tuple[str, ...]:
        """Say in one sentence how the correction does on its test crystals."""
        test = self.record["metrics"]["test, up to axes"]
        plain = self.record["metrics"]["test"]["fnorm"] == test["fnorm"]
        unit = "" if self.record["unit"] == "1" else f" {self.record['unit']}"
        sentence = (
            f"on {test['n']} test crystals {self.record['of']} has a mean error of "
            f"{test['fnorm']:.3g}{unit}, where predicting zero gives "
            f"{test['zero_fnorm']:.3g}, and {test['ewt_25']:.0f} % are within 25 %"
            f"{'' if plain else ', in the best of the axes that labels leave open'}"
        )
        return (sentence,)

    def weigh(self, features: "Floats") -> "Floats":
        """Return the weights of the parts by each member, (n_members, n_parts)."""
        a = self.arrays
        given = np.clip((features - a["mean"]) / a["scale"], -_FARTHEST, _FARTHEST)
        hidden = a["hidden"] @ given + a["hidden_bias"]
        active = hidden / (1 + np.exp(-hidden))  # SiLU
        return np.asarray(np.einsum("mpk,mk->mp", a["out"], active) + a["out_bias"])


def find_correction(property_name: str, potential: str) -> Correction | None:
    """Load the correction for a property and a potential that comes along.

    Parameters
    ----------
    property_name : str
        Such as ``"piezo"``.
    potential : str
        Such as ``"chgnet"``.

    Returns
    -------
    Correction or None
        None if there is none for this potential.

    Raises
    ------
    ModelError
        If it is damaged.
    """
    name = f"{property_name}-{potential.replace(':', '-')}"
    if not all(sign.isalnum() or sign in "-." for sign in name):
        return None  # a path or a module of the user's own
    folder = models_folder() / FOLDER / name
    found = (folder / WEIGHTS).is_file()
    return load_correction(folder, property_name) if found else None


def load_correction(folder: Path, property_name: str) -> Correction:
    """Load a correction from its folder.

    Parameters
    ----------
    folder : Path
        With weights and a record.
    property_name : str
        What it is to correct.

    Returns
    -------
    Correction
        Ready to use.

    Raises
    ------
    ModelError
        If a file is missing or damaged, or it corrects another property.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        stored = load_file(folder / WEIGHTS)
        arrays = {name: array.astype(np.float64) for name, array in stored.items()}
        dampings = tuple(float(one) for one in record["dampings"])
        fitted_to = record["property"]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ModelError(f"{folder}: not a complete model ({error!r})") from error
    if fitted_to != property_name:
        raise ModelError(f"{folder}: fitted to {fitted_to}, not to {property_name}")
    return Correction(folder.name, dampings, arrays, record)
