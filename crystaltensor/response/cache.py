"""Force constants on disk, under a name made of all they depend on."""

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from crystaltensor.crystals.writing import replacing
from crystaltensor.errors import CrystalTensorError
from crystaltensor.response.force_constants import ForceConstants

if TYPE_CHECKING:
    from crystaltensor.crystals.crystal import Crystal
    from crystaltensor.response.potentials import Potential

_VERSION = 1  # of the algorithm: what was stored before another is not used
_OPTIONAL = ("clamped", "stress")
_ARRAYS = ("phi", "internal_strain", "forces", *_OPTIONAL)
_NUMBERS = ("n_calls", "n_calls_unreduced", "sum_rule_error")


def cache_folder() -> Path:
    """Say where force constants are kept: ``XDG_CACHE_HOME``, or ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "crystaltensor" / "force-constants"


def cache_key(crystal: "Crystal", potential: "Potential") -> str:
    """Hash a crystal to 1e-7 Å and a potential.

    Parameters
    ----------
    crystal : Crystal
        The primitive crystal.
    potential : Potential
        Its identity and step count.

    Returns
    -------
    str
        40 hexadecimal digits.
    """
    arrays = (
        np.round(crystal.cell, 7),
        np.round(crystal.positions, 7),
        crystal.numbers,
    )
    settings = [_VERSION, potential.identity, potential.displacement]
    digest = hashlib.sha256(json.dumps(settings).encode())
    for array in arrays:
        digest.update((array + 0).tobytes())  # no negative zeros
    return digest.hexdigest()[:40]


def load(folder: Path, key: str, *, elastic: bool) -> ForceConstants | None:
    """Take force constants from a folder.

    Parameters
    ----------
    folder : Path
        It need not exist.
    key : str
        From `cache_key`.
    elastic : bool
        Whether they must hold the clamped-ion stiffness.

    Returns
    -------
    ForceConstants or None
        None if they are not there, or the file is damaged.
    """
    try:
        with (
            (folder / f"{key}.npz").open("rb") as file,
            np.load(file, allow_pickle=False) as stored,
        ):
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, KeyError, BadZipFile):
        return None
    needed = {"phi", "internal_strain", "forces", *_NUMBERS}
    if elastic:
        needed |= {*_OPTIONAL}
    if not needed <= arrays.keys():
        return None
    return ForceConstants(
        **{name: arrays.get(name) for name in _ARRAYS},  # type: ignore[arg-type]
        n_calls=int(arrays["n_calls"]),
        n_calls_unreduced=int(arrays["n_calls_unreduced"]),
        sum_rule_error=float(arrays["sum_rule_error"]),
    )


def save(folder: Path, key: str, found: ForceConstants) -> None:
    """Put force constants into a folder; nothing happens where that is not possible.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    key : str
        From `cache_key`.
    found : ForceConstants
        To keep.
    """
    arrays = {
        name: getattr(found, name)
        for name in (*_ARRAYS, *_NUMBERS)
        if getattr(found, name) is not None
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / f"{key}.npz") as path, path.open("wb") as file:
            np.savez(file, **arrays)
    except (OSError, CrystalTensorError):
        return
