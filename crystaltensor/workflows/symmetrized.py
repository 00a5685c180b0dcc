"""What symmetry allows of a tensor, and what it makes of a given one: the result."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.symmetry.anchored import AnchoredSymmetry
from crystaltensor.symmetry.forms import AllowedForm
from crystaltensor.symmetry.index_symmetry import parse_index_symmetry
from crystaltensor.symmetry.interpretation import voigt_shape
from crystaltensor.symmetry.operations import Symmetry
from crystaltensor.workflows.diagnosis import Suspicion
from crystaltensor.workflows.targets import Target, shown_matrix, voigt_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from crystaltensor.crystals.io import ReadCrystal
    from crystaltensor.symmetry.interpretation import Reading

    Floats = NDArray[np.float64]

SCHEMA = 1
"""Version of the JSON form; that of predictions."""

_SHOWN_ERROR = 1e-4  # of the norm: a smaller disagreement of an entry is not listed


@dataclass(frozen=True)
class Violation:
    """An entry that the crystal does not allow to be what it is.

    Parameters
    ----------
    name : str
        Of the entry, such as ``"e11"``.
    given, projected : float
        Before and after.
    rule : str
        What it must be: ``"0"``, or a combination of independent components.
    """

    name: str
    given: float
    projected: float
    rule: str


@dataclass(frozen=True, eq=False)
class Symmetrized:
    """What symmetry allows of a tensor, and what it makes of a given one.

    Parameters
    ----------
    target : Target
        What kind of tensor it is.
    point_group : str
        The crystal class.
    form : AllowedForm
        What is allowed, in `frame`.
    ieee_form : AllowedForm
        What is allowed in IEEE axes, as in the tables of Nye.
    frame : str
        ``"input"``, ``"ieee"`` or ``"standard"``.
    rotation : ndarray, shape (3, 3), or None
        From the frame of the file to `frame`; its rows are the new axes.
    forbidden : str or None
        Why there is no such tensor, if there is none.
    read : ReadCrystal or None
        The crystal and where it is from; None if only a class was given.
    symmetry : Symmetry, AnchoredSymmetry or None
        Its space group.
    given, tensor : ndarray or None
        Full components before and after, in `frame`; (n_atoms, 3, 3) for Born charges.
    reading : Reading or None
        How the numbers were understood.
    symmetry_residual : float or None
        ‖T − PT‖/‖T‖; None for a zero tensor.
    violations : tuple of Violation
        What symmetry changed, the largest change first.
    suspicions : tuple of Suspicion
        Mistakes that would explain a large residual.
    derived : mapping
        Quantities that follow; see `derive`.
    tensors : mapping
        Name to full tensor, in `frame`: this one, those given with it, and
        ``"piezo-strain"``, in pC/N, where e and C are there.
    notes, warnings : tuple of str
        What was taken for granted, and what the user must know.
    """

    target: Target
    point_group: str
    form: AllowedForm = field(repr=False)
    ieee_form: AllowedForm = field(repr=False)
    frame: str
    rotation: "Floats | None"
    forbidden: str | None
    read: "ReadCrystal | None" = None
    symmetry: Symmetry | AnchoredSymmetry | None = None
    given: "Floats | None" = None
    tensor: "Floats | None" = None
    reading: "Reading | None" = None
    symmetry_residual: float | None = None
    violations: tuple[Violation, ...] = ()
    suspicions: tuple[Suspicion, ...] = ()
    derived: "Mapping[str, Any]" = field(default_factory=dict)
    tensors: "Mapping[str, Floats]" = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def components(self) -> dict[str, float]:
        """Values of the independent components, by name; empty without a tensor."""
        if self.tensor is None or self.target.row.per_atom:
            return {}
        return self.form.values(self.tensor)

    def matrix(self, tensor: "Floats") -> "Floats":
        """Write a tensor as it is shown: its Voigt form, or in full."""
        return shown_matrix(tensor, self.target)

    def as_dict(self, *, brief: bool = False) -> dict[str, Any]:
        """Return plain values: the fields of a prediction, and what was given.

        Parameters
        ----------
        brief : bool
            Whether to leave out what explains the result, as one line of many should.

        Returns
        -------
        dict
            One JSON object.
        """
        record: dict[str, Any] = {"schema": SCHEMA, "source": None}
        record |= self._crystal_dict()
        record |= {
            "property": self.target.row.name,
            "axial": self.target.axial,
            "unit": self.target.row.unit,
            "frame": self.frame,
            "rotation": None if self.rotation is None else self.rotation.tolist(),
        }
        if self.tensor is not None:
            record |= {
                "tensor": self.tensor.tolist(),
                "voigt": voigt_list(self.tensor, self.target),
                "symmetry_residual": self.symmetry_residual,
                "components": self.components,
            }
        if not brief:
            record |= self._explanation()
        return record | {
            "independent_components": self.form.n_independent,
            "forbidden": self.forbidden,
            "warnings": list(self.warnings),
            "status": "ok",
        }

    def _crystal_dict(self) -> dict[str, Any]:
        """Describe the crystal."""
        if self.read is None or self.symmetry is None:
            return {"space_group": {"point_group": self.point_group}}
        crystal = self.read.crystal
        return {
            "source": self.read.source,
            "formula": crystal.formula,
            "n_atoms": crystal.n_atoms,
            "lattice": crystal.cell.tolist(),
            "space_group": self.symmetry.named(),
        }

    def _explanation(self) -> dict[str, Any]:
        """Say what was given, what is allowed, and what follows."""
        record: dict[str, Any] = {
            "form": {
                "independent": list(self.form.independent),
                "rows": self.form.rows(),
                "ieee_independent": list(self.ieee_form.independent),
                "ieee_rows": self.ieee_form.rows(),
            },
            "notes": list(self.notes),
        }
        if self.given is not None:
            record |= {
                "given": self.given.tolist(),
                "violations": [vars(one) for one in self.violations],
                "suspicions": [vars(one) for one in self.suspicions],
                "derived": dict(self.derived),
            }
        return record


def violations(result: Symmetrized) -> list[Violation]:
    """List the entries that symmetry changed, the largest change first.

    Parameters
    ----------
    result : Symmetrized
        With a tensor.

    Returns
    -------
    list of Violation
        Empty for tensors of atoms, and if all entries are right to 1e-4 of the norm.
    """
    if result.target.row.per_atom or result.given is None or result.tensor is None:
        return []
    form = result.form
    given = result.given.ravel()[form.flat] * form.weights
    if voigt_shape(parse_index_symmetry(result.target.row.index_symmetry)):
        given = shown_matrix(result.given, result.target).reshape(form.names.shape)
    projected = result.tensor.ravel()[form.flat] * form.weights
    bound = _SHOWN_ERROR * float(np.linalg.norm(result.given))
    symmetric = form.names.shape == (6, 6)
    found = [
        Violation(
            str(form.names[place]),
            float(given[place]),
            float(projected[place]),
            form.entry(*place),
        )
        for place in np.ndindex(*form.names.shape)
        if abs(given[place] - projected[place]) > bound
        and not (symmetric and place[0] > place[1])
    ]
    return sorted(found, key=lambda one: -abs(one.given - one.projected))
