"""An output that nothing can damage: a journal says how much of it counts.

Beside ``OUT`` lie ``OUT.run.json``, which says what the run is, ``OUT.journal`` with one
line for each block that is safe on the disk, and ``OUT.errors.jsonl`` with the
structures that failed. The bytes of a block are on the disk before its line is, so that
after a crash at any moment the output is cut to what the last line says.
"""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from crystaltensor.errors import ConfigError, FormatError, ResourceError
from crystaltensor.workflows.run_files import (
    COMPLETE,
    Counts,
    Line,
    Paths,
    read_header,
    read_journal,
    refuse_other,
    write_header,
)

if TYPE_CHECKING:
    from crystaltensor.workflows.blocks import Block, Treated
    from crystaltensor.workflows.output_formats import OutputFormat

COMMIT_SECONDS = 0.5
"""What is in hand is brought to the disk no more often than this."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Journal:
    """A run that is being written; made by `opened_journal`.

    Parameters
    ----------
    paths : Paths
        Its files.
    output_format : OutputFormat
        The form of the output.
    lines : list of Line
        What an earlier run has left.
    """

    def __init__(
        self, paths: Paths, output_format: "OutputFormat", lines: list[Line]
    ) -> None:
        self.paths = paths
        self.lines = {line.block: line for line in lines}
        self.before = sum((line.counts for line in lines), Counts())
        self._format = output_format
        self._waiting: list[Line] = []
        self._committed = time.monotonic()
        self._files = ExitStack()
        last = lines[-1] if lines else None
        self._into_folder = output_format.name == "folder"
        target = paths.partial if output_format.in_one_go else paths.output
        if self._into_folder:
            paths.output.mkdir(exist_ok=True)
            self._output = None
        else:
            head = output_format.head()
            self._output = self._open(target, last.output if last else 0, head)
        self._errors = self._open(paths.errors, last.errors if last else 0, b"")
        size = sum(len(line.text().encode()) for line in lines)
        self._journal = self._open(paths.journal, size, b"")
        _folder_to_disk(paths.output.parent)

    def _open(self, path: Path, size: int, head: bytes) -> IO[bytes]:
        """Open a file and cut it to what counts."""
        stream = self._files.enter_context(path.open("ab"))
        if (there := stream.tell()) < size:
            self._files.close()
            raise FormatError(
                f"{path}: has {there} bytes where the journal says {size}: it was "
                "changed; begin anew with --overwrite"
            )
        stream.truncate(size)
        stream.seek(size)  # or the offsets of all that follows would be wrong
        if not size and head:
            stream.write(head)
        return stream

    def add(self, block: "Block", treated: "Treated") -> None:
        """Append a block, and bring it to the disk if the last time is long ago.

        Raises
        ------
        ResourceError
            If the disk is full; what was brought to the disk before is safe.
        """
        with self._told():
            if self._output is not None:
                self._output.write(treated.output)
            for name, content in treated.files:
                self._write_file(self.paths.output / name, content)
            self._errors.write(treated.errors)
            self._waiting.append(
                Line(
                    block.number,
                    block.signature,
                    0 if self._output is None else self._output.tell(),
                    self._errors.tell(),
                    Counts(treated.n_ok, treated.failed),
                )
            )
        if time.monotonic() - self._committed > COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Bring to the disk what is in hand; only then does it count."""
        with self._told():
            for stream in (self._output, self._errors):
                if stream is not None:
                    _to_disk(stream)
            for line in self._waiting:
                self._journal.write(line.text().encode())
            _to_disk(self._journal)
        self._waiting = []
        self._committed = time.monotonic()

    def complete(self) -> None:
        """Say that nothing is missing, and give the output its final form.

        Raises
        ------
        ResourceError
            If the disk is full.
        """
        self.commit()
        self._files.close()
        with self._told():
            self._format.complete(self.paths.partial, self.paths.output)
            with self.paths.journal.open("ab") as stream:
                stream.write(COMPLETE.encode())
                _to_disk(stream)
            self.paths.partial.unlink(missing_ok=True)
        if not self.paths.errors.stat().st_size:
            self.paths.errors.unlink()

    def close(self) -> None:
        """Let go of the files; what is not on the disk yet does not count."""
        with suppress(OSError):  # a full disk was told before
            self._files.close()

    @staticmethod
    def _write_file(path: Path, content: bytes) -> None:
        """Write a file of its own."""
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as stream:
            stream.write(content)
            _to_disk(stream)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say what a full disk means."""
        try:
            yield
        except OSError as error:
            what = error.strerror or str(error)
            hint = "free some space, then " if error.errno in _FULL else ""
            raise ResourceError(
                f"{self.paths.output}: cannot be written: {what}; what is there is safe: "
                f"{hint}go on with --resume"
            ) from error


def _folder_to_disk(folder: Path) -> None:
    """Bring the names of new files to the disk, where the system lets us."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _to_disk(stream: IO[bytes]) -> None:
    """Bring a file to the disk."""
    stream.flush()
    os.fsync(stream.fileno())


