"""The only voice of the tool: tables for people, JSON for programs."""

from typing import TYPE_CHECKING

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crystaltensor.text import json_line, one_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")
FRAMES = {
    "input": "Cartesian axes of the file",
    "ieee": "IEEE 176-1987 crystal axes",
    "standard": "axes of spglib's standardised cell",
}
UNITS = {"C/m^2": "C/m²", "1": ""}


def number(value: float) -> str:
    """Write a number with four significant digits; an exact zero stays bare."""
    return "0" if value == 0 else f"{value:#.4g}".rstrip(".")


def measured(value: float, sigma: float | None) -> str:
    """Write a number with its uncertainty, if that is known and not zero."""
    return f"{number(value)} ± {sigma:.2g}" if sigma else number(value)


def unit_of(unit: str) -> str:
    """Write a unit for people, with a blank in front unless there is none."""
    shown = UNITS.get(unit, unit)
    return f" {shown}" if shown else ""


def as_json_line(record: dict[str, object]) -> None:
    """Print one JSON object and nothing else."""
    click.echo(json_line(record))


def plain(text: object) -> str:
    """Write a name or a remark so that neither rich nor the terminal obeys it."""
    return escape(one_line(str(text)))


def warn(warnings: tuple[str, ...]) -> None:
    """Say on standard error what a reader must know."""
    console = Console(stderr=True)
    for warning in warnings:
        console.print(f"[yellow]Warning:[/] {plain(warning)}", highlight=False)


def matrix_table(matrix: "NDArray[np.float64]", title: str) -> Table:
    """Lay out a 3×3, 3×6 or 6×6 matrix; what rounds to zero beside the rest is zero."""
    n_rows, n_columns = matrix.shape
    rows = VOIGT if n_rows == 6 else ("x", "y", "z")
    columns = VOIGT if n_columns == 6 else ("x", "y", "z")
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right", min_width=8)
    tiny = 1e-10 * float(abs(matrix).max())
    for name, row in zip(rows, matrix, strict=True):
        cells = [number(0.0 if abs(value) <= tiny else value) for value in row]
        table.add_row(
            f"[bold]{name}[/]",
            *("[dim]0[/]" if cell == "0" else cell for cell in cells),
        )
    return table


def vectors(names: str, rows: "NDArray[np.float64]", digits: int) -> None:
    """Print named vectors, one per line."""
    console = Console(highlight=False)
    for name, vector in zip(names, rows, strict=True):
        entries = "".join(f"{value:12.{digits}f}" for value in vector)
        console.print(f"[dim]  {name}{entries}[/]")
