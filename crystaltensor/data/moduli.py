"""Crystals of which only the moduli K and G are known, as labels of a stiffness."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.data.prepared import prepare
from crystaltensor.data.rows import Dropped, LabelledCrystal, Reading
from crystaltensor.data.splits import group_of
from crystaltensor.data.tables import read_table
from crystaltensor.errors import DataError, SymmetryError
from crystaltensor.properties import BULK_MODULUS, ELASTIC, SHEAR_MODULUS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from crystaltensor.data.prepared import PreparedData
    from crystaltensor.nn.batch import Neighbourhood

    Floats = NDArray[np.float64]

MODULI = (BULK_MODULUS, SHEAR_MODULUS)
"""What the two columns of the labels are."""


@dataclass(frozen=True, eq=False)
class KnownModuli:
    """A crystal with one modulus or both.

    Parameters
    ----------
    row : LabelledCrystal
        Name, crystal and split; its label is the first modulus that was found.
    values : ndarray, shape (2,)
        K and G in GPa, Hill's means; NaN where unknown.
    """

    row: LabelledCrystal
    values: "Floats"


def read_moduli(
    path: "Path", reading: Reading
) -> "tuple[list[KnownModuli], list[Dropped]]":
    """Read the crystals of a table that have a bulk modulus, a shear modulus, or both.

    Parameters
    ----------
    path : Path
        A table as `read_table` takes it, with columns that it knows for the moduli.
    reading : Reading
        How tables are read; what cannot be read is always left out.

    Returns
    -------
    rows : list of KnownModuli
        In the order of the file.
    dropped : list of Dropped
        Rows without either of them.

    Raises
    ------
    DataError
        If the file is no table, or has neither modulus.
    """
    lenient = replace(reading, column="", skip_bad_rows=True)
    found: dict[tuple[str, bytes, bytes], KnownModuli] = {}
    lost: list[list[Dropped]] = []
    reasons: list[DataError] = []
    for column, modulus in enumerate(MODULI):
        try:
            rows, dropped = read_table(path, modulus, reading=lenient)
        except DataError as error:
            reasons.append(error)
            continue
        lost.append(dropped)
        for row in rows:
            crystal = row.crystal
            place = (row.name, crystal.cell.tobytes(), crystal.frac.tobytes())
            known = found.setdefault(place, KnownModuli(row, np.full(2, np.nan)))
            known.values[column] = float(row.tensor)
    if not found:
        raise reasons[0]
    both = {each.name for each in lost[-1]}
    return list(found.values()), [each for each in lost[0] if each.name in both]


def prepare_moduli(
    rows: "Sequence[KnownModuli]",
    *,
    taken: "Collection[str]",
    around: "Neighbourhood",
    symprec: float,
    key: str,
) -> "tuple[PreparedData, list[Dropped]]":
    """Make graphs for a network of C, and labels of two numbers.

    Parameters
    ----------
    rows : sequence of KnownModuli
        What to learn from; those that their table has put into val or test are not.
    taken : collection of str
        Names from `group_of` of the crystals with all of C: those in val and test must
        not be learnt from, and those in train say more already.
    around : Neighbourhood
        Which neighbours the graphs hold.
    symprec : float
        Largest distance between equivalent atoms, in Å.
    key : str
        Kept with the result.

    Returns
    -------
    data : PreparedData
        All of it in the split ``"train"``; the labels, shape (n, 2), are K and G in GPa,
        NaN where unknown.
    dropped : list of Dropped
        What was left out, and why.

    Raises
    ------
    DataError
        If no row is left.
    """
    kept: list[KnownModuli] = []
    dropped: list[Dropped] = []
    for each in rows:
        reason = _left_out(each.row, taken, symprec)
        if reason:
            dropped.append(Dropped(each.row.name, reason))
        else:
            kept.append(each)
    if not kept:
        raise DataError("no crystal with moduli is left to learn from")
    # An isotropic stiffness is allowed by every symmetry, and stands for the label.
    isotropic = np.einsum("ij,kl->ijkl", np.eye(3), np.eye(3))
    data, _ = prepare(
        [replace(each.row, tensor=isotropic, split="train") for each in kept],
        ELASTIC,
        around=around,
        symprec=(symprec,),
        max_residual=1.0,
        key=key,
    )
    return replace(data, tensors=np.stack([each.values for each in kept])), dropped


def _left_out(
    row: LabelledCrystal, taken: "Collection[str]", symprec: float
) -> str | None:
    """Say why a crystal is not learnt from, if so."""
    if row.split in {"val", "test"}:
        return f"its table has it in the split {row.split}"
    try:
        group = group_of(row.crystal, symprec=symprec)
    except SymmetryError as error:
        return str(error)
    return f"{group} is among the crystals with all of C" if group in taken else None
