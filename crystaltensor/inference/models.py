"""Trained models on disk: weights, settings and what is known about them."""

import hashlib
import json
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import crystaltensor
from crystaltensor.data.domain import Domain
from crystaltensor.errors import ConfigError, DataError, ModelError
from crystaltensor.properties import TensorProperty, find_property
from crystaltensor.settings import read_small_file
from crystaltensor.training.calibration import VERSION, Calibration
from crystaltensor.training.config import TrainingConfig, read_config, to_toml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from crystaltensor.nn.ensemble import Ensemble

WEIGHTS, SETTINGS, RECORD = "weights.safetensors", "config.toml", "record.json"

_PICKLES = {".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".bin", ".joblib", ".tar"}

TRAINING = "training.safetensors"
"""What is kept of the training crystals, see `Domain`."""


@dataclass(frozen=True)
class TrainedModel:
    """What is known about a model, its weights apart.

    Parameters
    ----------
    name : str
        The name of its folder.
    version : str
        Of crystaltensor when it was trained.
    sha256 : str
        Of the file of weights.
    row : TensorProperty
        What it predicts.
    config : TrainingConfig
        How it was trained.
    elements : frozenset of int
        Atomic numbers that occur in its training crystals.
    counts : mapping
        Name of a split to the number of its crystals.
    metrics : mapping
        Name of a set of crystals to the figures of the ensemble's mean, see
        `TensorMetrics`.
    members : tuple of mapping
        What is known of each member: its ``seed`` and its own ``metrics`` among it.
    folder : Path
        Where it lies.
    calibration : Calibration, optional
        What turns the members' disagreement into an uncertainty.
    usual_residual : float
        Part of the networks' output that the symmetry of a crystal forbids, relative to
        its norm: the 99th percentile of the validation crystals.
    """

    name: str
    version: str
    sha256: str
    row: TensorProperty
    config: TrainingConfig
    elements: frozenset[int]
    counts: "Mapping[str, int]"
    metrics: "Mapping[str, Mapping[str, Any]]"
    members: "tuple[Mapping[str, Any], ...]"
    folder: Path
    calibration: Calibration | None = field(default=None, repr=False)
    usual_residual: float = 0.0

    @cached_property
    def domain(self) -> Domain | None:
        """The crystals that it has learnt from; None for a model that keeps none.

        Raises
        ------
        ModelError
            If their file is damaged.
        """
        from safetensors import SafetensorError, safe_open

        path = self.folder / TRAINING
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="numpy") as stored:
                arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no mapping
                plain = json.loads(stored.metadata()["plain"])
            return Domain.restore(arrays, plain)
        except (
            SafetensorError,
            DataError,
            OSError,
            ValueError,
            KeyError,
            TypeError,
        ) as error:
            raise ModelError(f"{path}: damaged ({error!r})") from error

    @property
    def test_figures(self) -> "Mapping[str, Any]":
        """Figures on the test crystals, if there are any.

        Up to their axes, if those of the labels are not known.
        """
        plain = self.metrics.get("test", {})
        return self.metrics.get("test, up to axes", plain)

    def identity(self) -> dict[str, str]:
        """Return what a prediction says about its model."""
        return {"name": self.name, "version": self.version, "sha256": self.sha256}


def models_folder() -> Path:
    """Find the models of the package: inside it when installed, beside it in a checkout."""
    package = Path(crystaltensor.__file__).parent
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


def installed_models() -> dict[str, Path]:
    """Find the models that come along: the name of each to its folder."""
    found = sorted(models_folder().glob(f"*/{WEIGHTS}"))
    return {path.parent.name: path.parent for path in found}


def find_model(model: str | os.PathLike[str]) -> Path:
    """Find the folder of a model.

    Parameters
    ----------
    model : str or path
        A property that the package has a model for, or a folder.

    Returns
    -------
    Path
        A folder with weights, settings and a record.

    Raises
    ------
    ModelError
        If there is no such model.
    ConfigError
        If it is neither a folder nor the name of a property.
    """
    folder = Path(model)
    if (folder / WEIGHTS).is_file():
        return folder
    _refuse_pickles(folder)
    try:
        row = find_property(str(model))
    except ConfigError:
        if folder.is_dir():
            message = f"{folder}: no model in this folder ({WEIGHTS} is missing)"
            raise ModelError(message) from None
        raise
    known = installed_models()
    if row.name not in known:
        raise ModelError(
            f"no model for {row.name!r} comes with this version "
            f"(there is one for: {', '.join(known) or 'nothing'}); "
            "give the folder of your own with --model"
        )
    return known[row.name]


def _refuse_pickles(path: Path) -> None:
    """Say why a model of another tool is not opened, and what can be done."""
    inside = sorted(path.iterdir()) if path.is_dir() else [path]
    pickled = [each for each in inside if each.suffix.lower() in _PICKLES]
    if pickled and pickled[0].is_file():
        raise ModelError(
            f"{pickled[0]}: pickles and torch checkpoints are refused, because opening "
            "one runs whatever it holds; a model is a folder as 'crystaltensor train' "
            f"makes it; weights become {WEIGHTS} where you trust them, with "
            "safetensors.torch.save_file"
        )


