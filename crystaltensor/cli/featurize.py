"""``crystaltensor featurize``."""

from pathlib import Path
from typing import Any

import click

from crystaltensor.cli import _options

PATHS = click.Path(exists=True, allow_dash=True)


@click.command(
    epilog="Example: crystaltensor featurize POSCAR --potential coulomb,pauli:3.0"
)
@click.argument("paths", nargs=-1, required=True, type=PATHS, metavar="FILES...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="An .npz file for one crystal, or a folder for any number.",
)
@click.option(
    "--potential",
    "potentials",
    default="coulomb,london,pauli:3.0",
    show_default=True,
    metavar="NAMES",
    help=(
        "What to sum, joined by commas: coulomb, london, inverse-power:P, pauli:ALPHA, "
        "screened-coulomb:ALPHA, lennard-jones:SIGMA:EPSILON, "
        "morse:DEPTH:ALPHA:DISTANCE; lengths in Å, energies in eV."
    ),
)
@click.option(
    "--tolerance",
    type=float,
    default=1e-10,
    show_default=True,
    help="Largest truncation error of any sum.",
)
@click.option(
    "--format",
    "file_format",
    metavar="NAME",
    help="Format of the files, if neither names nor contents tell.",
)
@_options.device
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per structure."
)
def featurize(
    paths: tuple[str, ...],
    output: Path | None,
    potentials: str,
    tolerance: float,
    file_format: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Sum pair potentials over all periodic images, for all pairs of atoms.

    FILES are structure files, folders to search for them, or - for standard input.
    Without --output the sums are shown. A folder given with --output holds them in
    shards; if the run is interrupted, the same command goes on where it stopped.

    Exit code: 0 if all went well, 3 if some structures failed, 1 if none worked.
    """
    from crystaltensor.cli import _render_featurize as render
    from crystaltensor.workflows import featurize as workflow

    settings: dict[str, Any] = {
        "potentials": potentials,
        "tolerance": tolerance,
        "file_format": file_format,
        "device": device,
    }
    if output is not None and output.suffix == ".npz":
        found = workflow.featurize(_only(paths), **settings)
        found.write_npz(output)
        render.one(found, tolerance, as_json=as_json, written=output)
        return
    if output is not None:
        from crystaltensor.workflows.featurize_many import featurize_into

        reports = featurize_into(output, paths, **settings)
        code = render.store(reports, output, as_json=as_json)
    else:
        outcomes = workflow.featurize_all(paths, **settings)
        code = render.several(outcomes, tolerance, as_json=as_json)
    click.get_current_context().exit(code)


def _only(paths: tuple[str, ...]) -> str:
    """Return the one file that goes into an archive."""
    if len(paths) > 1 or Path(paths[0]).is_dir():
        raise click.UsageError(
            "an .npz file holds one crystal; name a folder for --output"
        )
    return paths[0]
