"""Space groups of crystals, and operations that are exact in any frame and cell."""

import subprocess
import sys
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import spglib
import spglib.error
from hypothesis import given, settings
from hypothesis import strategies as st

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.errors import ConfigError, SymmetryError
from crystaltensor.symmetry.operations import (
    Symmetry,
    _standard_frame,
    find_symmetry,
)
from crystaltensor.symmetry.point_groups import find_point_group, point_group_rotations


def same_group(first: np.ndarray, second: np.ndarray) -> float:
    """Give the largest distance from an element of one group to the other group."""
    apart = np.abs(first[:, None] - second).max(axis=(2, 3))
    return float(max(apart.min(axis=0).max(), apart.min(axis=1).max()))


def group_error(rotations: np.ndarray) -> float:
    """Measure how far matrices are from an orthogonal group."""
    products = (rotations[:, None] @ rotations).reshape(-1, 3, 3)
    squares = rotations @ rotations.swapaxes(1, 2)
    return max(
        same_group(products, rotations), float(np.abs(squares - np.eye(3)).max())
    )


def supercell(crystal: Crystal, matrix: list[list[int]]) -> Crystal:
    """Repeat a crystal; the rows of `matrix` are the new lattice vectors."""
    inverse = np.linalg.inv(matrix)
    cells = np.array(list(product(range(-6, 7), repeat=3)))
    inside = cells @ inverse
    cells = cells[((inside > -1e-9) & (inside < 1 - 1e-9)).all(axis=1)]
    frac = np.vstack([(crystal.frac + shift) @ inverse for shift in cells])
    numbers = np.tile(crystal.numbers, len(cells))
    return Crystal(np.array(matrix) @ crystal.cell, frac, numbers)


def random_rotation(seed: int) -> np.ndarray:
    """Draw a proper rotation."""
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return turn * np.linalg.det(turn)


def turned(crystal: Crystal, rotation: np.ndarray) -> Crystal:
    """Turn a crystal with its cell."""
    return Crystal(crystal.cell @ rotation.T, crystal.frac, crystal.numbers)


@pytest.fixture(
    params=["silicon", "gallium_arsenide", "wurtzite", "quartz", "triclinic"]
)
def crystal(request: pytest.FixtureRequest) -> Crystal:
    """Run over five crystal classes."""
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize(
    ("name", "number", "symbol", "point_group"),
    [
        ("silicon", 227, "Fd-3m", "m-3m"),
        ("gallium_arsenide", 216, "F-43m", "-43m"),
        ("rock_salt", 225, "Fm-3m", "m-3m"),
        ("wurtzite", 186, "P6_3mc", "6mm"),
        ("quartz", 152, "P3_121", "32"),
        ("triclinic", 1, "P1", "1"),
    ],
)
def test_known_crystals_have_their_space_groups(
    name: str,
    number: int,
    symbol: str,
    point_group: str,
    request: pytest.FixtureRequest,
) -> None:
    """The answer, its class and its order."""
    found = find_symmetry(request.getfixturevalue(name))
    assert (found.number, found.symbol, found.point_group) == (
        number,
        symbol,
        point_group,
    )
    assert found.n_ops == len(point_group_rotations(point_group))
    assert find_point_group(found.rotations) == point_group
    assert found.symprec == 0.01
    assert found.warnings == ()
    assert found.deviation < 1e-12


