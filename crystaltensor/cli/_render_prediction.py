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
    measured,
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
            show_header(console, found)
        _prediction(console, found)
        warn(found.warnings)
        last = found
    if last is not None:
        show_frame(console, last)


def show_header(console: Console, found: "Prediction") -> None:
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
        sigma = None if found.uncertainty is None else float(found.uncertainty.sigma)
        console.print(
            f"[bold]{title}[/] = {measured(float(found.tensor), sigma)}{unit}"
        )
        _uncertainty(console, found)
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
        show_components(console, found)
        known = {} if found.uncertainty is None else found.uncertainty.derived()
        show_derived(console, found.derived, known)
        _uncertainty(console, found)
    _model(console, found)


def _model(console: Console, found: "Prediction") -> None:
    """Say which model it was."""
    model = found.model
    console.print(
        f"[dim]Model {model['name']} {model['version']}, {model['sha256'][:12]}[/]\n"
    )


def show_components(console: Console, found: "Prediction") -> None:
    """Show what can be chosen freely, and how large the tensor is."""
    unit = unit_of(found.unit)
    told = found.uncertainty
    sigmas = (told and told.components) or {}
    if found.components is not None:
        named = [
            f"{name} = {measured(value, sigmas.get(name))}"
            for name, value in found.components.items()
        ]
        many = "component" if len(named) == 1 else "components"
        begin = f"{len(named)} independent {many}: "
        for line in _filled(begin, named, unit, console.width):
            console.print(line, soft_wrap=True)
    name, value = found.largest
    norm = told.derived().get("norm", {}).get("sigma") if told else None
    console.print(
        f"‖{found.row.symbol}‖ = {measured(found.norm, norm)}{unit}, "
        f"largest |{name}| = {number(abs(value))}{unit}"
    )


def _filled(begin: str, parts: list[str], end: str, width: int) -> list[str]:
    """Fill lines with parts, none of which is broken."""
    lines = [begin]
    for place, part in enumerate(parts):
        last = place == len(parts) - 1
        piece = part + (end if last else ", ")
        if lines[-1] != begin and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def _uncertainty(console: Console, found: "Prediction") -> None:
    """Say what ± means, and name the training crystals that are most alike."""
    told = found.uncertainty
    if told is not None:
        widths = told.half_widths
        console.print(
            f"[dim]± holds 68 % of the errors, {widths['90']:.2g} times it 90 %, "
            f"{widths['95']:.2g} times it 95 %. Larger errors were expected of "
            f"{100 - told.percentile:.0f} % of the validation crystals.[/]"
        )
    if found.neighbours:
        console.print(_neighbours_table(found))


def _neighbours_table(found: "Prediction") -> Table:
    """List the training crystals that are most alike."""
    symbol, unit = found.row.symbol, unit_of(found.row.learnt_unit)
    size = f"‖{symbol}‖" if found.row.rank else symbol
    table = Table(
        title="Most like it among the training crystals",
        box=box.SIMPLE_HEAD,
        title_justify="left",
    )
    table.add_column("")
    table.add_column("formula")
    table.add_column("distance", justify="right")
    table.add_column(size + (f",{unit}" if unit else ""), justify="right")
    for one in found.neighbours or ():
        table.add_row(
            escape(one.name), one.formula, f"{one.distance:.2f}", number(one.norm)
        )
    return table


def _atoms_table(found: "Prediction", title: str) -> Table:
    """Lay out one tensor of rank 2 for each atom, rows of it behind each other."""
    table = Table(
        title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 0, 0, 1)
    )
    table.add_column("atom", no_wrap=True)
    for first, second in product("xyz", repeat=2):
        table.add_column(first + second, justify="right", no_wrap=True)
    sigmas = None
    if found.uncertainty is not None:
        table.add_column("±", justify="right", no_wrap=True)
        sigmas = found.uncertainty.sigma
    symbols = found.crystal.symbols
    for index, tensor in enumerate(found.tensor[:MOST_ATOMS]):
        entries = (
            f"{value:.2f}" if abs(value) >= 5e-3 else "0" for value in tensor.flat
        )
        # One σ for all nine: the root of the mean square.
        width = [] if sigmas is None else [f"{(sigmas[index] ** 2).mean() ** 0.5:.2g}"]
        table.add_row(f"{index + 1} {symbols[index]}", *entries, *width)
    if found.n_atoms > MOST_ATOMS:
        table.add_row(f"… {found.n_atoms - MOST_ATOMS} more with --json")
    return table


def show_frame(console: Console, found: "Prediction") -> None:
    """Show the lattice, which fixes the axes."""
    console.print(f"[dim]Frame: {FRAMES[found.frame]}; lattice of the file (Å)[/]")
    vectors("abc", found.lattice, 5)
    if found.rotation is not None:
        console.print("[dim]Axes of the frame, in the axes of the file[/]")
        vectors("XYZ", found.rotation, 6)
