"""Why a tensor does not fit its crystal: the usual mistakes, tried one by one."""

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.symmetry.frames import frame_rotation
from crystaltensor.symmetry.index_symmetry import parse_index_symmetry
from crystaltensor.symmetry.interpretation import as_matrix, interpret, voigt_shape
from crystaltensor.symmetry.notation import rotate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from crystaltensor.properties import TensorProperty
    from crystaltensor.symmetry.interpretation import Reading
    from crystaltensor.symmetry.operations import Symmetry

    Floats = NDArray[np.float64]
    Residual = Callable[[Floats], float | None]

LARGE = 0.01
"""A residual beyond this is worth a search: well converged calculations have less."""

_BETTER = 0.25  # a mistake that explains a residual leaves at most this part of it
_AS_GOOD = 2.0  # of two explanations within this factor the simpler one is likelier
_SHOWN = 3
_AXES = "xyz"


@dataclass(frozen=True)
class Suspicion:
    """A mistake that would explain a residual.

    Parameters
    ----------
    what : str
        One sentence without a full stop.
    hint : str
        What to type if it is so; empty if no option does it.
    residual : float
        What would be left.
    """

    what: str
    hint: str
    residual: float


def suspect(
    reading: "Reading",
    row: "TensorProperty",
    symmetry: "Symmetry",
    current: float,
    residual_of: "Residual",
    *,
    frame: str = "input",
) -> tuple[Suspicion, ...]:
    """Look for a mistake that explains why a tensor does not fit its crystal.

    Parameters
    ----------
    reading : Reading
        The tensor as it was understood.
    row : TensorProperty
        What it is.
    symmetry : Symmetry
        Of the crystal.
    current : float
        The symmetry residual of the tensor as it was understood.
    residual_of : callable
        Gives the residual of a full tensor in the frame of the file.
    frame : str
        Frame that the tensor was said to be in.

    Returns
    -------
    tuple of Suspicion
        The likeliest first; empty if nothing explains it.
    """
    turns = list(_turns(symmetry, frame))
    found = []
    for how_read, read_hint, tensor in _readings(reading, row):
        for how_turned, turn_hint, turn in turns:
            parts = [part for part in (how_read, how_turned) if part]
            if not parts:
                continue
            left = residual_of(rotate(tensor, turn, rank=row.rank))
            if left is not None and left < _BETTER * current:
                hint = " ".join(part for part in (read_hint, turn_hint) if part)
                found.append((len(parts), Suspicion(" and ".join(parts), hint, left)))
    if not found:
        return ()
    best = min(suspicion.residual for _, suspicion in found) * _AS_GOOD + 1e-6
    likely = [item for item in found if item[1].residual <= best]
    fewest = min(steps for steps, _ in likely)
    chosen = [suspicion for steps, suspicion in likely if steps == fewest]
    return tuple(chosen[:_SHOWN])


def _readings(
    reading: "Reading", row: "TensorProperty"
) -> "Iterator[tuple[str, str, Floats]]":
    """Other meanings of the same numbers."""
    yield "", "", reading.tensor
    if row.per_atom:
        yield "its two indices are exchanged", "", reading.tensor.swapaxes(-1, -2)
        return
    indices = parse_index_symmetry(row.index_symmetry)
    if voigt_shape(indices) is None:
        return
    factors = "mandel" if reading.notation == "mandel" else "stress"
    matrix = as_matrix(
        reading.tensor, row.index_symmetry, factors=factors, order=reading.order
    )
    other_order = "vasp" if reading.order == "voigt" else "voigt"
    other_notation = "voigt" if reading.notation == "mandel" else "mandel"
    named = {
        "vasp": "its components are in VASP's order xx yy zz xy yz zx",
        "voigt": "its components are in the Voigt order xx yy zz yz xz xy",
        "mandel": "its components have the factors of Kelvin and Mandel",
        "plain": "its components have no factors of Kelvin and Mandel",
        "strain": "its components have the factors 2 of strains",
    }
    hints = {
        "vasp": "--voigt-order vasp",
        "voigt": "--voigt-order voigt",
        "mandel": "--input-notation mandel",
        "plain": "--input-notation voigt",
        "strain": "--voigt-factors strain",
    }
    notation = reading.notation if reading.notation == "mandel" else "voigt"
    factor = "mandel" if other_notation == "mandel" else "plain"
    tried = [
        ((other_order,), notation, other_order, "stress"),
        ((factor,), other_notation, reading.order, "stress"),
        (("strain",), "voigt", reading.order, "strain"),
        ((other_order, factor), other_notation, other_order, "stress"),
    ]
    for keys, as_notation, order, weights in tried:
        again = interpret(
            matrix,
            row.index_symmetry,
            notation=as_notation,
            order=order,
            factors=weights,
        )
        what = " and ".join(named[key] for key in keys)
        yield what, " ".join(hints[key] for key in keys), again.tensor


def _turns(symmetry: "Symmetry", frame: str) -> "Iterator[tuple[str, str, Floats]]":
    """Rotations to the frame of the file from frames the tensor may be in."""
    said = frame_rotation(symmetry, frame)
    yield "", "", said.T
    frames = {
        "input": ("it is in the frame of the file", "--tensor-frame input"),
        "ieee": ("it is in IEEE axes", "--tensor-frame ieee"),
        "standard": (
            "it is in the frame of spglib's standardised cell (a along x, b in xy)",
            "--tensor-frame standard",
        ),
    }
    for name, (what, hint) in frames.items():
        if name != frame:
            yield what, hint, frame_rotation(symmetry, name).T
    cells = {
        "the standardised cell": symmetry.std_cell @ symmetry.std_rotation,
        "the cell of the file": symmetry.crystal.cell,
    }
    for name, cell in cells.items():
        turned = f"it is in a frame in which {name} has "
        yield (
            turned + "c along z and a in the xz plane (pymatgen)",
            "",
            _aligned(cell, 2, 0).T,
        )
        yield (
            turned + "a along x and b in the xy plane (ASE)",
            "",
            _aligned(cell, 0, 1).T,
        )
    for order in permutations(range(3)):
        if order != (0, 1, 2):
            names = ", ".join(_AXES[place] for place in order)
            what = f"its axes x, y, z are the file's {names}"
            yield what, "", np.eye(3)[list(order)].T @ said


def _aligned(cell: "Floats", first: int, second: int) -> "Floats":
    """Rows are axes: one along a lattice vector, one in the plane of two."""
    along = cell[first] / np.linalg.norm(cell[first])
    beside = cell[second] - (cell[second] @ along) * along
    beside = beside / np.linalg.norm(beside)
    rows = np.zeros((3, 3))
    rows[first], rows[second] = along, beside
    third = 3 - first - second
    rows[third] = np.cross(rows[(third + 1) % 3], rows[(third + 2) % 3])
    return rows
