"""Opening a structure file, and guessing its format."""

import gzip
import io
import os
import re
import select
import stat
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TextIO

from crystaltensor.errors import FormatError

# What ASE reads for us are text formats, whose parsers never run or unpickle what
# they are given; its .traj, .db, .py and the like are left out on purpose.
_NAMES = {  # in this order: POSCAR.cif is a CIF
    "cif": r".*\.m?cif",
    "extxyz": r".*\.(ext)?xyz",
    "json": r".*\.(json|jsonl|ndjson)",
    "poscar": r"(poscar|contcar).*|.*(poscar|contcar|\.vasp)",
    "aims": r"geometry\.in.*",
    "espresso-in": r".*\.(pwi|pw\.in|scf\.in)",
    "espresso-out": r".*\.(pwo|pw\.out|scf\.out)",
    "gen": r".*\.gen",
    "res": r".*\.res",
    "struct": r".*\.struct",
    "vasp-out": r"outcar.*",
    "vasp-xml": r"vasprun.*\.xml",
    "xsf": r".*\.xsf",
}
FORMATS = tuple(_NAMES)
"""The formats that can be read, by name."""

MAX_STREAM = 1 << 28
"""Most bytes that are taken from a stream or a pipe."""

DENSEST = 250
"""Times that a packed text may grow: what grows more is made to fill the memory."""

_UNCHECKED = 1 << 26  # bytes that may come out of however few
_HEAD = 1 << 16
_PATIENCE = 5.0  # seconds until someone writes to a named pipe
_PICKLED = re.compile(rb"\x80[\x02-\x05]")
_NUMBERS = re.compile(r"\s*([+-]?[\d.]+([eEdD][+-]?\d+)?(\s+|$)){3}")


def by_name(name: str) -> str | None:
    """Guess the format from a file's name, or say nothing."""
    base = re.split(r"[/\\]", name)[-1].lower().removesuffix(".gz")
    for file_format, pattern in _NAMES.items():
        if re.fullmatch(pattern, base, re.DOTALL):
            return file_format
    return None


def by_content(head: str) -> str | None:
    """Guess the format from how a text begins, or say nothing."""
    text = head.lstrip()
    if text[:1] in {"{", "["}:
        return "json"
    if re.search(r"^\s*(data_|_cell_length_a\s)", head, re.MULTILINE | re.IGNORECASE):
        return "cif"
    lines = [*head.split("\n", 6)[:6], *[""] * 6][:6]
    if all(_NUMBERS.match(line[:200]) for line in lines[2:5]):
        return "poscar"
    first = text.split("\n", 2)
    if re.fullmatch(r"\s*\d{1,9}\s*", first[0], re.ASCII) and "=" in "".join(
        first[1:2]
    ):
        return "extxyz"
    return None


