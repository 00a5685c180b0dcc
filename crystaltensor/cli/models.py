"""``crystaltensor models``."""

import click


@click.command(epilog="Example: crystaltensor models piezo runs/mine")
@click.argument("models", nargs=-1, metavar="[MODEL...]")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per model."
)
def models(models: tuple[str, ...], as_json: bool) -> None:
    """List the models that are installed, with their data, errors and sizes.

    MODEL is the name of a property or the folder of a model of your own; several are
    compared in one table.
    """
    from crystaltensor.cli._render_models import listed
    from crystaltensor.workflows.models import list_models

    listed(list_models(models), as_json=as_json)
