"""Properties from forces: the options of ``predict`` that concern a potential."""

from typing import TYPE_CHECKING, Any

import click

from crystaltensor.cli import _options, _stream

if TYPE_CHECKING:
    from crystaltensor.cli._options import Command


def options(command: "Command") -> "Command":
    """Add what concerns a potential."""
    return _options.add(command, _listed())


def _listed() -> list[Any]:
    """List the options, in the order of the help."""
    return [
        click.option(
            "--potential",
            metavar="NAME",
            help="Compute piezo, dielectric-total or elastic from the forces of a "
            "potential: chgnet, sevenn:7net-0, mace:PATH or module:callable.",
        ),
        click.option(
            "--relax", is_flag=True, help="With --potential: relax the atoms first."
        ),
        click.option(
            "--born",
            type=click.Path(exists=True, dir_okay=False),
            help="With --potential: Born charges from an OUTCAR, vasprun.xml or JSON "
            "file.",
        ),
        click.option(
            "--learned",
            type=click.Path(exists=True, file_okay=False),
            help="With --potential: the folder of a learned part from crystaltensor fit.",
        ),
    ]


def wanted(given: dict[str, Any]) -> bool:
    """Say whether a potential is to be used; take its options out if not.

    Parameters
    ----------
    given : dict
        The options beyond those of every prediction.

    Returns
    -------
    bool
        True if there is a potential.

    Raises
    ------
    UsageError
        If there is an option for a potential, but none.
    """
    if given["potential"] is not None:
        return True
    for name in ("relax", "born", "learned"):
        if given[name]:
            raise click.UsageError(f"--{name} needs a --potential")
    for name in ("potential", "relax", "born", "learned"):
        del given[name]
    return False


def run(
    structures: tuple[str, ...],
    settings: dict[str, Any],
    given: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    """Compute response properties of a crystal from forces, and show them.

    Parameters
    ----------
    structures : tuple of str
        One file.
    settings : dict
        Of every prediction.
    given : dict
        The options beyond.
    as_json : bool
        Whether records are wanted.

    Raises
    ------
    UsageError
        If an option does not go with a potential.
    """
    from crystaltensor.cli._render_progress import counting
    from crystaltensor.cli._render_response import responses
    from crystaltensor.workflows.respond import respond

    forces = {
        "potential": given.pop("potential"),
        "relaxed": given.pop("relax"),
        "born": given.pop("born"),
        "learned": given.pop("learned"),
    }
    if settings.pop("model", None) is not None:
        raise click.UsageError("--potential has its own models: leave out --model")
    if _stream.wanted(structures, given):
        raise click.UsageError("--potential takes one structure, and shows it")
    with counting("force calculations") as on_call:
        found = list(respond(structures[0], on_call=on_call, **settings, **forces))
    responses(iter(found), as_json=as_json)
