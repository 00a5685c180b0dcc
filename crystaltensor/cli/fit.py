"""``crystaltensor fit``."""

from pathlib import Path

import click

from crystaltensor.cli import _options
from crystaltensor.cli._settings import options_of
from crystaltensor.response.fitting import FitSettings

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    epilog="Examples: crystaltensor fit mp_piezo --property piezo --potential chgnet "
    "--out runs/mine; crystaltensor fit mp_piezo --property piezo --responses "
    "models/response/piezo-chgnet/responses.npz --out runs/again"
)
@click.argument("table")
@click.option(
    "--property",
    "name",
    required=True,
    type=_options.PROPERTY,
    help="piezo or dielectric-total.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of what is made.",
)
@click.option(
    "--potential",
    metavar="NAME",
    help="Whence the forces are: chgnet, sevenn:7net-0, mace:PATH or module:callable.",
)
@click.option(
    "--responses",
    type=FILE,
    help="Force constants that an earlier run has kept, in place of a potential.",
)
@click.option(
    "--max-atoms",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    help="Leave out crystals with more atoms in their primitive cell.",
)
@click.option(
    "--cache/--no-cache",
    default=True,
    show_default=True,
    help="Keep force constants in the cache folder, and go on where a run stopped.",
)
@options_of(FitSettings, without=())
def fit(
    *,
    table: str,
    name: str,
    out: Path,
    potential: str | None,
    responses: Path | None,
    max_atoms: int,
    cache: bool,
    **settings: object,
) -> None:
    """Fit what the forces of a potential do not hold of a property to DFT tensors.

    TABLE is a data set, or the name of one that comes along. `predict --potential`
    uses what is made once it lies in models/response/PROPERTY-POTENTIAL.
    """
    _refuse_both_or_none(potential, responses)
    from crystaltensor.cli._render_fit import fitting
    from crystaltensor.cli._render_progress import counting
    from crystaltensor.properties import find_property
    from crystaltensor.workflows.fit_response import fit_response

    given = {key: value for key, value in settings.items() if value is not None}
    row = find_property(name)
    with counting("force constants of crystals", time_left=True) as on_crystal:
        events = fit_response(
            table,
            row,
            out,
            FitSettings(**given),  # type: ignore[arg-type]
            potential=potential,
            responses=responses,
            max_atoms=max_atoms,
            cached=cache,
            on_crystal=on_crystal,
        )
        fitting(events)


def _refuse_both_or_none(potential: str | None, responses: Path | None) -> None:
    """Refuse two sources of force constants, and none.

    Raises
    ------
    UsageError
        With the options to choose from.
    """
    if (potential is None) == (responses is None):
        raise click.UsageError("give either --potential or --responses")
