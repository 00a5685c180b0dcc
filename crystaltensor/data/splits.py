"""Splits that do not leak: a formula with a space group is in one of them only."""

import hashlib
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from crystaltensor.data.choices import SPLITS
from crystaltensor.data.hypotheses import symmetry_of
from crystaltensor.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crystaltensor.crystals.crystal import Crystal
    from crystaltensor.data.rows import LabelledCrystal


def group_of(crystal: "Crystal", *, symprec: float) -> str:
    """Name what must not be in two splits: reduced formula and space group.

    Parameters
    ----------
    crystal : Crystal
        A crystal.
    symprec : float
        Largest distance between equivalent atoms, in Å.

    Returns
    -------
    str
        Such as ``"AlN|186"``.
    """
    return f"{crystal.formula}|{symmetry_of(crystal, symprec).number}"


def assign_splits(
    rows: "Sequence[LabelledCrystal]",
    *,
    source: str,
    seed: int,
    fractions: "Sequence[float]",
    symprec: float,
) -> "list[LabelledCrystal]":
    """Put every row into a split.

    The groups are sorted by a hash of the seed and their names, and cut. A group that
    the file has put into a split stays together there.

    Parameters
    ----------
    rows : sequence of LabelledCrystal
        Some or all of them without a split.
    source : str
        One of `SPLIT_SOURCES`.
    seed : int
        Of the draw.
    fractions : sequence of float
        Shares of train, val and test.
    symprec : float
        For the space group, in Å.

    Returns
    -------
    list of LabelledCrystal
        In the same order.

    Raises
    ------
    ConfigError
        If `source` is ``"file"`` and a row has no split.
    """
    if source == "group":
        rows = [replace(each, split="") for each in rows]
    bare = [each for each in rows if not each.split]
    if not bare:
        return list(rows)
    if source == "file":
        raise ConfigError(
            f"{len(bare)} rows have no split ({bare[0].name} is the first); choose "
            "split = 'auto' or 'group' to draw it"
        )
    groups = [group_of(each.crystal, symprec=symprec) for each in rows]
    drawn = _draw(rows, groups, seed, fractions)
    return [
        each if each.split else replace(each, split=drawn[group])
        for each, group in zip(rows, groups, strict=True)
    ]


def _draw(
    rows: "Sequence[LabelledCrystal]",
    groups: "Sequence[str]",
    seed: int,
    fractions: "Sequence[float]",
) -> dict[str, str]:
    """Choose a split for every group."""
    pairs = list(zip(rows, groups, strict=True))
    drawn = {group: each.split for each, group in pairs if each.split}
    sizes = Counter(group for each, group in pairs if group not in drawn)
    order = sorted(
        sizes, key=lambda group: hashlib.sha256(f"{seed}|{group}".encode()).digest()
    )
    total, before = sum(sizes.values()), 0
    used: set[str] = set()
    first = fractions[0] / sum(fractions)
    second = first + fractions[1] / sum(fractions)
    for place, group in enumerate(order):
        middle = (before + sizes[group] / 2) / total
        before += sizes[group]
        split = SPLITS[(middle > first) + (middle > second)]
        # Three groups or more leave none of the wanted splits empty.
        left = len(order) - place
        if len(order) >= 3 and left <= 2 and fractions[-left] > 0:
            wanted = SPLITS[-left]
            split = split if wanted in used else wanted
        used.add(split)
        drawn[group] = split
    return drawn
