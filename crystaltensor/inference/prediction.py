"""One prediction: a tensor with everything one must know to use it."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.properties import TensorProperty
from crystaltensor.symmetry.derivation import derive
from crystaltensor.symmetry.notation import component_names, to_voigt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

SCHEMA = 1
"""Version of the JSON form of a prediction."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """A tensor property of one crystal.

    Parameters
    ----------
    source : str or None
        The file the crystal is from.
    formula : str
        Reduced, elements in the order of the structure.
    n_atoms : int
        In the cell as given.
    lattice : ndarray, shape (3, 3)
        Lattice vectors as rows, in Å: they fix the frame of the tensor.
    space_group : mapping
        ``number``, ``symbol``, ``point_group`` and the ``symprec`` (Å) of the search.
    row : TensorProperty
        What was predicted.
    tensor : ndarray, shape (3, ..., 3)
        Cartesian components in `unit`, exactly as symmetric as the crystal.
    components : mapping
        Name of each independent component to its value.
    symmetry_residual : float or None
        Part of the network's own output that the crystal does not allow, relative to
        its norm: rounding of 32-bit numbers if all is well. None for a zero output.
    warnings : tuple of str
        What the reader of the number must know.
    model : mapping
        Name, version and hash of the model.
    forbidden : str or None
        Why the crystal has no such tensor, if it has none.
    frame : str
        ``"input"`` for the Cartesian frame of the structure as given, ``"ieee"`` or
        ``"standard"``; see `frame_rotation`.
    rotation : ndarray, shape (3, 3), or None
        From the frame of the structure to `frame`; its rows are the new axes.
    """

    source: str | None
    formula: str
    n_atoms: int
    lattice: "NDArray[np.float64]" = field(repr=False)
    space_group: "Mapping[str, Any]"
    row: TensorProperty = field(repr=False)
    tensor: "NDArray[np.float64]"
    components: "Mapping[str, float]"
    symmetry_residual: float | None
    warnings: tuple[str, ...]
    model: "Mapping[str, str]" = field(repr=False)
    forbidden: str | None = None
    frame: str = "input"
    rotation: "NDArray[np.float64] | None" = field(default=None, repr=False)

    @property
    def unit(self) -> str:
        """Unit of the tensor."""
        return self.row.unit

    @property
    def voigt(self) -> "NDArray[np.float64]":
        """The tensor in Voigt form: (3, 3), (3, 6) or (6, 6), order xx yy zz yz xz xy."""
        if self.row.rank == 2:
            return self.tensor
        return to_voigt(self.tensor, self.row.rank)

    @property
    def norm(self) -> float:
        """Frobenius norm of the full tensor, in `unit`."""
        return float(np.linalg.norm(self.tensor))

    @property
    def largest(self) -> tuple[str, float]:
        """Name and value of the largest entry of the Voigt form; the first of equals."""
        names = component_names(self.row.symbol, self.row.rank).ravel()
        entries = self.voigt.ravel()
        sizes = np.abs(entries)
        first = int(np.flatnonzero(sizes >= sizes.max() * (1 - 1e-9))[0])
        return str(names[first]), float(entries[first])

    @cached_property
    def derived(self) -> dict[str, Any]:
        """What follows from the tensor, with units: norm, extremes, moduli and so on."""
        name, value = self.largest
        derived: dict[str, Any] = {
            "norm": self.norm,
            "largest_component": {"name": name, "value": value},
        }
        if self.forbidden is None:
            derived |= derive({self.row.name: self.tensor}, own=self.row.name)[0]
        return derived

    def as_dict(self) -> dict[str, Any]:
        """Return the prediction as plain values, as one line of a JSONL file holds it."""
        return {
            "schema": SCHEMA,
            "source": self.source,
            "formula": self.formula,
            "n_atoms": self.n_atoms,
            "lattice": self.lattice.tolist(),
            "space_group": dict(self.space_group),
            "property": self.row.name,
            "tensor": self.tensor.tolist(),
            "voigt": self.voigt.tolist(),
            "unit": self.unit,
            "frame": self.frame,
            "rotation": None if self.rotation is None else self.rotation.tolist(),
            "independent_components": len(self.components),
            "components": dict(self.components),
            "symmetry_residual": self.symmetry_residual,
            "uncertainty": None,
            "derived": self.derived,
            "forbidden": self.forbidden,
            "warnings": list(self.warnings),
            "model": dict(self.model),
            "status": "ok",
        }
