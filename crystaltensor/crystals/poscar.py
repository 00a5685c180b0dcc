"""VASP's POSCAR and CONTCAR, versions 4 to 6."""

import math
import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crystaltensor.crystals.crystal import SYMBOLS, Crystal, atomic_number
from crystaltensor.crystals.parsing import (
    MAX_ATOMS,
    Parsed,
    shown,
    three_floats,
    to_float,
)
from crystaltensor.errors import FormatError, StructureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_ELEMENTS = frozenset(SYMBOLS[1:])
_COUNT = re.compile(r"\d{1,9}")
# POTCAR names and hashes (Na_pv, Fe/1f2e...), and the charges that pymatgen writes.
_DECORATION = re.compile(r"[_/].*|\d*[+-]$")


class _Header(NamedTuple):
    """What stands above the coordinates."""

    symbols: list[str]  # one per atom; empty if only the coordinates may name them
    n_atoms: int
    cartesian: bool
    start: int  # index of the first line of coordinates


def parse_poscar(text: str) -> Parsed:
    """Parse a POSCAR; atoms keep their order, coordinates their digits.

    A file of VASP 4, which names no element, is accepted when its comment line
    or the labels behind the coordinates name them; nothing is invented.

    Parameters
    ----------
    text : str
        The whole file.

    Returns
    -------
    Parsed
        The crystal; a warning if labels behind the coordinates contradict it.

    Raises
    ------
    FormatError
        If the text is not a POSCAR, is cut short, or names no element.
    """
    lines = text.rstrip().split("\n")
    if len(lines) < 8:
        raise FormatError(
            f"a POSCAR has at least 8 lines, this file has {len(lines)}: it is cut short"
        )
    cell, scale = _cell(lines)
    header = _header(lines)
    stop = header.start + header.n_atoms
    if len(lines) < stop:
        raise FormatError(
            f"the counts ask for {header.n_atoms} atoms, but the file ends after "
            f"{len(lines) - header.start}: it is cut short, or the counts are wrong"
        )
    rows = [line.split() for line in lines[header.start : stop]]
    points = np.array(
        [
            three_floats(row, f"line {header.start + index}", f"atom {index}")
            for index, row in enumerate(rows, 1)
        ]
    )
    _refuse_more_atoms(lines, stop)
    labels = [_label(row) for row in rows]
    symbols = header.symbols or _symbols_from_labels(labels)
    # solve, not inv: one rounding error less per coordinate
    if header.cartesian:
        _refuse_flat(cell)
        frac = np.linalg.solve(cell.T, (points * scale).T).T
    else:
        frac = points
    return Parsed(
        Crystal.from_symbols(cell, frac, symbols), _contradictions(symbols, labels)
    )


