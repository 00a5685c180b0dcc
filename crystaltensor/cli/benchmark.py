"""``crystaltensor benchmark``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crystaltensor.cli import _options

if TYPE_CHECKING:
    from collections.abc import Callable

    from crystaltensor.workflows.benchmark.report import Report

Command = TypeVar("Command", bound="Callable[..., object]")

EXIT_CODES = "Exit code: 0 if all went well, 4 if --compare finds a regression."


@click.group(epilog="Example: crystaltensor benchmark accuracy --property dielectric")
def benchmark() -> None:
    """Measure errors, symmetry, sums and speed, with nothing but what is installed."""


def _shared(command: Command) -> Command:
    """Options that all benchmarks have."""
    options = (
        click.option("--short", is_flag=True, help="A smaller run, for every change."),
        click.option(
            "--threads",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            help="Threads of torch.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        click.option(
            "-o",
            "--output",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Keep the report: a .json file for --compare, or an .md file.",
        ),
        click.option(
            "--compare",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            metavar="BASELINE.json",
            help="Compare with an earlier report; exit with 4 if something is worse.",
        ),
        click.option(
            "--max-slowdown",
            type=click.FloatRange(min=1),
            default=1.3,
            show_default=True,
            help="Largest growth of a time over that of a fixed product of matrices.",
        ),
        click.option(
            "--max-error-increase",
            type=click.FloatRange(min=0),
            default=0.05,
            show_default=True,
            help="Largest relative growth of an error.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


PROPERTIES = click.option(
    "--property",
    "properties",
    multiple=True,
    metavar="NAME",
    help="Which property; may be repeated. All that are installed, if left out.",
)
PLOTS = click.option(
    "--plots",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for pictures.",
)


@benchmark.command(
    epilog="Example: crystaltensor benchmark accuracy --property piezo --plots plots"
)
@PROPERTIES
@click.option(
    "--model", metavar="DIR|NAME", help="A model of your own, or the name of one."
)
@click.option(
    "--data",
    metavar="FILE",
    help="A table with labels, in place of the test crystals of the package.",
)
@click.option(
    "--protocol",
    type=click.Choice(["full", "gmtnet"]),
    default="full",
    show_default=True,
    help="Full tensors, or the conventions of GMTNet's published tables.",
)
@_options.symprec
@_options.device
@PLOTS
@_shared
def accuracy(**options: Any) -> None:  # noqa: ANN401 - click's options
    """Compare predictions with labels that the models have not seen.

    Fnorm is the mean Frobenius norm of the error, ≤25 % the percentage of crystals
    within 25 % of the norm of their labels, median the median relative error; below
    each is its 95 % bootstrap interval.

    Exit code: 0 if all went well, 4 if --compare finds a regression.
    """
    from crystaltensor.workflows.benchmark.accuracy import benchmark_accuracy

    _run("accuracy", benchmark_accuracy, options)


@benchmark.command(epilog="Example: crystaltensor benchmark symmetry --property piezo")
@PROPERTIES
@click.option(
    "--model", metavar="DIR|NAME", help="A model of your own, or the name of one."
)
@click.option(
    "--crystals",
    "n_crystals",
    type=click.IntRange(min=1),
    help="How many crystals; 240, or 24 with --short, if left out.",
)
@_options.symprec
@_options.device
@_shared
def symmetry(**options: Any) -> None:  # noqa: ANN401 - click's options
    """Write crystals down in other ways, and see whether the tensors follow.

    Real and made crystals are rotated, inverted, doubled, written in another basis, with
    another origin and another order of atoms, and their atoms are moved a little. Exit
    code: 0 if all went well, 4 if --compare finds a regression.
    """
    from crystaltensor.workflows.benchmark.symmetry import benchmark_symmetry

    _run("symmetry", benchmark_symmetry, options)


@benchmark.command(epilog="Example: crystaltensor benchmark sums -o sums.json")
@_options.device
@_shared
def sums(**options: Any) -> None:  # noqa: ANN401 - click's options
    """Compare lattice sums with what is known, and time them.

    Errors against the literature and against sums with 25 digits stand beside their
    certified bounds, times from 2 to 500 atoms beside those of other codes that are
    installed. Exit code: 0 if all went well, 4 if --compare finds a regression.
    """
    from crystaltensor.workflows.benchmark.sums import benchmark_sums

    _run("sums", benchmark_sums, options)


@benchmark.command(epilog="Example: crystaltensor benchmark speed --plots plots")
@PROPERTIES
@_options.device
@PLOTS
@_shared
def speed(**options: Any) -> None:  # noqa: ANN401 - click's options
    """Time whole commands, every stage of a prediction, a folder, and training.

    Exit code: 0 if all went well, 4 if --compare finds a regression.
    """
    from crystaltensor.workflows.benchmark.speed import benchmark_speed

    _run("speed", benchmark_speed, options)


def _run(name: str, measure: "Callable[..., Report]", options: dict[str, Any]) -> None:
    """Measure, show, compare, and end with the exit code."""
    from crystaltensor.cli import _render_benchmark as render
    from crystaltensor.workflows.benchmark.comparison import compare, read_baseline

    shown = {key: options.pop(key) for key in ("as_json", "output")}
    limits = {key: options.pop(key) for key in ("max_slowdown", "max_error_increase")}
    baseline = options.pop("compare")
    render.refuse_suffix(shown["output"])
    before = read_baseline(baseline, name) if baseline else None

    import torch

    torch.set_num_threads(options.pop("threads"))
    report = measure(**options)
    comparison = compare(report, before, **limits) if before else None
    code = render.show(report, comparison=comparison, **shown)
    click.get_current_context().exit(code)
