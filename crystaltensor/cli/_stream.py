"""Many structures: the options of ``predict`` that concern them, and how they are run."""

import glob
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crystaltensor.cli import _options
from crystaltensor.threads import one_thread_each

if TYPE_CHECKING:
    from types import FrameType

    from crystaltensor.cli._options import Command

_SEVERAL = (".db", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")


class Structures(_options.PathType):
    """A file, a folder, a pattern, ``FILE#2`` for the third of several, or ``-``."""

    def convert(
        self,
        value: str,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        """Refuse what is not there; the reader says the rest.

        Raises
        ------
        BadParameter
            If there is no such file.
        """
        path, _, index = value.rpartition("#")
        there = value == "-" or Path(value).exists() or Path(value).is_symlink()
        if there or (index.isdigit() and Path(path).is_file()):
            return value
        if any(mark in value for mark in "*?[") and glob.has_magic(value):
            return value  # one that fits no file is told so later
        raise click.BadParameter(f"{value!r} does not exist.", ctx, param)


def options(command: "Command") -> "Command":
    """Add what concerns many structures."""
    return _options.add(command, _listed())


def _listed() -> list[Any]:
    """List the options, in the order of the help."""
    return [
        click.option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write records here: .jsonl, .jsonl.gz, .csv, .parquet, or a folder.",
        ),
        click.option(
            "-r", "--recursive", is_flag=True, help="Search the folders in folders."
        ),
        click.option(
            "--files-from",
            type=click.Path(allow_dash=True, dir_okay=False),
            metavar="LIST",
            help="File with one path on each line, or - for standard input.",
        ),
        click.option(
            "--resume", is_flag=True, help="Go on with an output that is not complete."
        ),
        click.option("--overwrite", is_flag=True, help="Replace an output."),
        click.option("--strict", is_flag=True, help="Stop at the first failure."),
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            metavar="N",
            help="Processes; by default one for each core.",
        ),
        click.option(
            "--engine",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="Who works: this machine, or a Ray cluster.",
        ),
        click.option(
            "--address", help="Of the Ray cluster; starts one here if left out."
        ),
        click.option(
            "--shard",
            metavar="I/N",
            help="Only part I of N, or auto for the task of a Slurm array.",
        ),
        click.option("-q", "--quiet", is_flag=True, help="Show errors only."),
    ]


def wanted(structures: tuple[str, ...], asked: dict[str, Any]) -> bool:
    """Whether this is a matter of many structures; refuse options that do not go along."""
    _check(structures, asked)
    lonely = len(structures) == 1 and asked["files_from"] is None
    if not lonely or asked["output"] is not None:
        return True
    only = structures[0]
    path = only if Path(only).exists() else only.rpartition("#")[0]
    if only != "-" and (not Path(path).is_file() or path.lower().endswith(_SEVERAL)):
        return True
    for name in ("recursive", "strict", "workers"):
        if asked[name]:
            raise click.UsageError(f"--{name} is for several structures")
    return False


def _check(structures: tuple[str, ...], asked: dict[str, Any]) -> None:
    """Refuse options that miss what they need."""
    if not structures and asked["files_from"] is None:
        raise click.UsageError("Missing argument 'STRUCTURES...'.")
    for name in ("resume", "overwrite", "shard"):
        if asked[name] and asked["output"] is None:
            raise click.UsageError(f"--{name} needs --output")
    if asked["resume"] and asked["overwrite"]:
        raise click.UsageError("--resume and --overwrite exclude each other")
    if asked["address"] and asked["engine"] != "ray":
        raise click.UsageError("--address needs --engine ray")


def run(
    structures: tuple[str, ...],
    settings: dict[str, Any],
    asked: dict[str, Any],
    *,
    as_json: bool,
) -> int:
    """Predict for many structures, and return the exit code."""
    one_thread_each()  # before anything numerical is imported
    from crystaltensor.cli import _render_stream as render
    from crystaltensor.workflows import predict_many as workflow
    from crystaltensor.workflows.inputs import Inputs
    from crystaltensor.workflows.output_formats import BriefLines, JsonLines
    from crystaltensor.workflows.predict_work import Settings
    from crystaltensor.workflows.sharding import parse_shard

    output = asked["output"]
    inputs = Inputs(
        structures,
        recursive=asked["recursive"],
        files_from=asked["files_from"],
        file_format=settings.pop("file_format"),
        leave_out=None if output is None else workflow.own_files(output),
    )
    with _asked_to_stop() as stop:
        carried_out = workflow.Options(
            n_workers=asked["workers"],
            engine=asked["engine"],
            address=asked["address"],
            resume=asked["resume"],
            overwrite=asked["overwrite"],
            strict=asked["strict"],
            stop=lambda: bool(stop),
        )
        chosen = Settings(**settings)
        if output is None:
            form = JsonLines() if as_json else BriefLines()
            reports = workflow.predict_lines(
                inputs, chosen, form=form, options=carried_out
            )
            return render.lines(reports, quiet=asked["quiet"])
        shard = parse_shard(asked["shard"])
        reports = workflow.predict_into(
            output, inputs, chosen, options=carried_out, shard=shard
        )
        return render.file(
            reports, shard.name(output), as_json=as_json, quiet=asked["quiet"]
        )


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """Collect the signals that ask for an end; the second Ctrl-C ends at once."""
    received: list[int] = []

    def note(number: int, _: "FrameType | None") -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    before = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            before[number] = signal.signal(number, note)
        except ValueError:  # not in the main thread: whoever called us decides
            break
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