def lattice(number: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a conventional cell that a space group allows, about 10 Å wide."""
    a, b, c = 8 + 4 * rng.random(3)
    angles = np.full(3, 90.0)
    if number <= 2:
        angles = 70 + 30 * rng.random(3)
    elif number <= 15:
        angles[1] = 95 + 15 * rng.random()
    if number >= 75:
        b = a
    if 143 <= number <= 194:
        angles[2] = 120
    if number >= 195:
        c = a
    cosines = np.cos(np.radians(angles))
    metric = np.diag([a * a, b * b, c * c])
    for (i, j), value in zip(
        ((1, 2), (0, 2), (0, 1)),
        (b * c * cosines[0], a * c * cosines[1], a * b * cosines[2]),
        strict=True,
    ):
        metric[i, j] = metric[j, i] = value
    return np.linalg.cholesky(metric)


def random_crystal(number: int) -> Crystal:
    """Fill general positions of a space group; the primitive cell."""
    rng = np.random.default_rng(number)
    hall = next(h for h in range(1, 531) if SPACE_GROUP_OF_HALL[h] == number)
    database = spglib.get_symmetry_from_database(hall)
    n_ops = len(database["rotations"])
    while True:
        orbits = [
            (database["rotations"] @ rng.random(3) + database["translations"]) % 1
            for _ in range(3 if n_ops <= 16 else 2 if n_ops <= 48 else 1)
        ]
        numbers = [5 + kind for kind, orbit in enumerate(orbits) for _ in orbit]
        cell = (lattice(number, rng), np.vstack(orbits), numbers)
        # Atoms that nearly touch would sit on special positions at this tolerance.
        apart = cell[1][:, None] - cell[1] + 0.5
        apart = (apart - np.floor(apart) - 0.5) @ cell[0]
        squared = np.square(apart).sum(axis=-1) + 100 * np.eye(len(numbers))
        if squared.min() > 0.3**2:
            return Crystal(*spglib.find_primitive(cell, symprec=1e-5))


spglib.error.OLD_ERROR_HANDLING = False
SPACE_GROUP_OF_HALL = {h: spglib.get_spacegroup_type(h).number for h in range(1, 531)}


@pytest.mark.parametrize("number", range(1, 231))
def test_every_space_group_gives_an_exact_group_from_a_noisy_skewed_cell(
    number: int,
) -> None:
    """Noise of 1e-4 Å, a skewed basis and any orientation leave no trace in the group."""
    given = random_crystal(number)
    rng = np.random.default_rng(number)
    skew = np.array([[1, 1, 0], [0, 1, -1], [0, 0, 1]])
    cell = skew @ given.cell @ random_rotation(number).T
    frac = given.frac @ np.linalg.inv(skew)
    noisy = Crystal(
        cell + 1e-4 * rng.uniform(-1, 1, (3, 3)),
        frac + 1e-5 * rng.uniform(-1, 1, frac.shape),
        given.numbers,
    )
    found = find_symmetry(noisy)
    assert found.number == number
    assert find_point_group(found.rotations) == found.point_group
    assert group_error(found.rotations) < 2e-15
    np.testing.assert_array_equal(found.rotations[0], np.eye(3))
    np.testing.assert_array_equal(found.frac_rotations, np.round(found.frac_rotations))
    # What the rotations do to the cell as given is off by the noise only.
    columns = noisy.cell.T
    rebuilt = columns @ found.frac_rotations @ np.linalg.inv(columns)
    np.testing.assert_allclose(rebuilt, found.rotations, atol=1e-3)
    assert np.abs(found.cell - noisy.cell).max() < 1e-3
    assert 0 <= found.deviation < 2e-3
    check_frames(found)


def check_frames(found: Symmetry) -> None:
    """Check what the fields promise of each other."""
    columns = found.cell.T
    exact = columns @ found.frac_rotations @ np.linalg.inv(columns)
    # A skewed cell magnifies rounding.
    np.testing.assert_allclose(exact, found.rotations, atol=1e-13)
    np.testing.assert_allclose(
        found.transformation.T @ found.std_cell @ found.std_rotation,
        found.cell,
        atol=1e-12,
    )
    assert np.linalg.det(found.std_rotation) == pytest.approx(1, abs=1e-14)
    standard = found.std_rotation @ found.rotations @ found.std_rotation.T
    known = np.array([0, 0.5, np.sqrt(0.75), 1])
    assert np.abs(np.abs(standard)[..., None] - known).min(axis=-1).max() < 1e-14
    assert abs(np.triu(found.std_cell, 1)).max() == 0


def test_operations_carry_atoms_to_atoms(crystal: Crystal) -> None:
    """Each image is an atom of the same element, and of the same orbit."""
    found = find_symmetry(crystal)
    for rotation, translation, images in zip(
        found.frac_rotations, found.translations, found.permutations, strict=True
    ):
        apart = crystal.frac @ rotation.T + translation - crystal.frac[images]
        np.testing.assert_allclose(apart, np.round(apart), atol=1e-12)
        np.testing.assert_array_equal(crystal.numbers[images], crystal.numbers)
        orbit = found.equivalent_atoms
        np.testing.assert_array_equal(orbit[images], orbit)
    assert len(found.wyckoffs) == len(found.site_symmetries) == crystal.n_atoms


@pytest.mark.parametrize(
    "matrix",
    [
        [[2, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[1, 1, 0], [-1, 2, 0], [0, 1, 1]],
        [[2, 1, 0], [0, 2, 1], [1, 0, 2]],
        [[2, 0, 0], [0, 2, 0], [0, 0, 2]],
        [[0, 1, 0], [1, 0, 0], [0, 0, 1]],
        [[1, 3, 0], [0, 1, -2], [0, 0, 1]],
    ],
)
def test_the_choice_of_cell_does_not_matter(
    crystal: Crystal, matrix: list[list[int]]
) -> None:
    """Supercells, even with less symmetry than the crystal; left hand; skewed."""
    first, second = find_symmetry(crystal), find_symmetry(supercell(crystal, matrix))
    assert second.number == first.number
    assert second.n_ops == first.n_ops
    assert same_group(first.rotations, second.rotations) < 1e-13
    n_cells = abs(round(np.linalg.det(matrix)))
    counts = np.bincount(second.primitive_index)
    np.testing.assert_array_equal(counts, n_cells * np.bincount(first.primitive_index))
    assert second.deviation < 1e-12
    check_frames(second)


def test_a_left_handed_cell_is_the_same_crystal(crystal: Crystal) -> None:
    """Inverting the basis and the coordinates changes no atom, not even its screw."""
    right = find_symmetry(crystal)
    left = find_symmetry(Crystal(-crystal.cell, -crystal.frac, crystal.numbers))
    assert left.number == right.number
    np.testing.assert_array_equal(left.rotations, right.rotations)
    np.testing.assert_array_equal(left.std_rotation, right.std_rotation)
    np.testing.assert_allclose(left.cell, -right.cell, atol=1e-14)
    check_frames(left)


def test_the_mirror_image_of_quartz_has_the_other_screw(quartz: Crystal) -> None:
    """P3_121 becomes P3_221."""
    mirrored = Crystal(quartz.cell * [1, 1, -1], quartz.frac, quartz.numbers)
    assert find_symmetry(mirrored).symbol == "P3_221"


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_rotations_turn_with_the_crystal(seed: int) -> None:
    """R' = Q R Qᵀ to rounding, whatever the frame and the order of the atoms."""
    a, c, u = 3.128, 5.017, 0.3821
    cell = [[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, c]]
    frac = np.array(
        [[1 / 3, 2 / 3, z] for z in (0, u)] + [[2 / 3, 1 / 3, z + 0.5] for z in (0, u)]
    )
    numbers = np.array([13, 7, 13, 7])
    turn = random_rotation(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(4)
    moved = Crystal(
        cell @ turn.T,
        (frac + rng.random(3) + rng.integers(-3, 3, 3))[order],
        numbers[order],
    )
    expected = turn @ find_symmetry(Crystal(cell, frac, numbers)).rotations @ turn.T
    found = find_symmetry(moved)
    assert found.point_group == "6mm"
    assert same_group(found.rotations, expected) < 1e-14
    assert group_error(found.rotations) < 2e-15


def test_four_decimals_are_enough_for_an_exact_group(wurtzite: Crystal) -> None:
    """A file with a = 3.1280 and frac 0.3333 has the rotations of 6mm along its axes."""
    rounded = Crystal(wurtzite.cell.round(3), wurtzite.frac.round(4), wurtzite.numbers)
    found = find_symmetry(rounded)
    assert found.symbol == "P6_3mc"
    assert group_error(found.rotations) < 1e-15
    assert 1e-5 < found.deviation < 1e-3
    # The c axis was exact, and a pure stretch leaves it so.
    np.testing.assert_array_equal(np.abs(found.rotations[:, 2]), [[0, 0, 1]] * 12)


def test_a_coarse_tolerance_finds_more_and_a_fine_one_less(wurtzite: Crystal) -> None:
    """One atom 0.05 Å off its place."""
    frac = wurtzite.frac.copy()
    frac[0, 0] += 0.05 / 3.128
    moved = Crystal(wurtzite.cell, frac, wurtzite.numbers)
    assert find_symmetry(moved, symprec=0.2).symbol == "P6_3mc"
    fine = find_symmetry(moved, symprec=1e-3)
    assert fine.n_ops < 12
    assert fine.deviation < 1e-3 < find_symmetry(moved, symprec=0.2).deviation


def test_a_tolerance_beyond_the_bonds_is_made_finer_aloud(silicon: Crystal) -> None:
    """Above the bond length spglib finds atoms too close."""
    found = find_symmetry(silicon, symprec=3)
    assert found.symbol == "Fd-3m"
    assert found.symprec == pytest.approx(1)
    assert found.warnings == ("no space group at symprec 3 Å; that of 1 Å is given",)


def test_a_hopeless_tolerance_is_an_error_with_a_way_out(silicon: Crystal) -> None:
    """The message names the crystal, the tolerance and the reason."""
    with pytest.raises(SymmetryError, match=r"^Si: no space group at symprec 10000 Å"):
        find_symmetry(silicon, symprec=1e4)


@pytest.mark.parametrize("symprec", [0, -0.1, float("nan"), float("inf")])
def test_a_tolerance_must_be_a_positive_number(
    silicon: Crystal, symprec: float
) -> None:
    """The message says what a good value is."""
    with pytest.raises(ConfigError, match=r"greater than zero, not .*; 0.01 suits"):
        find_symmetry(silicon, symprec=symprec)


def test_a_silent_failure_of_spglib_is_an_error(
    silicon: Crystal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions before 2.7 return None."""
    monkeypatch.setattr(spglib, "get_symmetry_dataset", lambda *_args, **_kwargs: None)
    with pytest.raises(SymmetryError, match="spglib finds none"):
        find_symmetry(silicon)


def test_operations_that_join_atoms_are_an_error(wurtzite: Crystal) -> None:
    """Images at one place cannot be a permutation."""
    broken = replace(find_symmetry(wurtzite), frac_rotations=np.zeros((12, 3, 3)))
    with pytest.raises(
        SymmetryError, match="P6_3mc takes two atoms to one place at sym"
    ):
        _ = broken.permutations


def test_a_lattice_far_from_its_group_is_an_error() -> None:
    """No metric within a few per cent is cubic here; and a mirrored basis is a bug."""
    cubic = point_group_rotations("m-3m")
    with pytest.raises(SymmetryError, match="too far from that of the group found"):
        _standard_frame(np.diag([3.0, 3, 5]), cubic)
    with pytest.raises(SymmetryError, match="left-handed"):
        _standard_frame(np.diag([3.0, 3, -3]), cubic)


def test_importing_symmetry_is_light() -> None:
    """`symmetrize` and --help must not wait for what they do not use."""
    code = (
        "import sys, crystaltensor.symmetry.operations, crystaltensor.symmetry.forms;"
        "print({'torch', 'spglib', 'scipy', 'pymatgen', 'ase'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
