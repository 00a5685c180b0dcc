"""``crystaltensor train``."""

from pathlib import Path

import click

from crystaltensor.cli import _options


@click.command(
    epilog="Example: crystaltensor train models/piezo/config.toml --out runs/piezo"
)
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the run and of the model it makes.",
)
@click.option("--resume", is_flag=True, help="Go on with the run in that folder.")
@click.option(
    "--prepare-only",
    is_flag=True,
    help="Stop when the data are prepared: the folder can then be trained where "
    "pymatgen, ASE and spglib are not installed.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Beats that of the file.")
@click.option("--epochs", type=click.IntRange(min=1), help="Beats that of the file.")
@click.option("--threads", type=click.IntRange(min=1), help="Beats that of the file.")
@_options.device
def train(
    config: Path,
    out: Path,
    resume: bool,
    prepare_only: bool,
    seed: int | None,
    epochs: int | None,
    threads: int | None,
    device: str,
) -> None:
    """Train a model as CONFIG, a TOML file, says.

    The run can be stopped at any time, and goes on with --resume. Beside the model the
    folder holds metrics.csv, with one line per epoch.
    """
    from crystaltensor.cli import _render_train
    from crystaltensor.training.config import read_config
    from crystaltensor.workflows import train as workflow

    settings = read_config(config, seed=seed, epochs=epochs, threads=threads)
    events = workflow.train(
        settings,
        out,
        base=config.parent,
        device=device,
        resume=resume,
        prepare_only=prepare_only,
    )
    _render_train.training(events, settings)