def describe_model(folder: Path) -> TrainedModel:
    """Read everything about a model but its weights; needs no torch.

    Parameters
    ----------
    folder : Path
        As `find_model` returns it.

    Returns
    -------
    TrainedModel
        The description.

    Raises
    ------
    ModelError
        If a file is missing or damaged.
    """
    config = read_config(folder / SETTINGS) if (folder / SETTINGS).is_file() else None
    try:
        record = json.loads(read_small_file(folder / RECORD))
        with (folder / WEIGHTS).open("rb") as weights:
            digest = hashlib.file_digest(weights, "sha256").hexdigest()
        if config is None:
            raise ModelError(f"{folder}: {SETTINGS} is missing")
        row = find_property(config.property)
        calibrated = record.get("uncertainty") or {}
        current = calibrated.get("version") == VERSION  # others have to be made again
        return TrainedModel(
            name=str(record["name"]),
            version=str(record["version"]),
            sha256=digest,
            row=row,
            config=config,
            elements=frozenset(int(number) for number in record["elements"]),
            counts=dict(record.get("counts", {})),
            metrics=dict(record["metrics"]),
            members=tuple(dict(member) for member in record["members"]),
            folder=folder,
            calibration=Calibration.restore(row, calibrated) if current else None,
            usual_residual=float(record.get("symmetry_residual", 0.0)),
        )
    except (
        *(OSError, ValueError, LookupError, TypeError, AttributeError),
        *(ArithmeticError, RecursionError, ConfigError, DataError),
    ) as error:
        raise ModelError(
            f"{folder}: not a complete model ({type(error).__name__}: {error})"
        ) from error


def load_network(model: TrainedModel) -> "Ensemble":
    """Build the networks of a model and fill in their weights.

    Parameters
    ----------
    model : TrainedModel
        From `describe_model`.

    Returns
    -------
    Ensemble
        In evaluation mode, on the CPU.

    Raises
    ------
    ModelError
        If the weights are damaged or those of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from crystaltensor.data.features import element_features
    from crystaltensor.nn.ensemble import Ensemble
    from crystaltensor.nn.presets import build_network, network_config

    path = model.folder / WEIGHTS
    config = network_config(model.config.network, model.row)
    elements = element_features()
    n_members = model.config.members
    try:
        # Before the others take memory, one tells what the file must hold.
        _refuse_other_weights(path, build_network(config, elements), n_members)
        network = Ensemble(n_members, lambda: build_network(config, elements))
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(
            f"{path}: these are not the weights of {SETTINGS} ({reason:.300})"
        ) from error
    return network.eval()


def _refuse_other_weights(path: Path, member: "nn.Module", n_members: int) -> None:
    """Compare names and shapes in the header of a file with those of a member."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as stored:
        given = {
            name: tuple(stored.get_slice(name).get_shape())
            for name in stored.keys()  # noqa: SIM118 - no mapping
        }
    shapes = {name: tuple(each.shape) for name, each in member.state_dict().items()}
    wanted = {
        f"{index}.{name}": shape
        for index in range(n_members)
        for name, shape in shapes.items()
    }
    for name in sorted(given.keys() | wanted.keys()):
        if given.get(name) != wanted.get(name):
            raise ValueError(
                f"{name} has the shape {given.get(name)}, not {wanted.get(name)}; None "
                "where there is no such array"
            )


def save_model(
    folder: Path,
    members: "Sequence[nn.Module]",
    config: TrainingConfig,
    record: "Mapping[str, Any]",
    domain: Domain | None = None,
) -> None:
    """Write a model; the weights come last, so that a folder with them is complete.

    Parameters
    ----------
    folder : Path
        It exists.
    members : sequence of Module
        Their states are written; the names of member i begin with ``i.``.
    config : TrainingConfig
        Its settings.
    record : mapping
        ``name``, ``elements``, ``metrics``, ``members`` and whatever else is to be kept.
    domain : Domain, optional
        The training crystals.
    """
    from safetensors.torch import save

    (folder / SETTINGS).write_text(to_toml(config), encoding="utf-8")
    update_record(folder, {"version": crystaltensor.__version__, **record}, domain)
    state = {
        f"{index}.{name}": tensor.contiguous()
        for index, member in enumerate(members)
        for name, tensor in member.state_dict().items()
    }
    partial = folder / f"{WEIGHTS}.partial"
    partial.write_bytes(save(state))
    partial.replace(folder / WEIGHTS)


def update_record(
    folder: Path, record: "Mapping[str, Any]", domain: Domain | None
) -> None:
    """Write what is known about a model, its settings and weights apart.

    Parameters
    ----------
    folder : Path
        It exists.
    record : mapping
        Plain values.
    domain : Domain or None
        The training crystals, if they are to be kept.
    """
    from safetensors.numpy import save

    text = json.dumps(record, indent=1, ensure_ascii=False)
    (folder / RECORD).write_text(text + "\n", encoding="utf-8")
    if domain is not None:
        plain = {"plain": json.dumps(domain.plain(), ensure_ascii=False)}
        partial = folder / f"{TRAINING}.partial"
        partial.write_bytes(save(domain.arrays(), metadata=plain))
        partial.replace(folder / TRAINING)
