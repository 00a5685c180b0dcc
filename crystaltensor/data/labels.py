"""Labels that stand in one cell of a table, and the columns that hold them."""

import ast
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crystaltensor.errors import CrystalTensorError, DataError
from crystaltensor.symmetry.notation import ORDERS, from_voigt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from crystaltensor.properties import TensorProperty

    Floats = NDArray[np.float64]

__all__ = [
    "COLUMNS",
    "ORDERS",
    "VOIGT_SHAPES",
    "Column",
    "described",
    "find_label",
    "known_columns",
    "scalar_from_value",
    "tensor_from_value",
]


class Column(NamedTuple):
    """What the name of a column says about the tensors in it."""

    name: str
    order: str = "voigt"
    factor: float = 1.0


COLUMNS: dict[str, tuple[Column, ...]] = {
    "dielectric": (
        Column("e_electronic"),
        Column("epsilon", "vasp"),
    ),
    "dielectric-total": (Column("e_total"),),
    "piezo": (
        Column("piezoelectric_tensor"),
        Column("piezoelectric_C_m2", "vasp"),
    ),
    "elastic": (
        Column("elastic_tensor"),
        Column("elastic_total_kbar", "vasp", 0.1),
    ),
    "formation-energy": (
        Column("formation_energy_per_atom"),
        Column("formation_energy_peratom"),
        Column("e_form"),
    ),
    "bulk-modulus": (
        Column("K_VRH"),
        Column("bulk_modulus_kv"),
    ),
    "shear-modulus": (
        Column("G_VRH"),
        Column("shear_modulus_gv"),
    ),
    "band-gap": (
        Column("band_gap"),
        Column("gap pbe"),
        Column("optb88vdw_bandgap"),
    ),
}
"""Columns that hold a property, besides its own names: matminer's and JARVIS's.

JARVIS, and with it the published GMTNet data, keeps the order of VASP and kbar.
"""

_MISSING = ("", "na", "NA", "N/A", "None", "null")

VOIGT_SHAPES = {2: (6,), 3: (3, 6), 4: (6, 6)}
"""Shape of the Voigt form of a tensor, by its rank."""


def known_columns(row: "TensorProperty", column: str) -> tuple[Column, ...]:
    """List the columns to look for.

    Parameters
    ----------
    row : TensorProperty
        Which label is wanted.
    column : str
        Its column; empty for all that are known.

    Returns
    -------
    tuple of Column
        The first that is there is the one.
    """
    known = (Column(row.label), Column(row.name), *COLUMNS.get(row.name, ()))
    if not column:
        return known
    return (next((one for one in known if one.name == column), Column(column)),)


def find_label(
    record: "Mapping[str, Any]", row: "TensorProperty", column: str
) -> tuple[Any, Column]:
    """Find the label of a row.

    Parameters
    ----------
    record : mapping
        A row of a table.
    row : TensorProperty
        Which label is wanted.
    column : str
        Its column; empty to look for the known names.

    Returns
    -------
    value : object
        As it stands there; None if it is empty.
    column : Column
        Where it was found.

    Raises
    ------
    DataError
        If there is no such column.
    """
    known = known_columns(row, column)
    drawer = "tensors" if row.rank else "scalars"
    inner = record.get(drawer)
    if isinstance(inner, dict):
        # A tensor has one name there; a column that is asked for is one of the table.
        names = known if not row.rank else () if column else known[:1]
        for one in names:
            if one.name in inner:
                return inner[one.name], one
    for one in known:
        if one.name in record:
            return record[one.name], one
    looked = ", ".join(one.name for one in known)
    raise DataError(
        f"no label: neither {drawer}.{row.label} nor a column {looked}; name the column "
        "by the setting 'column'"
    )


def tensor_from_value(value: Any, row: "TensorProperty", order: str) -> "Floats":  # noqa: ANN401
    """Read a tensor that stands in one cell of a table.

    Parameters
    ----------
    value : object
        Nested lists or their text, full or Voigt, or a tensor of pymatgen as a dict.
    row : TensorProperty
        What it is.
    order : str
        Of Voigt components: ``"voigt"`` or ``"vasp"``.

    Returns
    -------
    ndarray, shape (3, ..., 3)
        Full components, in the unit of the table; one tensor for each atom if the
        property belongs to atoms.

    Raises
    ------
    DataError
        If the numbers are not finite, or the shape is none of these.
    """
    if not row.rank:
        return scalar_from_value(value, row)
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, dict):
        value = value.get("input_array", value.get("data"))
    try:
        given = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{row.label} is not an array of numbers ({error})") from error
    if not np.isfinite(given).all():
        raise DataError(f"{row.label} must be finite")
    if row.per_atom:
        return _of_atoms(given, row)
    if given.shape == (3,) * row.rank:
        return given
    voigt = VOIGT_SHAPES[row.rank]
    if given.shape == voigt:
        return from_voigt(given, row.rank, order=order)
    raise DataError(
        f"{row.label} must be of shape {(3,) * row.rank} or {voigt} (Voigt), not "
        f"{given.shape}"
    )


def scalar_from_value(value: Any, row: "TensorProperty") -> "Floats":  # noqa: ANN401
    """Read a number that stands in one cell of a table.

    Parameters
    ----------
    value : object
        A number or its text.
    row : TensorProperty
        What it is.

    Returns
    -------
    ndarray, shape ()
        In the unit of the table.

    Raises
    ------
    DataError
        If there is none, it is not finite, or it has no logarithm but needs one.
    """
    missing = value is None or (isinstance(value, str) and value.strip() in _MISSING)
    if missing:
        raise DataError(f"{row.label} is missing")
    try:
        number = np.array(float(value))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{row.label} is not a number but {str(value)[:40]!r}"
        ) from error
    if not np.isfinite(number):
        raise DataError(f"{row.label} must be finite, not {number}")
    if row.logarithmic and number <= 0:
        raise DataError(
            f"{row.label} must be positive, not {number:g}: its logarithm is learnt"
        )
    return number


def _of_atoms(given: "Floats", row: "TensorProperty") -> "Floats":
    """Check tensors that belong to atoms."""
    if given.ndim != row.rank + 1 or given.shape[1:] != (3,) * row.rank:
        raise DataError(
            f"{row.label} must be of shape (n_atoms, {', '.join('3' * row.rank)}), not "
            f"{given.shape}"
        )
    return given


def _parsed(text: str) -> object:
    """Read nested lists from a text, as JSON, Python and numpy write them."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    raise DataError(f"a tensor cannot be read from {text[:40]!r}")


def described(error: Exception) -> str:
    """Describe an error; one that is not ours starts with its kind."""
    kind = "" if isinstance(error, CrystalTensorError) else f"{type(error).__name__}: "
    return f"{kind}{error}"
