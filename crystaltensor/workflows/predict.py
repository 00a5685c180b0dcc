"""Predict tensors of the crystal in a file."""

from dataclasses import replace
from typing import TYPE_CHECKING

from crystaltensor.errors import ConfigError, CrystalTensorError
from crystaltensor.properties import (
    BAND_GAP,
    BULK_MODULUS,
    ELASTIC,
    PROPERTIES,
    SHEAR_MODULUS,
    TensorProperty,
    find_property,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crystaltensor.crystals.crystal import Crystal
    from crystaltensor.inference.inputs import NetworkInput
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
    from crystaltensor.symmetry.operations import find_symmetry

    predictors = _load(rows, read.crystal, model=model, device=device)
    try:
        needs = Needs.union(each.needs for each in predictors.values())
        needs.refuse_unfit(read.crystal)
        described = needs.describe(find_symmetry(read.crystal, symprec=symprec))
        known = _Predictions(predictors, described, frame, read.source)
        for row in rows:
            found = known.of(row)
            if row == ELASTIC:
                found = replace(found, beside=known.moduli())
            if explain:
                found = replace(found, neighbours=predictors[row].nearest(described))
            hints = []
            if row.name in INSULATORS_ONLY and found.forbidden is None:
                gap = known.hint(BAND_GAP)
                hints = [] if gap is None else gap_signs(gap)
            warnings = (*read.warnings, *found.warnings, *hints)
            yield replace(found, warnings=warnings)
    except CrystalTensorError as error:
        raise type(error)(f"{read.source}: {error}") from error


def _load(
    rows: "list[TensorProperty]", crystal: "Crystal", *, model: str | None, device: str
) -> "dict[TensorProperty, Predictor]":
    """Load the models that are asked for, and those whose values stand beside theirs."""
    from crystaltensor.inference.metals import INSULATORS_ONLY, gap_is_worth_asking
    from crystaltensor.inference.models import installed_models
    from crystaltensor.inference.predictor import Predictor

    beside = [BULK_MODULUS, SHEAR_MODULUS] if ELASTIC in rows else []
    screened = any(row.name in INSULATORS_ONLY for row in rows)
    if screened and gap_is_worth_asking(crystal):
        beside.append(BAND_GAP)
    installed = installed_models()
    more = [row for row in beside if row not in rows and row.name in installed]
    models = [*describe_models(rows, model=model), *describe_models(more)]
    return {each.row: Predictor.of(each, device=device) for each in models}


class _Predictions:
    """What models say of one crystal; each is asked once."""

    def __init__(
        self,
        predictors: "dict[TensorProperty, Predictor]",
        described: "NetworkInput",
        frame: str,
        source: str,
    ) -> None:
        self._predictors, self._described = predictors, described
        self._frame, self._source = frame, source
        self._known: dict[TensorProperty, Prediction] = {}

    def of(self, row: "TensorProperty") -> "Prediction":
        """Predict a property."""
        if row not in self._known:
            (self._known[row],) = self._predictors[row].predict_described(
                [self._described], frame=self._frame, sources=[self._source]
            )
        return self._known[row]

    def hint(self, row: "TensorProperty") -> float | None:
        """Give a scalar that was not asked for, and must not stop what was."""
        if row not in self._predictors:
            return None
        try:
            return float(self.of(row).tensor)
        except CrystalTensorError:
            return None

    def moduli(self) -> dict[str, float]:
        """Give what the moduli of an elastic tensor are to be seen beside."""
        named = {"bulk": BULK_MODULUS, "shear": SHEAR_MODULUS}
        values = {name: self.hint(row) for name, row in named.items()}
        return {name: value for name, value in values.items() if value is not None}


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
