"""Labels whose components are spread over the columns of a table."""

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crystaltensor.data.labels import (
    ORDERS,
    VOIGT_SHAPES,
    known_columns,
    scalar_from_value,
)
from crystaltensor.errors import DataError
from crystaltensor.symmetry.notation import VOIGT_PAIRS, from_voigt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from crystaltensor.properties import TensorProperty

    Floats = NDArray[np.float64]

_PREFIXES = {
    "dielectric": "e|eps|epsilon|ε|dielectric",
    "dielectric-total": "e|e0|eps|eps0|epsilon|ε|ε0|ε⁰|dielectric",
    "piezo": "e|piezo",
    "elastic": "c|elastic|stiffness",
}
_DIGITS = {2: "[1-3]{2}", 3: "[1-3][1-6]", 4: "[1-6]{2}"}
_UPPER = np.triu_indices(6)


class Place(NamedTuple):
    """Where a component stands in the Voigt form of its tensor.

    Parameters
    ----------
    numbers : tuple of int
        From zero.
    counted : bool
        Whether the name counts the pairs of indices from 1 to 6, which depends on the
        order; ``e15`` does, ``e_xxz`` and ``eps_13`` do not.
    """

    numbers: tuple[int, ...]
    counted: bool


WHOLE = Place((), counted=False)
"""The place of a scalar: it is all there is."""


def scalar_column(header: "Sequence[str]", row: "TensorProperty", column: str) -> int:
    """Find the column that holds a scalar.

    Parameters
    ----------
    header : sequence of str
        Names of all columns; the first one names the crystals.
    row : TensorProperty
        Which scalar is looked for.
    column : str
        Its column; empty to look for the known names, or the only one there is.

    Returns
    -------
    int
        Which it is.

    Raises
    ------
    DataError
        If there is none, or no telling which.
    """
    names = [name.strip() for name in header]
    for known in known_columns(row, column):
        if known.name in names:
            return names.index(known.name)
    others = [at for at, name in enumerate(names) if at and name.lower() != "split"]
    if len(others) == 1 and not column:
        return others[0]
    looked = ", ".join(known.name for known in known_columns(row, column))
    raise DataError(
        f"no column {looked}; name the one that holds {row.name} by the setting 'column'"
    )


def tensor_columns(header: "Sequence[str]", row: "TensorProperty") -> dict[int, Place]:
    """Recognise the columns that hold the components of a tensor.

    Parameters
    ----------
    header : sequence of str
        Names of all columns, such as ``e11``, ``C_44``, ``eps_xx``, ``c_xxyy``; the
        first one names the crystals.
    row : TensorProperty
        Which tensor is looked for.

    Returns
    -------
    dict
        Column to `Place`; empty if no name looks like a component.

    Raises
    ------
    DataError
        If a component is there twice, or one is missing.
    """
    prefix = f"(?:(?:{_PREFIXES.get(row.name, row.symbol)})_?)?"
    names = rf"{prefix}(?:({_DIGITS[row.rank]})|([xyz]{{{row.rank}}}))"
    pattern = re.compile(names, re.IGNORECASE)
    found: dict[int, Place] = {}
    for column, name in enumerate(header):
        match = pattern.fullmatch(name.strip())
        if match and column:
            found[column] = _place(match[1], match[2], row.rank)
    if found:
        _check_twice([header[column].strip().lower() for column in found])
        _check_gaps(found, row)
    return found


def _place(digits: str | None, letters: str | None, rank: int) -> Place:
    """Find the place of one component."""
    if digits is not None and rank > 2:
        first, second = (int(one) - 1 for one in digits)
        return Place((first, second), counted=True)
    if digits is not None:
        axes = [int(one) - 1 for one in digits]
    else:
        axes = ["xyz".index(one) for one in (letters or "").lower()]
    single, pairs = axes[: rank % 2], axes[rank % 2 :]
    numbers = [_voigt(*pairs[at : at + 2]) for at in range(0, len(pairs), 2)]
    return Place((*single, *numbers), counted=False)


