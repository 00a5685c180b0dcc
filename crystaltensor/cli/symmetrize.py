"""``crystaltensor symmetrize``."""

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from crystaltensor.cli import _options

if TYPE_CHECKING:
    from crystaltensor.crystals.tensor_files import GivenTensor

FRAMES = click.Choice(["input", "ieee", "standard"])
NOTATIONS = click.Choice(["full", "voigt", "mandel"])


@click.command(
    epilog="Examples: crystaltensor symmetrize POSCAR --property piezo; "
    "crystaltensor symmetrize POSCAR OUTCAR --property elastic --frame ieee; "
    "crystaltensor symmetrize --point-group 6mm --property piezo"
)
@click.argument("structure", type=_options.STRUCTURE, required=False)
@click.argument("tensor", type=_options.STRUCTURE, required=False)
@click.option(
    "--property", "property_name", type=_options.PROPERTY, help="What TENSOR is."
)
@click.option("--rank", type=click.IntRange(1, 4), help="Of a tensor without a name.")
@click.option("--index-symmetry", metavar="TEXT", help='Of it, such as "ijk=ikj".')
@click.option(
    "--parity", type=click.Choice(["even", "odd"]), help="Of it, under inversion."
)
@click.option("--axial", is_flag=True, help="It is axial (a pseudotensor).")
@click.option(
    "--voigt-factors",
    "factors",
    type=click.Choice(["stress", "strain"]),
    default="stress",
    show_default=True,
    help="Factors of its Voigt form: none, or 2 as d and S have.",
)
@click.option("--point-group", metavar="SYMBOL", help="In place of STRUCTURE: 6mm.")
@click.option("--format", "file_format", metavar="NAME", help="Of STRUCTURE.")
@_options.symprec
@click.option("--input-notation", type=NOTATIONS, help="Of TENSOR; else guessed aloud.")
@click.option(
    "--voigt-order",
    type=click.Choice(["voigt", "vasp"]),
    help="Of TENSOR: xx yy zz yz xz xy, or VASP's xx yy zz xy yz zx.",
)
@click.option("--tensor-frame", type=FRAMES, help="Of TENSOR; else that of the file.")
@click.option(
    "--frame", type=FRAMES, default="input", show_default=True, help="Of the result."
)
@click.option(
    "--ieee-signs",
    is_flag=True,
    help="Turn IEEE axes so that the leading piezoelectric constants are positive.",
)
@click.option("--notation", type=NOTATIONS, help="Of the output file.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), help="Write to a file."
)
@click.option(
    "--also",
    multiple=True,
    metavar="NAME=FILE",
    help="Another tensor of the crystal, such as elastic=C.json, for d = e·S; its order "
    "or notation may follow: elastic=C.csv,vasp.",
)
@click.option("--scan-symprec", is_flag=True, help="Try tolerances from 1e-5 to 0.3 Å.")
@click.option(
    "--structure-out",
    type=click.Path(dir_okay=False),
    help="Write the structure, made exactly symmetric.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False),
    help="Draw directional surfaces: .png, .svg, or an interactive .html.",
)
@click.option(
    "--batch",
    is_flag=True,
    help="STRUCTURE is JSON lines, one crystal with its tensor each; or TENSOR is an "
    "array of many tensors.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def symmetrize(
    structure: str | None,
    tensor: str | None,
    **settings: Any,  # noqa: ANN401 - checked by click
) -> int | None:
    """Say what symmetry allows of a tensor, and project TENSOR onto it.

    STRUCTURE is a POSCAR, CIF, extended XYZ or JSON file. TENSOR is JSON, CSV, text or
    .npy, an OUTCAR or vasprun.xml of VASP, or a prediction of this tool; - is standard
    input. Without TENSOR the allowed form is shown.
    """
    if "numpy" not in sys.modules:
        # The matrices are small: threads would only wait for each other.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if settings["point_group"] and tensor is None:
        structure, tensor = None, structure
    if settings["batch"]:
        return _batch(structure, tensor, settings)
    _single(structure, tensor, settings)
    return None


def _single(structure: str | None, tensor: str | None, asked: dict[str, Any]) -> None:
    """Treat one crystal."""
    from crystaltensor.cli import _render_many
    from crystaltensor.cli import _render_symmetrize as render
    from crystaltensor.crystals.io import read_single
    from crystaltensor.symmetry.interface import space_group
    from crystaltensor.workflows.symmetrize import symmetrize as run

    if structure is None and asked["point_group"] is None:
        raise click.UsageError("give STRUCTURE, or --point-group")
    if structure == "-" and tensor == "-":
        raise click.UsageError("only one of STRUCTURE and TENSOR can be standard input")
    _refuse_lonely_options(structure, tensor, asked)
    given = _read_tensor(tensor, asked)
    target = _target(asked, given)
    read = None
    if structure is not None:
        read = read_single(structure, file_format=asked["file_format"])
    options = _look(asked)
    if asked["scan_symprec"] and read is not None:
        from crystaltensor.workflows.scan import scan

        rows = scan(target, read, given, options=options)
        _render_many.scan(rows, target, as_json=asked["as_json"])
    elif target is None and read is not None:
        symmetry = space_group(read.crystal, symprec=asked["symprec"])
        written = _structure_out(symmetry, asked["structure_out"])
        render.structure(symmetry, written, as_json=asked["as_json"])
    else:
        found = run(
            target,
            read=read,
            point_group=asked["point_group"],
            given=given,
            others=_others(asked["also"]),
            options=options,
        )
        _outputs(found, asked)
        written = None
        if asked["structure_out"]:
            written = _structure_out(found.symmetry, asked["structure_out"])
        render.symmetrized(found, as_json=asked["as_json"], written=written)


