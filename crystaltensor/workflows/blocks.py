"""Blocks of inputs, and what becomes of them: the work that engines distribute.

Where a block begins and ends depends on the inputs alone, and so do the batches in it.
That is why a run that was interrupted, cut into shards or spread over machines writes
the bytes of a run that was not.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from crystaltensor.crystals.io import ReadCrystal
from crystaltensor.errors import CrystalTensorError, FaultError, ResourceError
from crystaltensor.workflows.structure_files import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from crystaltensor.workflows.inputs import Piece
    from crystaltensor.workflows.output_formats import OutputFormat

BLOCK_RECORDS = 128
"""Most structures of a block, as far as they can be counted unread."""

BLOCK_BYTES = 1 << 20
"""A block ends when its files have more bytes than this."""

GATHERED = 32
"""Structures for which is done together what is quicker together."""

Outcome = list[dict[str, Any]] | Failure
"""The records of one structure, or why there are none."""


class Work(Protocol):
    """What is to be done with each crystal; it travels to other processes."""

    def prepare(self, read: ReadCrystal) -> Any:  # noqa: ANN401 - the work's own
        """Do for one crystal what needs no other; a CrystalTensorError is its failure."""

    def gather(self, prepared: list[Any]) -> list[Any]:
        """Do for some crystals what is quicker together, and needs no network either."""

    def source(self, prepared: Any) -> str:  # noqa: ANN401
        """Tell where a crystal is from."""

    def size(self, prepared: Any) -> int:  # noqa: ANN401
        """Tell how much of a batch a crystal takes."""

    @property
    def batch_size(self) -> int:
        """Largest sum of sizes in a batch."""

    def finish(self, prepared: list[Any]) -> list[list[dict[str, Any]]]:
        """Make the records of each crystal of a batch."""


class Item(NamedTuple):
    """One structure of a block.

    Parameters
    ----------
    label : str
        Its place among all inputs.
    prepared : object
        What the work has prepared, or a `Failure`.
    """

    label: str
    prepared: Any


@dataclass(frozen=True)
class Block:
    """Pieces that are treated together.

    Parameters
    ----------
    number : int
        Place of the block among all blocks.
    pieces : tuple of Piece
        In order.
    files_done : float
        How many files have been read behind it.
    """

    number: int
    pieces: "tuple[Piece, ...]" = field(repr=False)
    files_done: float = 0.0

    @property
    def signature(self) -> str:
        """Show whether the inputs have changed."""
        digest = blake2b(digest_size=8)
        for piece in self.pieces:
            digest.update(piece.signature.encode("utf-8", "replace") + b"\0")
        return digest.hexdigest()


@dataclass(frozen=True)
class Treated:
    """What became of a block.

    Parameters
    ----------
    block : int
        Its number.
    output : bytes
        What is appended to the output.
    errors : bytes
        What is appended to the list of failures.
    n_ok : int
        Structures with records.
    failures : tuple of Failure
        Structures without.
    files : tuple of (str, bytes)
        Name and content of files, where each record has its own.
    """

    block: int
    output: bytes
    errors: bytes
    n_ok: int
    failures: tuple[Failure, ...]
    files: tuple[tuple[str, bytes], ...] = ()

    @property
    def failed(self) -> Counter[str]:
        """Count the failures of each kind."""
        return Counter(type(failure.error).__name__ for failure in self.failures)


def in_blocks(pieces: "Iterable[tuple[Piece, float]]") -> Iterator[Block]:
    """Group pieces into blocks.

    Parameters
    ----------
    pieces : iterable of (Piece, float)
        As `Inputs.pieces` gives them.

    Yields
    ------
    Block
        In order, numbered from zero.
    """
    number = n_records = n_bytes = 0
    waiting: list[Piece] = []
    done = 0.0
    for piece, done in pieces:
        waiting.append(piece)
        n_records += piece.n_records
        n_bytes += piece.size
        if n_records >= BLOCK_RECORDS or n_bytes >= BLOCK_BYTES:
            yield Block(number, tuple(waiting), done)
            number, n_records, n_bytes, waiting = number + 1, 0, 0, []
    if waiting:
        yield Block(number, tuple(waiting), done)


class Treatment:
    """Work, and the form of its results: all that a process needs to treat blocks.

    Parameters
    ----------
    work : Work
        What is done.
    output_format : OutputFormat
        How the records are written.
    """

    def __init__(self, work: Work, output_format: "OutputFormat") -> None:
        self.work = work
        self.output_format = output_format

    def treat(self, block: Block) -> Treated:
        """Do everything for a block."""
        return self.finish(block, self.prepare(block))

    def prepare(self, block: Block) -> list[Item]:
        """Read a block, and do what needs no network."""
        items = [
            Item(_label(piece, place), _prepared(self.work, read))
            for piece in block.pieces
            for place, read in enumerate(piece.read())
        ]
        ready = _ready(items)
        for start in range(0, len(ready), GATHERED):
            places = ready[start : start + GATHERED]
            found = _halved(
                self.work, self.work.gather, [items[i].prepared for i in places]
            )
            for i, prepared in zip(places, found, strict=True):
                items[i] = items[i]._replace(prepared=prepared)
        return items

    def finish(self, block: Block, items: list[Item]) -> Treated:
        """Run the networks over what is prepared, and write the records."""
        outcomes = [item.prepared for item in items]
        for batch in _batches(self.work, items, _ready(items)):
            prepared = [items[place].prepared for place in batch]
            found = _halved(self.work, self.work.finish, prepared)
            for place, outcome in zip(batch, found, strict=True):
                outcomes[place] = outcome
        failures = tuple(one for one in outcomes if isinstance(one, Failure))
        named = [(i.label, one) for i, one in zip(items, outcomes, strict=True)]
        output, files = self.output_format.render(named)
        return Treated(
            block=block.number,
            output=output,
            errors=_error_lines(failures),
            n_ok=len(outcomes) - len(failures),
            failures=failures,
            files=files,
        )


def json_line(record: dict[str, Any]) -> bytes:
    """Write a record as one line of JSON."""
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def lost(block: Block, output_format: "OutputFormat", reason: str) -> Treated:
    """Make failures of what a process died of."""
    failures = [
        Failure(piece.path, ResourceError(f"{piece.path}: {reason}"))
        for piece in block.pieces
    ]
    labels = [_label(piece, 0) for piece in block.pieces]
    output, files = output_format.render([*zip(labels, failures, strict=True)])
    return Treated(
        block.number, output, _error_lines(failures), 0, tuple(failures), files
    )


def joined(number: int, parts: "Iterable[Treated]") -> Treated:
    """Join what became of the parts of a block."""
    found = list(parts)
    return Treated(
        block=number,
        output=b"".join(part.output for part in found),
        errors=b"".join(part.errors for part in found),
        n_ok=sum(part.n_ok for part in found),
        failures=tuple(one for part in found for one in part.failures),
        files=tuple(one for part in found for one in part.files),
    )


def halves(block: Block) -> tuple[Block, Block] | None:
    """Cut a block in two, within its only piece if need be."""
    pieces = block.pieces
    if len(pieces) > 1:
        half = len(pieces) // 2
        return replace(block, pieces=pieces[:half]), replace(
            block, pieces=pieces[half:]
        )
    cut = pieces[0].halves()
    if cut is None:
        return None
    return replace(block, pieces=cut[:1]), replace(block, pieces=cut[1:])


def _error_lines(failures: "Iterable[Failure]") -> bytes:
    """Write what is appended to the list of failures."""
    return b"".join(json_line(failure.as_dict()) for failure in failures)


def _ready(items: list[Item]) -> list[int]:
    """List the places of the structures that have not failed."""
    return [i for i, item in enumerate(items) if not isinstance(item.prepared, Failure)]


def _label(piece: "Piece", place: int) -> str:
    """Name a structure by its place among all inputs."""
    if piece.records is None and piece.rows is None:  # several may come of a whole file
        return f"{piece.number:08d}" + (f"-{place}" if place else "")
    return f"{piece.number + place:08d}"


def _prepared(work: Work, read: ReadCrystal | Failure) -> Any:  # noqa: ANN401 - the work's
    """Prepare one crystal; whatever goes wrong is a failure of this crystal alone."""
    if isinstance(read, Failure):
        return read
    try:
        return work.prepare(read)
    except Exception as error:  # noqa: BLE001 - one odd crystal must not stop ten million
        return _failure(read.source, error)


def _failure(source: str, error: Exception) -> Failure:
    """Name the source of an error, and keep its message to one line."""
    message = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "memory" in message.lower():
        return Failure(source, ResourceError(f"{source}: {message or 'out of memory'}"))
    if isinstance(error, CrystalTensorError):
        return Failure(source, type(error)(f"{source}: {message}"))
    return Failure(source, FaultError(f"{source}: {type(error).__name__}: {message}"))


def _batches(work: Work, items: list[Item], places: list[int]) -> Iterator[list[int]]:
    """Group crystals of like size, so that little of a batch is padding."""
    sizes = {place: work.size(items[place].prepared) for place in places}
    batch: list[int] = []
    total = 0
    for place in sorted(places, key=sizes.__getitem__):
        if batch and total + sizes[place] > work.batch_size:
            yield batch
            batch, total = [], 0
        batch.append(place)
        total += sizes[place]
    if batch:
        yield batch


def _halved(
    work: Work, function: "Callable[[list[Any]], list[Any]]", batch: list[Any]
) -> list[Any]:
    """Treat a batch; one that fails is cut in two until the culprit is alone."""
    try:
        return list(function(batch))
    except Exception as error:  # noqa: BLE001 - as above
        if len(batch) == 1:
            return [_failure(work.source(batch[0]), error)]
    half = len(batch) // 2
    first = _halved(work, function, batch[:half])
    return first + _halved(work, function, batch[half:])
