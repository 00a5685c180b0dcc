"""Tensors from the output of VASP: OUTCAR and vasprun.xml.

Both are read line by line, so that a file of any size takes little memory. What VASP
writes in its own order of components or units is labelled, not changed, here.
"""

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TextIO

import numpy as np

from crystaltensor.crystals.parsing import MAX_ATOMS, MAX_LINE
from crystaltensor.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_NUMBER = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[EeDd][-+]?\d+)?|\*{3,}", re.ASCII)

# Headings of OUTCAR, the start of a line without its blanks: name, rows, columns.
_BLOCKS = (
    ("MACROSCOPIC STATIC DIELECTRIC TENSOR IONIC", "epsilon_ionic", 3, 3),
    ("MACROSCOPIC STATIC DIELECTRIC TENSOR (including", "epsilon", 3, 3),
    ("PIEZOELECTRIC TENSOR IONIC CONTR", "piezo_ionic", 3, 6),
    ("PIEZOELECTRIC TENSOR (including", "piezo", 3, 6),
    ("PIEZOELECTRIC TENSOR  for field", "piezo", 3, 6),  # before version 5.4
    ("TOTAL ELASTIC MODULI (kBar)", "elastic", 6, 6),
    ("SYMMETRIZED ELASTIC MODULI (kBar)", "elastic_clamped", 6, 6),
    ("direct lattice vectors", "lattice", 3, 3),
)
_CHARGES = "BORN EFFECTIVE CHARGES"
_KBAR_PER_GPA = 10.0
_LONGEST_GAP = 4  # lines between a heading and its first row


@dataclass(frozen=True, eq=False)
class CalculatedTensor:
    """A tensor out of a calculation.

    Parameters
    ----------
    values : ndarray
        Components, as many and in the order that VASP writes.
    notation : str
        ``"full"`` or ``"voigt"``.
    order : str
        ``"voigt"`` or ``"vasp"``.
    lattice : ndarray, shape (3, 3), or None
        Rows, in Å: the frame.
    notes : tuple of str
        What the reader did, one sentence each without a full stop.
    warnings : tuple of str
        What limits the numbers.
    """

    values: "Floats"
    notation: str
    order: str
    lattice: "Floats | None"
    notes: tuple[str, ...] = field(default=())
    warnings: tuple[str, ...] = field(default=())


def read_outcar(stream: TextIO, property_name: str) -> CalculatedTensor:
    """Read a tensor from an OUTCAR of VASP.

    Parameters
    ----------
    stream : TextIO
        The file.
    property_name : str
        Name of a tensor property, such as ``"piezo"``.

    Returns
    -------
    CalculatedTensor
        The sum of the electronic and the ionic part where the property has both.

    Raises
    ------
    FormatError
        If the calculation holds no such tensor.
    """
    blocks: dict[str, Floats] = {}
    lines = _lines(stream)
    for line in lines:
        text = line.strip()
        if text.startswith(_CHARGES):
            blocks["born"] = _charges(lines)
        for heading, name, rows, columns in _BLOCKS:
            if text.startswith(heading):
                found = _rows(lines, rows, columns)
                if found is not None:
                    blocks[name] = found  # the last one counts
                break
    return _choose(blocks, property_name, "OUTCAR")


def read_vasprun(stream: TextIO, property_name: str) -> CalculatedTensor:
    """Read a tensor from a vasprun.xml of VASP.

    Parameters
    ----------
    stream : TextIO
        The file.
    property_name : str
        Name of a tensor property, such as ``"dielectric"``.

    Returns
    -------
    CalculatedTensor
        The sum of the electronic and the ionic part where the property has both.

    Raises
    ------
    FormatError
        If the calculation holds no such tensor; this file never holds elastic or
        piezoelectric ones.
    """
    blocks: dict[str, Floats] = {}
    names = {"epsilon_ion": "epsilon_ionic", "basis": "lattice"}
    name = ""
    rows: list[list[float]] = []
    charges: list[list[list[float]]] = []
    inside_charges = False
    for line in _lines(stream):
        start = re.match(r'\s*<v?array name="(\w+)"', line)
        if start:
            name, rows = start[1], []
            inside_charges |= name == "born_charges"
        elif "<v>" in line and len(rows) < MAX_ATOMS:
            rows.append(_floats(line))
        elif "<set>" in line and inside_charges:
            rows = []
        elif "</set>" in line and inside_charges:
            if [len(row) for row in rows] != [3, 3, 3]:
                raise FormatError("the Born charges are cut short")
            charges.append(rows[:])
        elif "</varray>" in line or "</array>" in line:
            if inside_charges and charges:
                blocks["born"] = np.array(charges)
                inside_charges = False
            elif len(rows) == 3 and all(len(row) == 3 for row in rows):
                blocks[names.get(name, name)] = np.array(rows)
    return _choose(blocks, property_name, "vasprun.xml")


