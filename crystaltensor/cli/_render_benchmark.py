"""How benchmarks are shown and kept."""

import json
import math
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from crystaltensor.cli._render import as_json_line, number
from crystaltensor.errors import ConfigError
from crystaltensor.workflows.benchmark.report import Estimate

if TYPE_CHECKING:
    from pathlib import Path

    from crystaltensor.workflows.benchmark.comparison import Comparison
    from crystaltensor.workflows.benchmark.report import Cell, Report, Table

REGRESSION = 4
"""Exit code of a run that is worse than its baseline."""

_MANY = 9  # columns, that need the room of edges and of second blanks


def refuse_suffix(path: "Path | None") -> None:
    """Refuse, before hours of work, a name that does not say what to write."""
    if path is not None and path.suffix.lower() not in {".json", ".md"}:
        raise ConfigError(f"{path}: a report is a .json or an .md file")


def show(
    report: "Report",
    *,
    as_json: bool,
    output: "Path | None",
    comparison: "Comparison | None" = None,
) -> int:
    """Print a report, keep it if asked to, and return the exit code."""
    record = report.as_dict()
    if comparison is not None:
        record["comparison"] = comparison.as_dict()
    if output is not None:
        _write(report, record, output)
    if as_json:
        as_json_line(record)
    else:
        _print(report, record, output)
    if comparison is not None:
        _compared(comparison, quiet=as_json)
        return REGRESSION if comparison.failed else 0
    return 0


def _write(report: "Report", record: dict[str, object], output: "Path") -> None:
    """Keep a report, for programs or for people."""
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.suffix.lower() == ".json":
        text = json.dumps(record, ensure_ascii=False, indent=1) + "\n"
    else:
        text = "\n".join(_markdown(table) for table in report.tables)
    output.write_text(text, encoding="utf-8")


def _print(report: "Report", record: dict[str, object], output: "Path | None") -> None:
    """Print the tables."""
    console = Console(highlight=False)
    for table in report.tables:
        console.print(_table(table))
        for note in table.notes:
            console.print(f"[dim]{escape(note)}[/]")
        console.print()
    machine = record["machine"]
    assert isinstance(machine, dict)  # noqa: S101 - made by Report.as_dict
    gpu = f", {machine['gpu']}" if machine["gpu"] else ""
    console.print(
        f"[dim]{escape(str(machine['processor']))}{gpu}, {machine['threads']} thread"
        f"{'s' * (machine['threads'] != 1)}, load {machine['load']}, torch "
        f"{machine['torch']}[/]"
    )
    for path in (*report.pictures, *([output] if output else [])):
        console.print(f"[dim]Written: {escape(str(path))}[/]", soft_wrap=True)


def _table(table: "Table") -> RichTable:
    """Lay out a table; an interval stands below its value."""
    wide = len(table.columns) >= _MANY
    shown = RichTable(
        title=f"[bold]{escape(table.title)}[/]",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        title_style="",
        # Names of rows must not be cut in a terminal of 80 columns.
        padding=(0, 0, 0, 0 if wide else 1),
        show_edge=not wide,
        pad_edge=not wide,
    )
    for place, column in enumerate(table.columns):
        shown.add_column(
            escape(column), justify="right" if place else "left", no_wrap=place > 0
        )
    for row in table.rows:
        shown.add_row(
            *(_cell(cell, name) for cell, name in zip(row, table.columns, strict=True))
        )
    return shown


def _cell(cell: "Cell", column: str) -> str:
    """Write one cell for the screen."""
    if isinstance(cell, Estimate):
        return f"{_number(cell.value, column)}\n[dim]{_range(cell, column)}[/]"
    return escape(_plain(cell, column))


def _plain(cell: "Cell", column: str) -> str:
    """Write one cell without colours."""
    if cell is None:
        return "–"
    if isinstance(cell, Estimate):
        return f"{_number(cell.value, column)} [{_range(cell, column)}]"
    return _number(cell, column) if isinstance(cell, float) else str(cell)


def _range(cell: Estimate, column: str) -> str:
    """Write an interval with three digits; percentages whole."""
    if "%" in column:
        return f"{cell.low:.0f}–{cell.high:.0f}"
    return f"{_short(cell.low)}–{_short(cell.high)}"


def _short(value: float) -> str:
    """Write a bound of an interval."""
    if not math.isfinite(value):
        return "∞"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _number(value: float, column: str) -> str:
    """Write a number; infinite is the relative error of a label that is zero."""
    if math.isinf(value):
        return "∞"
    return f"{value:.1f}" if "%" in column else number(value)


def _markdown(table: "Table") -> str:
    """Write a table as Markdown."""
    lines = [
        f"## {table.title}",
        "",
        f"| {' | '.join(table.columns)} |",
        "|" + "---|" * len(table.columns),
        *(_markdown_row(row, table.columns) for row in table.rows),
        "",
    ]
    for note in table.notes:
        lines += [note, ""]
    return "\n".join(lines)


def _markdown_row(row: "tuple[Cell, ...]", columns: tuple[str, ...]) -> str:
    """Write a row of a table as Markdown."""
    cells = (_plain(cell, name) for cell, name in zip(row, columns, strict=True))
    return f"| {' | '.join(cells)} |"


def _compared(comparison: "Comparison", *, quiet: bool) -> None:
    """Say what has become worse; on standard error, as errors are."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for change in comparison.regressions:
        what = "ratio" if change.kind == "time" else change.kind
        console.print(
            f"[red]Regression:[/] {escape(change.name)}: {what} {number(change.now)}, "
            f"baseline {number(change.before)}, limit {number(change.limit)}"
        )
    for name in comparison.missing:
        console.print(
            f"[red]Regression:[/] {escape(name)} is in the baseline, but was not measured"
        )
    if not quiet or comparison.failed:
        verdict = "worse" if comparison.failed else "no regression"
        console.print(
            f"Compared {len(comparison.changes)} figures with the baseline: "
            f"{len(comparison.regressions)} worse, {len(comparison.missing)} missing, "
            f"{len(comparison.new)} new: {verdict}"
        )
