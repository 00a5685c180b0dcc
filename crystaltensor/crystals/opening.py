"""Opening a structure file, and guessing its format."""

import gzip
import io
import re
import sys
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

_HEAD = 1 << 16
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
        If there is no such file, or it is a folder, empty, or not text.
    """
    if not isinstance(source, str | Path):
        yield _from_stream(source)
        return
    if str(source) == "-":
        yield _from_stream(getattr(sys.stdin, "buffer", sys.stdin))
        return
    if "\0" in str(source):
        raise FormatError("there is no such file")
    path = Path(source)
    if path.is_dir():
        raise FormatError("is a folder; name a file in it")
    try:
        with path.open("rb", buffering=0) as raw:
            binary = io.BufferedReader(raw, _HEAD)
            # A pipe may end later than its first piece: all of it is read.
            yield _decoded(binary) if path.is_file() else _from_stream(binary)
    except FileNotFoundError:
        raise FormatError("there is no such file; check the name") from None
    except PermissionError:
        raise FormatError("may not be read; check its permissions") from None


def _from_stream(stream: IO[Any] | None) -> tuple[TextIO, str]:
    """Take what is left of a stream."""
    content = stream.read(MAX_STREAM + 1) if stream is not None else b""
    if len(content) > MAX_STREAM:
        raise FormatError(f"is longer than {MAX_STREAM >> 20} MiB; write it to a file")
    if isinstance(content, str):
        content = content.encode("utf-8", "replace")
    return _decoded(io.BufferedReader(io.BytesIO(content), _HEAD))


def _decoded(binary: "io.BufferedReader[Any]") -> tuple[TextIO, str]:
    """Unpack and decode; also return how the text begins."""
    head = binary.peek(_HEAD)
    if head[:2] == b"\x1f\x8b":
        binary = io.BufferedReader(gzip.GzipFile(fileobj=binary), _HEAD)
        head = binary.peek(_HEAD)
    encoding = "utf-16" if head[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    if not head.strip() and len(head) < _HEAD:
        raise FormatError("is empty")
    if encoding != "utf-16" and b"\0" in head:
        raise FormatError("is a binary file, not a text; crystals are read from text")
    # What is not UTF-8 stands in comments, as names with accents do in old files;
    # anywhere else the mark that replaces it is refused.
    stream = io.TextIOWrapper(binary, encoding=encoding, errors="replace")
    start = head[:-4].decode(encoding, "replace") if len(head) == _HEAD else ""
    return stream, (start or head.decode(encoding, "replace")).replace(
        "\r\n", "\n"
    ).replace("\r", "\n")
