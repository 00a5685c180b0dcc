"""Crystals from files: the one door, where every format's errors become ours."""

import io
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, TextIO, TypeAlias

import numpy as np

from crystaltensor.crystals.cif import parse_cif
from crystaltensor.crystals.conversion import (
    as_crystal,
    from_ase,
    from_pymatgen,
    parse_with_ase,
    to_ase,
    to_pymatgen,
)
from crystaltensor.crystals.extxyz import parse_extxyz
from crystaltensor.crystals.opening import FORMATS, by_content, by_name, opened
from crystaltensor.crystals.parsing import MAX_TEXT, Parsed
from crystaltensor.crystals.poscar import parse_poscar
from crystaltensor.crystals.records import parse_json
from crystaltensor.errors import CrystalTensorError, FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crystaltensor.crystals.crystal import Crystal
    from crystaltensor.crystals.splitting import Record

__all__ = [
    "FORMATS",
    "ReadCrystal",
    "as_crystal",
    "from_ase",
    "from_pymatgen",
    "read_crystal",
    "read_crystals",
    "read_records",
    "read_single",
    "to_ase",
    "to_pymatgen",
]

MAX_COUNT = 1000
"""How many structures of a file are counted for the message that there are several."""


@dataclass(frozen=True)
class ReadCrystal:
    """A crystal that was read, where it is from, and what its reader remarks.

    Parameters
    ----------
    crystal : Crystal
        As it stands in the file.
    source : str
        The path as given, with ``#index`` if the file holds several.
    warnings : tuple of str
        One line each; empty for a clean file.
    """

    crystal: "Crystal"
    source: str
    warnings: tuple[str, ...] = ()


Source: TypeAlias = str | os.PathLike[str] | IO[str] | IO[bytes]
Item: TypeAlias = Parsed | CrystalTensorError
Failed: TypeAlias = Callable[[str, CrystalTensorError], None]
"""Takes the source and the error of a structure that is left out."""


def read_crystal(
    source: Source,
    *,
    file_format: str | None = None,
) -> "Crystal":
    """Read the one crystal of a file.

    Parameters
    ----------
    source : path or stream
        As for `read_crystals`; ``"many.extxyz#2"`` picks one of several.
    file_format : str, optional
        One of `FORMATS`.

    Returns
    -------
    Crystal
        With the atoms in the order of the file.

    Raises
    ------
    FormatError
        If the file cannot be read, or holds several crystals.
    """
    return read_single(source, file_format=file_format).crystal


def read_single(
    source: Source,
    *,
    file_format: str | None = None,
) -> ReadCrystal:
    """Read the one crystal of a file, and keep the warnings.

    Parameters
    ----------
    source, file_format
        As for `read_crystal`.

    Returns
    -------
    ReadCrystal
        The crystal, its source and the warnings.

    Raises
    ------
    FormatError
        If the file cannot be read, or holds several crystals.
    """
    found = _items(source, file_format)
    name, first = next(found)
    if others := sum(1 for _ in islice(found, MAX_COUNT)):
        path = name.removesuffix("#0")
        many = f"{others + 1}" if others < MAX_COUNT else f"more than {MAX_COUNT}"
        raise FormatError(
            f"{path}: holds {many} structures where one is wanted; pick it by its index "
            f"from 0, as in '{path}#1'"
        )
    if isinstance(first, CrystalTensorError):
        raise first
    return ReadCrystal(first.crystal, name, first.warnings)


def read_crystals(
    source: Source,
    *,
    file_format: str | None = None,
    on_error: Failed | None = None,
) -> Iterator[ReadCrystal]:
    """Read the crystals of a file one by one.

    The format is guessed from the name, or, where that says nothing, from the
    content. Files that end in ``.gz`` are unpacked on the way.

    Parameters
    ----------
    source : path or stream
        ``"-"`` is standard input; ``"file#2"`` is the third structure of a file.
    file_format : str, optional
        One of `FORMATS`; by default it is guessed.
    on_error : callable, optional
        Called with the source and the error of each structure that fails, in place
        of raising it; the next structure follows.

    Yields
    ------
    ReadCrystal
        In the order of the file.

    Raises
    ------
    CrystalTensorError
        FormatError if the file cannot be read, StructureError or ElementError if
        what it holds cannot be treated; the message starts with the source.
    """
    for name, item in _items(source, file_format):
        if not isinstance(item, CrystalTensorError):
            yield ReadCrystal(item.crystal, name, item.warnings)
        elif on_error is None:
            raise item
        else:
            on_error(name, item)


