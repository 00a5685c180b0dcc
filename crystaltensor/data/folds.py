"""Parts of the training crystals, each of which a network can be trained without."""

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.crystals.crystal import reduced_formula

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crystaltensor.data.datasets import PreparedData

LEFT_OUT = "fold"
"""The split of training crystals that are left out."""


def fold_numbers(
    data: "PreparedData", n_folds: int, *, seed: int
) -> "NDArray[np.int64]":
    """Draw a part for every crystal, by reduced formula and crystal class.

    A crystal is in the same part in every data set, and what splits keep together is in
    one part: crystals of one formula and space group are of one class as well.

    Parameters
    ----------
    data : PreparedData
        The crystals.
    n_folds : int
        How many parts there are.
    seed : int
        Of the draw.

    Returns
    -------
    ndarray of int, shape (n,)
        From 0 to ``n_folds - 1``.
    """
    names = [
        f"{seed}|{reduced_formula(graph.numbers)}|{group}"
        for graph, group in zip(data.graphs, data.point_groups, strict=True)
    ]
    hashes = [hashlib.sha256(name.encode()).digest()[:8] for name in names]
    return np.array(
        [int.from_bytes(each, "big") % n_folds for each in hashes], dtype=np.int64
    )


def leave_out(
    data: "PreparedData", fold: int, n_folds: int, *, seed: int
) -> "PreparedData":
    """Take one part of the training crystals out of the training.

    Parameters
    ----------
    data : PreparedData
        The crystals.
    fold : int
        The part.
    n_folds, seed
        As in `fold_numbers`.

    Returns
    -------
    PreparedData
        The same; training crystals of the part are in the split `LEFT_OUT`.
    """
    chosen = fold_numbers(data, n_folds, seed=seed) == fold
    splits = np.where(chosen & (data.splits == "train"), LEFT_OUT, data.splits)
    key = f"{data.key}, without part {fold + 1} of {n_folds}"
    return replace(data, splits=splits, key=key)
