"""``crystaltensor predict``."""

import click

from crystaltensor.cli import _options


@click.command(
    epilog="Example: crystaltensor predict POSCAR --property piezo --json > piezo.json"
)
@click.argument("structure", type=_options.STRUCTURE)
@click.option(
    "--property",
    "properties",
    type=_options.PropertyName("all"),
    required=True,
    multiple=True,
    help="What to predict: piezo, dielectric, born-charges, …, or all; may be repeated.",
)
@click.option(
    "--model",
    type=click.Path(exists=True, file_okay=False),
    help="Folder of a model of your own, in place of the one that comes along.",
)
@click.option(
    "--format",
    "file_format",
    metavar="NAME",
    help="Format of the file, if neither its name nor its content tells.",
)
@_options.symprec
@click.option(
    "--frame",
    type=click.Choice(["input", "ieee", "standard"]),
    default="input",
    show_default=True,
    help="Axes of the tensor: those of the file, IEEE 176-1987, or spglib's.",
)
@_options.device
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object per property, each on a line.",
)
def predict(
    structure: str,
    properties: tuple[str, ...],
    model: str | None,
    file_format: str | None,
    symprec: float,
    frame: str,
    device: str,
    as_json: bool,
) -> None:
    """Predict tensor properties of the crystal in STRUCTURE.

    STRUCTURE is a POSCAR, a CIF, an extended XYZ or a pymatgen JSON file, or - for
    standard input. The tensor is in the Cartesian frame of the file, unless --frame says
    otherwise, and has exactly the symmetry of the crystal.
    """
    from crystaltensor.cli._render_prediction import predictions as show
    from crystaltensor.workflows.predict import predict as run

    predictions = run(
        structure,
        properties,
        model=model,
        file_format=file_format,
        symprec=symprec,
        frame=frame,
        device=device,
    )
    show(predictions, as_json=as_json)
