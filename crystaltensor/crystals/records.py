"""Structures as JSON: pymatgen's, the rows of a data set, and JARVIS's."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.parsing import MAX_ATOMS, MAX_TEXT, Parsed, shown
from crystaltensor.errors import CrystalTensorError, FormatError, StructureError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


def parse_json(stream: "TextIO") -> "Iterator[Parsed | CrystalTensorError]":
    """Parse one JSON value, a list of structures, or one structure per line.

    Parameters
    ----------
    stream : TextIO
        The text. JSON lines are read one by one.

    Yields
    ------
    Parsed or CrystalTensorError
        One per structure; an error is that of one structure, and the next follows.

    Raises
    ------
    FormatError
        If the text is not JSON, or is cut short.
    """
    first = stream.readline(MAX_TEXT)
    while first.isspace():
        first = stream.readline(MAX_TEXT)
    try:
        value = json.loads(first if len(first) < MAX_TEXT else "")
    except (ValueError, RecursionError):
        # One value over several lines, or no JSON at all.
        yield from _each(_loads(first + stream.read(MAX_TEXT), "the file"))
        return
    yield from _each(value)
    number = 1
    while line := stream.readline(MAX_TEXT):
        number += 1
        if not line.isspace():
            try:
                yield from _each(_loads(line, f"line {number}"))
            except FormatError as error:
                yield error


def _loads(text: str, where: str) -> object:
    """Decode JSON, with our errors."""
    if len(text) >= MAX_TEXT:
        raise FormatError(
            f"{where} is longer than {MAX_TEXT >> 20} MiB; "
            "write one structure per line (.jsonl)"
        )
    try:
        return json.loads(text)
    except RecursionError:
        raise FormatError(f"{where} is nested too deeply to be a structure") from None
    except json.JSONDecodeError as error:
        raise FormatError(
            f"{where} is not valid JSON: {error.msg} (line {error.lineno}, column "
            f"{error.colno}); is it cut short?"
        ) from None
    except ValueError:  # an integer of thousands of digits
        raise FormatError(f"{where} holds a number that is too long") from None


def _each(value: object) -> "Iterator[Parsed | CrystalTensorError]":
    """Read every structure of a decoded value."""
    for one in value if isinstance(value, list) else [value]:
        try:
            yield Parsed(crystal_from_dict(one))
        except CrystalTensorError as error:
            yield error


def crystal_from_dict(record: object) -> Crystal:
    """Make a crystal from a decoded JSON object.

    Parameters
    ----------
    record : dict
        Pymatgen's ``Structure.as_dict()``; ``{"lattice", "species", "frac_coords"}``
        with lattice vectors as rows; JARVIS's ``{"lattice_mat", "elements",
        "coords", "cartesian"}``; or one of these under ``"structure"`` or ``"atoms"``.

    Returns
    -------
    Crystal
        With the atoms in the order given.

    Raises
    ------
    FormatError
        If it is none of these, or an entry is not what it should be.
    """
    for key in ("structure", "atoms"):
        if isinstance(record, dict) and isinstance(record.get(key), dict):
            record = record[key]
    if not isinstance(record, dict):
        raise FormatError(f"expected a structure, a JSON object, not {shown(record)}")
    try:
        if "sites" in record:
            return _from_sites(record)
        if "lattice_mat" in record:
            cell, points = record["lattice_mat"], record["coords"]
            return _crystal(cell, points, record["elements"], record.get("cartesian"))
        return _crystal(
            record["lattice"], record["frac_coords"], record["species"], False
        )
    except KeyError as error:
        raise FormatError(
            f"the structure has no {error}; expected pymatgen's Structure.as_dict(), "
            'or {"lattice", "species", "frac_coords"}'
        ) from None
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise FormatError(
            f"the structure cannot be used: {shown(error)}; lattice must be 3 x 3 "
            "numbers, coordinates 3 numbers per atom"
        ) from None


def _from_sites(record: dict[str, Any]) -> Crystal:
    """Read pymatgen's Structure.as_dict()."""
    lattice = record["lattice"]
    if not all(lattice.get("pbc", [True])):
        raise StructureError(
            "not periodic in three directions; if it is a bulk crystal, set pbc to true"
        )
    species = []
    for index, site in enumerate(record["sites"], 1):
        kinds = site["species"]
        if len(kinds) != 1 or not abs(kinds[0]["occu"] - 1) <= 1e-8:
            named = ", ".join(f"{kind['element']} {kind['occu']}" for kind in kinds)
            raise StructureError(
                f"site {index} is disordered ({shown(named)}); choose an ordered model"
            )
        species.append(kinds[0]["element"])
    points = [site["abc"] for site in record["sites"]]
    return _crystal(lattice["matrix"], points, species, False)


def _crystal(cell: Any, points: Any, species: Any, cartesian: Any) -> Crystal:  # noqa: ANN401
    """Make a crystal from lists that have not been looked at."""
    if len(species) > MAX_ATOMS:
        raise StructureError(f"more than the {MAX_ATOMS} atoms that can be treated")
    if isinstance(species, str) or not all(isinstance(one, str) for one in species):
        raise FormatError('species must be a list of symbols, such as ["Al", "N"]')
    cell = np.array(cell, dtype=np.float64)
    frac = np.array(points, dtype=np.float64).reshape(-1, 3)
    if cartesian:
        frac = np.linalg.solve(cell.T, frac.T).T
    return Crystal.from_symbols(cell, frac, [one.strip() for one in species])
