"""A folder of lattice sums: shards that are whole or absent, so that a run can resume.

``settings.json`` says what was summed. Each shard is a pair of files in ``shards``:
``00000.safetensors`` holds the arrays, ``00000.jsonl`` one line per structure, failures
among them; the lines are written last, so a shard without them does not count. When all is
done ``manifest.jsonl`` joins the lines. Safetensors keeps arrays of plain numbers, needs no
code to be run or trusted on reading, is mapped into memory in any language that has a
reader, and its bytes depend on nothing but the numbers.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.crystals.writing import replacing
from crystaltensor.errors import ConfigError, FormatError
from crystaltensor.text import json_line
from crystaltensor.workflows.featurize import Featurized, Outcome, Summation
from crystaltensor.workflows.structure_files import Failure

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Stored:
    """The sums of one crystal, as read from a store.

    Parameters
    ----------
    record : dict
        Its line of the manifest: source, formula, shard, row.
    cell : ndarray, shape (3, 3)
        Lattice vectors as rows, in Å.
    numbers : ndarray of int, shape (n_atoms,)
        Atomic numbers.
    matrices : ndarray, shape (n_potentials, n_atoms, n_atoms)
        In the order of the settings.
    error_bounds : ndarray, shape (n_potentials,)
        Upper bounds of the error of every entry.
    """

    record: dict[str, Any]
    cell: "NDArray[np.float64]"
    numbers: "NDArray[np.int64]"
    matrices: "NDArray[np.float64]"
    error_bounds: "NDArray[np.float64]"


class FeatureStore:
    """A folder of shards.

    Parameters
    ----------
    folder : Path
        With ``settings.json`` in it.

    Raises
    ------
    FormatError
        If there is no store, or its settings cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            text = (folder / "settings.json").read_text(encoding="utf-8")
            self.settings: dict[str, Any] = dict(json.loads(text))
        except OSError as error:
            raise FormatError(f"{folder}: is no feature store") from error
        except (ValueError, TypeError, RecursionError) as error:
            raise FormatError(f"{folder / 'settings.json'}: is damaged") from error

    @classmethod
    def open(cls, folder: Path, engine: Summation) -> "FeatureStore":
        """Open a store to write to, or begin one.

        Parameters
        ----------
        folder : Path
            A store, an empty folder, or nothing yet.
        engine : Summation
            What is summed.

        Returns
        -------
        FeatureStore
            Of these very settings.

        Raises
        ------
        ConfigError
            If the store holds sums of other potentials or of another tolerance.
        FormatError
            If the folder is no store, or cannot be written.
        """
        settings = {
            "schema": 1,
            "potentials": engine.names,
            "units": [potential.unit for potential in engine.potentials],
            "tolerance": engine.tolerance,
        }
        if not (folder / "settings.json").exists():
            _begin(folder, settings)
        store = cls(folder)
        for key, value in settings.items():
            if store.settings.get(key) != value:
                raise ConfigError(
                    f"{folder}: holds sums with {key} {store.settings.get(key)}, not "
                    f"{value}; name another folder"
                )
        return store

    def records(self) -> Iterator[dict[str, Any]]:
        """Read the lines of all shards that are whole, in order.

        Yields
        ------
        dict
            ``status`` is ``"ok"`` or ``"error"``; ``file`` and ``source`` say where
            the structure is from, ``shard`` and ``row`` where its sums are.

        Raises
        ------
        FormatError
            If a shard is damaged.
        """
        for lines in self._lines():
            yield from _records(lines)

    def crystals(self) -> Iterator[Stored]:
        """Read all sums, one shard at a time.

        Yields
        ------
        Stored
            In order, without the failures.

        Raises
        ------
        FormatError
            If a shard is damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        for lines in self._lines():
            path = lines.with_suffix(".safetensors")
            try:
                found = _stored(load_file(path), _records(lines))
            except (
                *(SafetensorError, OSError, ValueError, LookupError, TypeError),
                *(AttributeError, OverflowError),
            ) as error:
                raise FormatError(f"{path}: is damaged ({error})") from error
            yield from found

    def append(self, files: list[str], outcomes: list[Outcome]) -> None:
        """Write a shard: first the arrays, then the lines that make it count.

        Parameters
        ----------
        files : list of str
            The file of each structure.
        outcomes : list of Featurized or Failure
            What became of it.
        """
        from safetensors.numpy import save_file

        shard = sum(1 for _ in self._lines())
        path = self._folder / "shards" / f"{shard:05d}.safetensors"
        summed = [outcome for outcome in outcomes if isinstance(outcome, Featurized)]
        with replacing(path) as partial:
            # One entry of metadata only: their order is not defined.
            metadata = {"settings": json.dumps(self.settings)}
            save_file(
                _arrays(summed, len(self.settings["potentials"])), partial, metadata
            )
        rows = iter(range(len(summed)))
        with replacing(path.with_suffix(".jsonl")) as partial:
            lines = [
                json_line(_line(file, outcome, shard, rows)) + "\n"
                for file, outcome in zip(files, outcomes, strict=True)
            ]
            partial.write_text("".join(lines), encoding="utf-8")

    def finish(self) -> None:
        """Join the lines of all shards."""
        with (
            replacing(self._folder / "manifest.jsonl") as partial,
            partial.open("w", encoding="utf-8") as stream,
        ):
            for lines in self._lines():
                stream.write(lines.read_text(encoding="utf-8"))

    def _lines(self) -> Iterator[Path]:
        """List the lines of whole shards; after a gap nothing counts."""
        folder = self._folder / "shards"
        for shard in range(10**9):
            path = folder / f"{shard:05d}.jsonl"
            if not path.exists():
                return
            yield path


def _records(lines: Path) -> list[dict[str, Any]]:
    """Read the lines of a shard."""
    try:
        text = lines.read_text(encoding="utf-8")
        found = [json.loads(line) for line in text.split("\n") if line]
    except (OSError, ValueError, RecursionError) as error:
        raise FormatError(f"{lines}: is damaged ({error})") from error
    for record in found:
        keys = ("file", "source", "status")
        if not isinstance(record, dict) or not all(
            isinstance(record.get(key), str) for key in keys
        ):
            raise FormatError(f"{lines}: is damaged (no file, source or status)")
    return found


def _stored(
    arrays: "dict[str, NDArray[Any]]", records: list[dict[str, Any]]
) -> list[Stored]:
    """Take the sums of a shard apart."""
    n_atoms = arrays["n_atoms"]
    atoms = np.concatenate([[0], n_atoms.cumsum()])
    entries = np.concatenate([[0], np.square(n_atoms).cumsum()])
    found = []
    for record in records:
        if record["status"] != "ok":
            continue
        row = record["row"]
        part = arrays["sums"][:, entries[row] : entries[row + 1]]
        found.append(
            Stored(
                record=record,
                cell=arrays["cells"][row],
                numbers=arrays["numbers"][atoms[row] : atoms[row + 1]],
                matrices=part.reshape(-1, n_atoms[row], n_atoms[row]),
                error_bounds=arrays["error_bounds"][row],
            )
        )
    return found


def _begin(folder: Path, settings: dict[str, Any]) -> None:
    """Make a new store, but not out of a folder that holds something else."""
    try:
        there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        # A crash while the settings were written may leave these two behind.
        if any(n != "shards" and not n.startswith(".settings.json.") for n in there):
            raise FormatError(f"{folder}: is no feature store, and not empty")
        (folder / "shards").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FormatError(f"{folder}: cannot be written: {error.strerror}") from error
    with replacing(folder / "settings.json") as partial:
        partial.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def _arrays(summed: list[Featurized], n_potentials: int) -> "dict[str, NDArray[Any]]":
    """Lay out the sums of a shard one after another."""
    sums = [one.matrices.reshape(n_potentials, -1) for one in summed]
    n_atoms = np.array([len(one.numbers) for one in summed], dtype=np.int64)
    numbers = list(chain.from_iterable(one.numbers.tolist() for one in summed))
    return {
        "n_atoms": n_atoms,
        "numbers": np.array(numbers, dtype=np.int64),
        "cells": np.array([one.lattice for one in summed]).reshape(-1, 3, 3),
        "sums": np.concatenate([np.zeros((n_potentials, 0)), *sums], axis=1),
        "error_bounds": np.array([one.error_bounds for one in summed]).reshape(
            -1, n_potentials
        ),
    }


def _line(
    file: str, outcome: Outcome, shard: int, rows: Iterator[int]
) -> dict[str, object]:
    """Describe one structure; nothing in it depends on when or how fast."""
    if isinstance(outcome, Failure):
        return {"file": file, **outcome.as_dict()}
    return {
        "file": file,
        "schema": 1,
        "source": outcome.source,
        "status": "ok",
        "formula": outcome.formula,
        "n_atoms": len(outcome.numbers),
        "shard": shard,
        "row": next(rows),
        "error_bounds": outcome.error_bounds.tolist(),
        "warnings": list(outcome.warnings),
    }
