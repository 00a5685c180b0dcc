"""Primitive cells in the frame of the input."""

import numpy as np

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.symmetry.primitive import primitive_symmetry


def conventional(crystal: Crystal) -> Crystal:
    """Write an fcc crystal in the cube."""
    cube = np.linalg.inv([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]) @ crystal.cell
    corners = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    frac = crystal.positions @ np.linalg.inv(cube)
    frac = (frac[:, None] + corners).reshape(-1, 3)
    return Crystal(cube, frac, np.repeat(crystal.numbers, 4))


def test_a_cube_has_the_operations_of_its_primitive_cell(rock_salt: Crystal) -> None:
    """Two atoms are left of eight; the axes stay."""
    cube = find_symmetry(conventional(rock_salt))
    primitive, index = primitive_symmetry(cube)
    assert primitive.crystal.n_atoms == 2
    assert np.isclose(primitive.crystal.volume, cube.crystal.volume / 4)
    assert (primitive.crystal.numbers[index] == cube.crystal.numbers).all()
    same = np.abs(primitive.rotations[:, None] - cube.rotations).max(axis=(2, 3))
    assert same.min(axis=1).max() < 1e-9


def test_a_distorted_crystal_becomes_symmetric(wurtzite: Crystal) -> None:
    """What the tolerance forgave is averaged away."""
    noise = np.random.default_rng(0).normal(scale=0.002, size=(4, 3))
    crystal = Crystal(wurtzite.cell, wurtzite.frac + noise, wurtzite.numbers)
    coarse = find_symmetry(crystal, symprec=0.1)
    primitive, _ = primitive_symmetry(coarse)
    assert primitive.number == coarse.number == 186
    assert primitive.deviation < 1e-8
