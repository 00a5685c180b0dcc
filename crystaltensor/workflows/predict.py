"""Predict a tensor of the crystal in a file."""

from dataclasses import replace
from typing import TYPE_CHECKING

from crystaltensor.errors import ConfigError, CrystalTensorError
from crystaltensor.properties import tensor_property

if TYPE_CHECKING:
    from crystaltensor.inference.prediction import Prediction


def predict(
    source: str,
    property_name: str,
    *,
    model: str | None = None,
    file_format: str | None = None,
    symprec: float = 0.01,
    frame: str = "input",
    device: str = "auto",
) -> "Prediction":
    """Read a crystal and predict one of its tensors.

    Parameters
    ----------
    source : str
        Path of a structure file, or ``-`` for standard input.
    property_name : str
        Name or alias of a tensor property.
    model : str, optional
        Folder of a model; the one of the package if left out.
    file_format : str, optional
        Guessed from the name, then from the content, if left out.
    symprec : float
        Largest distance between equivalent atoms, in Å.
    frame : str
        Frame of the tensor: ``"input"``, ``"ieee"`` or ``"standard"``.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    Prediction
        With the warnings of the reader in front.

    Raises
    ------
    CrystalTensorError
        Whatever is wrong with the file, the crystal or the model; the message begins
        with the path where the file is to blame.
    ConfigError
        If the property is unknown, or the model predicts another one.
    """
    row = tensor_property(property_name)
    # Read before torch is imported: a bad file is then reported at once.
    from crystaltensor.crystals.io import read_single

    read = read_single(source, file_format=file_format)

    from crystaltensor.inference.predictor import load

    predictor = load(model or row.name, device=device)
    if predictor.model.row != row:
        raise ConfigError(
            f"the model in {model} predicts {predictor.model.row.name}, not {row.name}"
        )
    try:
        found = predictor.predict(
            read.crystal, symprec=symprec, frame=frame, source=read.source
        )
    except CrystalTensorError as error:
        raise type(error)(f"{read.source}: {error}") from error
    return replace(found, warnings=(*read.warnings, *found.warnings))