def _cell(lines: "Sequence[str]") -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Read the scaled lattice vectors, and the scale of Cartesian coordinates."""
    given = lines[1].split()
    vectors = np.array(
        [
            three_floats(lines[row].split(), f"line {row + 1}", "a lattice vector")
            for row in (2, 3, 4)
        ]
    )
    if not given:
        raise FormatError("line 2: expected the scale factor, such as 1.0")
    three = given[:3] if len(given) >= 3 and _is_number(given[1]) else given[:1]
    scale = np.array([to_float(token, "line 2") for token in three])
    if scale.size == 3 and not (scale > 0).all():
        raise FormatError("line 2: three scale factors must all be positive")
    if not scale.all() or not np.isfinite(scale).all():
        raise FormatError(f"line 2: the scale factor cannot be {shown(lines[1])}")
    if scale.size == 1 and scale[0] < 0:  # minus the volume of the cell
        _refuse_flat(vectors)
        scale = np.cbrt(-scale / abs(np.linalg.det(vectors)))
    return vectors * scale, scale


def _is_number(token: str) -> bool:
    """Tell a number from the start of a comment."""
    try:
        return math.isfinite(float(token))
    except ValueError:
        return False


def _refuse_flat(cell: "NDArray[np.float64]") -> None:
    """Refuse a cell before it is divided by."""
    if not np.isfinite(cell).all():
        raise StructureError("the cell has an entry that is not a finite number")
    if abs(np.linalg.det(cell)) <= 1e-9 * np.linalg.norm(cell, axis=1).prod():
        raise StructureError("the cell has no volume: its vectors lie in one plane")


def _header(lines: "Sequence[str]") -> _Header:
    """Read symbols, counts and the coordinate mode."""
    names = _tokens(lines[5])
    vasp4 = bool(names) and all(token.lstrip("-").isdigit() for token in names)
    counts = _counts(lines, 5 if vasp4 else 6)
    if vasp4:
        names = _names_in_comment(lines[0], len(counts))
    elif len(names) != len(counts):
        raise FormatError(
            f"line 6 names {len(names)} species ({shown(lines[5].strip())}), but line 7 "
            f"counts {len(counts)} ({shown(lines[6].strip())})"
        )
    symbols = []
    for name, count in zip(names, counts, strict=False):
        symbol = _DECORATION.sub("", name)
        atomic_number(symbol)
        symbols += [symbol] * count
    at = 6 if vasp4 else 7
    if at < len(lines) and lines[at].strip()[:1] in {"S", "s"}:
        at += 1
    mode = lines[at].strip()[:1].lower() if at < len(lines) else ""
    if mode not in set("dfck"):
        raise FormatError(
            f"line {at + 1}: expected Direct or Cartesian, not "
            f"{shown(lines[at].strip() if at < len(lines) else '')}"
        )
    return _Header(symbols, sum(counts), mode in {"c", "k"}, at + 1)


def _tokens(line: str) -> list[str]:
    """Split a line of names or counts, without its comment."""
    return re.split(r"[!#]", line, maxsplit=1)[0].split()


def _counts(lines: "Sequence[str]", at: int) -> list[int]:
    """Read how many atoms each species has."""
    tokens = _tokens(lines[at])
    if not tokens or not all(_COUNT.fullmatch(token) for token in tokens):
        raise FormatError(
            f"line {at + 1}: expected how many atoms each species has, such as '2 2', "
            f"not {shown(lines[at].strip())}"
        )
    counts = [int(token) for token in tokens]
    if sum(counts) == 0:
        raise StructureError(f"line {at + 1}: there is no atom in the cell")
    if sum(counts) > MAX_ATOMS:
        raise StructureError(
            f"line {at + 1}: {sum(counts)} atoms are more than the {MAX_ATOMS} "
            "that can be treated"
        )
    return counts


def _names_in_comment(comment: str, n_species: int) -> list[str]:
    """Take the species of a VASP 4 file from its first line, if they are there."""
    names = comment.split()
    known = all(_DECORATION.sub("", name) in _ELEMENTS for name in names)
    return names if known and len(names) == n_species else []


def _label(row: "Sequence[str]") -> str:
    """Find the element named behind a coordinate, or nothing."""
    rest = row[3:]
    # Flags of selective dynamics come in threes: a lone F is fluorine.
    if len(rest) >= 3 and {flag.strip(".")[:1].upper() for flag in rest[:3]} <= {*"TF"}:
        rest = rest[3:]
    symbol = _DECORATION.sub("", rest[0]) if rest else ""
    return symbol if symbol in _ELEMENTS else ""


def _symbols_from_labels(labels: "Sequence[str]") -> list[str]:
    """Name the atoms of a VASP 4 file by their labels, which must be complete."""
    if not all(labels):
        raise FormatError(
            "no element is named (a file of VASP 4); add a line of symbols such as "
            "'Al N' above the counts, or write the symbols in the first line"
        )
    return list(labels)


def _contradictions(
    symbols: "Sequence[str]", labels: "Sequence[str]"
) -> tuple[str, ...]:
    """Report labels that name another element than the header does."""
    for index, (symbol, label) in enumerate(zip(symbols, labels, strict=True), 1):
        if label and label != symbol:
            remark = f"atom {index} is {symbol} by the header, {label} by its label"
            return (f"{remark}; the header counts, as in VASP",)
    return ()


def _refuse_more_atoms(lines: "Sequence[str]", stop: int) -> None:
    """Refuse coordinates that go on behind the last atom counted."""
    row = lines[stop].split() if stop < len(lines) else []
    if len(row) >= 3 and all(_is_number(token) for token in row[:3]):
        raise FormatError(
            f"line {stop + 1}: there are more coordinates than the counts say; "
            "correct the counts"
        )
