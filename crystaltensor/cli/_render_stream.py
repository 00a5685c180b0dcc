"""How a run over many structures is shown."""

import sys
import time
from collections import deque
from typing import TYPE_CHECKING

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from crystaltensor.cli._render import as_json_line
from crystaltensor.cli._render_featurize import exit_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crystaltensor.workflows.predict_many import Progress as Report
    from crystaltensor.workflows.structure_files import Failure

INTERRUPTED = 130

MOST_FAILURES = 20
"""Failures that are named; the rest are in the list of failures."""

_LOG_SECONDS = 10.0


class _Watch:
    """What a user sees of a run while it goes on: a bar, or lines of a log."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        bar = self._console.is_terminal and not quiet
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=self._console, disable=not bar)
        self._task = self._bar.add_task("reading", total=None)
        self._logs = not bar and not quiet
        self._began = self._told = time.monotonic()
        self._n_named = 0

    @property
    def seconds(self) -> float:
        """Seconds since the begin."""
        return time.monotonic() - self._began

    def rate(self, report: "Report") -> float:
        """Structures in a second, those of an earlier run apart."""
        done = report.counts.n_ok + report.counts.n_failed
        before = report.before.n_ok + report.before.n_failed
        return (done - before) / max(self.seconds, 1e-3)

    def follow(self, reports: "Iterator[Report]") -> "Iterator[Report]":
        """Pass reports on, and show them."""
        with self._bar:
            for report in reports:
                for failure in report.failures:
                    self._failed(failure)
                self._show(report)
                yield report

    def _failed(self, failure: "Failure") -> None:
        """Name a failure, unless there were many."""
        self._n_named += 1
        if self._quiet or self._n_named > MOST_FAILURES:
            return
        self._console.print(f"[red]Failed:[/] {escape(str(failure.error))}")
        if self._n_named == MOST_FAILURES:
            self._console.print(
                "Further failures are counted, and listed in the output."
            )

    def _show(self, report: "Report") -> None:
        """Move the bar, or write a line now and then."""
        counts = report.counts
        text = f"{counts.n_ok} ok, {counts.n_failed} failed, {self.rate(report):.0f}/s"
        self._bar.update(
            self._task,
            total=report.n_files,
            completed=report.files_done,
            description=text,
        )
        if self._logs and time.monotonic() - self._told > _LOG_SECONDS:
            self._told = time.monotonic()
            done, total = report.files_done, report.n_files
            left = (
                f", {_duration(self.seconds * (total / done - 1))} left" if done else ""
            )
            self._console.print(
                f"{time.strftime('%H:%M:%S')} {done:.0f} of {total} files, {text}{left}"
            )


def file(
    reports: "Iterator[Report]", output: str, *, as_json: bool, quiet: bool
) -> int:
    """Show a run that fills a file, and return the exit code."""
    watch = _Watch(quiet=quiet)
    last = deque(watch.follow(reports), maxlen=1).pop()  # it reports at its begin
    if as_json:
        _as_json(last, output, watch)
    elif not quiet:
        _summary(last, output, watch)
    if last.ended == "stopped":
        done = last.counts.n_ok + last.counts.n_failed
        click.echo(
            f"Stopped after {done} structures, which are safe; repeat the command with "
            "--resume to go on",
            err=True,
        )
        return INTERRUPTED
    return exit_code(last.counts.n_ok, last.counts.n_failed)


def lines(reports: "Iterator[Report]", *, quiet: bool) -> int:
    """Print records as they come, and return the exit code."""
    watch = _Watch(quiet=quiet)
    last = None
    for last in watch.follow(reports):
        sys.stdout.buffer.write(last.output)
        sys.stdout.buffer.flush()
    if last is None:
        return 1
    if last.ended == "stopped":
        return INTERRUPTED
    return exit_code(last.counts.n_ok, last.counts.n_failed)


def _as_json(report: "Report", output: str, watch: _Watch) -> None:
    """Print the summary as one JSON object."""
    as_json_line(
        {
            "schema": 1,
            "output": output,
            "n_ok": report.counts.n_ok,
            "n_failed": report.counts.n_failed,
            "failed": dict(sorted(report.counts.failed.items())),
            "n_skipped": report.n_skipped,
            "complete": report.ended == "complete",
            "seconds": watch.seconds,
            "rate": watch.rate(report),
        }
    )


def _summary(report: "Report", output: str, watch: _Watch) -> None:
    """Print the summary as a table."""
    table = Table(box=box.SIMPLE_HEAD, show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    counts, before = report.counts, report.before
    table.add_row("predicted", str(counts.n_ok))
    for kind, number in sorted(counts.failed.items()):
        table.add_row(f"failed: {escape(kind)}", f"[red]{number}[/]")
    if before.n_ok + before.n_failed:
        table.add_row("of them before", str(before.n_ok + before.n_failed))
    if report.n_skipped:
        table.add_row("other files, skipped", str(report.n_skipped))
    table.add_row("time", _duration(watch.seconds))
    table.add_row("structures a second", f"{watch.rate(report):.1f}")
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    console.print(f"Written to {escape(output)}")
    if counts.n_failed:
        console.print(f"Failures are listed in {escape(output)}.errors.jsonl")


def _duration(seconds: float) -> str:
    """Write a time as hours, minutes and seconds."""
    whole = round(min(seconds, 1e8))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
