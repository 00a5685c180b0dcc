"""Sets of structure files for tests and benchmarks, some of them broken on purpose.

Run ``python tests/structure_sets.py FOLDER 20000 --broken 0.01`` to make one.
"""

import argparse
import gzip
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.records import crystal_from_dict
from crystaltensor.data.tables import TABLES

KINDS = (
    "truncated",
    "binary",
    "encoding",
    "nan",
    "empty",
    "gigantic",
    "permission",
    "loop",
    "duplicate",
    "occupancy",
)
"""Ways in which a file is broken, or odd."""

FILES_PER_FOLDER = 1000
_GIGANTIC = 1 << 30  # bytes, nearly all of them a hole


def crystals(n: int, *, n_atoms: tuple[int, int] = (8, 12)) -> Iterator[Crystal]:
    """Take crystals of the bundled data set again and again, each time a bit larger."""
    with gzip.open(TABLES / "mp_piezo.jsonl.gz", "rt") as file:
        rows = [crystal_from_dict(json.loads(line)) for line in file]
    low, high = n_atoms
    fitting = [row for row in rows if low <= row.n_atoms <= high]
    for index in range(n):
        one = fitting[index % len(fitting)]
        scale = 1 + 0.02 * np.sin(index)
        yield Crystal(scale * one.cell, one.frac, one.numbers)


def cif_text(crystal: Crystal) -> str:
    """Write a CIF as pymatgen does: every atom listed, no symmetry."""
    lengths = np.linalg.norm(crystal.cell, axis=1)
    unit = crystal.cell / lengths[:, None]
    pairs = ((1, 2), (0, 2), (0, 1))
    angles = [np.degrees(np.arccos(unit[i] @ unit[j])) for i, j in pairs]
    lines = [f"data_{crystal.formula}", "_symmetry_space_group_name_H-M   'P 1'"]
    lines += [
        f"_cell_length_{a}   {x:.8f}" for a, x in zip("abc", lengths, strict=True)
    ]
    names = ("alpha", "beta", "gamma")
    lines += [f"_cell_angle_{a}   {x:.8f}" for a, x in zip(names, angles, strict=True)]
    lines += [
        "_symmetry_Int_Tables_number   1",
        f"_chemical_formula_structural   {crystal.formula}",
        f"_cell_volume   {crystal.volume:.8f}",
        "loop_",
        " _symmetry_equiv_pos_site_id",
        " _symmetry_equiv_pos_as_xyz",
        "  1  'x, y, z'",
        "loop_",
        " _atom_site_type_symbol",
        " _atom_site_label",
        " _atom_site_symmetry_multiplicity",
        " _atom_site_fract_x",
        " _atom_site_fract_y",
        " _atom_site_fract_z",
        " _atom_site_occupancy",
    ]
    for index, (symbol, frac) in enumerate(
        zip(crystal.symbols, crystal.frac, strict=True)
    ):
        x, y, z = frac
        lines.append(f"  {symbol}  {symbol}{index}  1  {x:.8f}  {y:.8f}  {z:.8f}  1")
    return "\n".join(lines) + "\n"


def extxyz_text(crystal: Crystal) -> str:
    """Write a frame of extended XYZ."""
    cell = " ".join(f"{x:.10f}" for x in crystal.cell.ravel())
    lines = [f"{crystal.n_atoms}", f'Lattice="{cell}" Properties=species:S:1:pos:R:3']
    for symbol, place in zip(crystal.symbols, crystal.positions, strict=True):
        lines.append(" ".join([symbol, *(f"{x:.10f}" for x in place)]))
    return "\n".join(lines) + "\n"


def json_text(crystal: Crystal) -> str:
    """Write a line of JSON."""
    record = {
        "lattice": crystal.cell.tolist(),
        "species": crystal.symbols,
        "frac_coords": crystal.frac.tolist(),
    }
    return json.dumps({"structure": record}) + "\n"


def write_set(folder: Path, n: int, *, broken: float = 0.0) -> Counter[str]:
    """Write CIF files, a share of them broken in each of the ways in turn.

    Parameters
    ----------
    folder : Path
        Is made; a thousand files go into each folder in it.
    n : int
        How many.
    broken : float
        Share of broken files.

    Returns
    -------
    Counter of str
        ``"good"`` and each of `KINDS` to their number.
    """
    step = round(1 / broken) if broken else n + 1
    found: Counter[str] = Counter()
    for index, crystal in enumerate(crystals(n)):
        inside = folder / f"{index // FILES_PER_FOLDER:04d}"
        inside.mkdir(parents=True, exist_ok=True)
        path = inside / f"{crystal.formula}_{index:06d}.cif"
        odd = broken and index % step == step // 2
        kind = KINDS[index // step % len(KINDS)] if odd else "good"
        found[kind] += 1
        _write(path, cif_text(crystal), kind, folder)
    return found


def _write(path: Path, text: str, kind: str, folder: Path) -> None:  # noqa: C901 - ten ways
    """Write one file."""
    match kind:
        case "truncated":
            path.write_text(text.rstrip()[:-20])
        case "binary":
            path.write_bytes(np.random.default_rng(0).bytes(4000))
        case "encoding":
            path.write_bytes(text.encode("cp500"))
        case "nan":
            path.write_text(text.replace("  0.", "  nan", 1))
        case "empty":
            path.touch()
        case "gigantic":
            path.write_text(text + "# to be continued\n" * 4000)
            os.truncate(path, _GIGANTIC)
        case "permission":
            path.write_text(text)
            path.chmod(0)
        case "loop":
            path.symlink_to(path.name)
        case "duplicate":  # the name that others have, in a folder of its own
            path = folder / "again" / path.stem / "same.cif"
            path.parent.mkdir(parents=True)
            path.write_text(text)
        case "occupancy":
            path.write_text(text.rstrip()[:-1] + "0.5\n")
        case _:
            path.write_text(text)


def main() -> None:
    """Make a set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("n", type=int)
    parser.add_argument("--broken", type=float, default=0.0)
    given = parser.parse_args()
    sys.stdout.write(
        json.dumps(write_set(given.folder, given.n, broken=given.broken)) + "\n"
    )


if __name__ == "__main__":
    main()
