"""From weights and crystals to predictions."""

import os
from typing import TYPE_CHECKING

import numpy as np
import torch

from crystaltensor.crystals.io import as_crystal
from crystaltensor.data.domain import Neighbour, Traits
from crystaltensor.data.graphs import collate, in_company
from crystaltensor.errors import ModelError, ResourceError
from crystaltensor.inference.finishing import Outline
from crystaltensor.inference.inputs import Needs
from crystaltensor.inference.models import (
    TrainedModel,
    describe_model,
    find_model,
    load_network,
)
from crystaltensor.inference.prediction import Prediction
from crystaltensor.inference.uncertainty import Asked, estimate
from crystaltensor.nn.devices import choose_device
from crystaltensor.nn.presets import neighbourhood, network_config
from crystaltensor.symmetry.operations import Symmetry, find_symmetry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import nn

    from crystaltensor.inference.inputs import NetworkInput
    from crystaltensor.inference.uncertainty import Uncertainty

__all__ = ["Prediction", "Predictor", "load", "needs_of"]

CPU_EDGES = 20_000
"""Edges in one pass on a CPU: enough to keep it busy, few enough for its cache."""


def needs_of(model: TrainedModel) -> Needs:
    """Say what a model must be told of a crystal.

    Parameters
    ----------
    model : TrainedModel
        From `describe_model`.

    Returns
    -------
    Needs
        The neighbours that it sees, and the tensor.
    """
    around = neighbourhood(network_config(model.config.network, model.row))
    return Needs(frozenset([around]), frozenset([model.row.index_symmetry]))


class Predictor:
    """A trained ensemble of networks that takes crystals.

    Parameters
    ----------
    model : TrainedModel
        What is known about it.
    network : Module
        Maps a `GraphBatch` to tensors, one for each member, see `Ensemble`.
    device : str
        Where it runs: ``"cpu"`` or ``"cuda"``.
    """

    def __init__(
        self, model: TrainedModel, network: "nn.Module", *, device: str = "cpu"
    ) -> None:
        self.model = model
        self.network = network.to(device)
        self.device = device
        self.needs = needs_of(model)
        (self.around,) = self.needs.neighbourhoods

    @classmethod
    def of(cls, model: TrainedModel, *, device: str = "auto") -> "Predictor":
        """Load the networks of a model that is described already.

        Parameters
        ----------
        model : TrainedModel
            From `describe_model`.
        device : str
            ``"auto"``, ``"cpu"`` or ``"cuda"``.

        Returns
        -------
        Predictor
            Ready to predict.

        Raises
        ------
        ModelError
            If the weights are damaged.
        ResourceError
            If the device is not there.
        """
        return cls(model, load_network(model), device=choose_device(device))

    def predict(
        self,
        structure: object,
        *,
        symprec: float = 0.01,
        frame: str = "input",
        source: str | None = None,
    ) -> Prediction:
        """Predict the tensor of one crystal.

        Parameters
        ----------
        structure : Crystal, pymatgen Structure or ASE Atoms
            Any cell of the crystal; the tensor is in its Cartesian frame.
        symprec : float
            Largest distance between equivalent atoms, in Å.
        frame : str
            Frame of the tensor: ``"input"``, ``"ieee"`` or ``"standard"``.
        source : str, optional
            Where the crystal is from; kept with the prediction.

        Returns
        -------
        Prediction
            The tensor, exactly as symmetric as the crystal, with warnings.

        Raises
        ------
        StructureError
            If `structure` is not a crystal that can be treated.
        ElementError
            If it holds an element that no model knows.
        SymmetryError
            If its space group cannot be determined.
        ResourceError
            If it is too large for the memory.
        ConfigError
            If there is no such frame.
        """
        crystal = as_crystal(structure)
        self.needs.refuse_unfit(crystal)
        symmetry = find_symmetry(crystal, symprec=symprec)
        return self.predict_symmetric(symmetry, frame=frame, source=source)

    def predict_symmetric(
        self, symmetry: Symmetry, *, frame: str = "input", source: str | None = None
    ) -> Prediction:
        """Predict the tensor of a crystal whose symmetry is known.

        Parameters
        ----------
        symmetry : Symmetry
            Of the crystal, which it holds.
        frame : str
            Frame of the tensor: ``"input"``, ``"ieee"`` or ``"standard"``.
        source : str, optional
            Where the crystal is from; kept with the prediction.

        Returns
        -------
        Prediction
            As `predict` returns it.

        Raises
        ------
        ResourceError
            If the memory does not suffice.
        ConfigError
            If there is no such frame.
        """
        described = self.needs.describe(symmetry)
        return self.predict_described([described], frame=frame, sources=[source])[0]

    def predict_described(
        self,
        inputs: "Sequence[NetworkInput]",
        *,
        frame: str = "input",
        sources: "Sequence[str | None] | None" = None,
    ) -> list[Prediction]:
        """Predict the tensors of several crystals in one pass.

        Parameters
        ----------
        inputs : sequence of NetworkInput
            From ``needs.describe``; those of several models joined will do.
        frame : str
            Frame of the tensors: ``"input"``, ``"ieee"`` or ``"standard"``.
        sources : sequence of str or None, optional
            Where the crystals are from; kept with the predictions.

        Returns
        -------
        list of Prediction
            In the order of `inputs`; each to rounding what it would be alone.

        Raises
        ------
        ResourceError
            If the memory does not suffice.
        ModelError
            If the network returns numbers that are not finite for one of them.
        ConfigError
            If there is no such frame.
        """
        outlines = [Outline.of(self.model, each.symmetry, frame) for each in inputs]
        pairs = list(zip(inputs, outlines, strict=True))
        asked = [each for each, outline in pairs if not outline.forbidden]
        raws = iter(self.run_networks(asked) if asked else [])
        cases = [
            None
            if outline.forbidden
            else Asked(
                next(raws),
                each.graphs[self.around],
                each.symmetry,
                self.traits(each),
                outline.turn,
                outline.form,
            )
            for each, outline in pairs
        ]
        worth = iter(self._uncertainties([case for case in cases if case is not None]))
        named = sources or [None] * len(inputs)
        return [
            outline.finish(None, source)
            if case is None
            else outline.finish(
                case.raw, source, uncertainty=next(worth), traits=case.traits
            )
            for outline, case, source in zip(outlines, cases, named, strict=True)
        ]

    def traits(self, described: "NetworkInput") -> Traits:
        """Read off a crystal what is compared with the training crystals."""
        symmetry = described.symmetry
        return Traits.of(
            described.graphs[self.around],
            atoms=symmetry.n_primitive,
            point_group=symmetry.point_group,
        )

    def nearest(self, described: "NetworkInput", n: int = 5) -> tuple[Neighbour, ...]:
        """List the training crystals that are most like a crystal.

        Parameters
        ----------
        described : NetworkInput
            From ``needs.describe``.
        n : int
            How many.

        Returns
        -------
        tuple of Neighbour
            The nearest first; none for a model that keeps none.
        """
        domain = self.model.domain
        return () if domain is None else domain.nearest(self.traits(described), n)

    def _uncertainties(self, asked: list[Asked]) -> "Sequence[Uncertainty | None]":
        """Say what predictions may be off by, where the model knows."""
        model = self.model
        if not asked or model.calibration is None or model.domain is None:
            return [None] * len(asked)
        return estimate(model.calibration, model.domain, asked)

    def run_networks(
        self, inputs: "Sequence[NetworkInput]"
    ) -> "list[NDArray[np.float64]]":
        """Run the networks of the ensemble, and nothing else of a prediction.

        Parameters
        ----------
        inputs : sequence of NetworkInput
            From ``needs.describe``.

        Returns
        -------
        list of ndarray
            For each crystal the tensors of the members, (n_members, 3, ..., 3), or
            (n_members, n_atoms, 3, ..., 3) if the property belongs to atoms: in the unit
            of the property, or of its logarithm if that is learnt, not yet projected in
            double precision.

        Raises
        ------
        ResourceError
            If the memory does not suffice.
        ModelError
            If the networks return numbers that are not finite.
        """
        if self.device != "cpu":
            return self._run_together(inputs)
        return [each for part in _cut(inputs) for each in self._run_together(part)]

    @torch.inference_mode()
    def _run_together(
        self, inputs: "Sequence[NetworkInput]"
    ) -> "list[NDArray[np.float64]]":
        """Do so in one pass."""
        graphs = [each.graphs[self.around] for each in inputs]
        try:
            batch = collate(
                in_company(graphs), vector_dtype=torch.float64, device=self.device
            )
            arrays = self.network(batch).cpu().double().numpy()
        except RuntimeError as error:
            if "memory" not in str(error).lower() and "alloc" not in str(error).lower():
                raise
            raise ResourceError(_too_large(inputs, self.device)) from error
        per_atom = self.model.row.per_atom
        ends = np.cumsum([each.n_atoms if per_atom else 1 for each in inputs])
        arrays = arrays[:, : ends[-1]]
        if not np.isfinite(arrays).all():
            raise ModelError(
                f"the network of {self.model.name!r} returns numbers that are not finite "
                "for this crystal; atoms may be far too close to each other"
            )
        parts = np.split(arrays, ends[:-1], axis=1)
        return parts if per_atom else [part[:, 0] for part in parts]


