"""Force constants of many labelled crystals in one file, to fit to again and again."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from crystaltensor.crystals.writing import replacing
from crystaltensor.errors import DataError
from crystaltensor.response.modes import Modes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from crystaltensor.crystals.crystal import Crystal
    from crystaltensor.response.responder import CrystalResponse

    Floats = NDArray[np.float64]

_DIGITS = 4  # after the point of what is stored: differences of forces are noisier
_SAME = 0.05  # of a lattice vector: averaging over the space group strains a cell


@dataclass(frozen=True, eq=False)
class StoredResponse:
    """What a potential says of a crystal, as far as a fit needs it.

    Parameters
    ----------
    numbers : ndarray of int, shape (n_primitive,)
        Atomic numbers in the primitive cell.
    cell : ndarray, shape (3, 3)
        Primitive lattice vectors as rows in Å, in the axes of the crystal.
    index : ndarray of int, shape (n_atoms,)
        Atom of the primitive cell that each atom of the crystal is a copy of.
    phi : ndarray, shape (n_primitive, 3, n_primitive, 3)
        Force constants in eV/Å², in the axes of the crystal.
    internal_strain : ndarray, shape (n_primitive, 3, 3, 3)
        Λ in eV/Å.
    """

    numbers: "NDArray[np.int64]"
    cell: "Floats"
    index: "NDArray[np.int64]"
    phi: "Floats"
    internal_strain: "Floats"

    @classmethod
    def of(cls, response: "CrystalResponse") -> "StoredResponse":
        """Keep what a fit needs, rounded as `save_responses` rounds it."""
        primitive = response.primitive.crystal
        return cls(
            primitive.numbers,
            np.round(primitive.cell, _DIGITS),
            response.index,
            np.round(response.constants.phi, _DIGITS),
            np.round(response.constants.internal_strain, _DIGITS),
        )

    @cached_property
    def modes(self) -> Modes:
        """Of the force constants."""
        return Modes.of(self.phi)

    @property
    def volume(self) -> float:
        """Of the primitive cell, in Å³."""
        return float(abs(np.linalg.det(self.cell)))

    def belongs_to(self, crystal: "Crystal") -> bool:
        """Tell whether a crystal has these atoms, in this order, on such a lattice."""
        if not np.array_equal(self.numbers[self.index], crystal.numbers):
            return False
        multiples = crystal.cell @ np.linalg.inv(self.cell)
        return bool(np.abs(multiples - np.round(multiples)).max() < _SAME)


@dataclass(frozen=True, eq=False)
class Responses:
    """Force constants of labelled crystals from one potential.

    Parameters
    ----------
    potential : str
        Name of the potential, as the user writes it.
    identity : str
        Changes whenever its forces may.
    crystals : mapping
        Name of a row to its force constants.
    """

    potential: str
    identity: str
    crystals: "Mapping[str, StoredResponse]"


def save_responses(path: Path, responses: Responses) -> None:
    """Write force constants to one compressed file, the same bytes each time.

    Parameters
    ----------
    path : Path
        Ends in ``.npz``; replaced if it is there.
    responses : Responses
        Rounded to 1e-4 of their units.
    """
    many = list(responses.crystals.values())
    arrays: dict[str, NDArray[Any]] = {
        "potential": np.array([responses.potential, responses.identity]),
        "names": np.array(list(responses.crystals)),
        "sizes": np.array([[len(one.numbers), len(one.index)] for one in many]),
        "cells": np.array([one.cell for one in many]).reshape(-1, 3, 3),
        "numbers": _joined([one.numbers for one in many]).astype(np.uint8),
        "index": _joined([one.index for one in many]).astype(np.int32),
        "phi": _joined([one.phi for one in many]).astype(np.float32),
        "internal_strain": _joined([one.internal_strain for one in many]).astype(
            np.float32
        ),
    }
    for name in ("phi", "internal_strain"):
        arrays[name] = np.round(arrays[name], _DIGITS)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def load_responses(path: Path) -> Responses:
    """Read what `save_responses` has written.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Responses
        In the order they were written.

    Raises
    ------
    DataError
        If there is no such file, or it is damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        potential, identity = (str(one) for one in arrays["potential"])
        return Responses(potential, identity, _split(arrays))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, EOFError, BadZipFile) as error:
        raise DataError(
            f"{path}: no force constants, or damaged ({error!r})"
        ) from error


def _joined(arrays: "list[NDArray[Any]]") -> "NDArray[Any]":
    """Write arrays behind each other."""
    return np.concatenate([one.ravel() for one in arrays] or [np.zeros(0)])


def _split(arrays: "dict[str, NDArray[Any]]") -> dict[str, StoredResponse]:
    """Cut arrays that were written behind each other."""
    n, n_atoms = arrays["sizes"].reshape(-1, 2).T
    numbers = _cut(arrays["numbers"].astype(np.int64), n)
    index = _cut(arrays["index"].astype(np.int64), n_atoms)
    phi = _cut(arrays["phi"].astype(np.float64), 9 * n**2)
    strain = _cut(arrays["internal_strain"].astype(np.float64), 27 * n)
    return {
        str(name): StoredResponse(
            numbers[row],
            arrays["cells"][row],
            index[row],
            # As decimals again, so that a file gives what was computed.
            np.round(phi[row].reshape(n[row], 3, n[row], 3), _DIGITS),
            np.round(strain[row].reshape(n[row], 3, 3, 3), _DIGITS),
        )
        for row, name in enumerate(arrays["names"])
    }


def _cut(joined: "NDArray[Any]", lengths: "NDArray[Any]") -> "list[NDArray[Any]]":
    """Cut an array into pieces of these lengths.

    Raises
    ------
    ValueError
        If it has another length than all of them.
    """
    if len(joined) != lengths.sum():
        raise ValueError(f"{len(joined)} numbers in place of {lengths.sum()}")
    return np.split(joined, np.cumsum(lengths)[:-1])
