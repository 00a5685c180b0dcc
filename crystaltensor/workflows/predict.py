"""Predict tensors of the crystal in a file."""

from dataclasses import replace
from typing import TYPE_CHECKING

from crystaltensor.errors import ConfigError, CrystalTensorError
from crystaltensor.properties import (
    BULK_MODULUS,
    ELASTIC,
    PROPERTIES,
    SHEAR_MODULUS,
    TensorProperty,
    find_property,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crystaltensor.inference.models import TrainedModel
    from crystaltensor.inference.prediction import Prediction
    from crystaltensor.inference.predictor import Predictor

ALL = "all"
"""Stands for every property that the package has a model for."""


def predict(
    source: str,
    properties: "Sequence[str]",
    *,
    model: str | None = None,
    file_format: str | None = None,
    symprec: float = 0.01,
    frame: str = "input",
    device: str = "auto",
    explain: bool = False,
) -> "Iterator[Prediction]":
    """Read a crystal, find its symmetry, and predict its tensors.

    Parameters
    ----------
    source : str
        Path of a structure file, or ``-`` for standard input.
    properties : sequence of str
        Names or aliases of properties, or ``"all"``. Moduli of an elastic tensor stand
        beside those of the models for scalars.
    model : str, optional
        Folder of a model, if only one property is wanted; the one of the package if
        left out.
    file_format : str, optional
        Guessed from the name, then from the content, if left out.
    symprec : float
        Largest distance between equivalent atoms, in Å.
    frame : str
        Frame of the tensors: ``"input"``, ``"ieee"`` or ``"standard"``.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    explain : bool
        Whether to name the training crystals that are most like this one.

    Yields
    ------
    Prediction
        One for each property, with the warnings of the reader in front.

    Raises
    ------
    CrystalTensorError
        Whatever is wrong with the file, the crystal or a model; the message begins
        with the path where the file is to blame.
    ConfigError
        If a property is unknown, or the model predicts another one.
    """
    rows = wanted(properties, model=model)
    # Read before torch is imported: a bad file is then reported at once.
    from crystaltensor.crystals.io import read_single

    read = read_single(source, file_format=file_format)

    from crystaltensor.inference.inputs import Needs
    from crystaltensor.inference.metals import INSULATORS_ONLY, gap_signs
    from crystaltensor.inference.predictor import Predictor
    from crystaltensor.symmetry.operations import find_symmetry

    models = describe_models(rows, model=model)
    predictors = [Predictor.of(each, device=device) for each in models]
    second = _moduli_models(rows, predictors, device)
    try:
        needs = Needs.union(each.needs for each in (*predictors, *second.values()))
        needs.refuse_unfit(read.crystal)
        described = needs.describe(find_symmetry(read.crystal, symprec=symprec))
        beside = {
            name: float(each.predict_described([described])[0].tensor)
            for name, each in second.items()
        }
        signs = []
        if any(row.name in INSULATORS_ONLY for row in rows):
            signs = gap_signs(described.symmetry, device=device)
        for predictor in predictors:
            (found,) = predictor.predict_described(
                [described], frame=frame, sources=[read.source]
            )
            if found.row == ELASTIC:
                found = replace(found, beside=beside)
            if explain:
                found = replace(found, neighbours=predictor.nearest(described))
            screened = found.row.name in INSULATORS_ONLY and found.forbidden is None
            hints = signs if screened else []
            warnings = (*read.warnings, *found.warnings, *hints)
            yield replace(found, warnings=warnings)
    except CrystalTensorError as error:
        raise type(error)(f"{read.source}: {error}") from error


def _moduli_models(
    rows: "list[TensorProperty]", predictors: "list[Predictor]", device: str
) -> "dict[str, Predictor]":
    """Load what the moduli of an elastic tensor are to be seen beside."""
    from crystaltensor.inference.models import installed_models
    from crystaltensor.inference.predictor import load

    if ELASTIC not in rows:
        return {}
    loaded = dict(zip(rows, predictors, strict=True))
    installed = installed_models()
    return {
        name: loaded.get(row) or load(row.name, device=device)
        for name, row in (("bulk", BULK_MODULUS), ("shear", SHEAR_MODULUS))
        if row.name in installed
    }


def wanted(
    properties: "Sequence[str]", *, model: str | None = None
) -> list[TensorProperty]:
    """Look up the properties, each once, in the order given.

    Parameters
    ----------
    properties : sequence of str
        Names or aliases, or ``"all"``.
    model : str, optional
        Folder of a model, which predicts one property.

    Returns
    -------
    list of TensorProperty
        What is predicted.

    Raises
    ------
    ConfigError
        If a property is unknown, or there are several for one model.
    """
    from crystaltensor.inference.models import installed_models

    installed = installed_models()
    names = [row.name for row in PROPERTIES if row.name in installed]
    rows = [
        find_property(name)
        for given in properties
        for name in (names if given == ALL else [given])
    ]
    found = list(dict.fromkeys(rows))
    if model is not None and len(found) > 1:
        raise ConfigError("a model of your own predicts one property; name just that")
    return found


def describe_models(
    rows: "Sequence[TensorProperty]", *, model: str | None = None
) -> "list[TrainedModel]":
    """Describe the models for properties; needs no networks.

    Parameters
    ----------
    rows : sequence of TensorProperty
        From `wanted`.
    model : str, optional
        Folder of a model; those of the package if left out.

    Returns
    -------
    list of TrainedModel
        One for each property.

    Raises
    ------
    ModelError
        If there is no such model, or it is damaged.
    ConfigError
        If the model predicts another property.
    """
    from crystaltensor.inference.models import describe_model, find_model

    models = [describe_model(find_model(model or row.name)) for row in rows]
    for row, found in zip(rows, models, strict=True):
        if found.row != row:
            raise ConfigError(
                f"the model in {model} predicts {found.row.name}, not {row.name}"
            )
    return models
