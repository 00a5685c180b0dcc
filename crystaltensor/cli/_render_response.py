"""How a property from forces is shown."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from crystaltensor.cli._render import as_json_line, matrix_table, number, unit_of, warn
from crystaltensor.cli._render_prediction import (
    show_components,
    show_frame,
    show_header,
)
from crystaltensor.symmetry.notation import to_voigt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crystaltensor.response.prediction import ResponsePrediction

PARTS = {
    "electronic": "electronic part",
    "ionic": "ionic part",
    "correction": "learned correction",
    "clamped": "clamped ions",
}


def responses(many: "Iterator[ResponsePrediction]", *, as_json: bool) -> None:
    """Show the properties of one crystal, as they come."""
    if as_json:
        for found in many:
            as_json_line(found.as_dict())
        return
    console = Console(highlight=False)
    last = None
    for found in many:
        if last is None:
            show_header(console, found.prediction)
            _potential(console, found)
        _response(console, found)
        warn(found.prediction.warnings)
        last = found
    if last is not None:
        show_frame(console, last.prediction)


def _potential(console: Console, found: "ResponsePrediction") -> None:
    """Say what was computed."""
    told = found.potential
    made = told["force_calls"]
    source = (
        f"{made} force calculations"
        if made
        else f"from the cache, once {told['force_calls_reduced']} force calculations"
    )
    relaxed = told["relaxed_by"]
    console.print(
        f"Force constants of {escape(told['name'])}: {source} "
        f"({told['force_calls_unreduced']} without symmetry); "
        f"residual force {told['residual_force']:.2g} eV/Å"
        + ("" if relaxed is None else f" after atoms moved by {relaxed:.2g} Å")
        + f"; Born charges: {escape(found.born_charges)}\n"
    )


def _response(console: Console, found: "ResponsePrediction") -> None:
    """Show a tensor, its parts, and its softest modes."""
    whole = found.prediction
    unit = unit_of(whole.unit)
    title = whole.row.title[0].upper() + whole.row.title[1:]
    if whole.voigt is not None:
        console.print(
            matrix_table(whole.voigt, f"[bold]{title}[/]{unit and ' in' + unit}")
        )
    if whole.forbidden:
        console.print(f"Exactly zero: {escape(whole.forbidden)}.\n")
        return
    show_components(console, whole)
    console.print(f"Expected error of the norm: ± {number(found.uncertainty)}{unit}")
    for name, part in found.parts.items():
        rank = whole.row.rank
        voigt = part if rank == 2 else to_voigt(part, rank)
        console.print(matrix_table(voigt, f"of it, {PARTS[name]}"))
    if found.modes:
        softest = "; ".join(
            f"{mode.stiffness:.3g} eV/Å² adds {number(mode.norm)}{unit}"
            for mode in found.modes
        )
        console.print(f"Softest modes that contribute: {softest}")
    if whole.model:
        model = whole.model
        console.print(
            f"[dim]Model {model['name']} {model['version']}, {model['sha256'][:12]}[/]"
        )
    console.print()
