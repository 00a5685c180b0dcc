"""Many tensors at once: of one crystal, or one of each of many."""

import json
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.io import ReadCrystal, read_single
from crystaltensor.crystals.opening import opened
from crystaltensor.crystals.parsing import MAX_TEXT
from crystaltensor.crystals.records import crystal_from_dict
from crystaltensor.crystals.tensor_files import tensor_from_json
from crystaltensor.errors import (
    ConfigError,
    CrystalTensorError,
    FormatError,
    ShapeError,
)
from crystaltensor.symmetry.frames import frame_rotation
from crystaltensor.symmetry.index_symmetry import parse_index_symmetry
from crystaltensor.symmetry.interpretation import from_matrix, voigt_shape
from crystaltensor.symmetry.notation import rotate
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.symmetry.projection import project
from crystaltensor.workflows.symmetrize import symmetrize
from crystaltensor.workflows.targets import Options, Target, choose_target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crystaltensor.crystals.tensor_files import GivenTensor

    Floats = NDArray[np.float64]


def of_many_crystals(
    source: str, target: Target | None, *, options: Options
) -> Iterator[dict[str, Any]]:
    """Project the tensor of each line of a JSON-lines file.

    Parameters
    ----------
    source : path
        Each line holds a structure and a tensor, as the rows of a data set or the
        predictions of this tool do; ``"-"`` is standard input.
    target : Target or None
        What the tensors are; what each line says under ``"property"`` if None.
    options : Options
        Frames, notation and tolerance for all.

    Yields
    ------
    dict
        The fields of `Symmetrized.as_dict` that a program wants, and the ``"id"`` of
        the line; or ``"status": "error"`` with the reason. A bad line stops nothing.

    Raises
    ------
    FormatError
        If the file cannot be opened.
    """
    quick = Options(**{**vars(options), "explain": False, "quick": True})
    try:
        with opened(source) as (stream, _):
            for index, line in enumerate(iter(partial(stream.readline, MAX_TEXT), "")):
                if not line.isspace():
                    yield _one(line, f"{source}#{index}", target, quick)
    except FormatError as error:
        raise FormatError(f"{source}: {error}") from error


def _one(
    line: str, name: str, target: Target | None, options: Options
) -> dict[str, Any]:
    """Treat one line."""
    record: Any = None
    try:
        record = json.loads(line)
        crystal, kind = _crystal_and_target(record, target)
        row = kind.row
        keys = (row.name, row.label, *row.aliases)
        given = tensor_from_json(record, name, keys)
        read = ReadCrystal(crystal, name)
        result = symmetrize(kind, read=read, given=given, options=options)
        found = result.as_dict(brief=True)
    except (CrystalTensorError, ValueError, TypeError, RecursionError) as error:
        kind_of_error = type(error).__name__
        if not isinstance(error, CrystalTensorError):
            kind_of_error = "FormatError"
        message = " ".join(str(error).split()).removeprefix(f"{name}: ")
        found = {
            "source": name,
            "status": "error",
            "error": {"type": kind_of_error, "message": message},
        }
    label = record.get("id") if isinstance(record, dict) else None
    return {"id": label, **found} if isinstance(label, str | int) else found


def _crystal_and_target(
    record: Any,  # noqa: ANN401 - decoded JSON
    target: Target | None,
) -> tuple[Crystal, Target]:
    """Take the crystal of a line, and what its tensor is."""
    if not isinstance(record, dict):
        raise FormatError("expected an object with a structure and a tensor")
    if target is None:
        name = record.get("property")
        if not isinstance(name, str):
            raise ConfigError(
                'say what the tensors are: --property, or "property" in each line'
            )
        target = choose_target(name)
    if "structure" not in record and "atoms" not in record:
        raise FormatError('there is no "structure" beside the tensor')
    return crystal_from_dict(record), target


def of_one_crystal(
    target: Target,
    source: str,
    given: "GivenTensor",
    *,
    options: Options,
) -> "tuple[Floats, Floats]":
    """Project many tensors of one crystal.

    Parameters
    ----------
    target : Target
        What they are.
    source : path
        The crystal.
    given : GivenTensor
        An array of them: the first axis counts tensors.
    options : Options
        Frames, notation and tolerance.

    Returns
    -------
    tensors : ndarray, shape (n, 3, ..., 3)
        Projected, in full, in the frame asked for.
    residuals : ndarray, shape (n,)
        ‖T − PT‖/‖T‖ of each, nan for a zero tensor.

    Raises
    ------
    ShapeError
        If the array does not hold tensors of this kind.
    ConfigError
        If there is one tensor per atom, which this cannot do.
    CrystalTensorError
        Whatever is wrong with the crystal.
    """
    row = target.row
    if row.per_atom:
        raise ConfigError("--batch of one crystal takes no tensors of atoms")
    read = read_single(source)
    symmetry = find_symmetry(read.crystal, symprec=options.symprec)
    full = _stack(given, target, options)
    turn = frame_rotation(symmetry, options.tensor_frame or given.frame or "input")
    group = turn @ symmetry.rotations @ turn.T
    projected = project(
        full, group, index_symmetry=row.index_symmetry, axial=target.axial
    )
    axes = tuple(range(1, full.ndim))
    norms = np.sqrt(np.square(full).sum(axis=axes))
    errors = np.sqrt(np.square(full - projected).sum(axis=axes))
    residuals = np.divide(
        errors, norms, out=np.full_like(norms, np.nan), where=norms > 0
    )
    whole = frame_rotation(symmetry, options.frame) @ turn.T
    if not np.allclose(whole, np.eye(3), rtol=0, atol=1e-15):
        projected = rotate(projected, whole, rank=row.rank, axial=target.axial)
    return projected, residuals


def _stack(given: "GivenTensor", target: Target, options: Options) -> "Floats":
    """Read an array of tensors as full tensors."""
    rank, values = target.row.rank, given.values
    shape = voigt_shape(parse_index_symmetry(target.row.index_symmetry))
    if values.shape[1:] == (3,) * rank:
        return values
    if shape is None or values.shape[1:] != shape:
        wanted = f"(n, {', '.join(['3'] * rank)})"
        also = "" if shape is None else f" or (n, {', '.join(map(str, shape))})"
        raise ShapeError(
            f"{given.source}: an array of many tensors has shape {wanted}{also}, not "
            f"{values.shape}"
        )
    notation = options.notation or given.notation or "voigt"
    factors = "mandel" if notation == "mandel" else target.factors
    order = options.order or given.order or "voigt"
    return from_matrix(values, target.row.index_symmetry, factors=factors, order=order)
