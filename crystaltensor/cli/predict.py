"""``crystaltensor predict``."""

from typing import Any

import click

from crystaltensor.cli import _options, _potential, _stream


@click.command(
    epilog="Example: crystaltensor predict POSCAR --property piezo --json > piezo.json"
)
@click.argument("structures", nargs=-1, type=_stream.Structures())
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
    type=click.Path(exists=True),
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
@_potential.options
@click.option(
    "--explain",
    is_flag=True,
    help="Name the training crystals that are most like the one given.",
)
@_stream.options
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object per property, each on a line.",
)
def predict(
    structures: tuple[str, ...],
    *,
    properties: tuple[str, ...],
    model: str | None,
    file_format: str | None,
    symprec: float,
    frame: str,
    device: str,
    explain: bool,
    as_json: bool,
    **many: Any,  # noqa: ANN401 - checked by click
) -> int | None:
    """Predict tensor properties of the crystals in STRUCTURES.

    STRUCTURES are POSCAR, CIF, extended XYZ or JSON files, or - for standard input. The
    tensor is in the Cartesian frame of the file, unless --frame says otherwise, and has
    exactly the symmetry of the crystal.

    Several files, folders, patterns and ASE databases are treated as a stream: a bad
    file stops nothing, and with --output a run that was stopped goes on with --resume.

    Exit code: 0 if all went well, 3 if some structures failed, 1 if none worked.
    """  # noqa: DOC501 - --help shows this
    settings: dict[str, Any] = {
        "model": model,
        "symprec": symprec,
        "frame": frame,
        "device": device,
    }
    if _potential.wanted(many):
        settings |= {"properties": properties, "file_format": file_format}
        _potential.run(structures, settings, many, as_json=as_json)
        return None
    if _stream.wanted(structures, many):
        if explain:
            raise click.UsageError("--explain takes one structure")
        settings |= {"properties": properties, "file_format": file_format}
        return _stream.run(structures, settings, many, as_json=as_json)
    from crystaltensor.cli._render_prediction import predictions as show
    from crystaltensor.workflows.predict import predict as run

    predictions = run(
        structures[0],
        properties,
        file_format=file_format,
        explain=explain,
        **settings,
    )
    show(predictions, as_json=as_json)
    return None