def _voigt(first: int, second: int) -> int:
    """Give the Voigt number of a pair of indices."""
    return VOIGT_PAIRS.index((min(first, second), max(first, second)))


def _check_twice(names: list[str]) -> None:
    """Refuse a component that is given twice under one name."""
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise DataError(f"the column {name!r} is there twice")


def _check_gaps(found: dict[int, Place], row: "TensorProperty") -> None:
    """Refuse a set of columns with gaps, which could mean anything."""
    given = {place.numbers for place in found.values()}
    wanted = set(np.ndindex(*VOIGT_SHAPES[row.rank]))
    if row.rank == 4:  # C12 stands for C21 as well
        given = {(min(index), max(index)) for index in given}
        wanted = {index for index in wanted if index[0] <= index[1]}
    if missing := sorted(wanted - given):
        names = ["".join(str(part + 1) for part in index) for index in missing]
        shown = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
        raise DataError(
            f"the header names {len(found)} components of {row.symbol}, but not those "
            f"with the Voigt numbers {shown}; give all {len(wanted)}, with 0 where "
            "symmetry forbids one"
        )


def tensor_from_columns(
    numbers: "Sequence[float]",
    places: "Sequence[Place] | None",
    row: "TensorProperty",
    order: str,
) -> "Floats":
    """Put the components of a tensor together.

    Parameters
    ----------
    numbers : sequence of float
        The components.
    places : sequence of Place, optional
        What `tensor_columns` found. Without, there are all components, row by row:
        Voigt or full ones, or the upper triangle of C.
    row : TensorProperty
        What it is.
    order : str
        Of Voigt components: ``"voigt"`` or ``"vasp"``.

    Returns
    -------
    ndarray, shape (3, ..., 3)
        Full components, in the unit of the table.

    Raises
    ------
    DataError
        If a number is not finite, or their count fits no form.
    """
    if not row.rank:
        return _scalar(numbers, row)
    given = np.array(numbers, dtype=np.float64)
    if not np.isfinite(given).all():
        raise DataError("a component is not finite")
    if places is None:
        return _from_list(given, row, order)
    total, count = (np.zeros(VOIGT_SHAPES[row.rank]) for _ in range(2))
    for number, place in zip(given, places, strict=True):
        index = _in_our_order(place, row.rank, order)
        for one in {index, index[::-1]} if row.rank == 4 else {index}:
            total[one] += number  # both xy and yx may be given
            count[one] += 1
    return from_voigt(total / count, row.rank)


def _scalar(numbers: "Sequence[float]", row: "TensorProperty") -> "Floats":
    """Take the one number there must be."""
    if len(numbers) != 1:
        raise DataError(
            f"{len(numbers)} numbers are not one {row.name}: without a header, one number "
            "follows the first column"
        )
    return scalar_from_value(numbers[0], row)


def _in_our_order(place: Place, rank: int, order: str) -> tuple[int, ...]:
    """Translate Voigt numbers that count in another order."""
    if not place.counted:
        return place.numbers
    first, second = place.numbers
    meaning = ORDERS[order]
    return (meaning[first] if rank == 4 else first, meaning[second])


def _from_list(given: "Floats", row: "TensorProperty", order: str) -> "Floats":
    """Read components without a header by their number."""
    shape = VOIGT_SHAPES[row.rank]
    if row.rank == 4 and len(given) == len(_UPPER[0]):
        matrix = np.zeros(shape)
        matrix[_UPPER] = given
        given = (matrix + np.triu(matrix, 1).T).ravel()
    if len(given) == np.prod(shape):
        return from_voigt(given.reshape(shape), row.rank, order=order)
    if len(given) == 3**row.rank:
        return given.reshape((3,) * row.rank)
    counts = {2: "6 or 9", 3: "18 or 27", 4: "21, 36 or 81"}[row.rank]
    raise DataError(
        f"{len(given)} numbers are not a tensor {row.symbol}: without a header, {counts} "
        "components follow the first column"
    )
