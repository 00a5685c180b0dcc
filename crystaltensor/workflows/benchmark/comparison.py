"""Whether a run is worse than an earlier one: what a CI job asks."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crystaltensor.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from crystaltensor.workflows.benchmark.report import Figure, Report


@dataclass(frozen=True)
class Change:
    """A figure beside that of the baseline.

    Parameters
    ----------
    name, kind : str
        Of the figure.
    before, now : float
        What is compared: the values, or for times the ratios.
    limit : float
        What `now` may not pass.
    worse : bool
        Whether it does.
    """

    name: str
    kind: str
    before: float
    now: float
    limit: float
    worse: bool


@dataclass(frozen=True)
class Comparison:
    """A run beside its baseline.

    Parameters
    ----------
    changes : tuple of Change
        Of the figures that both have.
    missing : tuple of str
        Figures of the baseline that the run does not have.
    new : tuple of str
        Figures that the baseline does not have.
    """

    changes: tuple[Change, ...]
    missing: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def regressions(self) -> tuple[Change, ...]:
        """What has become worse."""
        return tuple(change for change in self.changes if change.worse)

    @property
    def failed(self) -> bool:
        """Whether a CI job should stop: something is worse, or no longer measured."""
        return bool(self.regressions or self.missing)

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain values."""
        return {
            "regressions": [vars(change) for change in self.regressions],
            "missing": list(self.missing),
            "new": list(self.new),
            "compared": len(self.changes),
        }


def read_baseline(path: "Path", benchmark: str) -> dict[str, Any]:
    """Read an earlier report.

    Parameters
    ----------
    path : Path
        What ``benchmark … -o FILE.json`` wrote.
    benchmark : str
        Which benchmark it must be of.

    Returns
    -------
    dict
        As `Report.as_dict` made it.

    Raises
    ------
    DataError
        If it is something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        kind, _, _ = found["benchmark"], found["settings"], found["figures"][0]["name"]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(
            f"{path}: not a report of a benchmark ({error!r}); write one with "
            f"crystaltensor benchmark {benchmark} -o {path.name}"
        ) from error
    if kind != benchmark:
        raise DataError(f"{path}: a report of benchmark {kind!r}, not {benchmark!r}")
    return dict(found)


def compare(
    report: "Report",
    baseline: dict[str, Any],
    *,
    max_slowdown: float,
    max_error_increase: float,
) -> Comparison:
    """Compare a run with an earlier one.

    A time is judged by its ratio to a fixed piece of work that was timed beside it, so
    that a slower machine is no regression. An error may grow by `max_error_increase`,
    unless it stays below its floor. Of a share, what is missing to 100 % may grow by as
    much, and always by one crystal.

    Parameters
    ----------
    report : Report
        The run.
    baseline : dict
        From `read_baseline`.
    max_slowdown : float
        Largest ratio of times, such as 1.3.
    max_error_increase : float
        Largest relative growth of an error, such as 0.05.

    Returns
    -------
    Comparison
        Figure by figure.

    Raises
    ------
    DataError
        If the settings of the two differ.
    """
    mine, other = dict(report.settings), baseline["settings"]
    if mine != other:
        different = sorted(
            key for key in {*mine, *other} if mine.get(key) != other.get(key)
        )
        said = ", ".join(
            f"{key}: {mine.get(key)!r} here, {other.get(key)!r} there"
            for key in different
        )
        raise DataError(f"the baseline was made with other settings ({said})")
    before = {each["name"]: each for each in baseline["figures"]}
    now = {figure.name: figure for figure in report.figures}
    changes = tuple(
        _change(figure, before[name], max_slowdown, max_error_increase)
        for name, figure in now.items()
        if name in before
    )
    return Comparison(
        changes,
        missing=tuple(name for name in before if name not in now),
        new=tuple(name for name in now if name not in before),
    )


def _change(
    figure: "Figure",
    before: dict[str, Any],
    max_slowdown: float,
    max_error_increase: float,
) -> Change:
    """Judge one figure."""
    if figure.kind == "time":
        old, new = float(before["ratio"]), float(figure.ratio or 0.0)
        limit = old * max_slowdown
        return Change(figure.name, figure.kind, old, new, limit, new > limit)
    old, new = _number(before["value"]), figure.value
    if figure.kind == "share":
        limit = old - max(figure.floor, max_error_increase * (100 - old)) - 1e-9
        return Change(figure.name, figure.kind, old, new, limit, new < limit)
    limit = max(figure.floor, old * (1 + max_error_increase))
    return Change(figure.name, figure.kind, old, new, limit, not new <= limit)


def _number(value: float | None) -> float:
    """Read a number; one that is not finite is written as null."""
    return float("inf") if value is None else float(value)
