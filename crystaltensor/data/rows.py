"""One row of a data set: a crystal, its label, and what is known of both."""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crystaltensor.crystals.io import read_crystal
from crystaltensor.crystals.records import crystal_from_dict
from crystaltensor.data.choices import SPLITS, VOIGT_ORDERS
from crystaltensor.data.labels import find_label, tensor_from_value
from crystaltensor.errors import ConfigError, DataError
from crystaltensor.settings import suggestion

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from crystaltensor.crystals.crystal import Crystal
    from crystaltensor.properties import TensorProperty

NAMES = ("id", "material_id", "task_id", "JARVIS_ID", "jid", "name", "filename")
"""Columns that name a crystal, the best first."""

TEXTS = ("poscar", "structure", "atoms", "cif")
"""Columns that may hold a structure as a text, those that keep its axes first."""


@dataclass(frozen=True)
class LabelledCrystal:
    """One row of a data set.

    Parameters
    ----------
    name : str
        What the data set calls it.
    crystal : Crystal
        The structure, in the frame of the tensor.
    tensor : ndarray, shape (3, ..., 3) or (n_atoms, 3, ..., 3)
        The label, in the unit of the property; of shape () for a scalar.
    split : str
        ``"train"``, ``"val"`` or ``"test"``; empty as long as it is not drawn.
    sign_known : bool
        Whether the sign of the label means something: in the classes without a polar
        axis that of a piezoelectric tensor is a free choice of its author.
    polar : bool
        Whether the crystal belongs to a polar class.
    axes_known : bool
        Whether the row says that its label is in the axes of its structure, even where
        those of the others are open.
    """

    name: str
    crystal: "Crystal"
    tensor: "NDArray[np.float64]"
    split: str
    sign_known: bool
    polar: bool
    axes_known: bool = False


@dataclass(frozen=True)
class Dropped:
    """A row that is not used, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Reading:
    """How tables are read.

    Parameters
    ----------
    voigt_order : str
        Order of the six Voigt components: ``"voigt"`` (xx yy zz yz xz xy), ``"vasp"``
        (xx yy zz xy yz zx), or ``"auto"``: the first, except in columns whose name is
        known to mean the second.
    column : str
        Column that holds the tensor; empty to look for the known names.
    structures : str
        Folder with the structure files of a CSV table, relative to the table.
    skip_bad_rows : bool
        Whether rows that cannot be read, or have no usable label, are left out; else
        the first of them is an error.

    Raises
    ------
    ConfigError
        If the order is unknown.
    """

    voigt_order: str = "auto"
    column: str = ""
    structures: str = ""
    skip_bad_rows: bool = False

    def __post_init__(self) -> None:
        if self.voigt_order not in VOIGT_ORDERS:
            hint = suggestion(self.voigt_order, VOIGT_ORDERS)
            raise ConfigError(f"unknown voigt_order {self.voigt_order!r}; {hint}")


def labelled_from_record(
    record: "Mapping[str, Any]",
    row: "TensorProperty",
    reading: Reading,
    *,
    name: str,
) -> LabelledCrystal | Dropped:
    """Read one row of a table of records.

    Parameters
    ----------
    record : mapping
        With a structure under ``"structure"`` or ``"atoms"`` (an object of pymatgen,
        of JARVIS or of this package's own data sets), or as the text of a file under
        one of `TEXTS`, and the tensor under ``"tensors"`` or in a column.
    row : TensorProperty
        Which label is wanted.
    reading : Reading
        How.
    name : str
        For a row that has none.

    Returns
    -------
    LabelledCrystal or Dropped
        The latter if the label is an empty cell for a tensor.

    Raises
    ------
    DataError
        If there is no structure, no such label, or no number for a scalar.
    """
    named = name_of(record, name)
    tensor = label_of(record, row, reading)
    if tensor is None:
        return Dropped(named, f"it has no {row.label}")
    crystal = _crystal(record)
    if row.per_atom and len(tensor) != crystal.n_atoms:
        raise DataError(f"{len(tensor)} {row.label} for {crystal.n_atoms} atoms")
    return label_crystal(record, crystal, tensor, named)


def name_of(record: "Mapping[str, Any]", name: str) -> str:
    """Say what a record calls its crystal; `name` if it does not."""
    return next((str(record[key]) for key in NAMES if record.get(key)), name)


def label_of(
    record: "Mapping[str, Any]", row: "TensorProperty", reading: Reading
) -> "NDArray[np.float64] | None":
    """Read the label of a record.

    Parameters
    ----------
    record, row, reading
        As for `labelled_from_record`.

    Returns
    -------
    ndarray or None
        In the unit of the property; None for an empty cell for a tensor.

    Raises
    ------
    DataError
        If there is no such label, or no number for a scalar.
    """
    value, known = find_label(record, row, reading.column)
    empty = value is None or (isinstance(value, str | list) and not value)
    if row.rank and empty:
        return None
    order = known.order if reading.voigt_order == "auto" else reading.voigt_order
    return known.factor * tensor_from_value(value, row, order)


def label_crystal(
    record: "Mapping[str, Any]",
    crystal: "Crystal",
    tensor: "NDArray[np.float64]",
    name: str,
) -> LabelledCrystal:
    """Put a row together.

    Parameters
    ----------
    record : mapping
        Its optional columns are ``split``, ``sign_reliable``, ``axes_reliable`` and
        ``polar_class``.
    crystal : Crystal
        The structure.
    tensor : ndarray, shape (3, ..., 3)
        The label.
    name : str
        Of the row.

    Returns
    -------
    LabelledCrystal
        The row.

    Raises
    ------
    DataError
        If the split is unknown.
    """
    split = record.get("split") or ""
    if split not in {"", *SPLITS}:
        raise DataError(f"split must be one of {SPLITS}, not {split!r}")
    return LabelledCrystal(
        name=name,
        crystal=crystal,
        tensor=tensor,
        split=split,
        sign_known=bool(record.get("sign_reliable", True)),
        polar=bool(record.get("polar_class", False)),
        axes_known=bool(record.get("axes_reliable", False)),
    )


def _crystal(record: "Mapping[str, Any]") -> "Crystal":
    """Read the structure of a record."""
    if any(isinstance(record.get(key), dict) for key in ("structure", "atoms")):
        return crystal_from_dict(record)
    for key in TEXTS:
        text = record.get(key)
        if isinstance(text, str) and text.strip():
            return read_crystal(io.StringIO(text))
    raise DataError(
        "no structure: expected an object under 'structure' or 'atoms', or the text of "
        f"a file under one of {', '.join(TEXTS)}"
    )