def _cut(inputs: "Sequence[NetworkInput]") -> "Iterator[list[NetworkInput]]":
    """Cut a batch into parts of at most `CPU_EDGES` edges, or of one crystal."""
    part: list[NetworkInput] = []
    n_edges = 0
    for each in inputs:
        if part and n_edges + each.n_edges > CPU_EDGES:
            yield part
            part, n_edges = [], 0
        part.append(each)
        n_edges += each.n_edges
    if part:
        yield part


def _too_large(inputs: "Sequence[NetworkInput]", device: str) -> str:
    """Say which crystals do not fit into the memory, and what to do."""
    n_atoms = sum(each.n_atoms for each in inputs)
    n_edges = sum(each.n_edges for each in inputs)
    way_out = (
        "use a smaller cell of the crystal"
        if len(inputs) == 1
        else f"take fewer than {len(inputs)} crystals at once"
    )
    return (
        f"{n_atoms} atoms with {n_edges} neighbours do not fit the memory of the "
        f"{device}; {way_out}"
    )


def load(model: str | os.PathLike[str], *, device: str = "auto") -> Predictor:
    """Load a trained model.

    Parameters
    ----------
    model : str or path
        A property that the package has a model for, such as ``"piezo"``, or the folder
        of a model of your own.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    Predictor
        Ready to predict.

    Raises
    ------
    ModelError
        If there is no such model, or it is damaged.
    ConfigError
        If it is neither a folder nor the name of a property.
    ResourceError
        If the device is not there.
    """
    return Predictor.of(describe_model(find_model(model)), device=device)
