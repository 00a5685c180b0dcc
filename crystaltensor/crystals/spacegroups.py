"""Symmetry operations as crystallographers write them: ``-y, x-y, z+1/3``."""

import importlib.util
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crystaltensor.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_TERM = re.compile(r"([+-]?)(?:(\d+(?:\.\d*)?|\.\d+)(?:/(\d+))?)?\*?([xyz])?", re.ASCII)


class Operations(NamedTuple):
    """Symmetry operations on fractional columns: ``rotation @ x + translation``."""

    rotations: "NDArray[np.float64]"  # (n_ops, 3, 3)
    translations: "NDArray[np.float64]"  # (n_ops, 3)


def parse_operations(triplets: "Sequence[str]") -> Operations:
    """Parse operations; the identity is put in front if it is missing.

    A translation such as 0.3333 is taken for the third that it stands for.

    Parameters
    ----------
    triplets : sequence of str
        Such as ``"x-y, -y, z+1/2"``.

    Returns
    -------
    Operations
        Without duplicates, the identity first.

    Raises
    ------
    FormatError
        If a triplet cannot be read, or is no symmetry of any lattice.
    """
    unique = {"x,y,z": None}
    for triplet in triplets:
        unique.setdefault(re.sub(r"\s+", "", triplet).lower(), None)
    rows = np.array([_parse(triplet) for triplet in unique])  # (n_ops, 3, 4)
    return Operations(rows[:, :, :3], rows[:, :, 3])


@lru_cache(maxsize=4096)
def _parse(triplet: str) -> tuple[tuple[float, ...], ...]:
    """Parse one triplet into the rows of (rotation | translation)."""
    parts = triplet.split(",")
    if len(parts) != 3 or not all(0 < len(part) <= 40 for part in parts):
        raise FormatError(_refusal(triplet))
    rows = tuple(_row(part, triplet) for part in parts)
    rotation = np.array(rows)[:, :3]
    if abs(abs(np.linalg.det(rotation)) - 1) > 1e-6:
        raise FormatError(_refusal(triplet))
    return rows


def _row(part: str, triplet: str) -> tuple[float, ...]:
    """Parse one component, such as ``x-y+1/3``."""
    row = [0.0] * 4
    at = 0
    while at < len(part):
        match = _TERM.match(part, at)
        if match is None or match.end() == at or not (match[2] or match[4]):
            raise FormatError(_refusal(triplet))
        sign, number, divisor, axis = match.groups()
        value = float(number or 1) / (int(divisor or 1) or np.nan)
        if not np.isfinite(value) or (at and not sign):
            raise FormatError(_refusal(triplet))
        row["xyz".index(axis) if axis else 3] += -value if sign == "-" else value
        at = match.end()
    exact = round(row[3] * 24) / 24  # every translation of a standard space group
    row[3] = exact if abs(row[3] - exact) < 2e-3 else row[3]
    return tuple(row)


def _refusal(triplet: str) -> str:
    """Say what an operation should look like."""
    return f"{triplet[:40]!a} is not a symmetry operation such as 'x-y, -y, z+1/2'"


def operations_of(name: str, cell: "NDArray[np.float64]") -> Operations | None:
    """Look up the operations of a space group by its symbol.

    Parameters
    ----------
    name : str
        Hall's symbol, Hermann and Mauguin's, or the number.
    cell : ndarray, shape (3, 3)
        Lattice vectors as rows; only settings that fit their metric are taken.

    Returns
    -------
    Operations or None
        None if the symbol is not known.

    Raises
    ------
    FormatError
        If a symbol stands for several settings: a guess would be another crystal.
    """
    found = _named(name)
    fitting = [parse_operations(triplets) for triplets in found]
    fitting = [operations for operations in fitting if keep_metric(operations, cell)]
    if len(fitting) > 1:
        raise FormatError(
            f"there are no symmetry operations, and {name[:40]!a} has several "
            "settings or origins; add a loop of _space_group_symop_operation_xyz"
        )
    if found and not fitting:
        raise FormatError(
            f"the cell's lengths and angles do not fit space group {name[:40]!a}"
        )
    return fitting[0] if fitting else None


def keep_metric(operations: Operations, cell: "NDArray[np.float64]") -> bool:
    """Tell whether operations keep all lengths and angles of a cell to 1 percent."""
    metric = cell @ cell.T
    turned = operations.rotations.transpose(0, 2, 1) @ metric @ operations.rotations
    return bool(abs(turned - metric).max() <= 0.01 * metric.max())


def _named(name: str) -> list[list[str]]:
    """Find the groups of a name: as written, without spaces, without underscores."""
    if name.isdigit():  # a number means the standard setting, the first of its rows
        rows = [row for row in _table() if str(row["number"]) == name]
        names = {row["hermann_mauguin"].strip() for row in rows[:1]}
        return [
            row["symops"] for row in rows if row["hermann_mauguin"].strip() in names
        ]
    keys = (
        "hall",
        "universal_h_m",
        "hermann_mauguin",
        "hermann_mauguin_u",
        "short_h_m",
    )
    # Spaces count at first: P 42 is not P 4 2 2.
    for separator in (r"\s+(?=\s)", r"\s", r"[\s_]"):
        wanted = re.sub(separator, "", name.strip()).lower()
        found = [
            row["symops"]
            for row in _table()
            if wanted
            in {re.sub(separator, "", row[key].strip()).lower() for key in keys}
        ]
        if found:
            return found
    return []


@lru_cache(maxsize=1)
def _table() -> list[dict[str, Any]]:
    """Load the table of space groups that comes with pymatgen."""
    # Found, not imported: pymatgen.symmetry takes a second, this file 10 ms.
    spec = importlib.util.find_spec("pymatgen.symmetry")
    places = spec.submodule_search_locations if spec else None
    for place in places or ():
        path = Path(place) / "symm_ops.json"
        if path.is_file():
            rows = json.loads(path.read_text(encoding="utf-8"))
            # A change of basis in brackets is no setting that goes by a name.
            return [row for row in rows if "(" not in row["universal_h_m"]]
    return []
