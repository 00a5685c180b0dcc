"""What is done with each crystal of a stream: symmetry and graphs, networks, records."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from crystaltensor.symmetry.anchored import find_anchored_symmetry
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.workflows.predict import describe_models, wanted

if TYPE_CHECKING:
    from crystaltensor.crystals.io import ReadCrystal
    from crystaltensor.inference.inputs import Needs, NetworkInput
    from crystaltensor.inference.models import TrainedModel
    from crystaltensor.inference.predictor import Predictor
    from crystaltensor.properties import TensorProperty

CPU_EDGES = 200_000
"""Edges of a batch on a CPU, all of which must fit into memory as graphs."""

GPU_SHARE = 0.5
"""Share of the memory of a GPU that a batch may fill."""


@dataclass(frozen=True)
class Settings:
    """What is predicted, and how.

    Parameters
    ----------
    properties : tuple of str
        Names or aliases, or ``"all"``.
    model : str, optional
        Folder of a model, if only one property is wanted.
    symprec : float
        Largest distance between equivalent atoms, in Å.
    frame : str
        Frame of the tensors: ``"input"``, ``"ieee"`` or ``"standard"``.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    """

    properties: tuple[str, ...]
    model: str | None = None
    symprec: float = 0.01
    frame: str = "input"
    device: str = "auto"


class Found(NamedTuple):
    """A crystal whose symmetry is known."""

    source: str
    warnings: tuple[str, ...]
    symmetry: Any


@dataclass(frozen=True)
class Ready:
    """A crystal that networks can take.

    Parameters
    ----------
    source : str
        Where it is from.
    warnings : tuple of str
        What its reader remarks.
    described : NetworkInput
        Symmetry and graphs.
    """

    source: str
    warnings: tuple[str, ...]
    described: "NetworkInput"


@dataclass(frozen=True)
class PredictWork:
    """Predict properties; one reading and one symmetry search for all of them.

    Parameters
    ----------
    folders : tuple of str
        Of the models.
    symprec : float
        Largest distance between equivalent atoms, in Å.
    frame : str
        Frame of the tensors.
    device : str
        ``"cpu"`` or ``"cuda"``.
    """

    folders: tuple[str, ...]
    symprec: float
    frame: str
    device: str

    def __getstate__(self) -> dict[str, Any]:
        """Travel without the networks."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrive; the networks are loaded when they are needed."""
        vars(self).update(state)

    @cached_property
    def models(self) -> "list[TrainedModel]":
        """Describe the models."""
        from crystaltensor.inference.models import describe_model

        return [describe_model(Path(folder)) for folder in self.folders]

    @cached_property
    def needs(self) -> "Needs":
        """Say what all models together must be told of a crystal."""
        from crystaltensor.inference.inputs import Needs
        from crystaltensor.inference.predictor import needs_of

        return Needs.union(needs_of(model) for model in self.models)

    @cached_property
    def predictors(self) -> "list[Predictor]":
        """Load the networks."""
        import torch

        from crystaltensor.inference.predictor import Predictor

        torch.set_num_threads(1)
        return [Predictor.of(model, device=self.device) for model in self.models]

    @cached_property
    def batch_size(self) -> int:
        """Largest number of edges in a batch."""
        if self.device == "cpu":
            return CPU_EDGES
        import torch

        from crystaltensor.data.graphs import BYTES_PER_EDGE

        memory = torch.cuda.get_device_properties(0).total_memory
        return int(GPU_SHARE * memory / BYTES_PER_EDGE)

    @cached_property
    def _needs_sites(self) -> bool:
        """Whether the quick search, which knows no sites, is not enough."""
        return self.frame != "input" or any(m.row.per_atom for m in self.models)

    def prepare(self, read: "ReadCrystal") -> Found:
        """Find the symmetry."""
        self.needs.refuse_unfit(read.crystal)
        symmetry: Any = None
        if not self._needs_sites:
            symmetry = find_anchored_symmetry(read.crystal, symprec=self.symprec)
        symmetry = symmetry or find_symmetry(read.crystal, symprec=self.symprec)
        return Found(read.source, read.warnings, symmetry)

    def gather(self, prepared: "list[Found]") -> list[Ready]:
        """Find the neighbours, and sum potentials."""
        described = self.needs.describe_many([each.symmetry for each in prepared])
        return [
            Ready(each.source, each.warnings, one)
            for each, one in zip(prepared, described, strict=True)
        ]

    def source(self, prepared: Ready | Found) -> str:
        """Tell where a crystal is from."""
        return prepared.source

    def size(self, prepared: Ready) -> int:
        """Count the edges, and at least one for each atom."""
        return max(prepared.described.n_edges, prepared.described.n_atoms)

    def finish(self, prepared: list[Ready]) -> list[list[dict[str, Any]]]:
        """Run the networks over a batch."""
        from crystaltensor.inference.prediction import derive_together

        described = [each.described for each in prepared]
        sources = [each.source for each in prepared]
        columns = []
        for predictor in self.predictors:
            found = predictor.predict_described(
                described, frame=self.frame, sources=sources
            )
            column = [
                replace(one, warnings=(*each.warnings, *one.warnings))
                for each, one in zip(prepared, found, strict=True)
            ]
            derive_together(column)
            columns.append([one.as_dict() for one in column])
        return [list(row) for row in zip(*columns, strict=True)]


def make_work(settings: Settings) -> tuple[PredictWork, "list[TensorProperty]"]:
    """Find the models that settings ask for.

    Parameters
    ----------
    settings : Settings
        What is predicted.

    Returns
    -------
    work : PredictWork
        It travels to other processes.
    rows : list of TensorProperty
        What is predicted, in order.

    Raises
    ------
    ConfigError
        If a property is unknown, or the model predicts another one.
    ModelError
        If there is no such model.
    """
    from crystaltensor.nn.devices import choose_device

    rows = wanted(settings.properties, model=settings.model)
    models = describe_models(rows, model=settings.model)
    folders = tuple(str(model.folder) for model in models)
    device = choose_device(settings.device)
    return PredictWork(folders, settings.symprec, settings.frame, device), rows
