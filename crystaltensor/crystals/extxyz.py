"""The extended XYZ format, one frame after another."""

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crystaltensor.crystals.crystal import Crystal, atomic_number
from crystaltensor.crystals.parsing import (
    MAX_ATOMS,
    MAX_LINE,
    MAX_TEXT,
    Parsed,
    shown,
    three_floats,
    to_float,
)
from crystaltensor.errors import CrystalTensorError, FormatError, StructureError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from numpy.typing import NDArray

_PAIR = re.compile(
    r"""(?:(?<=\s)|^)([A-Za-z][\w.-]*)=("[^"]*"|'[^']*'|\{[^}]*\}|\[[^\]]*\]|\S+)"""
)
_COLUMN = re.compile(r"(\w+):([SRIL]):(\d{1,3})(?::|$)")


class _Columns(NamedTuple):
    """Where the element and the position stand in a line of an atom."""

    element: int
    position: int
    by_number: bool


def parse_extxyz(stream: "TextIO") -> "Iterator[Parsed | CrystalTensorError]":
    """Parse the frames of an extended XYZ file one by one.

    A frame that is no crystal (no cell, an unknown element) is yielded as its
    error, and the next one is read; a broken file ends the iteration.

    Parameters
    ----------
    stream : TextIO
        The text, read line by line: a trajectory may be longer than the memory.

    Yields
    ------
    Parsed or CrystalTensorError
        One per frame.

    Raises
    ------
    FormatError
        If the file is not in this format, or ends inside a frame.
    """
    number = 0
    while True:
        head = stream.readline(MAX_LINE)
        number += 1
        if not head.strip():
            if not head:
                return
            continue
        n_atoms = _count(head, number)
        comment = stream.readline(MAX_LINE)
        rows = _rows(stream, n_atoms, number)
        try:
            yield _frame(comment, rows, number)
        except CrystalTensorError as error:
            yield error
        number += 1 + n_atoms


def _count(head: str, number: int) -> int:
    """Read the number of atoms that a frame starts with."""
    token = head.strip()
    if not re.fullmatch(r"\d{1,9}", token, re.ASCII):
        raise FormatError(
            f"line {number}: expected the number of atoms of a frame, not {shown(token)}"
        )
    n_atoms = int(token)
    if n_atoms > MAX_ATOMS:
        raise StructureError(
            f"line {number}: {n_atoms} atoms are more than the {MAX_ATOMS} "
            "that can be treated"
        )
    return n_atoms


def _rows(stream: "TextIO", n_atoms: int, number: int) -> list[list[str]]:
    """Read the lines of a frame's atoms."""
    rows, size = [], 0
    for index in range(n_atoms):
        row = stream.readline(MAX_LINE)
        if not row.strip():
            raise FormatError(
                f"line {number} asks for {n_atoms} atoms, but there are only "
                f"{index}: the file is cut short, or the count is wrong"
            )
        rows.append(row.split())
        size += len(row)
        if size > MAX_TEXT:
            raise FormatError(f"the frame at line {number} is too long to be a crystal")
    return rows


def _frame(comment: str, rows: list[list[str]], number: int) -> Parsed:
    """Turn the lines of one frame into a crystal."""
    info = {key.lower(): value.strip("\"'{}") for key, value in _PAIR.findall(comment)}
    cell = _cell(info, number + 1)
    columns = _columns(info.get("properties", "species:S:1:pos:R:3"), number + 1)
    points, numbers = [], []
    width = max(columns.element + 1, columns.position + 3)
    for line, row in enumerate(rows, number + 2):
        if len(row) < width:
            raise FormatError(
                f"line {line}: expected {width} columns or more, found {len(row)}"
            )
        points.append(
            three_floats(row[columns.position :], f"line {line}", "a position")
        )
        numbers.append(_element(row[columns.element], columns.by_number, line))
    # solve, not inv: one rounding error less per coordinate
    frac = np.linalg.solve(cell.T, np.array(points).reshape(-1, 3).T).T
    return Parsed(Crystal(cell, frac, numbers))


def _cell(info: dict[str, str], line: int) -> "NDArray[np.float64]":
    """Read the lattice vectors; without them there is no crystal."""
    if "lattice" not in info:
        raise StructureError(
            f"line {line}: there is no cell (a molecule?); a crystal needs "
            'Lattice="ax ay az bx by bz cx cy cz" in this line'
        )
    entries = re.split(r"[\s,]+", info["lattice"].strip("[] "))
    if len(entries) != 9 or "[" in info["lattice"].strip("[]"):
        raise FormatError(
            f'line {line}: Lattice must be nine numbers, "ax ay az bx by bz cx cy cz", '
            f"not {shown(info['lattice'])}"
        )
    cell = np.array([to_float(entry, f"line {line}") for entry in entries])
    cell = cell.reshape(3, 3)
    periodic = re.split(r"[\s,]+", info.get("pbc", "T T T").strip("[] "))
    if not all(flag[:1] in {"T", "t", "1"} for flag in periodic):
        raise StructureError(
            f"line {line}: not periodic in three directions (pbc={' '.join(periodic)!r:.40}); "
            'if it is a bulk crystal, write pbc="T T T"'
        )
    if not np.isfinite(cell).all() or np.linalg.det(cell) == 0:
        raise StructureError(f"line {line}: the cell has no volume")
    return cell


def _columns(properties: str, line: int) -> _Columns:
    """Find the columns of the element and the position."""
    start, at = 0, {}
    for name, _, width in _COLUMN.findall(properties):
        at[name.lower()] = (start, int(width))
        start += int(width)
    element = at.get("species", at.get("z"))
    if element is None or at.get("pos", (0, 0))[1] != 3:
        raise FormatError(
            f"line {line}: Properties must name species:S:1 and pos:R:3, "
            f"not {shown(properties)}"
        )
    return _Columns(element[0], at["pos"][0], "species" not in at)


def _element(token: str, by_number: bool, line: int) -> int:
    """Read an element, by symbol or by atomic number."""
    if re.fullmatch(r"\d{1,3}", token, re.ASCII):
        return int(token)
    if by_number:
        raise FormatError(f"line {line}: {shown(token)} is not an atomic number")
    return atomic_number(token)
