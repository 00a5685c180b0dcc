"""What a benchmark finds: tables for people, and figures that can be compared."""

import math
import os
import platform
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import crystaltensor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from crystaltensor.workflows.benchmark.timing import Timing

SCHEMA = 1
"""Version of the JSON form of a report."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


Cell = str | int | float | Estimate | None
"""What stands in a table; None for what is not known."""


@dataclass(frozen=True)
class Table:
    """A table of a report.

    Parameters
    ----------
    title : str
        What it shows.
    columns : tuple of str
        Their heads; units are in them.
    rows : tuple of tuple
        As many cells in each as there are columns.
    notes : tuple of str
        What a reader must know to use it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the table as plain values, full precision."""
        rows = [
            [
                _plain(asdict(cell) if isinstance(cell, Estimate) else cell)
                for cell in row
            ]
            for row in self.rows
        ]
        return {
            "title": self.title,
            "columns": list(self.columns),
            "rows": rows,
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Figure:
    """A number that a later run is compared with.

    Parameters
    ----------
    name : str
        Such as ``"piezo fnorm"``; the same in every run.
    kind : str
        ``"error"``: smaller is better; ``"share"``: a percentage, larger is better;
        ``"time"``: in seconds, compared by its `ratio`.
    value : float
        In `unit`.
    unit : str
        Of the value.
    floor : float
        Changes of an error below this, or of a share by this, mean nothing.
    ratio : float or None
        A time over that of a fixed piece of work in the same run, see `timing`.
    """

    name: str
    kind: str
    value: float
    unit: str = ""
    floor: float = 0.0
    ratio: float | None = None

    @classmethod
    def of_time(cls, name: str, timing: "Timing") -> "Figure":
        """Make one of a time."""
        return cls(name, "time", timing.seconds, "s", ratio=timing.ratio)


@dataclass(frozen=True)
class Report:
    """What a benchmark has found.

    Parameters
    ----------
    benchmark : str
        Which one.
    settings : mapping
        What fixes its figures: reports with other settings cannot be compared.
    tables : tuple of Table
        For people.
    figures : tuple of Figure
        For comparisons.
    pictures : tuple of Path
        What was drawn.
    facts : mapping
        What else a reader should know, such as hashes of models.
    """

    benchmark: str
    settings: "Mapping[str, Any]"
    tables: tuple[Table, ...]
    figures: tuple[Figure, ...]
    pictures: "tuple[Path, ...]" = ()
    facts: "Mapping[str, Any]" = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "schema": SCHEMA,
            "benchmark": self.benchmark,
            "version": crystaltensor.__version__,
            "machine": machine(),
            "settings": dict(self.settings),
            "facts": dict(self.facts),
            "figures": [
                {key: _plain(value) for key, value in asdict(each).items()}
                for each in self.figures
            ],
            "tables": [table.as_dict() for table in self.tables],
            "pictures": [str(path) for path in self.pictures],
        }


def machine() -> dict[str, Any]:
    """Describe where a benchmark ran.

    Returns
    -------
    dict
        Processor, cores, threads of torch, versions, and the GPU if there is one.
    """
    import numpy as np
    import torch

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def _processor() -> str:
    """Name the processor; Linux keeps it in a file."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - not a file
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """JSON has no numbers that are not finite."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
