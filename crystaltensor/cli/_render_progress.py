"""How far a count has come, shown on a terminal."""

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import ProgressColumn


@contextmanager
def counting(
    what: str, *, time_left: bool = False
) -> "Iterator[Callable[[int, int], None]]":
    """Show how many of a number of things are done; a pipe or a file sees nothing.

    Parameters
    ----------
    what : str
        The things, in the plural.
    time_left : bool
        Whether to say how long the rest may take.

    Yields
    ------
    callable
        Takes how many are done, and of how many.
    """
    console = Console(stderr=True)
    columns: list[ProgressColumn] = [
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
    ]
    if time_left:
        columns.append(TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
