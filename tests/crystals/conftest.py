"""Crystals as text in each format, with every digit."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from crystaltensor.crystals.crystal import Crystal

Writer = Callable[[Crystal], str]


def _rows(rows: object, labels: list[str] | None = None) -> list[str]:
    """Write numbers so that they read back exactly."""
    lines = [" ".join(repr(float(number)) for number in row) for row in rows]
    return [f"{a} {b}" for a, b in zip(labels, lines, strict=True)] if labels else lines


def as_poscar(crystal: Crystal) -> str:
    """Write a POSCAR with a block per atom, so that the order is kept."""
    head = ["a comment", "1.0", *_rows(crystal.cell)]
    counts = " ".join("1" for _ in crystal.symbols)
    middle = [" ".join(crystal.symbols), counts, "Direct"]
    return "\n".join([*head, *middle, *_rows(crystal.frac)]) + "\n"


def as_extxyz(crystal: Crystal) -> str:
    """Write one frame of extended XYZ."""
    cell = " ".join(_rows(crystal.cell))
    head = [str(crystal.n_atoms), f'Lattice="{cell}" Properties=species:S:1:pos:R:3']
    return "\n".join([*head, *_rows(crystal.positions, crystal.symbols)]) + "\n"


def as_json(crystal: Crystal) -> str:
    """Write a row of a data set."""
    structure = {
        "lattice": crystal.cell.tolist(),
        "species": crystal.symbols,
        "frac_coords": crystal.frac.tolist(),
    }
    return json.dumps({"id": "x", "structure": structure})


def as_cif(crystal: Crystal) -> str:
    """Write a CIF without symmetry; the orientation is lost, as always."""
    a, b, c = crystal.cell
    lengths = [float((v @ v) ** 0.5) for v in crystal.cell]
    angles = []
    for u, v in ((b, c), (a, c), (a, b)):
        import numpy as np  # only here

        cosine = u @ v / np.linalg.norm(u) / np.linalg.norm(v)
        angles.append(float(np.degrees(np.arccos(cosine))))
    names = [*(f"length_{n}" for n in "abc"), *("angle_" + n for n in _ANGLES)]
    pairs = zip(names, lengths + angles, strict=True)
    head = ["data_x", *(f"_cell_{name} {value!r}" for name, value in pairs)]
    loop = ["_space_group_name_H-M_alt 'P 1'", "loop_", "_atom_site_label"]
    loop += [f"_atom_site_fract_{axis}" for axis in "xyz"]
    labels = [f"{symbol}{i}" for i, symbol in enumerate(crystal.symbols, 1)]
    return "\n".join([*head, *loop, *_rows(crystal.frac, labels)]) + "\n"


_ANGLES = ("alpha", "beta", "gamma")


@pytest.fixture(scope="session")
def writers() -> dict[str, Writer]:
    """Give one writer per format."""
    return {
        "poscar": as_poscar,
        "extxyz": as_extxyz,
        "json": as_json,
        "cif": as_cif,
    }


@pytest.fixture(scope="session")
def examples() -> Path:
    """Find the example files of the documentation."""
    return Path(__file__).parents[2] / "docs" / "examples"
