"""How a prediction is shown."""

from itertools import product
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crystaltensor.cli._render import (
    FRAMES,
    as_json_line,
    matrix_table,
    number,
    unit_of,
    vectors,
    warn,
)
from crystaltensor.cli._render_derived import show_derived

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crystaltensor.inference.prediction import Prediction

MOST_ATOMS = 40
"""Atoms beyond this are left to --json."""


def predictions(many: "Iterator[Prediction]", *, as_json: bool) -> None:
    """Show the predictions for one crystal, as they come."""
    if as_json:
        for found in many:
            as_json_line(found.as_dict())
        return
    console = Console(highlight=False)
    last = None
    for found in many:
        if last is None:
            _header(console, found)
        _prediction(console, found)
        warn(found.warnings)
        last = found
    if last is not None:
        _frame(console, last)


def _header(console: Console, found: "Prediction") -> None:
    """Say what the crystal is."""
    group = found.space_group
    console.print(
        f"[bold]{escape(found.formula)}[/], {found.n_atoms} atoms, space group "
        f"{group['symbol']} ({group['number']}), class {group['point_group']} "
        f"[dim](symprec {group['symprec']:g} Å)[/]\n"
    )


def _prediction(console: Console, found: "Prediction") -> None:
    """Show a tensor and what follows from it."""
    unit = unit_of(found.unit)
    title = found.row.title[0].upper() + found.row.title[1:]
    if not found.row.rank:
        console.print(f"[bold]{title}[/] = {number(float(found.tensor))}{unit}")
        _model(console, found)
        return
    title = f"[bold]{title}[/]{unit and ' in' + unit}"
    if found.voigt is None:
        console.print(_atoms_table(found, title))
    else:
        console.print(matrix_table(found.voigt, title))
    if found.forbidden:
        console.print(f"Exactly zero: {escape(found.forbidden)}.")
    else:
        _components(console, found)
        show_derived(console, found.derived)
    _model(console, found)


def _model(console: Console, found: "Prediction") -> None:
    """Say which model it was."""
    model = found.model
    console.print(
        f"[dim]Model {model['name']} {model['version']}, {model['sha256'][:12]}[/]\n"
    )


def _components(console: Console, found: "Prediction") -> None:
    """Show what can be chosen freely, and how large the tensor is."""
    unit = unit_of(found.unit)
    if found.components is not None:
        named = [
            f"{name} = {number(value)}" for name, value in found.components.items()
        ]
        many = "component" if len(named) == 1 else "components"
        console.print(f"{len(named)} independent {many}: {', '.join(named)}{unit}")
    name, value = found.largest
    symbol = found.row.symbol
    console.print(
        f"‖{symbol}‖ = {number(found.norm)}{unit}, "
        f"largest |{name}| = {number(abs(value))}{unit}"
    )


def _atoms_table(found: "Prediction", title: str) -> Table:
    """Lay out one tensor of rank 2 for each atom, rows of it behind each other."""
    table = Table(
        title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 0, 0, 1)
    )
    table.add_column("atom", no_wrap=True)
    for first, second in product("xyz", repeat=2):
        table.add_column(first + second, justify="right", no_wrap=True)
    symbols = found.crystal.symbols
    for index, tensor in enumerate(found.tensor[:MOST_ATOMS]):
        entries = (
            f"{value + 0.0:.3f}" if abs(value) > 5e-4 else "0" for value in tensor.flat
        )
        table.add_row(f"{index + 1} {symbols[index]}", *entries)
    if found.n_atoms > MOST_ATOMS:
        table.add_row(f"… {found.n_atoms - MOST_ATOMS} more with --json")
    return table


def _frame(console: Console, found: "Prediction") -> None:
    """Show the lattice, which fixes the axes."""
    console.print(f"[dim]Frame: {FRAMES[found.frame]}; lattice of the file (Å)[/]")
    vectors("abc", found.lattice, 5)
    if found.rotation is not None:
        console.print("[dim]Axes of the frame, in the axes of the file[/]")
        vectors("XYZ", found.rotation, 6)
