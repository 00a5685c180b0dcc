"""Labels that replace those of a table, crystal by crystal, without copying it."""

from dataclasses import replace
from typing import TYPE_CHECKING

from crystaltensor.data.labels import described
from crystaltensor.data.rows import LabelledCrystal, Reading, label_of, name_of
from crystaltensor.data.tables import read_records
from crystaltensor.errors import CrystalTensorError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from crystaltensor.properties import TensorProperty


def correct(
    rows: "Sequence[LabelledCrystal]",
    path: "Path",
    row: "TensorProperty",
    reading: Reading,
) -> list[LabelledCrystal]:
    """Replace the labels of crystals by those that a table has for their names.

    Parameters
    ----------
    rows : sequence of LabelledCrystal
        Of the data sets of a run.
    path : Path
        JSON lines, or a data frame as JSON, with names and labels; structures are not
        looked at. ``sign_reliable`` and ``axes_reliable`` say what is known of a label;
        what is not said stays as it was.
    row : TensorProperty
        What the labels are.
    reading : Reading
        How they are read.

    Returns
    -------
    list of LabelledCrystal
        In the same order; those that the table does not name are left as they are.

    Raises
    ------
    DataError
        If the file is no such table, or names none of the crystals.
    """
    found = {}
    for where, record in read_records(path):
        try:
            label = label_of(record, row, reading)
        except (
            *(AttributeError, LookupError, TypeError, ValueError),
            CrystalTensorError,
        ) as error:
            raise DataError(f"{where}: no label ({described(error)})") from error
        if label is not None:
            found[name_of(record, "")] = label, record
    if not any(each.name in found for each in rows):
        raise DataError(f"{path.name}: it names none of the crystals of the data")
    corrected = []
    for each in rows:
        label, record = found.get(each.name, (each.tensor, {}))
        if label.shape != each.tensor.shape:
            raise DataError(
                f"{path.name}: the label of {each.name} has the shape {label.shape}, "
                f"not {each.tensor.shape}"
            )
        corrected.append(
            replace(
                each,
                tensor=label,
                sign_known=bool(record.get("sign_reliable", each.sign_known)),
                axes_known=bool(record.get("axes_reliable", each.axes_known)),
            )
        )
    return corrected
