"""From weights and a crystal to a prediction."""

import os
from typing import TYPE_CHECKING

import numpy as np
import torch

from crystaltensor.crystals.crystal import SYMBOLS, Crystal
from crystaltensor.crystals.io import as_crystal
from crystaltensor.data.features import LAST_ELEMENT
from crystaltensor.data.graphs import build_graph, collate, refuse_too_large
from crystaltensor.errors import ElementError, ModelError, ResourceError
from crystaltensor.inference.models import (
    TrainedModel,
    describe_model,
    find_model,
    load_network,
)
from crystaltensor.inference.prediction import Prediction
from crystaltensor.nn.devices import choose_device
from crystaltensor.nn.presets import neighbourhood, network_config
from crystaltensor.symmetry.forms import allowed_form
from crystaltensor.symmetry.frames import frame_rotation
from crystaltensor.symmetry.irreps import irrep_projectors
from crystaltensor.symmetry.notation import rotate
from crystaltensor.symmetry.operations import Symmetry, find_symmetry
from crystaltensor.symmetry.projection import project, why_forbidden
from crystaltensor.symmetry.sites import project_site_tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

__all__ = ["Prediction", "Predictor", "load"]


class Predictor:
    """A trained network that takes crystals.

    Parameters
    ----------
    model : TrainedModel
        What is known about it.
    network : Module
        Maps a `GraphBatch` to tensors.
    device : str
        Where it runs: ``"cpu"`` or ``"cuda"``.
    """

    def __init__(
        self, model: TrainedModel, network: "nn.Module", *, device: str = "cpu"
    ) -> None:
        self.model = model
        self.network = network.to(device)
        self.device = device
        self.around = neighbourhood(network_config(model.config.network, model.row))

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
        self.refuse_unfit(crystal)
        symmetry = find_symmetry(crystal, symprec=symprec)
        return self.predict_symmetric(symmetry, frame=frame, source=source)

    def refuse_unfit(self, crystal: Crystal) -> None:
        """Refuse a crystal that the model cannot treat, before anything is computed.

        Parameters
        ----------
        crystal : Crystal
            Any crystal.

        Raises
        ------
        ElementError
            If it holds an element that no model knows.
        ResourceError
            If it is too large for the memory.
        """
        refuse_unknown_elements(crystal)
        refuse_too_large(crystal, self.around.cutoff)

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
        crystal = symmetry.crystal
        row = self.model.row
        turn = frame_rotation(symmetry, frame)
        group = turn @ symmetry.rotations @ turn.T
        form = None  # tensors of atoms have no common one
        if not row.per_atom:
            form = allowed_form(group, row.index_symmetry, symbol=row.symbol)
        forbidden = None
        if form is None or form.n_independent:
            tensor, residual = self._allowed(crystal, symmetry)
        else:
            tensor, residual = np.zeros((3,) * row.rank), None
            forbidden = why_forbidden(group, row.index_symmetry)
        if frame != "input" and row.per_atom:
            tensor = rotate(tensor, turn, rank=row.rank)
        elif frame != "input":  # projected again, so that zeros are exactly zero
            turned = rotate(tensor, turn)
            tensor = project(turned, group, index_symmetry=row.index_symmetry)
        return Prediction(
            source=source,
            crystal=crystal,
            space_group={
                "number": symmetry.number,
                "symbol": symmetry.symbol,
                "point_group": symmetry.point_group,
                "symprec": symmetry.symprec,
            },
            row=row,
            tensor=tensor,
            components=None if form is None else form.values(tensor),
            symmetry_residual=residual,
            warnings=(*symmetry.warnings, *self._warnings(crystal, forbidden)),
            model=self.model.identity(),
            forbidden=forbidden,
            frame=frame,
            rotation=None if frame == "input" else turn,
        )

    def _allowed(
        self, crystal: Crystal, symmetry: Symmetry
    ) -> "tuple[NDArray[np.float64], float | None]":
        """Run the network and project; tell which part of its output was lost."""
        row = self.model.row
        raw = self._run(crystal, symmetry)
        if row.per_atom:
            tensor = project_site_tensors(raw, symmetry, sum_rule=True)
        else:
            tensor = project(raw, symmetry.rotations, index_symmetry=row.index_symmetry)
        norm = float(np.linalg.norm(raw))
        return tensor, float(np.linalg.norm(raw - tensor)) / norm if norm else None

    @torch.no_grad()
    def _run(self, crystal: Crystal, symmetry: Symmetry) -> "NDArray[np.float64]":
        """Run the network on one crystal."""
        irreps = irrep_projectors(symmetry.rotations, self.model.row.index_symmetry)
        graph = build_graph(crystal, self.around, irreps)
        try:
            batch = collate([graph], vector_dtype=torch.float64, device=self.device)
            found = self.network(batch)
        except RuntimeError as error:
            if "memory" not in str(error).lower() and "alloc" not in str(error).lower():
                raise
            raise ResourceError(
                f"{crystal.n_atoms} atoms with {len(graph.targets)} neighbours do not "
                f"fit the memory of the {self.device}; use a smaller cell of the crystal"
            ) from error
        arrays: NDArray[np.float64] = found.cpu().double().numpy()
        tensor = arrays if self.model.row.per_atom else arrays[0]
        if not np.isfinite(tensor).all():
            raise ModelError(
                f"the network of {self.model.name!r} returns numbers that are not finite "
                "for this crystal; atoms may be far too close to each other"
            )
        return tensor

    def _warnings(self, crystal: Crystal, forbidden: str | None) -> list[str]:
        """Say what the model is worth, and for this crystal in particular."""
        if forbidden:
            return []  # that the tensor is zero is certain
        warnings = []
        strange = sorted(set(crystal.numbers.tolist()) - self.model.elements)
        if strange:
            names = ", ".join(SYMBOLS[number] for number in strange)
            warnings.append(f"no training crystal contains {names}")
        return warnings + worth(self.model)


def worth(model: TrainedModel) -> list[str]:
    """Say in one sentence how a model does on its test crystals.

    Parameters
    ----------
    model : TrainedModel
        With figures for a set ``"test"``.

    Returns
    -------
    list of str
        One sentence; none if the model does well.
    """
    test = model.metrics.get("test")
    if not test or test["ewt_25"] >= 50:
        return []
    sentence = (
        f"this model is a rough guide: on {test['n']} test crystals its mean error is "
        f"{test['fnorm']:.3g} {model.row.unit}, where predicting zero gives "
        f"{test['zero_fnorm']:.3g}, and {test['ewt_25']:.0f} % are within 25 %"
    )
    return [sentence]


def refuse_unknown_elements(crystal: Crystal) -> None:
    """Refuse what no model can describe.

    Parameters
    ----------
    crystal : Crystal
        Any crystal.

    Raises
    ------
    ElementError
        If it holds an element beyond the last one that is described.
    """
    if crystal.numbers.max() > LAST_ELEMENT:
        symbol = SYMBOLS[int(crystal.numbers.max())]
        raise ElementError(
            f"{symbol} is beyond {SYMBOLS[LAST_ELEMENT]} (Z = {LAST_ELEMENT}), "
            "the last element the models describe"
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
    described = describe_model(find_model(model))
    return Predictor(described, load_network(described), device=choose_device(device))
