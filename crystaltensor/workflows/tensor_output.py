"""A projected tensor to a file, in the notation asked for."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.crystals.writing import replacing
from crystaltensor.errors import ConfigError
from crystaltensor.symmetry.index_symmetry import parse_index_symmetry
from crystaltensor.symmetry.interpretation import NOTATIONS, as_matrix, voigt_shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crystaltensor.workflows.symmetrized import Symmetrized
    from crystaltensor.workflows.targets import Target

    Floats = NDArray[np.float64]

SUFFIXES = (".json", ".npy", ".csv", ".txt", ".dat")
"""What the name of an output may end in."""


def in_notation(tensor: "Floats", target: "Target", notation: str | None) -> "Floats":
    """Write a tensor in a notation.

    Parameters
    ----------
    tensor : ndarray, shape (..., 3, ..., 3)
        Full components.
    target : Target
        What it is.
    notation : str or None
        One of `NOTATIONS`; Voigt for rank three and four if it is left out.

    Returns
    -------
    ndarray
        The components.

    Raises
    ------
    ConfigError
        If the tensor has no such form.
    """
    row = target.row
    has_voigt = voigt_shape(parse_index_symmetry(row.index_symmetry)) is not None
    chosen = notation or ("voigt" if has_voigt and row.rank > 2 else "full")
    if chosen == "full":
        return np.asarray(tensor)
    if chosen not in NOTATIONS or not has_voigt:
        raise ConfigError(f"a {row.title} has no {chosen} form; use full")
    factors = "mandel" if chosen == "mandel" else target.factors
    return as_matrix(tensor, row.index_symmetry, factors=factors)


def write_tensor(
    found: "Symmetrized", path: str | Path, *, notation: str | None = None
) -> None:
    """Write a projected tensor; the name of the file says how.

    Parameters
    ----------
    found : Symmetrized
        With a tensor.
    path : path
        ``.json`` for all that is known, with the components under the name of the
        notation; ``.npy``, or ``.csv``, ``.txt`` and ``.dat`` for numbers.
    notation : str, optional
        One of `NOTATIONS`.

    Raises
    ------
    ConfigError
        If there is no tensor, or the name or the notation is none of these.
    FormatError
        If the file cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(
            f"{target}: the name must end in one of {', '.join(SUFFIXES)}"
        )
    if found.tensor is None:
        raise ConfigError(f"{target}: there is no tensor to write; give one")
    values = in_notation(found.tensor, found.target, notation)
    with replacing(target) as partial:
        if suffix == ".json":
            record = found.as_dict()
            if notation == "mandel":
                record["mandel"] = values.tolist()
            text = json.dumps(record, ensure_ascii=False) + "\n"
            partial.write_text(text, encoding="utf-8")
        elif suffix == ".npy":
            with partial.open("wb") as stream:
                np.save(stream, values, allow_pickle=False)
        else:
            partial.write_text(_as_text(found, values, notation, suffix), "utf-8")


def _as_text(
    found: "Symmetrized", values: "Floats", notation: str | None, suffix: str
) -> str:
    """Write rows of numbers under comments that say what they are."""
    target = found.target
    full = values.ndim == found.tensor.ndim if found.tensor is not None else True
    said = "full" if full else notation or "voigt"
    separator = "," if suffix == ".csv" else " "
    rows = values.reshape(-1, 3 if full else values.shape[-1])
    lines = [
        f"# property: {target.row.name}",
        f"# notation: {said}",
        f"# frame: {found.frame}",
        f"# unit: {target.row.unit}",
    ]
    lines += [separator.join(repr(float(value)) for value in row) for row in rows]
    return "\n".join(lines) + "\n"
