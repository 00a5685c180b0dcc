"""One prediction: a tensor with everything one must know to use it."""

from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.properties import TensorProperty
from crystaltensor.symmetry.derivation import derive, derive_many
from crystaltensor.symmetry.notation import component_names, to_voigt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from crystaltensor.crystals.crystal import Crystal
    from crystaltensor.data.domain import Neighbour
    from crystaltensor.inference.uncertainty import Uncertainty

SCHEMA = 1
"""Version of the JSON form of a prediction."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """A tensor property of one crystal.

    Parameters
    ----------
    source : str or None
        The file the crystal is from.
    crystal : Crystal
        As given: its lattice vectors fix the frame of the tensor.
    space_group : mapping
        ``number``, ``symbol``, ``point_group`` and the ``symprec`` (Å) of the search.
    row : TensorProperty
        What was predicted.
    tensor : ndarray, shape (3, ..., 3) or (n_atoms, 3, ..., 3)
        Cartesian components in `unit`, exactly as symmetric as the crystal; one tensor
        for each atom if the property belongs to atoms; of shape () for a scalar.
    components : mapping or None
        Name of each independent component to its value; None for tensors of atoms.
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
    beside : mapping
        ``"bulk"`` and ``"shear"`` modulus in GPa as the models for scalars have them,
        to be seen beside those of an elastic tensor.
    uncertainty : Uncertainty or None
        What it may be off by; None if the tensor is forbidden, which is certain, or if
        the model was not calibrated.
    neighbours : tuple of Neighbour, optional
        The training crystals that are most like this one, where they were asked for.
    """

    source: str | None
    crystal: "Crystal"
    space_group: "Mapping[str, Any]"
    row: TensorProperty = field(repr=False)
    tensor: "NDArray[np.float64]"
    components: "Mapping[str, float] | None"
    symmetry_residual: float | None
    warnings: tuple[str, ...]
    model: "Mapping[str, str]" = field(repr=False)
    forbidden: str | None = None
    frame: str = "input"
    rotation: "NDArray[np.float64] | None" = field(default=None, repr=False)
    beside: "Mapping[str, float]" = field(default_factory=dict, repr=False)
    uncertainty: "Uncertainty | None" = field(default=None, repr=False)
    neighbours: "tuple[Neighbour, ...] | None" = field(default=None, repr=False)

    @property
    def formula(self) -> str:
        """Reduced formula of the crystal."""
        return self.crystal.formula

    @property
    def n_atoms(self) -> int:
        """Number of atoms in the cell as given."""
        return self.crystal.n_atoms

    @property
    def lattice(self) -> "NDArray[np.float64]":
        """Lattice vectors as rows, in Å, shape (3, 3)."""
        return self.crystal.cell

    @property
    def unit(self) -> str:
        """Unit of the tensor."""
        return self.row.unit

    @cached_property
    def voigt(self) -> "NDArray[np.float64] | None":
        """The Voigt form (3, 3), (3, 6) or (6, 6), order xx yy zz yz xz xy.

        None for tensors of atoms and scalars, which have none.
        """
        if self.row.per_atom or not self.row.rank:
            return None
        return (
            self.tensor if self.row.rank == 2 else to_voigt(self.tensor, self.row.rank)
        )

    @property
    def norm(self) -> float:
        """Frobenius norm of the full tensor, in `unit`."""
        return float(np.linalg.norm(self.tensor))

    @property
    def largest(self) -> tuple[str, float]:
        """Name and value of the largest entry of the Voigt form; the first of equals.

        For tensors of atoms the name ends with the number of the atom, from 1.
        """
        names = component_names(self.row.symbol, self.row.rank).ravel()
        entries = (self.tensor if self.voigt is None else self.voigt).ravel()
        sizes = np.abs(entries)
        first = int(np.flatnonzero(sizes >= sizes.max() * (1 - 1e-9))[0])
        atom, place = divmod(first, len(names))
        where = f" of atom {atom + 1}" if self.row.per_atom else ""
        return f"{names[place]}{where}", float(entries[first])

    @cached_property
    def derived(self) -> dict[str, Any]:
        """What follows from the tensor, with units: norm, extremes, moduli and so on."""
        if not self.row.rank:
            return {}
        name, value = self.largest
        derived: dict[str, Any] = {
            "norm": self.norm,
            "largest_component": {"name": name, "value": value},
        }
        if self.forbidden is None:
            derived |= self.following
        for name, modulus in self.beside.items():
            derived.setdefault("moduli", {})[f"{name}_potnet"] = modulus
        return derived

    @cached_property
    def following(self) -> dict[str, Any]:
        """What follows from the tensor alone, see `derive`."""
        return derive({self.row.name: self.tensor}, own=self.row.name)[0]

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
            **self._numbers(),
            "unit": self.unit,
            "frame": self.frame,
            "rotation": None if self.rotation is None else self.rotation.tolist(),
            "independent_components": (
                None if self.components is None else len(self.components)
            ),
            "components": None if self.components is None else dict(self.components),
            "symmetry_residual": self.symmetry_residual,
            "uncertainty": (
                None if self.uncertainty is None else self.uncertainty.as_dict()
            ),
            "derived": self.derived,
            "forbidden": self.forbidden,
            "warnings": list(self.warnings),
            "model": dict(self.model),
            "status": "ok",
            **self._explained(),
        }

    def _explained(self) -> dict[str, Any]:
        """Return the training crystals that are most alike, where they are wanted."""
        if self.neighbours is None:
            return {}
        return {"training_neighbours": [asdict(one) for one in self.neighbours]}

    def _numbers(self) -> dict[str, Any]:
        """Return the tensor and its Voigt form, or the value of a scalar."""
        if not self.row.rank:
            return {"value": float(self.tensor)}
        return {
            "tensor": self.tensor.tolist(),
            "voigt": None if self.voigt is None else self.voigt.tolist(),
        }


def derive_together(predictions: "Sequence[Prediction]") -> None:
    """Find `Prediction.following` of many at once, tens of times faster than one by one.

    Parameters
    ----------
    predictions : sequence of Prediction
        All of one property.
    """
    asked = [one for one in predictions if one.row.rank and one.forbidden is None]
    if not asked:
        return
    found = derive_many([one.tensor for one in asked], asked[0].row.name)
    for one, (following, _) in zip(asked, found, strict=True):
        vars(one)["following"] = following
