"""Readers with planted faults, to see that a campaign finds them."""

import ctypes
import subprocess
import sys
from pathlib import Path

from crystaltensor.errors import FormatError
from tests.fuzz.readers import Reader

_SOUND = b"sound 1 2 3\n" * 5


def _damaged(path: Path) -> bool:
    """Tell a damaged file from the sample, which is examined first."""
    return path.read_bytes() != _SOUND


def _sound(path: Path) -> None:
    """Do what is right."""
    if _damaged(path):
        raise FormatError(f"{path}: is damaged")


def _traceback(path: Path) -> float:
    """Divide by zero."""
    return 1 / (not _damaged(path))


class _RawError(FormatError):
    """An error that does not clean its text."""

    def __str__(self) -> str:
        return self.args[0]


def _escape(path: Path) -> None:
    """Put an escape sequence into a message."""
    if _damaged(path):
        raise _RawError(f"{path}: \x1b[31mred")


def _hang(path: Path) -> None:
    """Count without an end, but not for every file: a hang costs ten seconds."""
    while _damaged(path) and b"sound" not in path.read_bytes()[:5]:
        pass


def _crash(path: Path) -> None:
    """Read at address zero."""
    if _damaged(path):
        ctypes.string_at(0)


def _write(path: Path) -> None:
    """Write beside the input."""
    if _damaged(path):
        path.with_name("left").write_text("here")


def _process(path: Path) -> None:
    """Start another program."""
    if _damaged(path):
        subprocess.run([sys.executable, "-c", ""], check=True)


def _memory(path: Path) -> None:
    """Take four GiB."""
    if _damaged(path):
        bytearray(4 << 30)


PLANTED = tuple(
    Reader(name, "file.txt", "text", lambda: [_SOUND], read)
    for name, read in {
        "sound": _sound,
        "traceback": _traceback,
        "escape sequence": _escape,
        "hang": _hang,
        "crash": _crash,
        "write": _write,
        "process": _process,
        "memory": _memory,
    }.items()
)
"""Each does one thing that must not happen, the first one excepted."""
