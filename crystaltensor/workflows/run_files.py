"""The files of a run: what lies beside an output, and what is in it."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystaltensor.crystals.writing import replacing
from crystaltensor.errors import ConfigError, FormatError

if TYPE_CHECKING:
    from crystaltensor.workflows.blocks import Treated

COMPLETE = '{"complete": true}\n'
"""The last line of the journal of a run that has come to its end."""


@dataclass(frozen=True)
class Counts:
    """How many structures there are.

    Parameters
    ----------
    n_ok : int
        With a prediction.
    failed : Counter of str
        Without, by the kind of error.
    """

    n_ok: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def n_failed(self) -> int:
        """Count the failures."""
        return self.failed.total()

    def __add__(self, other: "Counts | Treated") -> "Counts":
        """Count more structures."""
        return Counts(self.n_ok + other.n_ok, self.failed + other.failed)


@dataclass(frozen=True)
class Line:
    """A line of a journal: a block that is safe.

    Parameters
    ----------
    block : int
        Its number.
    inputs : str
        Its signature.
    output, errors : int
        Bytes of the output and of the failures, this block included.
    counts : Counts
        Of this block alone.
    """

    block: int
    inputs: str
    output: int
    errors: int
    counts: Counts

    def text(self) -> str:
        """Write the line."""
        record = {
            "block": self.block,
            "inputs": self.inputs,
            "output": self.output,
            "errors": self.errors,
            "ok": self.counts.n_ok,
            "failed": dict(sorted(self.counts.failed.items())),
        }
        return json.dumps(record) + "\n"

    @classmethod
    def parse(cls, text: str) -> "Line":
        """Read a line."""
        record = json.loads(text)
        counts = Counts(int(record["ok"]), Counter(record["failed"]))
        return cls(
            block=int(record["block"]),
            inputs=str(record["inputs"]),
            output=int(record["output"]),
            errors=int(record["errors"]),
            counts=counts,
        )


@dataclass(frozen=True)
class Paths:
    """The files of a run.

    Parameters
    ----------
    output : Path
        What the user has named; for a folder of files it holds them.
    """

    output: Path

    def _beside(self, ending: str) -> Path:
        """Name a file beside the output."""
        return self.output.with_name(self.output.name + ending)

    @property
    def run(self) -> Path:
        """What the run is."""
        return self._beside(".run.json")

    @property
    def journal(self) -> Path:
        """Which blocks are safe."""
        return self._beside(".journal")

    @property
    def errors(self) -> Path:
        """Which structures failed."""
        return self._beside(".errors.jsonl")

    @property
    def lock(self) -> Path:
        """Held by who writes."""
        return self._beside(".lock")

    @property
    def partial(self) -> Path:
        """Where records wait for a form that is written in one go."""
        return self._beside(".part")

    def all(self) -> tuple[Path, ...]:
        """Give all of them."""
        beside = (self.run, self.journal, self.errors, self.lock, self.partial)
        return (self.output, *beside)


def write_header(paths: Paths, header: dict[str, Any]) -> None:
    """Write down what a run is.

    Parameters
    ----------
    paths : Paths
        Its files.
    header : dict
        Everything that the bytes of its output depend on.
    """
    with replacing(paths.run) as partial:
        text = json.dumps(header, indent=1, ensure_ascii=False)
        partial.write_text(text + "\n", encoding="utf-8")


def write_journal(paths: Paths, header: dict[str, Any], lines: list[Line]) -> None:
    """Write the journal of an output that is complete.

    Parameters
    ----------
    paths : Paths
        Its files.
    header : dict
        What it is.
    lines : list of Line
        All its blocks.
    """
    write_header(paths, header)
    with replacing(paths.journal) as partial:
        text = "".join(line.text() for line in lines)
        partial.write_text(text + COMPLETE, encoding="utf-8")


def refuse_other(then: dict[str, Any], now: dict[str, Any], output: Path) -> None:
    """Refuse to go on with a run of other inputs or settings.

    Parameters
    ----------
    then, now : dict
        Headers of the run that is there, and of the one that is wanted.
    output : Path
        What it writes.

    Raises
    ------
    ConfigError
        If they differ.
    """
    for key in {**then, **now}:
        if then.get(key) != now.get(key):
            raise ConfigError(
                f"{output}: was begun with {key} {_brief(then.get(key))}, not "
                f"{_brief(now.get(key))}; repeat the command as it was, or name another "
                "output"
            )


def _brief(value: object) -> str:
    """Write a value for a message."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else text[:117] + "..."


def read_header(paths: Paths) -> dict[str, Any]:
    """Read what a run is.

    Parameters
    ----------
    paths : Paths
        Its files.

    Returns
    -------
    dict
        As `opened_journal` was given it.

    Raises
    ------
    FormatError
        If it cannot be read.
    """
    try:
        header = json.loads(paths.run.read_text(encoding="utf-8"))
    except OSError as error:
        raise FormatError(f"{paths.run}: cannot be read: {error.strerror}") from error
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise FormatError(f"{paths.run}: is damaged; begin anew with --overwrite")
    return header


def read_journal(paths: Paths) -> tuple[list[Line], bool]:
    """Read which blocks are safe.

    Parameters
    ----------
    paths : Paths
        The files of the run.

    Returns
    -------
    lines : list of Line
        In order, up to the first that a crash has cut short or damaged.
    complete : bool
        Whether the run has come to its end.
    """
    lines: list[Line] = []
    if not paths.journal.exists():
        return lines, False
    with paths.journal.open(encoding="utf-8", errors="replace", newline="\n") as stream:
        for text in stream:
            if text == COMPLETE:
                return lines, True
            try:
                line = Line.parse(text)
            except (ValueError, KeyError, TypeError, AttributeError):
                break
            if line.text() != text:
                break
            lines.append(line)
    return lines, False
