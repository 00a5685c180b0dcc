"""What a run is given: files, folders, lists and streams, as pieces in a fixed order."""

import atexit
import glob
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from crystaltensor.crystals.conversion import database_ids, parse_database
from crystaltensor.crystals.io import ReadCrystal, read_records
from crystaltensor.crystals.splitting import open_records
from crystaltensor.errors import ConfigError, CrystalTensorError, FormatError
from crystaltensor.workflows.structure_files import Failure, structures_of, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from crystaltensor.crystals.splitting import Record, RecordFile

SPLIT_BYTES = 1 << 18
"""Files larger than this are cut into records, where their format allows it."""

PIECE_RECORDS = 32
"""Most records of a piece."""

DATABASE = ".db"
"""How the names of ASE's databases end."""


@dataclass(frozen=True)
class Piece:
    """A file, or a few records of a long one: the smallest part of the inputs.

    Parameters
    ----------
    path : str
        As given.
    number : int
        Place of its first structure among the inputs; a file that is read as a whole
        counts as one.
    size : int
        Its bytes.
    signature : str
        Changes if the input does.
    file_format : str, optional
        Guessed if left out.
    records : tuple of bytes or FormatError, optional
        Its records, if it is a part of a file.
    first : int, optional
        Index of the first record in the file; None for the only one of a file.
    rows : tuple of int, optional
        First and last row, of a database.
    trouble : str
        Why there is nothing behind the records.
    whole : bool
        Whether the only record is all that a stream holds.
    """

    path: str
    number: int
    size: int
    signature: str
    file_format: str | None = None
    records: "tuple[Record, ...] | None" = field(default=None, repr=False)
    first: int | None = None
    rows: tuple[int, int] | None = None
    trouble: str = ""
    whole: bool = False

    @property
    def n_records(self) -> int:
        """Count the records; a whole file is one."""
        if self.rows is not None:
            return self.rows[1] - self.rows[0] + 1
        return 1 if self.records is None else len(self.records) + bool(self.trouble)

    def read(self) -> Iterator[ReadCrystal | Failure]:
        """Read the structures; what cannot be read is a failure in its place.

        Yields
        ------
        ReadCrystal or Failure
            In the order of the file.
        """
        if self.rows is not None:
            yield from self._read_rows(*self.rows)
        elif self.records is None:
            yield from structures_of(self.path, self.file_format)
        elif self.whole:
            content = self.records[0]
            assert isinstance(content, bytes)  # noqa: S101 - a stream has no limit here
            yield from structures_of(_Named(content), self.file_format)
        else:
            yield from self._read_records(self.records)
        if self.trouble:
            error = FormatError(f"{self.path}: {self.trouble}")
            yield Failure(self.path, error)

    def halves(self) -> "tuple[Piece, Piece] | None":
        """Cut the piece in two, if it can be cut."""
        if self.rows is not None and self.rows[1] > self.rows[0]:
            middle = sum(self.rows) // 2
            return (
                replace(self, rows=(self.rows[0], middle)),
                replace(self, rows=(middle + 1, self.rows[1])),
            )
        if self.records is None or self.first is None or len(self.records) < 2:
            return None
        half = len(self.records) // 2
        behind = replace(self, records=self.records[half:], first=self.first + half)
        return replace(self, records=self.records[:half], trouble=""), behind

    def _read_records(
        self, records: "tuple[Record, ...]"
    ) -> Iterator[ReadCrystal | Failure]:
        """Read the records of a part of a file."""
        failures: list[Failure] = []

        def failed(source: str, error: CrystalTensorError) -> None:
            failures.append(Failure(source, error))

        for offset, record in enumerate(records):
            yield from read_records(
                [record],
                self.path,
                file_format=str(self.file_format),
                first=None if self.first is None else self.first + offset,
                on_error=failed,
            )
            yield from failures
            failures.clear()

    def _read_rows(self, first: int, last: int) -> Iterator[ReadCrystal | Failure]:
        """Read rows of a database."""
        try:
            for row, item in parse_database(self.path, first, last):
                source = f"{self.path}#{row}"
                if isinstance(item, CrystalTensorError):
                    yield Failure(source, type(item)(f"{source}: {item}"))
                else:
                    yield ReadCrystal(item.crystal, source, item.warnings)
        except CrystalTensorError as error:
            yield Failure(self.path, type(error)(f"{self.path}: {error}"))


class _Named(io.BytesIO):
    """The content of standard input."""

    name = "-"


@dataclass(frozen=True)
class Survey:
    """What the inputs are, before any is read.

    Parameters
    ----------
    n_files : int
        Files, those of databases and long ones among them.
    n_skipped : int
        Entries of folders that are no structure files by their names.
    digest : str
        Of all their names in order.
    """

    n_files: int
    n_skipped: int
    digest: str


