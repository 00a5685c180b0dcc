"""How lattice sums are shown."""

from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from crystaltensor.cli._render import as_json_line, number, plain, unit_of, warn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crystaltensor.workflows.featurize import Featurized, Outcome
    from crystaltensor.workflows.featurize_many import Progress as StoreProgress
    from crystaltensor.workflows.structure_files import Failure

PAIRS_SHOWN = 6
"""Largest crystal of which every pair is shown."""

SITES_SHOWN = 24
"""Largest crystal of which every site is shown."""

SOME_FAILED = 3


def one(
    found: "Featurized",
    tolerance: float,
    *,
    as_json: bool,
    written: "Path | None" = None,
) -> None:
    """Show the sums of one crystal."""
    if as_json:
        as_json_line(found.as_dict())
        return
    console = Console(highlight=False)
    count = len(found.numbers)
    console.print(
        f"[bold]{escape(found.formula)}[/], {count} atom{'s' * (count > 1)}; complete "
        f"sums S(a, b) of all pairs, tolerance {tolerance:g}\n"
    )
    console.print(_summary(found))
    if count <= SITES_SHOWN:
        console.print(_sites(found))
    if count <= PAIRS_SHOWN:
        console.print(_pairs(found))
    console.print(f"[dim]{1e3 * found.seconds:.3g} ms[/]")
    if written:
        console.print(f"Written to {plain(written)}")
    warn(found.warnings)


def _table(title: str, *columns: str) -> Table:
    """Begin a table; all but its first column are numbers."""
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right")
    return table


def _named(found: "Featurized") -> list[str]:
    """Name the potentials with their units, as column heads."""
    return [
        escape(potential.name) + (unit and f" /{unit}")
        for potential in found.potentials
        for unit in [unit_of(potential.unit)]
    ]


def _summary(found: "Featurized") -> Table:
    """Give the range of each sum, and how wrong it can be."""
    table = _table(
        "[bold]Ranges[/]", "potential", "unit", "smallest", "largest", "error at most"
    )
    for potential, matrix, bound in zip(
        found.potentials, found.matrices, found.error_bounds, strict=True
    ):
        table.add_row(
            escape(potential.name),
            unit_of(potential.unit).strip(),
            number(matrix.min()),
            number(matrix.max()),
            f"{bound:.1e}",
        )
    return table


def _sites(found: "Featurized") -> Table:
    """Give the sums over all other atoms, which are like Madelung potentials."""
    table = _table("[bold]Sites[/]: Σ over b of S(a, b)", "a", *_named(found))
    for i, symbol in enumerate(found.symbols):
        sums = found.matrices[:, i].sum(axis=1)
        table.add_row(f"{i + 1} {symbol}", *(number(value) for value in sums))
    return table


def _pairs(found: "Featurized") -> Table:
    """Give every sum."""
    table = _table("[bold]Pairs[/]: S(a, b)", "a – b", *_named(found))
    for i, j in combinations_with_replacement(range(len(found.symbols)), 2):
        pair = f"{i + 1} {found.symbols[i]} – {j + 1} {found.symbols[j]}"
        table.add_row(pair, *(number(value) for value in found.matrices[:, i, j]))
    return table


def several(outcomes: "Iterator[Outcome]", tolerance: float, *, as_json: bool) -> int:
    """Show the sums of any number of crystals, and return the exit code."""
    from crystaltensor.workflows.structure_files import Failure

    n_summed = n_failed = 0
    first: Featurized | None = None
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            n_failed += 1
            _failed(outcome, as_json=as_json)
            continue
        n_summed += 1
        if as_json:
            as_json_line(outcome.as_dict())
        elif n_summed == 1:
            first = outcome  # shown in full if it is the only one
        else:
            if first is not None:
                _brief(first)
                first = None
            _brief(outcome)
    if first is not None:
        one(first, tolerance, as_json=False)
    return exit_code(n_summed, n_failed)


def exit_code(n_summed: int, n_failed: int) -> int:
    """Return 0 if all went well, 3 if some failed, 1 if none worked."""
    if n_failed == 0:
        return 0
    return SOME_FAILED if n_summed else 1


def _failed(failure: "Failure", *, as_json: bool) -> None:
    """Say what was skipped: in the stream of objects, and to whoever watches."""
    if as_json:
        as_json_line(failure.as_dict())
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        f"[red]Failed:[/] {escape(str(failure.error))}"
    )


def _brief(found: "Featurized") -> None:
    """Show one crystal in a line."""
    ranges = ", ".join(
        f"{escape(potential.name)} {number(matrix.min())} to {number(matrix.max())}"
        + unit_of(potential.unit)
        for potential, matrix in zip(found.potentials, found.matrices, strict=True)
    )
    Console(highlight=False, soft_wrap=True).print(
        f"{plain(found.source)}: [bold]{escape(found.formula)}[/], "
        f"{len(found.numbers)} atoms; {ranges}"
    )
    warn(found.warnings)


def store(reports: "Iterator[StoreProgress]", folder: "Path", *, as_json: bool) -> int:
    """Show a bar while a store is filled, and return the exit code."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (
        TextColumn("files"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    last = None
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        for last in reports:
            for failure in last.failures:
                console.print(f"[red]Failed:[/] {escape(str(failure.error))}")
            done = last.n_summed + last.n_failed
            elapsed = bar.tasks[task].elapsed or 0.0
            rate = (done - last.n_before) / elapsed if elapsed > 1 else 0.0
            bar.update(
                task,
                total=last.n_files,
                completed=last.files_done,
                description=f"{done} structures" + (f", {rate:.0f}/s" if rate else ""),
            )
    if last is None:  # a run reports at its end at least
        return 1
    _filled(last, folder, as_json=as_json)
    return exit_code(last.n_summed, last.n_failed)


def _filled(report: "StoreProgress", folder: "Path", *, as_json: bool) -> None:
    """Say what a store holds."""
    if as_json:
        as_json_line(
            {
                "schema": 1,
                "store": str(folder),
                "n_files": report.n_files,
                "n_summed": report.n_summed,
                "n_failed": report.n_failed,
            }
        )
        return
    before = f", {report.n_before} of them before" if report.n_before else ""
    Console(highlight=False, soft_wrap=True).print(
        f"{report.n_summed} crystals in {plain(folder)}, {report.n_failed} "
        f"failed{before}"
    )
