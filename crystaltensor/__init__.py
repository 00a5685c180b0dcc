"""Predict, project and check the tensor properties of crystals.

The public names below are imported on first use, so that importing the package
costs milliseconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crystaltensor.crystals.crystal import Crystal
    from crystaltensor.crystals.io import read_crystal
    from crystaltensor.inference.predictor import Prediction, Predictor, load

__version__ = "0.1.0"

__all__ = ["Crystal", "Prediction", "Predictor", "__version__", "load", "read_crystal"]

_HOMES = {
    "Crystal": "crystaltensor.crystals.crystal",
    "Prediction": "crystaltensor.inference.predictor",
    "Predictor": "crystaltensor.inference.predictor",
    "load": "crystaltensor.inference.predictor",
    "read_crystal": "crystaltensor.crystals.io",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
