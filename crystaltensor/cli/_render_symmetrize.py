"""How projected tensors and allowed forms are shown."""

from itertools import product
from typing import TYPE_CHECKING

from rich import box
from rich.columns import Columns
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table

from crystaltensor.cli._render import (
    FRAMES,
    VOIGT,
    as_json_line,
    number,
    unit_of,
    vectors,
    warn,
)
from crystaltensor.cli._render_derived import show_derived
from crystaltensor.symmetry.operations import Symmetry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from crystaltensor.symmetry.structures import SymmetrizedCrystal
    from crystaltensor.workflows.symmetrized import Symmetrized

    Floats = NDArray[np.float64]

_MANY = 12  # independent components beyond this fill a screen with sums
_SHOWN = 12


def symmetrized(
    found: "Symmetrized", *, as_json: bool, written: "SymmetrizedCrystal | None" = None
) -> None:
    """Show what symmetry allows, and what it makes of a tensor."""
    if as_json:
        record = found.as_dict()
        as_json_line(record | ({"structure": _moved(written)} if written else {}))
        return
    console = Console(highlight=False)
    _header(console, found)
    for note in found.notes:
        console.print(f"[cyan]Note:[/] {escape(note)}.", soft_wrap=True)
    if found.tensor is None:
        _forms(console, found)
    else:
        _tensor(console, found)
        _derived(console, found)
    _frame(console, found)
    if written is not None:
        _structure(console, written)
    warn(found.warnings)
    _suspicions(found)


def structure(
    symmetry: "Symmetry", written: "SymmetrizedCrystal", *, as_json: bool
) -> None:
    """Show what it took to make a structure symmetric."""
    if as_json:
        group = {
            "number": symmetry.number,
            "symbol": symmetry.symbol,
            "point_group": symmetry.point_group,
            "symprec": symmetry.symprec,
        }
        as_json_line({"space_group": group, "structure": _moved(written)})
        return
    console = Console(highlight=False)
    console.print(
        f"[bold]{escape(written.crystal.formula)}[/], space group {symmetry.symbol} "
        f"({symmetry.number}), class {symmetry.point_group} "
        f"[dim](symprec {symmetry.symprec:g} Å)[/]"
    )
    _structure(console, written)
    warn(symmetry.warnings)


def _structure(console: Console, written: "SymmetrizedCrystal") -> None:
    """Say how far atoms moved."""
    console.print(
        f"Symmetrised structure: atoms moved by {number(written.mean_displacement)} Å "
        f"(rms), {number(written.largest_displacement)} Å at most; the cell is "
        f"strained by {number(written.strain)}.",
        soft_wrap=True,
    )


def _moved(written: "SymmetrizedCrystal") -> dict[str, float]:
    """Write as plain values how far atoms moved."""
    return {
        "largest_displacement": written.largest_displacement,
        "mean_displacement": written.mean_displacement,
        "strain": written.strain,
    }


def _header(console: Console, found: "Symmetrized") -> None:
    """Say which crystal, and which tensor."""
    if found.read is not None and found.symmetry is not None:
        crystal, group = found.read.crystal, found.symmetry
        console.print(
            f"[bold]{escape(crystal.formula)}[/], {crystal.n_atoms} atoms, space group "
            f"{group.symbol} ({group.number}), class {found.point_group} "
            f"[dim](symprec {group.symprec:g} Å)[/]"
        )
    else:
        console.print(f"Class [bold]{found.point_group}[/]")
    title = found.target.row.title
    console.print(f"{title[0].upper()}{escape(title[1:])}\n")


def _forms(console: Console, found: "Symmetrized") -> None:
    """Show the allowed form, in the frame asked for and in IEEE axes."""
    row = found.target.row
    if row.per_atom:
        console.print(
            "Each atom has a tensor of its own: its form follows from the site symmetry. "
            "Give the tensors to project them."
        )
        return
    if found.forbidden:
        console.print(f"Exactly zero: {escape(found.forbidden)}.\n")
        return
    count = found.form.n_independent
    many = "component" if count == 1 else "components"
    names = ", ".join(found.ieee_form.independent)
    if found.frame != "ieee":
        same = found.form.rows() == found.ieee_form.rows()
        title = f"Allowed form in the {FRAMES[found.frame]}"
        if same:
            title += ", which are IEEE axes as far as the form can tell"
        console.print(_form_table(found, title, ieee=False))
        if same:
            console.print(f"{count} independent {many}: {escape(names)}\n")
            return
    console.print(_form_table(found, "Allowed form in IEEE axes", ieee=True))
    console.print(f"{count} independent {many}: {escape(names)}\n")


def _form_table(found: "Symmetrized", title: str, *, ieee: bool) -> Group:
    """Lay out zeros, equalities and signs."""
    form = found.ieee_form if ieee else found.form
    crowded = max(len(entry) for row in form.rows() for entry in row) > 24
    rows = form.rows()
    if crowded:  # in odd axes a sum of many terms helps no one
        title += "; * is a combination of several components"
        rows = [["*" if len(entry) > 24 else entry for entry in row] for row in rows]
    return _table(rows, title)


