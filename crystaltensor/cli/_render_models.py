"""How models are listed."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crystaltensor.cli._render import as_json_line, number, unit_of
from crystaltensor.properties import find_property

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crystaltensor.workflows.models import ModelSummary

COLUMNS = ("train", "test", "error", "zero", "≤ 25 %", "nets", "MB")
LEGEND = (
    "train, test: how many; error: mean on the test set, of a tensor its Frobenius norm; "
    "zero: the same if zero is predicted, or for a scalar the mean of the training "
    "crystals; ≤ 25 %: percent of the test set with a smaller relative error; nets: "
    "networks in the ensemble"
)


def listed(models: "Sequence[ModelSummary]", *, as_json: bool) -> None:
    """Show a table, and what the models are of."""
    if as_json:
        for model in models:
            as_json_line(model.as_dict())
        return
    from crystaltensor.inference.models import models_folder

    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("model", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for model in models:
        table.add_row(f"[bold]{escape(model.name)}[/]", *_figures(model))
    console.print(table)
    console.print(f"[dim]{LEGEND}[/]\n")
    for model in models:
        data = escape(", ".join(name.split(".")[0] for name in model.data))
        console.print(f"[bold]{escape(model.name)}[/]  {model.title}, from {data}")
        console.print(
            f"[dim]  weights {model.sha256[:12]}, trained by {model.version}[/]"
        )
    parents = {Path(model.folder).parent for model in models}
    own = sorted(str(parent) for parent in parents - {models_folder()})
    if own:
        console.print(f"[dim]In {escape(', '.join(own))}[/]", soft_wrap=True)


def _figures(model: "ModelSummary") -> list[str]:
    """Write the figures of a model as cells."""
    test = model.test
    zero, within = test.get("zero_fnorm"), test.get("ewt_25")
    return [
        unit_of(find_property(model.predicts).learnt_unit).strip(),
        "–" if model.n_train is None else str(model.n_train),
        str(test.get("n", "–")),
        "–" if model.error is None else number(model.error),
        "–" if zero is None else number(zero),
        "–" if within is None else f"{within:.0f}",
        str(model.members),
        f"{model.n_bytes / 1e6:.1f}",
    ]