@contextmanager
def opened(source: Path | str | IO[Any]) -> Iterator[tuple[TextIO, str]]:
    """Open a path, standard input (``-``) or a stream as text.

    Parameters
    ----------
    source : path or stream
        A stream is read to its end, and not closed.

    Yields
    ------
    stream : TextIO
        Decoded, unpacked if it is gzip, with any kind of line end.
    head : str
        How the text begins, for `by_content`.

    Raises
    ------
    FormatError
        If there is no such file, or it is a folder, empty, or not text, or if it turns
        out to be damaged while it is read.
    """
    try:
        if not isinstance(source, str | Path):
            yield _from_stream(source)
        elif str(source) == "-":
            yield _from_stream(getattr(sys.stdin, "buffer", sys.stdin))
        else:
            with _opened_path(Path(source)) as found:
                yield found
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FormatError(
            "cannot be unpacked: the gzip file is damaged or cut short"
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise FormatError(f"cannot be read: {reason}") from error
    except UnicodeError as error:  # UTF-16 in odd numbers of bytes
        raise FormatError("is not text in the encoding that its start says") from error


@contextmanager
def _opened_path(path: Path) -> Iterator[tuple[TextIO, str]]:
    """Open a path as text."""
    if "\0" in str(path):
        raise FormatError("there is no such file")
    if path.is_dir():
        raise FormatError("is a folder; name a file in it")
    try:
        kind = path.stat().st_mode
        if stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
            raise FormatError("is a device, not a file; name a file, or pipe it to -")
        if stat.S_ISFIFO(kind):
            yield _from_stream(io.BytesIO(_from_pipe(path)))
            return
        with path.open("rb", buffering=0) as raw:
            yield _decoded(io.BufferedReader(raw, _HEAD))
    except FileNotFoundError:
        raise FormatError("there is no such file; check the name") from None
    except PermissionError:
        raise FormatError("may not be read; check its permissions") from None


def _from_pipe(path: Path) -> bytes:
    """Read a pipe to its end, which may come later than its first piece."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # does not wait for a writer
    with os.fdopen(handle, "rb") as pipe:
        first = _first_piece(handle)
        os.set_blocking(handle, True)
        return first + pipe.read(MAX_STREAM + 1)


def _first_piece(handle: int) -> bytes:
    """Wait until someone writes to a pipe, but not for ever."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    stop = time.monotonic() + _PATIENCE
    while time.monotonic() < stop:
        events = poll.poll(100)
        try:
            piece = os.read(handle, _HEAD)
        except BlockingIOError:
            return b""  # it has a writer, who is not ready yet
        if piece or events:
            return piece
    raise FormatError("is a pipe that nothing is written to; name a file")


def _from_stream(stream: IO[Any] | None) -> tuple[TextIO, str]:
    """Take what is left of a stream."""
    content = stream.read(MAX_STREAM + 1) if stream is not None else b""
    if len(content) > MAX_STREAM:
        raise FormatError(f"is longer than {MAX_STREAM >> 20} MiB; write it to a file")
    if isinstance(content, str):
        content = content.encode("utf-8", "replace")
    return _decoded(io.BufferedReader(io.BytesIO(content), _HEAD))


class _Counted:
    """A stream that knows how much was read from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.n_bytes = 0

    def read(self, size: int = -1) -> bytes:
        """Read, and count."""
        data = self._stream.read(size)
        self.n_bytes += len(data)
        return data


class _Unpacked(io.RawIOBase):
    """What is in a gzip file, as long as that grows like text."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = _Counted(packed)
        self._content = gzip.GzipFile(fileobj=self._packed, mode="rb")  # type: ignore[call-overload]  # it only reads
        self._n_bytes = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - as in io
        """Unpack some more."""
        count: int = self._content.readinto(buffer)
        self._n_bytes += count
        if self._n_bytes > max(_UNCHECKED, DENSEST * self._packed.n_bytes):
            raise FormatError(
                f"grows more than {DENSEST} times when it is unpacked (a gzip bomb?); "
                "unpack it yourself if you trust it"
            )
        return count


def unpacked(packed: IO[bytes]) -> "io.BufferedReader[Any]":
    """Unpack a gzip stream on the way, but no bomb.

    Parameters
    ----------
    packed : binary stream
        At its beginning.

    Returns
    -------
    BufferedReader
        It raises a FormatError when more comes out than text can have been.
    """
    return io.BufferedReader(_Unpacked(packed), _HEAD)


def _decoded(binary: "io.BufferedReader[Any]") -> tuple[TextIO, str]:
    """Unpack and decode; also return how the text begins."""
    head = binary.peek(_HEAD)
    if head[:2] == b"\x1f\x8b":
        binary = unpacked(binary)
        head = binary.peek(_HEAD)
    encoding = "utf-16" if head[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    if not head.strip() and len(head) < _HEAD:
        raise FormatError("is empty")
    if _PICKLED.match(head):
        raise FormatError(
            "is a pickle, which is never opened: that would run whatever it holds; "
            "write it as text where you trust it"
        )
    if head[:4] == b"PK\3\4":
        raise FormatError(
            "is a zip archive (as .npz and torch's .pt are), not a text; unpack it, or "
            "write what it holds as text"
        )
    if encoding != "utf-16" and b"\0" in head:
        raise FormatError("is a binary file, not a text; crystals are read from text")
    # What is not UTF-8 stands in comments, as names with accents do in old files;
    # anywhere else the mark that replaces it is refused.
    stream = io.TextIOWrapper(binary, encoding=encoding, errors="replace")
    start = head[:-4].decode(encoding, "replace") if len(head) == _HEAD else ""
    return stream, (start or head.decode(encoding, "replace")).replace(
        "\r\n", "\n"
    ).replace("\r", "\n")
