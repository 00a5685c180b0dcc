"""What is known about the models that are installed."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystaltensor.errors import ModelError
from crystaltensor.inference.models import (
    WEIGHTS,
    TrainedModel,
    describe_model,
    find_model,
    installed_models,
    models_folder,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class ModelSummary:
    """A model, in short.

    Parameters
    ----------
    name : str
        Its name if it is installed, else the path of its folder.
    predicts : str
        The property.
    title : str
        The same in words.
    unit : str
        Of what it predicts.
    version : str
        Of crystaltensor when it was trained.
    sha256 : str
        Of the file of weights.
    data : tuple of str
        Its data sets.
    n_train : int or None
        Crystals it was trained on.
    n_elements : int
        Elements that occur in them.
    members : int
        Networks in the ensemble.
    n_bytes : int
        Size of the file of weights.
    test : mapping
        Figures on its test set, as the training wrote them.
    folder : str
        Where it lies.
    """

    name: str
    predicts: str
    title: str
    unit: str
    version: str
    sha256: str
    data: tuple[str, ...]
    n_train: int | None
    n_elements: int
    members: int
    n_bytes: int
    test: "Mapping[str, Any]"
    folder: str

    @property
    def error(self) -> float | None:
        """Mean error on the test set: a Frobenius norm for tensors."""
        figure = self.test.get("fnorm", self.test.get("mae"))
        return None if figure is None else float(figure)

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        plain = asdict(self) | {"data": list(self.data), "test": dict(self.test)}
        return {"name": plain.pop("name"), "property": plain.pop("predicts"), **plain}


def list_models(
    models: "Sequence[str | os.PathLike[str]]" = (),
) -> list[ModelSummary]:
    """Describe models, by default those that are installed; needs no torch.

    Parameters
    ----------
    models : sequence of str or path
        Names of properties, or folders.

    Returns
    -------
    list of ModelSummary
        In the order given, or by name.

    Raises
    ------
    ModelError
        If a model is missing or damaged, or nothing is installed.
    """
    installed = installed_models()
    if not models and not installed:
        raise ModelError(
            "no model is installed; train one with 'crystaltensor train', or install "
            "the package anew"
        )
    folders = [find_model(model) for model in models] or list(installed.values())
    return [_summary(describe_model(folder)) for folder in folders]


def _summary(model: TrainedModel) -> ModelSummary:
    """Say the most important about a model."""
    own = model.folder.parent != models_folder()
    return ModelSummary(
        name=str(model.folder) if own else model.folder.name,
        predicts=model.row.name,
        title=model.row.title,
        unit=model.row.unit,
        version=model.version,
        sha256=model.sha256,
        data=tuple(Path(name).name for name in model.config.data),
        n_train=model.counts.get("train"),
        n_elements=len(model.elements),
        members=model.config.members,
        n_bytes=(model.folder / WEIGHTS).stat().st_size,
        test=model.test_figures,
        folder=str(model.folder),
    )