def _choose(
    blocks: "dict[str, Floats]", property_name: str, kind: str
) -> CalculatedTensor:
    """Put together what a property is made of."""
    lattice = blocks.get("lattice")
    both = {"epsilon", "epsilon_ionic"}
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    if property_name == "dielectric" and "epsilon" in blocks:
        return CalculatedTensor(blocks["epsilon"], "full", "voigt", lattice)
    if property_name == "dielectric-total" and both <= blocks.keys():
        total = blocks["epsilon"] + blocks["epsilon_ionic"]
        notes = ("the sum of the electronic and the ionic part is taken",)
        return CalculatedTensor(total, "full", "voigt", lattice, notes)
    if property_name == "born-charges" and "born" in blocks:
        return CalculatedTensor(blocks["born"], "full", "voigt", lattice)
    notes = (f"the order of the components is VASP's, as in every {kind}",)
    if property_name == "piezo" and "piezo" in blocks:
        values = blocks["piezo"]
        if "piezo_ionic" in blocks:
            values = values + blocks["piezo_ionic"]
            notes += ("the sum of the electronic and the ionic part is taken",)
        else:
            warnings = ("only the clamped-ion part of e is in the file",)
        return CalculatedTensor(values, "voigt", "vasp", lattice, notes, warnings)
    if property_name == "elastic" and {"elastic", "elastic_clamped"} & blocks.keys():
        notes += ("kBar are converted to GPa",)
        if "elastic" not in blocks:
            warnings = ("only the clamped-ion part of C is in the file",)
        kept = "elastic" if "elastic" in blocks else "elastic_clamped"
        values = blocks[kept] / _KBAR_PER_GPA
        return CalculatedTensor(values, "voigt", "vasp", lattice, notes, warnings)
    there = ", ".join(sorted(blocks.keys() - {"lattice"})) or "no tensor"
    raise FormatError(
        f"holds no {property_name} tensor (there is: {there}); "
        + (
            "VASP writes it with LEPSILON or IBRION = 6 or 8"
            if kind == "OUTCAR"
            else "look in the OUTCAR"
        )
    )


def _lines(stream: TextIO) -> "Iterator[str]":
    """Read lines; of one that is too long to be VASP's, pieces."""
    return iter(partial(stream.readline, MAX_LINE), "")


def _rows(lines: "Iterator[str]", rows: int, columns: int) -> "Floats | None":
    """Read the rows under a heading; labels in front are left out."""
    found: list[list[float]] = []
    for _ in range(rows + _LONGEST_GAP):
        values = _floats(next(lines, ""))
        if len(values) >= columns:
            # A lattice vector has its reciprocal beside it; a row may have a number.
            found.append(values[:columns])
        elif found:
            break
        if len(found) == rows:
            return np.array(found)
    return None


def _charges(lines: "Iterator[str]") -> "Floats":
    """Read the Born charges: a line "ion", and three numbered rows, for each atom."""
    atoms: list[list[list[float]]] = []
    for line in lines:
        text = line.strip()
        if text.startswith("ion"):
            rows = [_floats(next(lines, ""))[1:4] for _ in range(3)]
            if any(len(row) != 3 for row in rows):
                raise FormatError("the Born charges are cut short")
            atoms.append(rows)
        elif atoms:
            break
    return np.array(atoms)


def _floats(line: str) -> list[float]:
    """Take the numbers of a line; stars, where Fortran had no room, are none."""
    text = re.sub(r"^\s*[A-Za-z]\w*", "", line)  # a label such as XX or x
    return [
        float("nan") if item[0] == "*" else float(item.lower().replace("d", "e"))
        for item in _NUMBER.findall(text)
    ]
