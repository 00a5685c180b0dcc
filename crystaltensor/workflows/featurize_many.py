"""Sum pair potentials over many crystals, into a store that an interrupted run resumes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystaltensor.crystals.io import ReadCrystal
from crystaltensor.workflows.feature_store import FeatureStore
from crystaltensor.workflows.featurize import DEFAULT_POTENTIALS, Summation
from crystaltensor.workflows.structure_files import (
    Failure,
    in_batches,
    structure_files,
    structures_of,
)

if TYPE_CHECKING:
    from crystaltensor.workflows.featurize import Outcome

_SHARD_STRUCTURES = 256
_SHARD_ENTRIES = 8_000_000
_REPORT_EVERY = 32


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Parameters
    ----------
    n_files : int
        Files in all.
    files_done : int
        Files that are finished, those of an earlier run among them.
    n_summed, n_failed : int
        Structures in the store, and failures recorded in it.
    n_before : int
        How many of both an earlier run has left.
    failures : tuple of Failure
        Those since the last report.
    """

    n_files: int
    files_done: int
    n_summed: int
    n_failed: int
    n_before: int
    failures: tuple[Failure, ...] = ()


def featurize_into(
    folder: Path,
    paths: Sequence[str],
    *,
    potentials: str = DEFAULT_POTENTIALS,
    tolerance: float = 1e-10,
    file_format: str | None = None,
    device: str = "auto",
) -> Iterator[Progress]:
    """Sum potentials over all crystals of files and folders, into a store.

    A store that is there already is completed: files it has finished are not read
    again. A file counts by its path, so one that has changed since is not noticed.

    Parameters
    ----------
    folder : Path
        Where the store is, or shall be.
    paths : sequence of str
        Structure files, and folders to search for them.
    potentials, tolerance, file_format, device
        As for `crystaltensor.workflows.featurize.featurize`.

    Yields
    ------
    Progress
        At the start, and after every batch.

    Raises
    ------
    CrystalTensorError
        If a setting makes no sense or is not that of the store, a folder holds no
        structure file, or the store cannot be written.
    """
    files = structure_files(paths, leave_out=folder)
    engine = Summation(potentials, tolerance, device)
    store = FeatureStore.open(folder, engine)
    records = list(store.records())
    finished = [record["file"] for record in records]
    # All but the last file must have been read to their ends.
    complete = set(finished) - set(finished[-1:])
    known = {record["source"] for record in records}
    run = _Run(store, engine, len(files), known, records)
    for path in files:
        if path not in complete:
            for item in structures_of(path, file_format):
                yield from run.add(path, item)
        run.read_to_end(path)
    yield from run.flush()
    store.finish()
    yield run.progress()


class _Run:
    """The shard that is being filled, and the counts."""

    def __init__(
        self,
        store: FeatureStore,
        engine: Summation,
        n_files: int,
        known: set[str],
        records: list[dict[str, Any]],
    ) -> None:
        self._store = store
        self._engine = engine
        self._known = known
        self._n_files = n_files
        self._n_before = len(records)
        self._n_failed = sum(record["status"] == "error" for record in records)
        self._n_summed = len(records) - self._n_failed
        self._waiting: list[tuple[str, ReadCrystal | Failure]] = []
        self._entries = 0
        self._new_failures: list[Failure] = []
        self._read: set[str] = set()

    def read_to_end(self, path: str) -> None:
        """Remember that nothing more will come from a file."""
        self._read.add(path)

    def add(self, path: str, item: ReadCrystal | Failure) -> Iterator[Progress]:
        """Take one structure, unless the store has it; write the shard when full."""
        if item.source in self._known:
            return
        self._known.add(item.source)
        size = item.crystal.n_atoms**2 if isinstance(item, ReadCrystal) else 0
        full = len(self._waiting) == _SHARD_STRUCTURES
        if self._waiting and (full or self._entries + size > _SHARD_ENTRIES):
            yield from self.flush()
        self._waiting.append((path, item))
        self._entries += size
        if len(self._waiting) % _REPORT_EVERY == 0:
            yield self.progress()

    def flush(self) -> Iterator[Progress]:
        """Sum what is waiting, and write it as a shard."""
        outcomes: list[Outcome] = []
        for batch in in_batches(item for _, item in self._waiting):
            for outcome in self._engine.outcomes(batch):
                outcomes.append(outcome)
                if isinstance(outcome, Failure):
                    self._n_failed += 1
                    self._new_failures.append(outcome)
                else:
                    self._n_summed += 1
            yield self.progress(len(outcomes))
        if outcomes:
            self._store.append([path for path, _ in self._waiting], outcomes)
        self._waiting, self._entries = [], 0

    def progress(self, n_summed: int = 0) -> Progress:
        """Report, and forget the failures that were reported."""
        failures, self._new_failures = tuple(self._new_failures), []
        unfinished = {path for path, _ in self._waiting[n_summed:]}
        return Progress(
            self._n_files,
            len(self._read - unfinished),
            self._n_summed,
            self._n_failed,
            self._n_before,
            failures,
        )
