"""``crystaltensor train``."""

import os
from pathlib import Path

import click

from crystaltensor.cli import _options
from crystaltensor.cli._settings import assignments, options_of
from crystaltensor.training.config import TrainingConfig

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    epilog="Examples: crystaltensor train models/piezo/config.toml --out runs/piezo; "
    "crystaltensor train --data id_prop.csv --property piezo --out runs/mine"
)
@click.argument("files", nargs=-1, type=FILE, metavar="[CONFIG.toml]")
@click.option(
    "--data",
    multiple=True,
    metavar="FILE...",
    help="Data sets: .jsonl, .csv or .json files, or names of bundled ones; more may "
    "follow, or the option be repeated.",
)
@click.option(
    "--property", "name", type=_options.PROPERTY, help="What to learn, such as piezo."
)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the run and of the model it makes.",
)
@click.option("--audit", is_flag=True, help="Stop when the data are audited.")
@click.option(
    "--prepare-only",
    is_flag=True,
    help="Stop when the data are prepared: the folder can then be trained where "
    "pymatgen, ASE and spglib are not installed.",
)
@click.option("--resume", is_flag=True, help="Go on with the run in that folder.")
@click.option(
    "--calibrate-only",
    is_flag=True,
    help="Calibrate the uncertainty of the model in that folder again; members are not "
    "trained, networks of folds only if they are missing.",
)
@_options.device
@click.option(
    "--network",
    multiple=True,
    metavar="KEY=VALUE",
    help="A key under [network] of the configuration, such as channels=32.",
)
@options_of(TrainingConfig, without=("property", "data", "network"))
def train(
    *,
    files: tuple[Path, ...],
    data: tuple[str, ...],
    name: str | None,
    out: Path,
    audit: bool,
    prepare_only: bool,
    resume: bool,
    calibrate_only: bool,
    device: str,
    network: tuple[str, ...],
    **settings: object,
) -> None:
    """Train a model as CONFIG.toml, the options, or both say; options beat the file.

    The data are audited first, and what is found is written to audit.csv. The run can
    be stopped at any time, and goes on with --resume. Beside the model the folder holds
    metrics.csv, with one line per epoch.
    """
    from crystaltensor.cli import _render_train
    from crystaltensor.training.config import read_config
    from crystaltensor.workflows import preparation
    from crystaltensor.workflows import train as workflow

    config, tables = _sort(files, data)
    base = config.parent if config else Path()
    chosen = read_config(
        config,
        property=name,
        data=tuple(_relative(each, base) for each in tables) or None,
        network=assignments(network),
        **settings,
    )
    if audit:
        _render_train.audited(preparation.audit_data(chosen, out, base=base))
        return
    events = workflow.train(
        chosen,
        out,
        base=base,
        device=device,
        resume=resume,
        prepare_only=prepare_only,
        calibrate_only=calibrate_only,
    )
    _render_train.training(events, chosen)


def _sort(
    files: tuple[Path, ...], data: tuple[str, ...]
) -> tuple[Path | None, list[str]]:
    """Tell the configuration from the files that follow ``--data``."""
    configs = [each for each in files if not data or each.suffix == ".toml"]
    tables = [*data, *(str(each) for each in files if each not in configs)]
    if len(configs) > 1:
        raise click.UsageError(
            f"{configs[0]} and {configs[1]} cannot both be the configuration; data sets "
            "follow --data",
            click.get_current_context(),
        )
    if not configs and not data:
        raise click.UsageError(
            "give a CONFIG.toml, or --data FILE... and --property NAME",
            click.get_current_context(),
        )
    return configs[0] if configs else None, tables


def _relative(name: str, base: Path) -> str:
    """Name a file from the folder of the configuration; leave bundled names alone."""
    plain = Path(name).is_absolute() or base == Path() or not Path(name).exists()
    return name if plain else os.path.relpath(name, base)
