"""How tables of tolerances and many results are shown."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crystaltensor.cli._render import as_json_line
from crystaltensor.text import json_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from crystaltensor.workflows.scan import ScanRow
    from crystaltensor.workflows.targets import Target

    Floats = NDArray[np.float64]


def scan(rows: "Sequence[ScanRow]", target: "Target | None", *, as_json: bool) -> None:
    """Show what each tolerance gives."""
    if as_json:
        name = None if target is None else target.row.name
        as_json_line({"property": name, "scan": [asdict(row) for row in rows]})
        return
    columns = ["symprec (Å)", "number", "space group", "class", "off by (Å)"]
    columns += ["constants"] if target is not None else []
    with_tensor = any(row.symmetry_residual is not None for row in rows)
    columns += ["residual"] if with_tensor else []
    table = Table(box=box.SIMPLE_HEAD)
    for name in columns:
        table.add_column(name, justify="right")
    for row in rows:
        cells = [f"{row.symprec:g}", "-", escape(row.error[:40])]
        if not row.error:
            cells[1:] = [str(row.number), row.symbol, row.point_group]
            cells += [f"{row.deviation:.1e}", str(row.n_independent)]
            left = row.symmetry_residual
            cells.append("" if left is None else f"{left:.3g}")
        table.add_row(*cells[: len(columns)])
    Console(highlight=False).print(table)


def batch(results: "Iterable[dict[str, Any]]", output: str | None) -> int:
    """Write one JSON line per result; 3 if some failed, 1 if all did."""
    from crystaltensor.crystals.writing import replacing

    counts = {"ok": 0, "error": 0}

    def lines() -> "Iterable[str]":
        for record in results:
            counts[str(record["status"])] += 1
            yield json_line(record)

    if output is None:
        for line in lines():
            click.echo(line)
    else:
        with (
            replacing(output) as partial,
            partial.open("w", encoding="utf-8") as stream,
        ):
            stream.writelines(line + "\n" for line in lines())
    failed, done = counts["error"], counts["ok"]
    if failed:
        click.echo(f"{failed} of {failed + done} inputs failed", err=True)
    if failed and not done:
        return 1
    return 3 if failed else 0


def many(
    tensors: "Floats",
    residuals: "Floats",
    target: "Target",
    output: str | None,
    notation: str | None,
) -> None:
    """Write many tensors of one crystal: to a .npy file, or as JSON lines."""
    import numpy as np

    from crystaltensor.crystals.writing import replacing
    from crystaltensor.workflows.tensor_output import in_notation

    values = in_notation(tensors, target, notation or "full")
    if output is not None and output.endswith(".npy"):
        with replacing(output) as partial, partial.open("wb") as stream:
            np.save(stream, values, allow_pickle=False)
        worst = float(np.nanmax(residuals)) if np.isfinite(residuals).any() else 0.0
        click.echo(f"{len(values)} tensors projected, largest residual {worst:.3g}")
        return
    key = {"full": "tensor"}.get(notation or "full", notation or "full")
    records = (
        {
            "property": target.row.name,
            key: value.tolist(),
            "symmetry_residual": None if np.isnan(left) else float(left),
            "status": "ok",
        }
        for value, left in zip(values, residuals, strict=True)
    )
    batch(records, output)
