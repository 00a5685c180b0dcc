"""Crystals from the objects of pymatgen and ASE, and back."""

import contextlib
import io
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.parsing import Parsed
from crystaltensor.errors import CrystalTensorError, FormatError, StructureError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ase import Atoms
    from pymatgen.core import Structure

_LONGEST_LINE = 10_000
"""Patterns of ASE's parsers take time with the square of it."""


def as_crystal(source: object) -> Crystal:
    """Take a crystal in any of the forms that Python users have.

    Parameters
    ----------
    source : Crystal, pymatgen Structure or ASE Atoms
        A Crystal comes back as it is.

    Returns
    -------
    Crystal
        With the atoms in the order given.

    Raises
    ------
    StructureError
        If it is something else, or not an ordered bulk crystal.
    """
    if isinstance(source, Crystal):
        return source
    # An object of a library that was never imported cannot exist: no import needed.
    atoms = sys.modules.get("ase.atoms")
    if atoms is not None and isinstance(source, atoms.Atoms):
        return from_ase(source)
    structures = sys.modules.get("pymatgen.core.structure")
    if structures is not None and isinstance(source, structures.SiteCollection):
        return from_pymatgen(source)
    kind = type(source).__name__
    hint = "; read a file with read_crystal" if kind in {"str", "PosixPath"} else ""
    raise StructureError(
        f"cannot take a {kind} for a crystal: give a Crystal, a pymatgen Structure or "
        f"ASE Atoms{hint}"
    )


def from_pymatgen(structure: "Structure") -> Crystal:
    """Convert a pymatgen Structure; oxidation states and site properties are left out.

    Parameters
    ----------
    structure : Structure
        Ordered, and periodic in three directions.

    Returns
    -------
    Crystal
        With the sites in their order, not wrapped.

    Raises
    ------
    StructureError
        If a site is disordered, or the structure is a molecule or a slab.
    """
    lattice = getattr(structure, "lattice", None)
    if lattice is None or not all(lattice.pbc):
        raise StructureError(
            "not periodic in three directions; put it into a cell with "
            "Structure(..., pbc all true) if it is a bulk crystal"
        )
    symbols = []
    for index, site in enumerate(structure, 1):
        if not site.is_ordered:
            raise StructureError(
                f"site {index} is disordered ({site.species_string}); choose an ordered "
                "model, for example with pymatgen's OrderDisorderedStructureTransformation"
            )
        # By name: the number and the symbol of deuterium are those of hydrogen there.
        element = getattr(site.specie, "element", site.specie)
        symbols.append(getattr(element, "name", site.specie.symbol))
    return Crystal.from_symbols(lattice.matrix, structure.frac_coords, symbols)


def to_pymatgen(crystal: Crystal) -> "Structure":
    """Convert to a pymatgen Structure, sites in the same order and not wrapped."""
    from pymatgen.core.structure import Structure  # late: it is slow

    return Structure(crystal.cell, crystal.symbols, crystal.frac)


def from_ase(atoms: "Atoms") -> Crystal:
    """Convert ASE Atoms; constraints, momenta and magnetic moments are left out.

    Parameters
    ----------
    atoms : Atoms
        With a cell, and periodic in three directions.

    Returns
    -------
    Crystal
        With the atoms in their order, not wrapped.

    Raises
    ------
    StructureError
        If there is no cell, or a direction is not periodic.
    """
    cell = np.array(atoms.cell, dtype=np.float64)
    if not np.linalg.norm(cell, axis=1).all():
        raise StructureError("there is no cell (a molecule?); set it with set_cell")
    if not all(atoms.pbc):
        raise StructureError(
            f"not periodic in three directions (pbc {[bool(flag) for flag in atoms.pbc]}); "
            "set pbc to True if it is a bulk crystal"
        )
    if np.linalg.det(cell) == 0 or not np.isfinite(cell).all():
        raise StructureError("the cell has no volume: its vectors lie in one plane")
    frac = np.linalg.solve(cell.T, atoms.positions.T).T
    return Crystal(cell, frac, atoms.numbers)


def to_ase(crystal: Crystal) -> "Atoms":
    """Convert to ASE Atoms, in the same order, periodic in three directions."""
    from ase import Atoms  # late: it is slow

    return Atoms(
        numbers=crystal.numbers,
        positions=crystal.positions,
        cell=crystal.cell,
        pbc=True,
    )


def parse_with_ase(
    text: str, file_format: str
) -> "Iterator[Parsed | CrystalTensorError]":
    """Parse a text format that ASE knows.

    Parameters
    ----------
    text : str
        The whole file.
    file_format : str
        ASE's name of a format that is text and never runs what it holds.

    Yields
    ------
    Parsed or CrystalTensorError
        One per structure.

    Raises
    ------
    FormatError
        If ASE cannot read it; whatever its parser raised is the cause.
    """
    from ase.io import read  # late: it is slow

    if "<!ENTITY" in text:
        raise FormatError(
            "defines entities of XML, which can be a trap, and which VASP never writes"
        )
    if file_format != "vasp-xml":
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > _LONGEST_LINE:
                raise FormatError(f"line {number} is too long: {len(line)} characters")
    # Some of ASE's parsers want a name; what they print or warn is not for the user.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "structure"
        path.write_text(text, encoding="utf-8")
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            try:
                images = read(path, index=":", format=file_format)
            except Exception as error:
                reason = " ".join(str(error).split()).replace(str(path), "it")[:120]
                raise FormatError(
                    f"cannot be read as {file_format}: {reason or type(error).__name__}"
                ) from error
    for atoms in images:
        try:
            yield Parsed(from_ase(atoms))
        except CrystalTensorError as error:
            yield error


def database_ids(path: str) -> tuple[int, int]:
    """Give the first and the last number of the rows of an ASE database.

    Parameters
    ----------
    path : str
        A file that ``ase db`` has written (SQLite).

    Returns
    -------
    first, last : int
        Rows count from 1; ``(1, 0)`` if there is none.

    Raises
    ------
    FormatError
        If it is no such file.
    """
    found = []
    for order in ("id", "-id"):
        rows = _database_rows(path, sort=order, limit=1)
        found += [int(row.id) for row in rows]
    return (found[0], found[1]) if found else (1, 0)


def parse_database(
    path: str, first: int, last: int
) -> "Iterator[tuple[int, Parsed | CrystalTensorError]]":
    """Read rows of an ASE database.

    Parameters
    ----------
    path : str
        A file that ``ase db`` has written (SQLite).
    first, last : int
        Numbers of rows; those that are not there are left out.

    Yields
    ------
    int
        Number of the row.
    Parsed or CrystalTensorError
        Its structure.

    Raises
    ------
    FormatError
        If it is no such file.
    """
    selected = [("id", ">=", first), ("id", "<=", last)]
    for row in _database_rows(path, selection=selected, sort="id"):
        try:
            yield int(row.id), Parsed(from_ase(row))  # it has what Atoms have
        except CrystalTensorError as error:
            yield int(row.id), error


def _database_rows(path: str, **query: object) -> "Iterator[Any]":
    """Ask an ASE database, with our errors."""
    from ase.db import connect  # late: it is slow

    if not Path(path).is_file():
        raise FormatError("there is no such file; check the name")
    try:
        # ASE's SQLite files hold numbers and JSON; nothing in them is run.
        yield from connect(path, type="db", use_lock_file=False).select(
            columns=["id", "numbers", "positions", "cell", "pbc"],
            include_data=False,
            **query,
        )
    except CrystalTensorError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise FormatError(
            f"cannot be read as a database of ASE: {reason or type(error).__name__}"
        ) from error
