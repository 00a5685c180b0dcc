"""Descriptors of atoms from elsewhere, such as a universal potential, to pretrain on."""

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.archives import read_arrays
from crystaltensor.data.prepared import PreparedData, build_graphs
from crystaltensor.data.rows import Dropped
from crystaltensor.data.splits import group_of
from crystaltensor.errors import CrystalTensorError, DataError, SymmetryError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from crystaltensor.nn.batch import Neighbourhood

VALIDATION = 20
"""One of so many groups of crystals is held back to see how well the rest is learnt."""


@dataclass(frozen=True, eq=False)
class Described:
    """A crystal with descriptors of its atoms.

    Parameters
    ----------
    name : str
        Of the crystal.
    crystal : Crystal
        The atoms.
    values : ndarray of float32, shape (n_atoms, n_descriptors)
        One row for each atom; all about equally important, of any common scale.
    """

    name: str
    crystal: Crystal
    values: "NDArray[np.float32]" = field(repr=False)


def write_descriptors(many: "Sequence[Described]", path: "Path") -> None:
    """Write crystals with descriptors as one uncompressed ``.npz`` of plain arrays.

    Parameters
    ----------
    many : sequence of Described
        At least one.
    path : Path
        Where; its arrays are ``names``, ``n_atoms``, ``cells`` (n, 3, 3) with rows in Å,
        ``frac`` and ``numbers`` of all atoms one below the other, and ``values`` in half
        precision.
    """
    np.savez(
        path,
        allow_pickle=False,
        names=np.array([each.name for each in many]),
        n_atoms=np.array([each.crystal.n_atoms for each in many]),
        cells=np.stack([each.crystal.cell for each in many]),
        frac=np.concatenate([each.crystal.frac for each in many]),
        numbers=np.concatenate([each.crystal.numbers for each in many]),
        values=np.concatenate([each.values for each in many]).astype(np.float16),
    )


def read_descriptors(path: "Path") -> list[Described]:
    """Read what `write_descriptors` wrote.

    Parameters
    ----------
    path : Path
        An ``.npz`` file.

    Returns
    -------
    list of Described
        In the order of the file.

    Raises
    ------
    DataError
        If it is something else, or damaged.
    """
    arrays = read_arrays(path)
    try:
        found = _unpack(arrays)
    except (LookupError, TypeError, ValueError, CrystalTensorError) as error:
        raise DataError(f"{path}: no table of descriptors ({error!r})") from error
    for each in found:
        if (
            len(each.values) != each.crystal.n_atoms
            or not np.isfinite(each.values).all()
        ):
            raise DataError(
                f"{path}: {each.name} has no finite row of descriptors for each atom"
            )
    return found


def _unpack(arrays: "dict[str, NDArray[Any]]") -> list[Described]:
    """Cut the flat arrays of a file into crystals."""
    starts = np.cumsum(arrays["n_atoms"])[:-1]
    values = arrays["values"].astype(np.float32)
    parts = (
        np.split(each, starts) for each in (arrays["frac"], arrays["numbers"], values)
    )
    return [
        Described(str(name), Crystal(cell, frac, numbers), rows)
        for name, cell, frac, numbers, rows in zip(
            arrays["names"], arrays["cells"], *parts, strict=True
        )
    ]


def prepare_descriptors(
    many: "Sequence[Described]",
    *,
    taken: "Collection[str]",
    around: "Neighbourhood",
    symprec: float,
    key: str,
) -> tuple[PreparedData, list[Dropped]]:
    """Make graphs, and labels of the size one.

    Parameters
    ----------
    many : sequence of Described
        What to learn from.
    taken : collection of str
        Names from `group_of` of crystals that the network will be judged by: it must not
        see them, even with other labels.
    around : Neighbourhood
        Which neighbours the graphs hold.
    symprec : float
        Largest distance between equivalent atoms, in Å.
    key : str
        Kept with the result.

    Returns
    -------
    data : PreparedData
        Crystals of the splits train and val, the latter one of `VALIDATION`, drawn by
        their groups; the tensors have the shape (n_atoms, n_descriptors) and are those
        of the file over their root mean square.
    dropped : list of Dropped
        What was left out, and why.

    Raises
    ------
    DataError
        If no crystal is left, or two tables have descriptors of different lengths.
    """
    kept: list[Described] = []
    splits: list[str] = []
    dropped: list[Dropped] = []
    for each in many:
        try:
            group = group_of(each.crystal, symprec=symprec)
        except SymmetryError as error:
            dropped.append(Dropped(each.name, str(error)))
            continue
        if group in taken:
            reason = f"{group} is among the crystals to be judged by"
            dropped.append(Dropped(each.name, reason))
            continue
        kept.append(each)
        splits.append(_split(group))
    if not {"train", "val"} <= set(splits):
        raise DataError("too few crystals with descriptors are left to learn from")
    if len({each.values.shape[1] for each in kept}) > 1:
        raise DataError("the tables have descriptors of different lengths")
    values = np.concatenate([each.values for each in kept])
    unknown = np.zeros(len(kept), dtype=bool)
    crystals = [each.crystal for each in kept]
    data = PreparedData(
        names=[each.name for each in kept],
        graphs=build_graphs(crystals, around, [{}] * len(kept)),
        # In single precision: these are hundreds of numbers for each atom.
        tensors=values
        / np.float32(np.sqrt(np.square(values, dtype=np.float64).mean())),
        splits=np.array(splits),
        sign_known=~unknown,
        polar=unknown,
        point_groups=np.full(len(kept), ""),
        n_primitive=np.array([each.n_atoms for each in crystals]),
        sites=None,
        key=key,
    )
    return data, dropped


def _split(group: str) -> str:
    """Draw the split of a group, always the same."""
    drawn = int(hashlib.sha256(group.encode()).hexdigest(), 16) % VALIDATION
    return "train" if drawn else "val"
