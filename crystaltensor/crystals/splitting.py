"""Long files of many structures, cut into records that are not parsed yet.

A file of a million structures is then never in memory, and its records can be parsed
by several processes.
"""

import gzip
import io
import json
import re
import sys
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

from crystaltensor.crystals.opening import MAX_STREAM, by_content, by_name, unpacked
from crystaltensor.crystals.parsing import MAX_TEXT
from crystaltensor.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

Record: TypeAlias = bytes | FormatError
"""The bytes of one structure, or why they are not kept."""

_HEAD = 1 << 16
_SITES = re.compile(rb"\s*_atom_site[_.](label|type_symbol)", re.IGNORECASE)


class RecordFile:
    """A file that is read record by record.

    Parameters
    ----------
    stream : binary file
        Unpacked.
    file_format : str or None
        One of `SPLITTABLE`; None for a stream that is one record, whatever it holds.
    raw : binary file, optional
        What `stream` unpacks, to tell how much of it has been read.
    size : int
        Bytes of `raw`; 0 if that is not known.

    Attributes
    ----------
    trouble : str
        Why the file ends before its end; empty if it does not.
    """

    def __init__(
        self,
        stream: IO[bytes],
        file_format: str | None,
        raw: IO[bytes] | None = None,
        size: int = 0,
    ) -> None:
        self.file_format = file_format
        self.trouble = ""
        self._stream, self._raw, self._size = stream, raw, size

    @property
    def fraction(self) -> float:
        """How much of the file has been read, 0 to 1."""
        if not self._size or self._raw is None:
            return 0.0
        return 1.0 if self._raw.closed else min(1.0, self._raw.tell() / self._size)

    def __iter__(self) -> "Iterator[Record]":
        """Give one record after another, undecoded; an error for one that is too long."""
        try:
            yield from _SPLITTERS[self.file_format or ""](self._stream)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            self.trouble = (
                "cannot be unpacked: the gzip file is damaged or cut short here"
            )
        except FormatError as error:
            self.trouble = str(error)
        except OSError as error:
            self.trouble = f"cannot be read on: {error.strerror or error}"
        finally:
            if self._raw is not None:
                self._raw.close()


def open_records(source: str, file_format: str | None) -> RecordFile | None:
    """Open a file that can be cut into records.

    Parameters
    ----------
    source : str
        Path, or ``"-"`` for standard input.
    file_format : str, optional
        Guessed from the name, then from the content, if left out.

    Returns
    -------
    RecordFile or None
        None if its reader had better read the file as a whole, or say why it cannot;
        never for standard input.
    """
    if source == "-":
        return _cut(_standard_input(), file_format)
    chosen = file_format or by_name(source)
    if chosen not in SPLITTABLE:
        return None
    try:
        stream = Path(source).open("rb")  # noqa: SIM115 - closed by who reads it
        size = Path(source).stat().st_size
    except OSError:
        return None
    found = _cut(stream, chosen, size)
    if found.file_format is None:
        stream.close()
        return None
    return found


def _cut(raw: io.BufferedReader, file_format: str | None, size: int = 0) -> RecordFile:
    """Unpack a stream and look at its beginning."""
    stream, head = raw, b""
    try:
        head = stream.peek(_HEAD)
        if head[:2] == b"\x1f\x8b":
            stream = unpacked(raw)
            head = stream.peek(_HEAD)
    except (OSError, EOFError, zlib.error):
        head = b"\0"  # what reads the whole will say so
    chosen = file_format or by_content(head.decode("utf-8-sig", "replace"))
    splits = head and b"\0" not in head and _splits(chosen, head)
    return RecordFile(stream, chosen if splits else None, raw, size)


def _standard_input() -> io.BufferedReader:
    """Give standard input as bytes; peeking takes nothing from it."""
    found: object = getattr(sys.stdin, "buffer", sys.stdin)
    if isinstance(found, io.BufferedReader):
        return found
    content = sys.stdin.read() if sys.stdin is not None else ""
    data = content.encode() if isinstance(content, str) else content
    return io.BufferedReader(io.BytesIO(data), _HEAD)


def _splits(chosen: str | None, head: bytes) -> bool:
    """Tell whether a file has one record after another."""
    if chosen != "json":
        return chosen in SPLITTABLE
    # A file of JSON is split if its first line is an object, so that it is JSON lines.
    first, newline, _ = head.lstrip().partition(b"\n")
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return not newline and first[:1] == b"{" and len(head) >= _HEAD


class _Parts:
    """Lines of one record; of one that is too long, those that fit."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._size = 0

    def add(self, line: bytes) -> None:
        """Take one more line."""
        self._size += len(line)
        if self._size <= MAX_TEXT:
            self.lines.append(line)

    def record(self) -> Record:
        """Join them."""
        if self._size > MAX_TEXT:
            return FormatError(
                f"is longer than {MAX_TEXT >> 20} MiB: this is no crystal"
            )
        return b"".join(self.lines)


def _lines(stream: IO[bytes]) -> "Iterator[bytes]":
    """Read lines, one that is too long in pieces."""
    while line := stream.readline(MAX_TEXT):
        yield line


def _json_lines(stream: IO[bytes]) -> "Iterator[Record]":
    """Give the lines that are not blank."""
    parts = _Parts()
    for line in _lines(stream):
        parts.add(line)
        if line[-1:] == b"\n":
            if not line.isspace() or len(parts.lines) > 1:
                yield parts.record()
            parts = _Parts()
    if b"".join(parts.lines).strip():
        yield parts.record()


def _frames(stream: IO[bytes]) -> "Iterator[Record]":
    """Give the frames of extended XYZ; after one without a count all that is left."""
    for line in _lines(stream):
        if line.isspace():
            continue
        parts = _Parts()
        parts.add(line)
        count = line.strip()
        if not count.isdigit() or len(count) > 9:
            parts.add(stream.read(_HEAD))
            yield parts.record()
            return
        for _ in range(int(count) + 1):
            part = stream.readline(MAX_TEXT)
            if not part:
                break
            parts.add(part)
        yield parts.record()


def _cif_blocks(stream: IO[bytes]) -> "Iterator[Record]":
    """Give the data blocks that have atoms."""
    parts, has_atoms, in_text = _Parts(), False, False
    for line in _lines(stream):
        if line[:1] == b";":
            in_text = not in_text
        elif not in_text and line[:5].lower() == b"data_":
            if has_atoms:
                yield parts.record()
            parts, has_atoms = _Parts(), False
        elif not in_text and _SITES.match(line):
            has_atoms = True
        parts.add(line)
    if has_atoms:
        yield parts.record()


def _all(stream: IO[bytes]) -> "Iterator[Record]":
    """Give the whole stream as one record."""
    yield stream.read(MAX_STREAM + 1)


_SPLITTERS = {"": _all, "json": _json_lines, "extxyz": _frames, "cif": _cif_blocks}
SPLITTABLE = frozenset({"json", "extxyz", "cif"})
"""Formats that are cut into records."""
