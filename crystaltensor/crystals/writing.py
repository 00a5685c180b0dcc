"""Crystals and other results to files, whole or not at all."""

import os
import tempfile
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystaltensor.crystals.conversion import to_ase
from crystaltensor.crystals.crystal import SYMBOLS, Crystal
from crystaltensor.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

_WITH_ASE = {".cif": "cif", ".xyz": "extxyz", ".extxyz": "extxyz", ".xsf": "xsf"}


@contextmanager
def replacing(path: str | Path) -> "Iterator[Path]":
    """Write a file beside its place, and move it there if nothing goes wrong.

    Parameters
    ----------
    path : path
        Where the file shall be.

    Yields
    ------
    Path
        Where to write it.

    Raises
    ------
    FormatError
        If there is no such folder, or it may not be written to.
    """
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{target.name}.", suffix=target.suffix, dir=target.parent
        )
    except OSError as error:
        raise FormatError(f"{target}: cannot be written: {error.strerror}") from error
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        mask = os.umask(0)  # the only way to read it
        os.umask(mask)
        partial.chmod(0o666 & ~mask)
        partial.replace(target)
    except OSError as error:
        raise FormatError(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def write_crystal(crystal: Crystal, path: str | Path) -> None:
    """Write a crystal; the name says the format.

    Parameters
    ----------
    crystal : Crystal
        Its atoms keep their order, and are grouped by element as they stand.
    path : path
        ``.cif``, ``.xyz``, ``.extxyz`` or ``.xsf``; anything else is a POSCAR. A CIF
        holds no orientation.

    Raises
    ------
    FormatError
        If it cannot be written there.
    """
    target = Path(path)
    with replacing(target) as partial:
        if target.suffix.lower() in _WITH_ASE:
            _write_with_ase(crystal, partial, _WITH_ASE[target.suffix.lower()])
        else:
            partial.write_text(poscar_text(crystal), encoding="utf-8")


def poscar_text(crystal: Crystal) -> str:
    """Write a crystal as a POSCAR with all digits.

    Parameters
    ----------
    crystal : Crystal
        Any crystal.

    Returns
    -------
    str
        The whole file.
    """
    runs = [(number, len(list(run))) for number, run in groupby(crystal.numbers)]
    lines = [crystal.formula, "1.0"]
    lines += [" ".join(f"{value:21.16f}" for value in row) for row in crystal.cell]
    lines.append(" ".join(SYMBOLS[number] for number, _ in runs))
    lines.append(" ".join(str(count) for _, count in runs))
    lines.append("Direct")
    lines += [" ".join(f"{value:21.16f}" for value in row) for row in crystal.frac]
    return "\n".join(lines) + "\n"


def _write_with_ase(crystal: Crystal, path: Path, file_format: str) -> None:
    """Let ASE write a format."""
    from ase.io import write  # late: it is slow

    atoms: Any = to_ase(crystal)
    write(path, atoms, format=file_format)
