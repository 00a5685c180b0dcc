"""Rows that are alike: duplicates, leaks between splits, flipped signs."""

from collections import defaultdict
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.data.choices import SPLITS
from crystaltensor.data.graphs import neighbours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from crystaltensor.crystals.crystal import Crystal
    from crystaltensor.data.rows import LabelledCrystal
    from crystaltensor.properties import TensorProperty

    Floats = NDArray[np.float64]

Notes = dict[str, str]

_SAME_VOLUME = 0.01  # relative, of an atom: two relaxations of one crystal
_LIKE_VOLUME = 0.10  # two functionals
_REACH = 5.0  # Å
_DECAY = 1.0  # Å
_CLEAR = 0.05  # overlaps below this are rounding


def compare_groups(
    rows: "Sequence[LabelledCrystal]",
    numbers: "Sequence[int]",
    row: "TensorProperty",
) -> dict[int, Notes]:
    """Compare the rows that have formula and space group in common.

    Parameters
    ----------
    rows : sequence of LabelledCrystal
        The data set.
    numbers : sequence of int
        Space groups.
    row : TensorProperty
        What the labels are.

    Returns
    -------
    dict
        Place of a row to what was found: ``"duplicate"``, ``"leak"``,
        ``"sign-flip"``.
    """
    groups: dict[tuple[str, int], list[int]] = defaultdict(list)
    for place, (each, number) in enumerate(zip(rows, numbers, strict=True)):
        groups[each.crystal.formula, number].append(place)
    notes: dict[int, Notes] = defaultdict(dict)
    for places in groups.values():
        if len(places) < 2:
            continue
        for first, second in combinations(places, 2):
            _compare(first, second, rows, notes)
        if row.parity == "odd":
            _compare_signs(places, rows, notes)
    return dict(notes)


def _compare(
    first: int,
    second: int,
    rows: "Sequence[LabelledCrystal]",
    notes: dict[int, Notes],
) -> None:
    """Look whether a pair is one crystal, and whether it is in two splits."""
    one, other = rows[first], rows[second]
    apart = abs(np.log(_atom_volume(one.crystal) / _atom_volume(other.crystal)))
    if apart < _SAME_VOLUME:
        notes[second].setdefault("duplicate", f"it is the crystal of {one.name}")
    if one.split != other.split and one.split and other.split:
        # The row to leave out is the one that is learnt from.
        pair = sorted((first, second), key=lambda at: SPLITS.index(rows[at].split))
        place, met = pair[0], rows[pair[1]]
        notes[place].setdefault("leak", f"{met.name} is in the split {met.split}")


def _atom_volume(crystal: "Crystal") -> float:
    """Give the volume of an atom."""
    return crystal.volume / crystal.n_atoms


def _compare_signs(
    places: list[int], rows: "Sequence[LabelledCrystal]", notes: dict[int, Notes]
) -> None:
    """Look for like crystals with labels of opposite sign."""
    signs = {place: _overlap(rows[place]) for place in places}
    for first, second in combinations(places, 2):
        one, other = rows[first], rows[second]
        apart = abs(np.log(_atom_volume(one.crystal) / _atom_volume(other.crystal)))
        sizes = sorted((abs(signs[first]), abs(signs[second])))
        like = sizes[0] > max(_CLEAR, 0.5 * sizes[1])
        if apart < _LIKE_VOLUME and like and signs[first] * signs[second] < 0:
            notes[first].setdefault("sign-flip", f"{other.name} has the other sign")
            notes[second].setdefault("sign-flip", f"{one.name} has the other sign")


def _overlap(labelled: "LabelledCrystal") -> float:
    r"""Compare a label with an odd tensor of its structure, from -1 to 1.

    The latter is :math:`\sum_{ij} (Z_j - Z_i) e^{-r} \hat r \hat r \hat r`, so that
    neither axes nor the hand of the crystal matter, but the sign of the label does.
    """
    crystal = labelled.crystal
    targets, sources, vectors = neighbours(crystal, _REACH)
    lengths = np.linalg.norm(vectors, axis=1)
    numbers = crystal.numbers.astype(np.float64)
    weights = (numbers[sources] - numbers[targets]) * np.exp(-lengths / _DECAY)
    unit = vectors / lengths[:, None]
    shape = np.einsum("e,ei,ej,ek->ijk", weights, unit, unit, unit, optimize=True)
    sizes = float(np.linalg.norm(shape) * np.linalg.norm(labelled.tensor))
    scale = float(np.abs(weights).sum())
    if sizes == 0 or np.linalg.norm(shape) < 1e-3 * scale:
        return 0.0
    return float((shape * labelled.tensor).sum()) / sizes
