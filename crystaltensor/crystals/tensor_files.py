"""Tensors from files: JSON, CSV, text, .npy, and calculations of VASP.

A file gives numbers and says as much about them as it can. What its numbers mean, full
or Voigt components, is settled later, where the rank and the crystal are known.
"""

import io
import json
import re
import sys
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from crystaltensor.crystals.calculations import read_outcar, read_vasprun
from crystaltensor.crystals.opening import opened
from crystaltensor.errors import CrystalTensorError, FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_LARGEST = 1 << 25  # characters; a tensor of ten thousand atoms has some 2 MB
FRAMES = ("input", "ieee", "standard")
_NOTATIONS = {"tensor": "full", "full": "full", "voigt": "voigt", "mandel": "mandel"}


@dataclass(frozen=True, eq=False)
class GivenTensor:
    """The numbers of a tensor and what their source says about them.

    Parameters
    ----------
    values : ndarray
        In the shape of the file.
    source : str
        The path as given.
    notation : str or None
        ``"full"``, ``"voigt"`` or ``"mandel"`` if the source says.
    order : str or None
        ``"voigt"`` or ``"vasp"`` if the source says.
    property_name : str or None
        If the source says.
    frame : str or None
        ``"input"``, ``"ieee"`` or ``"standard"`` if the source says.
    unit : str or None
        If the source says.
    rotation : ndarray, shape (3, 3), or None
        From the frame of the crystal's file to `frame`, if the source says.
    lattice : ndarray, shape (3, 3), or None
        Rows in Å, if the source holds the crystal.
    notes, warnings : tuple of str
        What its reader did, and what limits the numbers.
    """

    values: "Floats"
    source: str
    notation: str | None = None
    order: str | None = None
    property_name: str | None = None
    frame: str | None = None
    unit: str | None = None
    rotation: "Floats | None" = None
    lattice: "Floats | None" = None
    notes: tuple[str, ...] = field(default=())
    warnings: tuple[str, ...] = field(default=())


def read_tensor(
    source: str | Path, *, property_name: str | None = None, keys: "Sequence[str]" = ()
) -> GivenTensor:
    """Read the tensor of a file.

    Parameters
    ----------
    source : path
        ``"-"`` is standard input.
    property_name : str, optional
        Which one to take from a file that holds several, such as an OUTCAR.
    keys : sequence of str
        Other names of the property, which a JSON file may use.

    Returns
    -------
    GivenTensor
        Finite numbers in the shape of the file.

    Raises
    ------
    FormatError
        If the file cannot be read as a tensor; the message starts with the source.
    """
    name = str(source)
    wanted = [key for key in (property_name, *keys) if key]
    try:
        found = _read(name, property_name, wanted)
        _refuse_odd_numbers(found.values)
    except CrystalTensorError as error:
        raise type(error)(f"{name}: {error}") from error
    except (OSError, EOFError) as error:
        raise FormatError(f"{name}: cannot be read: {error}") from error
    return found


def tensor_from_json(
    value: object, source: str, wanted: "Sequence[str]" = ()
) -> GivenTensor:
    """Take the tensor of a decoded JSON value.

    Parameters
    ----------
    value : object
        A nested list, or an object that has one under ``"tensor"``, ``"voigt"``,
        ``"mandel"`` or a name of the property, itself or under ``"tensors"``; also
        a prediction of this tool, or pymatgen's form of a tensor.
    source : str
        Kept with the result.
    wanted : sequence of str
        Names of the property.

    Returns
    -------
    GivenTensor
        With what the object says about its numbers.

    Raises
    ------
    FormatError
        If there is no tensor in it, or it is no array of numbers.
    """
    if isinstance(value, list):
        return GivenTensor(_array(value), source)
    if not isinstance(value, dict):
        raise FormatError("expected an array of numbers, or an object that holds one")
    if value.get("status") == "error":
        raise FormatError("this prediction failed; it holds no tensor")
    name, key, inner = _find(value, wanted)
    notation = _NOTATIONS.get(key, value.get("notation"))
    said = {
        key: value[key]
        for key in ("frame", "unit", "property")
        if isinstance(value.get(key), str)
    }
    return GivenTensor(
        _array(inner),
        source,
        notation=notation if notation in _NOTATIONS.values() else None,
        property_name=name or said.get("property"),
        frame=said["frame"] if said.get("frame") in FRAMES else None,
        unit=said.get("unit"),
        rotation=_matrix(value.get("rotation")),
        lattice=_lattice(value),
    )


def _lattice(value: dict[str, Any]) -> "Floats | None":
    """Take the lattice of a record, beside the tensor or in its structure."""
    lattice, structure = value.get("lattice"), value.get("structure")
    if lattice is None and isinstance(structure, dict):
        lattice = structure.get("lattice")
    if isinstance(lattice, dict):
        lattice = lattice.get("matrix")
    return _matrix(lattice)


def _matrix(value: object) -> "Floats | None":
    """Take a 3×3 matrix, if it is one."""
    if value is None:
        return None
    matrix = _array(value)
    if matrix.size != 9:
        raise FormatError("its lattice or rotation is not a 3 × 3 matrix")
    return matrix.reshape(3, 3)


