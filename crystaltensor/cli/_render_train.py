"""How a training run is shown while it goes on."""

import re
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from crystaltensor.cli._render import plain, unit_of
from crystaltensor.cli._render_audit import summary
from crystaltensor.properties import find_property

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from crystaltensor.data.datasets import Dropped
    from crystaltensor.properties import TensorProperty
    from crystaltensor.training.config import TrainingConfig
    from crystaltensor.training.loop import EpochReport
    from crystaltensor.workflows.preparation import Audited, Prepared
    from crystaltensor.workflows.pretraining import PretrainingBegins
    from crystaltensor.workflows.train import MemberBegins, Trained

RESUME_ELSEWHERE = (
    "safetensors is not installed here: go on with --resume in {folder} where it is, "
    "and the model will be written"
)


def training(
    events: "Iterator[Prepared | PretrainingBegins | MemberBegins | EpochReport | Trained]",
    config: "TrainingConfig",
) -> None:
    """Show the data, a bar with the time left, and the figures of the model."""
    from crystaltensor.training.loop import EpochReport
    from crystaltensor.workflows.preparation import Prepared
    from crystaltensor.workflows.pretraining import PretrainingBegins
    from crystaltensor.workflows.train import MemberBegins, Trained

    console = Console(highlight=False, stderr=True)
    row = find_property(config.property)
    learnt: TensorProperty | None = row
    columns = (
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    quiet = not console.is_terminal
    with Progress(*columns, console=console, disable=quiet) as progress:
        task = progress.add_task("", total=config.epochs)
        for event in events:
            if isinstance(event, Prepared):
                _prepared(console, event)
            elif isinstance(event, PretrainingBegins):
                learnt = None
                progress.reset(task, total=event.epochs)
                console.print("Features, from descriptors of atoms")
            elif isinstance(event, MemberBegins):
                learnt = row
                progress.reset(task, total=config.epochs)
                if event.n_members > 1:
                    kind = "Without fold" if event.fold else "Member"
                    console.print(f"{kind} {event.index + 1} of {event.n_members}")
            elif isinstance(event, EpochReport):
                if quiet:
                    console.print(_line(event, learnt))
                progress.update(
                    task, completed=event.epoch, description=_line(event, learnt)
                )
            elif isinstance(event, Trained):
                progress.update(task, visible=False)
                _trained(console, event, row)


def audited(event: "Audited") -> None:
    """Show an audit that is all that was asked for."""
    console = Console(highlight=False, soft_wrap=True)
    summary(console, event)
    _left_out(console, event.unread)


def _line(report: "EpochReport", row: "TensorProperty | None") -> str:
    """Sum up an epoch; without a property what is learnt are descriptors."""
    unit = unit_of(row.learnt_unit) if row else ""
    best = " (best)" if report.best else ""
    nothing = _nothing(row) if row else "zeros"
    return (
        f"{report.epoch}: loss {report.train_loss:.4g}, validation error "
        f"{report.val_fnorm:.4g}{unit}{best}, {nothing} {report.val_zero:.4g}"
    )


def _prepared(console: Console, event: "Prepared") -> None:
    """Say what the run learns from."""
    if event.audited:
        summary(console, event.audited)
    counts = ", ".join(f"{count} {split}" for split, count in event.counts.items())
    if event.n_moduli:
        counts += f", {event.n_moduli} train with moduli alone"
    if event.n_described:
        counts += f"; {event.n_described} with descriptors of atoms"
    console.print(f"Data: {counts}{' (prepared before)' if event.cached else ''}")
    if event.dropped:
        _left_out(console, event.dropped)
        console.print("  (each of them is named in dropped.csv)")


def _left_out(console: Console, rows: "Sequence[Dropped]") -> None:
    """Count the rows that are not used, by reason."""
    kinds = Counter(re.sub(r"\d[\d.]*", "…", row.reason) for row in rows)
    for reason, count in kinds.most_common():
        console.print(f"  left out {count}: {plain(reason)}")


def _trained(console: Console, event: "Trained", row: "TensorProperty") -> None:
    """Show the figures of the model."""
    record = event.record
    several = len(record["members"]) > 1
    console.print(f"{record['n_parameters']:,} parameters{' a member' * several}")
    for member in record["members"]:
        console.print(
            f"seed {member['seed']}: best epoch {member['best_epoch']} of "
            f"{member['epochs']}, {member['seconds']:.0f} s"
        )
        for name, figures in member["metrics"].items() if several else ():
            console.print(f"  {name}: {_figures(figures, row)}")
    for name, figures in record["metrics"].items():
        console.print(f"{name}: {_figures(figures, row)}")
    if event.written:
        console.print(f"Model in {plain(event.folder)}")
    else:
        console.print(RESUME_ELSEWHERE.format(folder=plain(event.folder)))


def _figures(figures: "Mapping[str, float]", row: "TensorProperty") -> str:
    """Write the figures of one set of crystals."""
    kind = "Fnorm" if row.rank else "mean absolute error"
    return (
        f"{kind} {figures['fnorm']:.4g}{unit_of(row.learnt_unit)} "
        f"({_nothing(row)} {figures['zero_fnorm']:.4g}), "
        f"within 25/10/5 %: {figures['ewt_25']:.1f}/{figures['ewt_10']:.1f}/"
        f"{figures['ewt_5']:.1f} %, {figures['n']} crystals"
    )


def _nothing(row: "TensorProperty") -> str:
    """Name the prediction of someone who knows nothing."""
    return "zero tensor" if row.rank else "training mean"