def _refuse_lonely_options(
    structure: str | None, tensor: str | None, asked: dict[str, Any]
) -> None:
    """Refuse options that would do nothing."""
    if asked["ieee_signs"] and asked["frame"] != "ieee":
        raise click.UsageError("--ieee-signs needs --frame ieee")
    if asked["notation"] and not asked["output"]:
        raise click.UsageError("--notation is that of a file: name it with --output")
    if tensor is None:
        needs_tensor = ("output", "plot", "also", "tensor_frame", "input_notation")
        for name in (*needs_tensor, "voigt_order", "ieee_signs"):
            if asked[name]:
                raise click.UsageError(f"--{name.replace('_', '-')} needs TENSOR")
    if structure is None:
        for name in ("scan_symprec", "structure_out"):
            if asked[name]:
                raise click.UsageError(f"--{name.replace('_', '-')} needs STRUCTURE")


def _look(asked: dict[str, Any]) -> Any:  # noqa: ANN401 - imported late
    """Collect the settings of one look at a tensor."""
    from crystaltensor.workflows.targets import Options

    return Options(
        symprec=asked["symprec"],
        frame=asked["frame"],
        positive=asked["ieee_signs"],
        tensor_frame=asked["tensor_frame"],
        notation=asked["input_notation"],
        order=asked["voigt_order"],
    )


def _target(asked: dict[str, Any], given: "GivenTensor | None") -> Any:  # noqa: ANN401
    """Settle what the tensor is; its file may say."""
    from crystaltensor.workflows.targets import choose_target

    name = asked["property_name"]
    described = asked["rank"] is not None or asked["index_symmetry"] is not None
    if name is None and not described and given is not None:
        name = given.property_name
    enough = given is None and (asked["scan_symprec"] or asked["structure_out"])
    if name is None and not described and enough:
        return None
    if name is None and not described:
        raise click.UsageError(
            "say what the tensor is: --property, or --rank and --index-symmetry"
        )
    return choose_target(
        name,
        rank=asked["rank"],
        index_symmetry=asked["index_symmetry"],
        parity=asked["parity"],
        axial=asked["axial"],
        factors=asked["factors"],
    )


def _read_tensor(path: str | None, asked: dict[str, Any]) -> "GivenTensor | None":
    """Read TENSOR."""
    from crystaltensor.crystals.tensor_files import read_tensor
    from crystaltensor.properties import tensor_property

    if path is None:
        return None
    name = asked["property_name"]
    if name is None:
        return read_tensor(path)
    row = tensor_property(name)
    return read_tensor(path, property_name=row.name, keys=(row.label, *row.aliases))


def _others(also: tuple[str, ...]) -> "dict[str, GivenTensor]":
    """Read the tensors beside TENSOR."""
    from crystaltensor.crystals.tensor_files import read_tensor
    from crystaltensor.properties import tensor_property

    found = {}
    for item in also:
        name, separator, path = item.partition("=")
        if not separator or not path:
            raise click.UsageError(f"--also takes NAME=FILE, not {item!r}")
        row = tensor_property(name)
        keys = (row.label, *row.aliases)
        path, *said = path.split(",")
        unknown = set(said) - {"vasp", *NOTATIONS.choices}
        if unknown:
            raise click.UsageError(f"--also: {min(unknown)!r} is no order or notation")
        given = read_tensor(path, property_name=row.name, keys=keys)
        notations = [one for one in said if one != "vasp"]
        found[row.name] = replace(
            given,
            order="vasp" if "vasp" in said else given.order,
            notation=notations[-1] if notations else given.notation,
        )
    return found


def _outputs(found: Any, asked: dict[str, Any]) -> None:  # noqa: ANN401 - imported late
    """Write the tensor and its picture, if they are asked for."""
    if asked["plot"]:
        from crystaltensor.workflows.pictures import draw

        draw(found, asked["plot"])
    if asked["output"]:
        from crystaltensor.workflows.tensor_output import write_tensor

        write_tensor(found, asked["output"], notation=asked["notation"])


def _structure_out(symmetry: Any, path: str) -> Any:  # noqa: ANN401 - imported late
    """Write the structure, made symmetric."""
    from crystaltensor.crystals.writing import write_crystal
    from crystaltensor.symmetry.structures import symmetrize_crystal

    structure = symmetrize_crystal(symmetry)
    write_crystal(structure.crystal, path)
    return structure


def _batch(structure: str | None, tensor: str | None, asked: dict[str, Any]) -> int:
    """Treat many tensors; 3 if some of them failed."""
    from crystaltensor.cli import _render_many as render
    from crystaltensor.workflows import symmetrize_many

    if structure is None:
        raise click.UsageError("--batch needs a file of JSON lines, or - for stdin")
    given = _read_tensor(tensor, asked)
    if given is not None:
        target = _target(asked, given)
        tensors, residuals = symmetrize_many.of_one_crystal(
            target, structure, given, options=_look(asked)
        )
        render.many(tensors, residuals, target, asked["output"], asked["notation"])
        return 0
    target = _target(asked, None) if asked["property_name"] or asked["rank"] else None
    results = symmetrize_many.of_many_crystals(structure, target, options=_look(asked))
    return render.batch(results, asked["output"])