def _find(
    value: dict[str, Any], wanted: "Sequence[str]"
) -> tuple[str | None, str, object]:
    """Find the numbers of an object: property, key and value."""
    if "input_array" in value:  # pymatgen's MSONable tensors
        return None, "full", value["input_array"]
    if value.get("@class") == "array" and "data" in value:
        return None, "", value["data"]
    tensors = value.get("tensors")
    tensors = tensors if isinstance(tensors, dict) else {}
    for holder, key in product((tensors, value), wanted):
        if key in holder:
            inner = holder[key]
            return (
                (key, *_find(inner, ())[1:])
                if isinstance(inner, dict)
                else (None, "", inner)
            )
    for key in _NOTATIONS:
        if value.get(key) is not None:
            return None, key, value[key]
    if len(tensors) == 1 and not wanted:
        key, inner = next(iter(tensors.items()))
        return key, "", inner
    raise FormatError(
        "holds no tensor that is asked for; its keys are "
        + ", ".join(sorted(str(key)[:40] for key in (tensors or value))[:12])
    )


def _read(name: str, property_name: str | None, wanted: list[str]) -> GivenTensor:
    """Read a file by what it is."""
    if name == "-":
        raw = sys.stdin.buffer.read(_LARGEST)
        if raw.startswith(b"\x93NUMPY"):
            return GivenTensor(_from_npy(io.BytesIO(raw)), name)
        return _from_text(io.BytesIO(raw), name, property_name, wanted)
    path = Path(name)
    if path.is_file():
        with path.open("rb") as binary:
            if binary.read(6) == b"\x93NUMPY":
                binary.seek(0)
                return GivenTensor(_from_npy(binary), name)
    return _from_text(path, name, property_name, wanted)


def _from_text(
    source: Path | IO[bytes], name: str, property_name: str | None, wanted: list[str]
) -> GivenTensor:
    """Read a text: JSON, a calculation, or rows of numbers."""
    with opened(source) as (stream, head):
        base = re.split(r"[/\\]", name)[-1].lower()
        xml = "<modeling>" in head
        if xml or base.startswith("outcar") or re.match(r"\s*vasp\.\d", head):
            if property_name is None:
                raise FormatError("holds several tensors; say which with --property")
            read = read_vasprun if xml else read_outcar
            found = read(stream, property_name)
            return GivenTensor(
                found.values,
                name,
                notation=found.notation,
                order=found.order,
                property_name=property_name,
                lattice=found.lattice,
                notes=found.notes,
                warnings=found.warnings,
            )
        text = stream.read(_LARGEST)
        if len(text) == _LARGEST:
            raise FormatError("is too long for one tensor")
        if head.lstrip()[:1] in {"{", "["}:
            return tensor_from_json(_loads(text), name, wanted)
        return _with_comment(GivenTensor(_from_rows(text), name), text)


def _loads(text: str) -> object:
    """Decode JSON, with our errors."""
    try:
        return json.loads(text)
    except RecursionError:
        raise FormatError("is nested too deeply to be a tensor") from None
    except json.JSONDecodeError as error:
        more = "; several objects, one per line, need --batch"
        raise FormatError(
            f"is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})"
            + (more if error.msg == "Extra data" else "")
        ) from None
    except ValueError:
        raise FormatError("holds a number that is too long") from None


def _from_rows(text: str) -> "Floats":
    """Read rows of numbers, separated by blanks, commas, semicolons or tabs."""
    rows: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = re.split(r"[#!%]", line, maxsplit=1)[0]
        items = [item for item in re.split(r"[\s,;]+", bare) if item]
        if not items:
            continue
        try:
            rows.append([float(item) for item in items])
        except ValueError:
            raise FormatError(
                f"line {number}: {items[0][:20]!r}… is not a row of numbers; "
                "a comment starts with #"
            ) from None
    if not rows:
        raise FormatError("holds no numbers")
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise FormatError(
            f"its rows have {', '.join(map(str, sorted(lengths)))} numbers; "
            "all must have as many"
        )
    return np.array(rows)


def _with_comment(given: GivenTensor, text: str) -> GivenTensor:
    """Take what this tool writes into the first lines of its own text files."""
    said = dict(
        re.findall(r"^#\s*(notation|frame|property|unit):\s*(\S+)", text, re.MULTILINE)
    )
    return replace(
        given,
        notation=said.get("notation"),
        frame=said.get("frame"),
        property_name=said.get("property"),
        unit=said.get("unit"),
    )


def _from_npy(stream: IO[bytes]) -> "Floats":
    """Read numpy's format; pickled objects are never loaded."""
    try:
        return _array(np.load(stream, allow_pickle=False))
    except CrystalTensorError:
        raise
    except Exception as error:  # whatever numpy's parser of headers trips over
        raise FormatError(f"is no array of numbers: {error}") from error


def _array(value: object) -> "Floats":
    """Make an array of floats out of nested lists."""
    try:
        raw = np.asarray(value)
        if raw.dtype.kind in "iuf":
            return np.array(raw, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        raw = np.empty(0)
    if raw.dtype.kind == "c":
        raise FormatError("holds complex numbers; give the real part")
    raise FormatError("is no array of numbers: rows of one length, without gaps")


def _refuse_odd_numbers(values: "Floats") -> None:
    """Refuse an empty tensor, and entries that are not finite."""
    if not values.size:
        raise FormatError("holds no numbers")
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        where = ", ".join(str(place + 1) for place in bad[0])
        raise FormatError(
            f"{len(bad)} entries are not finite numbers, the first at ({where})"
        )
