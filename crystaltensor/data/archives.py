"""Archives of arrays (``.npz``), read without trust: nothing is unpickled or unpacked."""

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def read_arrays(path: "Path") -> "dict[str, NDArray[Any]]":
    """Read the arrays of an uncompressed ``.npz`` file.

    Parameters
    ----------
    path : Path
        What ``numpy.savez`` wrote.

    Returns
    -------
    dict
        Name to array; together they are not larger than the file.

    Raises
    ------
    DataError
        If it is no such file, is damaged, or holds pickled objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
        plain = all(member.filename.endswith(".npy") for member in members)
        packed = any(member.compress_type for member in members)
        if plain and not packed:
            with np.load(path, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
    except Exception as error:  # whatever zipfile and numpy trip over
        raise DataError(
            f"{path}: not an archive of arrays ({type(error).__name__}: {error})"
        ) from error
    found = "compressed data" if plain else "something else (a torch checkpoint?)"
    raise DataError(f"{path}: not an archive of plain arrays: it holds {found}")
