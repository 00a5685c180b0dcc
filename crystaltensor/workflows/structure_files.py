"""Structures from files and folders, one after another; failures keep their places."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from crystaltensor.crystals.io import ReadCrystal, Source, read_crystals
from crystaltensor.crystals.opening import by_name
from crystaltensor.errors import CrystalTensorError, FormatError

_BATCH_CRYSTALS = 64
_BATCH_ENTRIES = 2_000_000


@dataclass(frozen=True)
class Failure:
    """A structure that was skipped, and why.

    Parameters
    ----------
    source : str
        The path as given, with ``#index`` if the file holds several.
    error : CrystalTensorError
        What went wrong.
    """

    source: str
    error: CrystalTensorError

    def as_dict(self) -> dict[str, object]:
        """Return what ``--json`` prints, and what a manifest records."""
        kind, message = type(self.error).__name__, str(self.error)
        return {
            "schema": 1,
            "source": self.source,
            "status": "error",
            "error": {"type": kind, "message": message},
        }


def structure_files(paths: Iterable[str], leave_out: Path | None = None) -> list[str]:
    """Expand folders into the structure files below them, in order of their names.

    Parameters
    ----------
    paths : iterable of str
        Files, which are kept whatever their names are, and folders.
    leave_out : Path, optional
        A folder that is not searched.

    Returns
    -------
    list of str
        Each file once.

    Raises
    ------
    FormatError
        If a folder holds no structure file.
    """
    files: dict[str, None] = {}
    for path in paths:
        folder = Path(path)
        if path == "-" or not folder.is_dir():
            files[path] = None
            continue
        inside = [
            file
            for file, wanted in walk(path, recursive=True)
            if wanted
            and not (
                leave_out and Path(file).resolve().is_relative_to(leave_out.resolve())
            )
        ]
        if not inside:
            raise FormatError(f"{path}: holds no structure file")
        files.update(dict.fromkeys(inside))
    return list(files)


def walk(folder: str, *, recursive: bool) -> Iterator[tuple[str, bool]]:
    """List the files of a folder in order of their names.

    Hidden entries are left out; links to folders are not followed, so that there is no
    loop.

    Parameters
    ----------
    folder : str
        The folder.
    recursive : bool
        Whether to search the folders in it.

    Yields
    ------
    path : str
        Of the file, the folder in front.
    wanted : bool
        Whether its name is that of a structure file; a link that leads nowhere counts
        as the file that it names.
    """
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        yield folder, True  # whoever reads it says why it cannot be read
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            if recursive:
                yield from walk(entry.path, recursive=True)
        else:
            yield entry.path, by_name(entry.name) is not None and _may_be_file(entry)


def _may_be_file(entry: "os.DirEntry[str]") -> bool:
    """Tell files, and links that lead to none, from pipes and links to folders."""
    try:
        return entry.is_file() or (entry.is_symlink() and not Path(entry).exists())
    except OSError:  # a loop of links
        return True


def structures_of(
    path: Source, file_format: str | None
) -> Iterator[ReadCrystal | Failure]:
    """Read the structures of a file; what cannot be read is a failure in its place.

    Parameters
    ----------
    path : path or stream
        One file.
    file_format : str, optional
        Guessed if left out.

    Yields
    ------
    ReadCrystal or Failure
        In the order of the file.
    """
    failures: list[Failure] = []

    def failed(source: str, error: CrystalTensorError) -> None:
        failures.append(Failure(source, error))

    reader = read_crystals(path, file_format=file_format, on_error=failed)
    while True:
        read = next(reader, None)
        yield from failures
        failures.clear()
        if read is None:
            return
        yield read


def in_batches(
    items: Iterable[ReadCrystal | Failure],
) -> Iterator[list[ReadCrystal | Failure]]:
    """Cut a stream into batches that are summed together.

    Parameters
    ----------
    items : iterable of ReadCrystal or Failure
        In order.

    Yields
    ------
    list of ReadCrystal or Failure
        Not more than some tens of crystals, or few large ones.
    """
    batch: list[ReadCrystal | Failure] = []
    entries = 0
    for item in items:
        size = item.crystal.n_atoms**2 if isinstance(item, ReadCrystal) else 0
        if batch and (len(batch) == _BATCH_CRYSTALS or entries + size > _BATCH_ENTRIES):
            yield batch
            batch, entries = [], 0
        batch.append(item)
        entries += size
    if batch:
        yield batch