@dataclass(frozen=True)
class Inputs:
    """Files, folders, patterns and lists, in the order given.

    Parameters
    ----------
    paths : tuple of str
        Files, folders, patterns with ``*``, ``?`` or ``[]``, and ``"-"``.
    recursive : bool
        Whether to search the folders in folders.
    files_from : str, optional
        A file with one path on each line, or separated by zero bytes; ``"-"`` is
        standard input.
    file_format : str, optional
        Of all files; guessed if left out.
    leave_out : callable, optional
        Tells the paths that are no input, such as the output.
    """

    paths: tuple[str, ...]
    recursive: bool = False
    files_from: str | None = None
    file_format: str | None = None
    leave_out: "Callable[[str], bool] | None" = None

    def files(self) -> Iterator[str | None]:
        """List the files.

        Yields
        ------
        str or None
            None stands for what a folder holds besides structure files.

        Raises
        ------
        FormatError
            If a pattern fits no file, or a list cannot be read.
        ConfigError
            If standard input is wanted twice.
        """
        if self.files_from == "-" and "-" in self.paths:
            raise ConfigError(
                "standard input cannot be a structure and a list of files"
            )
        for path in self.paths:
            yield from self._below(path)
        if self.files_from is not None:
            yield from self._listed()

    def survey(self) -> Survey:
        """Count the files and take the digest of their names."""
        digest = blake2b(digest_size=16)
        n_files = n_skipped = 0
        for path in self.files():
            if path is None:
                n_skipped += 1
            else:
                n_files += 1
                digest.update(os.fsencode(path) + b"\0")
        return Survey(n_files, n_skipped, digest.hexdigest())

    def pieces(self) -> "Iterator[tuple[Piece, float]]":
        """Cut the inputs into pieces, in order.

        Yields
        ------
        piece : Piece
            The next.
        files_done : float
            How many files have been read behind it, parts of a long one as a fraction.
        """
        number = 0
        for done, path in enumerate(path for path in self.files() if path is not None):
            for piece, fraction in self._pieces_of(path, number):
                number += piece.n_records
                yield piece, done + fraction

    def _below(self, path: str) -> Iterator[str | None]:
        """List the files that one argument stands for."""
        if (
            path == "-"
            or not any(mark in path for mark in "*?[")
            or Path(path).exists()
        ):
            found: Iterable[str] = [path]
        else:
            found = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - it may begin anywhere
            if not found:
                raise FormatError(f"{path}: fits no file")
        for one in found:
            if one == "-" or not Path(one).is_dir():
                yield one
            else:
                yield from self._inside(one)

    def _inside(self, folder: str) -> Iterator[str | None]:
        """List the structure files of a folder."""
        for path, wanted in walk(folder, recursive=self.recursive):
            if self.leave_out is not None and self.leave_out(path):
                continue
            is_database = path.endswith(DATABASE)
            yield path if wanted or is_database else None

    def _listed(self) -> Iterator[str]:
        """List the files of a list."""
        try:
            with Path(self._list_path).open("rb") as stream:
                separator = b"\0" if b"\0" in stream.read(1 << 16) else b"\n"
                stream.seek(0)
                for name in _split(stream, separator):
                    if name.strip():
                        yield os.fsdecode(name.rstrip(b"\r"))
        except OSError as error:
            raise FormatError(
                f"{self.files_from}: cannot be read: {error.strerror}"
            ) from error

    @cached_property
    def _list_path(self) -> str:
        """Keep a list from standard input, because it is read more than once."""
        if self.files_from != "-":
            return str(self.files_from)
        kept = tempfile.NamedTemporaryFile(prefix="crystaltensor-", delete=False)  # noqa: SIM115 - outlives this function
        atexit.register(os.unlink, kept.name)
        with kept as stream:
            while part := sys.stdin.buffer.read(1 << 20):
                stream.write(part)
        return kept.name

    def _pieces_of(self, path: str, number: int) -> Iterator[tuple[Piece, float]]:
        """Cut one file into pieces."""
        size, signature = _look(path)
        whole = Piece(path, number, size, signature, self.file_format)
        if path.endswith(DATABASE):
            yield from _rows(whole)
            return
        if path == "-" or size > SPLIT_BYTES:
            records = open_records(path, self.file_format)
            if records is not None:
                yield from _parts(whole, records)
                return
        yield whole, 1.0


def _look(path: str) -> tuple[int, str]:
    """Give the size of a file, and what shows that it has changed."""
    if path == "-":
        return 0, "-"
    try:
        status = Path(path).stat()
    except (OSError, ValueError) as error:
        return 0, f"{path}:{type(error).__name__}"
    return status.st_size, f"{path}:{status.st_size}:{status.st_mtime_ns}"


def _split(stream: io.BufferedReader, separator: bytes) -> Iterator[bytes]:
    """Split a stream at a separator."""
    rest = b""
    while part := stream.read(1 << 20):
        *names, rest = (rest + part).split(separator)
        yield from names
    yield rest


def _rows(whole: Piece) -> Iterator[tuple[Piece, float]]:
    """Cut a database into ranges of rows; what is no database says so when it is read."""
    try:
        first, last = database_ids(whole.path)
    except CrystalTensorError:
        first = last = 1
    number = whole.number
    for start in range(first, last + 1, PIECE_RECORDS):
        end = min(start + PIECE_RECORDS - 1, last)
        yield replace(whole, number=number, rows=(start, end), size=0), end / last
        number += end - start + 1


def _parts(whole: Piece, file: "RecordFile") -> Iterator[tuple[Piece, float]]:
    """Cut a long file into pieces of some records."""
    source, index = iter(file), 0
    following = next(source, None)
    if following is None and not file.trouble:  # its reader says what is wrong
        yield whole, 1.0
        return
    while True:
        records: list[Record] = []
        size = 0
        while following is not None and len(records) < PIECE_RECORDS:
            records.append(following)
            size += len(following) if isinstance(following, bytes) else 0
            following = next(source, None)
            if size >= SPLIT_BYTES:
                break
        ended = following is None
        lone = ended and len(records) == 1 and index == 0 and not file.trouble
        yield (
            replace(
                whole,
                number=whole.number + index,
                size=size,
                signature=_hash(records),
                file_format=file.file_format or whole.file_format,
                records=tuple(records),
                first=None if lone else index,
                trouble=file.trouble if ended else "",
                whole=file.file_format is None,
            ),
            1.0 if ended else min(file.fraction, 0.999),
        )
        index += len(records)
        if ended:
            return


def _hash(records: "list[Record]") -> str:
    """Take the digest of some records."""
    digest = blake2b(digest_size=8)
    for record in records:
        digest.update(record if isinstance(record, bytes) else str(record).encode())
    return digest.hexdigest()