def _table(rows: "Sequence[Sequence[str]]", title: str) -> Group:
    """Lay out entries under the names of their indices, with a title above."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("")
    for name in _labels(len(rows[0])):
        table.add_column(name, justify="right")
    for name, row in zip(_labels(len(rows)), rows, strict=True):
        cells = ("[dim]0[/]" if cell == "0" else escape(cell) for cell in row)
        table.add_row(f"[bold]{name}[/]", *cells)
    return Group(f"[bold]{escape(title)}[/]", table)


def _labels(length: int) -> list[str]:
    """Name the rows or columns of a table."""
    if length == 6:
        return list(VOIGT)
    known = {1: 0, 3: 1, 9: 2, 27: 3}
    return ["".join(axes) for axes in product("xyz", repeat=known[length])]


def _numbers(matrix: "Floats") -> list[list[str]]:
    """Write a matrix; what rounds to zero beside the rest is zero."""
    tiny = 1e-10 * float(abs(matrix).max())
    return [
        [number(0.0 if abs(value) <= tiny else value) for value in row]
        for row in matrix
    ]


def _tensor(console: Console, found: "Symmetrized") -> None:
    """Show a tensor before and after, side by side where there is room."""
    target, unit = found.target, unit_of(found.target.row.unit)
    suffix = f" in{unit}" if unit else ""
    if target.row.per_atom:
        _atoms(console, found)
    elif found.given is not None and found.tensor is not None:
        tables = [
            _table(_numbers(found.matrix(tensor)), f"{name}{suffix}")
            for name, tensor in (("Given", found.given), ("Projected", found.tensor))
        ]
        console.print(Columns(tables, padding=(0, 4)))
    left = found.symmetry_residual
    if left is None:
        console.print("The tensor is zero.")
    else:
        console.print(f"Symmetry residual ‖T − PT‖/‖T‖ = [bold]{number(left)}[/]")
    if found.forbidden:
        console.print(f"It must be exactly zero: {escape(found.forbidden)}.")
    elif found.components:
        named = [
            f"{name} = {number(value)}" for name, value in found.components.items()
        ]
        many = "component" if len(named) == 1 else "components"
        console.print(f"{len(named)} independent {many}: {', '.join(named)}{unit}")
    _violations(console, found)
    console.print()


def _violations(console: Console, found: "Symmetrized") -> None:
    """List the entries that the crystal does not allow to be what they are."""
    if found.forbidden or not found.violations:
        return
    console.print("\nEntries that symmetry changes most:")
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("entry", "given", "projected"):
        table.add_column(name, justify="right")
    table.add_column("must be")
    for one in found.violations[:_SHOWN]:
        rule = one.rule if len(one.rule) < 40 else "a combination"
        rule = "independent" if rule == one.name else rule
        table.add_row(one.name, number(one.given), number(one.projected), escape(rule))
    console.print(table)
    if len(found.violations) > _SHOWN:
        console.print(
            f"[dim]and {len(found.violations) - _SHOWN} more (--json lists all)[/]"
        )


def _atoms(console: Console, found: "Symmetrized") -> None:
    """Show the tensors of the inequivalent atoms."""
    symmetry = found.symmetry
    if (
        found.given is None
        or found.tensor is None
        or not isinstance(symmetry, Symmetry)
    ):
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("atom", "site", "", "given x", "y", "z", "projected x", "y", "z"):
        table.add_column(name, justify="right", no_wrap=True)
    for atom in sorted(set(symmetry.equivalent_atoms.tolist())):
        before, after = _numbers(found.given[atom]), _numbers(found.tensor[atom])
        name = f"{symmetry.crystal.symbols[atom]}{atom + 1}"
        heads = [(name, symmetry.site_symmetries[atom]), ("", ""), ("", "")]
        for axis, head in enumerate(heads):
            row = (*head, "xyz"[axis], *before[axis], *after[axis])
            table.add_row(*row, end_section=axis == 2)
    console.print("[bold]Tensors of the inequivalent atoms, in e[/]")
    console.print(table)


def _derived(console: Console, found: "Symmetrized") -> None:
    """Show what follows from the tensors."""
    for line in _piezo_lines(found):
        console.print(line, soft_wrap=True)
    show_derived(console, found.derived)
    if "d" in found.derived:
        rows = [[number(value) for value in row] for row in found.derived["d"]["voigt"]]
        console.print(_table(rows, "d = e·S in pC/N, strain Voigt form"))


def _piezo_lines(found: "Symmetrized") -> "Iterable[str]":
    """Largest longitudinal effects, and the norm."""
    derived = found.derived
    symbol, unit = found.target.row.symbol, unit_of(found.target.row.unit)
    if not found.target.row.per_atom:
        yield f"‖{symbol}‖ = {number(derived['norm'])}{unit}"


def _frame(console: Console, found: "Symmetrized") -> None:
    """Say which axes the numbers are for."""
    if found.read is None:
        console.print(f"[dim]Frame: {FRAMES['ieee']}[/]")
        return
    console.print(f"[dim]Frame: {FRAMES[found.frame]}; lattice of the file (Å)[/]")
    vectors("abc", found.read.crystal.cell, 5)
    if found.rotation is not None:
        console.print("[dim]Axes of the frame, in the axes of the file[/]")
        vectors("XYZ", found.rotation, 6)


def _suspicions(found: "Symmetrized") -> None:
    """Say which mistakes would explain a large residual."""
    console = Console(stderr=True, highlight=False)
    left = found.symmetry_residual
    if left is None or left <= 0.01:
        return
    if found.forbidden:
        return
    if not found.suspicions:
        console.print(
            f"[yellow]Warning:[/] the symmetry residual is large ({number(left)}), and no "
            "usual mistake (frame, axis order, Voigt order, factors) explains it; "
            "try --scan-symprec"
        )
        return
    console.print(
        f"[yellow]Warning:[/] the symmetry residual is large ({number(left)}). It would be"
    )
    for one in found.suspicions:
        hint = f" ({one.hint})" if one.hint else ""
        console.print(f"  {number(one.residual)} if {escape(one.what)}{escape(hint)}")