@contextmanager
def opened_journal(
    output: Path,
    output_format: "OutputFormat",
    header: dict[str, Any],
    *,
    resume: bool,
    overwrite: bool,
) -> Iterator[Journal | Counts]:
    """Begin a run, or go on with one.

    Parameters
    ----------
    output : Path
        Where the records go.
    output_format : OutputFormat
        Their form.
    header : dict
        Everything that the bytes of the output depend on.
    resume : bool
        Whether to go on with what is there, if anything is.
    overwrite : bool
        Whether to begin anew whatever is there.

    Yields
    ------
    Journal or Counts
        Ready to be added to; the counts alone if nothing is left to do.

    Raises
    ------
    ConfigError
        If there is an output that is not to be touched, or one of another run.
    ResourceError
        If another process writes it.
    FormatError
        If it cannot be written, or is damaged.
    """
    paths = Paths(output)
    with ExitStack() as held, _writable(output):
        _hold(paths, held)
        lines, complete = _begin(paths, header, resume=resume, overwrite=overwrite)
        if not complete:
            journal = Journal(paths, output_format, lines)
            held.callback(journal.close)
        begun = held.pop_all()
    with begun:
        yield sum((line.counts for line in lines), Counts()) if complete else journal


def _hold(paths: Paths, held: ExitStack) -> None:
    """Keep other processes from writing the same output."""
    from filelock import FileLock, Timeout

    paths.output.parent.mkdir(parents=True, exist_ok=True)
    try:
        held.enter_context(FileLock(paths.lock, timeout=0))
    except Timeout:
        raise ResourceError(
            f"{paths.output}: another process is writing it; wait for its end, or name "
            "another output"
        ) from None
    # Removed while it is held: whoever comes then makes a new one.
    held.callback(paths.lock.unlink, missing_ok=True)


@contextmanager
def _writable(output: Path) -> Iterator[None]:
    """Say that an output cannot be written."""
    try:
        yield
    except OSError as error:
        raise FormatError(f"{output}: cannot be written: {error.strerror}") from error


def _begin(
    paths: Paths, header: dict[str, Any], *, resume: bool, overwrite: bool
) -> tuple[list[Line], bool]:
    """Look at what is there, and write down what the run is."""
    there = paths.run.exists()
    if overwrite:
        for path in (paths.run, paths.journal, paths.errors, paths.partial):
            path.unlink(missing_ok=True)
        for path in paths.output.glob("[0-9]" * 4 + "/" + "[0-9]" * 8 + "*.json"):
            path.unlink()  # what an earlier run has written into a folder
        there = False
    elif paths.output.exists() and not there:
        raise ConfigError(
            f"{paths.output}: is there already; replace it with --overwrite"
        )
    elif there and not resume:
        raise ConfigError(
            f"{paths.output}: a run has written it; go on with --resume, or begin anew "
            "with --overwrite"
        )
    if there:
        refuse_other(read_header(paths), header, paths.output)
        return read_journal(paths)
    paths.journal.unlink(missing_ok=True)
    write_header(paths, header)
    return [], False