def read_records(
    records: "Sequence[Record]",
    name: str,
    *,
    file_format: str,
    first: int | None,
    on_error: Failed,
) -> Iterator[ReadCrystal]:
    """Read crystals that were cut out of a file, see `crystaltensor.crystals.splitting`.

    Parameters
    ----------
    records : sequence of bytes or FormatError
        One structure each, or why there is none.
    name : str
        The file they are from.
    file_format : str
        One of `FORMATS`.
    first : int or None
        Index of the first of them in the file; None for the only one of a file.
    on_error : callable
        Takes the source and the error of each record that cannot be read.

    Yields
    ------
    ReadCrystal
        In order, named as `read_crystals` names them.
    """
    for offset, record in enumerate(records):
        source = name if first is None else f"{name}#{first + offset}"
        item = _parsed(record, file_format)
        if isinstance(item, CrystalTensorError):
            on_error(source, _named(source, item))
        else:
            yield ReadCrystal(item.crystal, source, item.warnings)


def _parsed(record: "Record", file_format: str) -> Item:
    """Parse a record."""
    if isinstance(record, FormatError):
        return record
    stream = io.StringIO(record.decode("utf-8-sig", "replace"), newline=None)
    try:
        with np.errstate(all="ignore"):
            found = list(islice(_parser(stream, file_format), 2))
    except CrystalTensorError as error:
        return error
    return found[0] if len(found) == 1 else FormatError("is not one structure")


def _items(source: Source, file_format: str | None) -> Iterator[tuple[str, Item]]:
    """Read a file; give each structure its name, and put the name into its error."""
    path, index = _split(source)
    name = path if isinstance(path, str) else _stream_name(path)
    items = enumerate(_until_broken(path, name, file_format))
    held: list[tuple[int, Item]] = []
    item: Item | None = None
    for position, item in items:
        if index is not None:
            if position == index:
                yield f"{name}#{index}", _prefixed(f"{name}#{index}", item)
                return
            continue
        held.append((position, item))
        if position:  # the first one waits, because a lone one has no index
            for number, one in held:
                yield f"{name}#{number}", _prefixed(f"{name}#{number}", one)
            held = []
    if index is not None:
        if isinstance(item, CrystalTensorError):  # the file broke off before it
            raise _named(name, item)
        raise FormatError(f"{name}: there is no structure #{index} (they count from 0)")
    if item is None:
        yield name, _named(name, FormatError("holds no structure"))
    for _, one in held:
        yield name, _prefixed(name, one)


def _split(source: Source) -> tuple[str | IO[Any], int | None]:
    """Split ``path#index``, unless a file has that very name."""
    if not isinstance(source, str | os.PathLike):
        return source, None
    text = os.fspath(source)
    match = re.fullmatch(r"(.+)#(\d{1,9})", text, re.DOTALL)
    if match and not os.path.lexists(text):
        return match[1], int(match[2])
    return text, None


def _stream_name(stream: IO[Any]) -> str:
    """Name a stream in messages."""
    name = getattr(stream, "name", None)
    return name if isinstance(name, str) else "<stream>"


def _prefixed(name: str, item: Item) -> Item:
    """Put the name in front of the message, if the item is an error."""
    return _named(name, item) if isinstance(item, CrystalTensorError) else item


def _named(name: str, error: CrystalTensorError) -> CrystalTensorError:
    """Put a name in front of a message, and keep it to one line."""
    where = "standard input" if name == "-" else name
    named = type(error)(f"{where}: {' '.join(str(error).split())}")
    named.__cause__ = error.__cause__
    return named


def _until_broken(
    path: str | IO[Any], name: str, file_format: str | None
) -> Iterator[Item]:
    """Parse a file; the error that ends it is the last item."""
    try:
        with opened(path) as (stream, head):
            items = _parse(stream, head, name, file_format)
            while True:
                with np.errstate(all="ignore"):  # odd numbers are refused by name
                    item = next(items, None)
                if item is None:
                    return
                yield item
    except CrystalTensorError as error:
        yield error


def _parse(
    stream: TextIO, head: str, name: str, file_format: str | None
) -> Iterator[Item]:
    """Choose the parser, and add what the content looks like if it fails."""
    chosen = file_format or by_name(name) or by_content(head)
    try:
        yield from _parser(stream, chosen)
    except FormatError as error:
        other = by_content(head)
        if other in {None, chosen}:
            raise
        raise FormatError(
            f"{error} (read as {chosen}; it looks like {other}: rename the file or set "
            "the format)"
        ) from error


def _parser(stream: TextIO, chosen: str | None) -> Iterator[Item]:
    """Run the parser of a format."""
    if chosen == "extxyz":
        return parse_extxyz(stream)
    if chosen == "json":
        return parse_json(stream)
    if chosen is None:
        raise FormatError(
            f"neither name nor content tells the format; set it: {', '.join(FORMATS)}"
        )
    if chosen not in FORMATS:
        raise FormatError(
            f"unknown format {chosen[:40]!r}; known are {', '.join(FORMATS)}"
        )
    text = stream.read(MAX_TEXT + 1)
    if len(text) > MAX_TEXT:
        raise FormatError(f"is longer than {MAX_TEXT >> 20} MiB: this is no crystal")
    if chosen == "cif":
        return parse_cif(text)
    if chosen == "poscar":
        return iter([parse_poscar(text)])
    return parse_with_ase(text, chosen)
