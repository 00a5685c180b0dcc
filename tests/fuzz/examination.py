"""One damaged file and one reader: what came of it."""

import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crystaltensor.errors import CrystalTensorError
from tests.fuzz.readers import Reader, read_quietly

LONGEST = 10.0
"""Seconds of processor time that a reader may take: others may use the machine too."""

_LONGEST_MESSAGE = 1000
_WRITING = set("wax+")
_CHANGES = {
    "os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir",
    "os.symlink", "os.truncate", "os.utime", "shutil.rmtree",
}  # fmt: skip
_NEVER = {
    "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "pickle.find_class",
    "pty.spawn", "socket.bind", "socket.connect", "socket.getaddrinfo",
    "subprocess.Popen",
}  # fmt: skip


class Hang(BaseException):
    """A reader took too long; no handler of errors may swallow this."""


@dataclass(frozen=True)
class Outcome:
    """What came of a file.

    Parameters
    ----------
    verdict : str
        ``"read"``, or the kind of the error it was refused with.
    fault : str
        What must not happen, if it did; else empty.
    seconds : float
        Of processor time that it took.
    """

    verdict: str
    fault: str
    seconds: float


class Watch:
    """Notices what a reader does to the machine, through Python's audit events.

    Parameters
    ----------
    folder : Path
        Where the damaged file lies; only the folder for temporary files may be
        written to.
    """

    def __init__(self, folder: Path) -> None:
        self.on = False
        self.seen: list[str] = []
        self._allowed = str(Path(tempfile.gettempdir()).resolve())
        self._folder = str(folder.resolve())
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take an audit event; it comes for everything that Python does."""
        if not self.on:
            return
        if event == "open":
            path, mode, _ = arguments
            if mode is not None and _WRITING & set(mode) and not self._may(path):
                self.seen.append(f"opened {path!r} to write")
        elif event in _CHANGES and not self._may(*arguments[:2]):
            self.seen.append(f"{event} {arguments[0]!r}")
        elif event in _NEVER:
            self.seen.append(f"{event} {str(arguments)[:80]}")

    def _may(self, path: object, folder: object = None) -> bool:
        """Tell whether a path is among the temporary files, the damaged one's apart."""
        # What is named relative to an open folder was reached through that one.
        if isinstance(path, int) or (isinstance(folder, int) and folder >= 0):
            return True
        name = path.decode() if isinstance(path, bytes) else str(path)
        inside = Path(name).resolve()
        temporary = inside.is_relative_to(self._allowed)
        return temporary and not inside.is_relative_to(self._folder)


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise `Hang` in what takes longer."""

    def too_long(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def place(reader: Reader, folder: Path) -> Path:
    """Write the sound files; return where the damaged one goes."""
    path = folder / reader.file
    path.parent.mkdir(parents=True, exist_ok=True)
    for name, content in reader.beside().items():
        other = folder / name
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_bytes(content)
    return path


def examine(
    reader: Reader,
    data: bytes,
    path: Path,
    watch: Watch | None = None,
    *,
    longest: float = LONGEST,
) -> Outcome:
    """Let a reader read a damaged file.

    Parameters
    ----------
    reader : Reader
        Which.
    data : bytes
        The file.
    path : Path
        From `place`.
    watch : Watch, optional
        Notices what is written elsewhere.
    longest : float
        Seconds of processor time.

    Returns
    -------
    Outcome
        Never an exception.
    """
    path.write_bytes(data)
    fault, verdict = "", "read"
    start = time.process_time()
    if watch is not None:
        watch.on, watch.seen = True, []
    try:
        with limited(longest):
            read_quietly(reader, path)
    except CrystalTensorError as error:
        verdict, fault = type(error).__name__, _wrong_message(str(error))
    except Hang:
        verdict = fault = f"hang: more than {longest:g} s"
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        ours = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if "/crystaltensor/" in frame.filename
        ]
        last = ours[-1] if ours else where
        verdict = "traceback"
        fault = (
            f"{type(error).__name__}: {str(error)[:100]!r} from "
            f"{Path(last.filename).name}:{last.lineno} ({last.name})"
        )
    finally:
        if watch is not None:
            watch.on = False
    if watch is not None and watch.seen and not fault:
        fault = f"touched: {watch.seen[0]}"
    return Outcome(verdict, fault, time.process_time() - start)


def _wrong_message(message: str) -> str:
    """Say what is wrong with a message: it must be one printable line, not too long."""
    if not message.isprintable():
        return f"a message that is not printable: {message[:300]!r}"
    if not 10 <= len(message) <= _LONGEST_MESSAGE:
        return f"a message of {len(message)} characters: {message[:300]!r}"
    return ""
