"""IEEE axes: the rules of the standard, published conversions and round trips."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.records import crystal_from_dict
from crystaltensor.errors import ConfigError
from crystaltensor.symmetry.frames import (
    FRAMES,
    frame_rotation,
    ieee_rotation,
    positive_senses,
)
from crystaltensor.symmetry.notation import rotate, to_voigt
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.symmetry.point_groups import POINT_GROUPS, point_group_rotations
from crystaltensor.symmetry.projection import project

ELASTIC = "ijkl=jikl=ijlk=klij"
CASES = Path(__file__).parents[3] / "shared/reference/ieee_conversion_cases.json.gz"


def random_rotation(seed: int) -> np.ndarray:
    """Draw a proper rotation."""
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return turn * np.linalg.det(turn)


def simple(lengths: list[float], angles: list[float]) -> Crystal:
    """Two unlike atoms without symmetry of their own, in a cell of these parameters."""
    cosines = np.cos(np.radians(angles))
    metric = np.outer(lengths, lengths) * [
        [1, cosines[2], cosines[1]],
        [cosines[2], 1, cosines[0]],
        [cosines[1], cosines[0], 1],
    ]
    cell = np.linalg.cholesky(metric)
    return Crystal(cell, [[0, 0, 0], [0.13, 0.21, 0.37], [0.4, 0.77, 0.6]], [3, 9, 8])


@pytest.mark.parametrize("number", range(1, 231))
def test_every_space_group_has_the_operations_of_nye_in_ieee_axes(
    make_crystal: Callable[[int], Crystal], number: int
) -> None:
    """Any orientation of the crystal gives the same axes, fixed to its lattice."""
    crystal = make_crystal(number)
    turn = random_rotation(number)
    moved = Crystal(crystal.cell @ turn.T, crystal.frac, crystal.numbers)
    first, second = find_symmetry(crystal), find_symmetry(moved)
    axes, moved_axes = ieee_rotation(first), ieee_rotation(second)
    for found in (axes, moved_axes):
        np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-13)
        assert np.linalg.det(found) > 0
    ieee = axes @ first.rotations @ axes.T
    wanted = point_group_rotations(first.point_group)
    apart = np.abs(ieee[:, None] - wanted).max(axis=(2, 3))
    assert apart.min(axis=0).max() < 1e-12
    # The axes turn with the lattice, up to what maps the crystal onto itself.
    change = moved_axes @ turn @ axes.T
    assert np.abs(wanted - change).max(axis=(1, 2)).min() < 1e-12


@pytest.mark.parametrize(
    "lengths", [[5.0, 6, 7], [6.0, 7, 5], [7.0, 5, 6], [7.0, 6, 5]]
)
def test_triclinic_axes_follow_c_a_b(lengths: list[float]) -> None:
    """Z along the shortest vector, X towards the second, Y nearly along the longest."""
    crystal = simple(lengths, [83.0, 79, 86])
    axes = ieee_rotation(find_symmetry(crystal))
    order = np.argsort(lengths)
    c, a, b = (axes @ crystal.cell[place] for place in order)
    np.testing.assert_allclose(np.abs(c), [0, 0, min(lengths)], atol=1e-12)
    np.testing.assert_allclose(a[1], 0, atol=1e-12)
    # α and β are obtuse with the vectors that X and Y point along.
    a, b = a * np.sign(a[0]), b * np.sign(b[1])
    assert a[2] < 0
    assert b[2] < 0


def test_monoclinic_axes_have_a_shorter_c_and_an_obtuse_angle(
    make_crystal: Callable[[int], Crystal],
) -> None:
    """Z along the shortest vector normal to b, b along Y, a leaning away from Z."""
    for number in (3, 5, 6, 8, 10, 15):
        found = find_symmetry(make_crystal(number))
        axes = ieee_rotation(found)
        cell = found.std_cell @ found.std_rotation @ axes.T
        plane = [p * cell[0] + q * cell[2] for p in range(-3, 4) for q in range(-3, 4)]
        plane = sorted((v for v in plane if v @ v > 1), key=lambda v: v @ v)
        c = next(v for v in plane if np.linalg.norm(v[:2]) < 1e-9 and v[2] > 0)
        assert c @ c == pytest.approx(plane[0] @ plane[0])
        a = next(v for v in plane if v[0] > 1e-9 and v[2] <= 1e-9)
        assert a @ a <= min(v @ v for v in plane if abs(v[0]) > 1e-9) + 1e-9
        np.testing.assert_allclose(
            np.abs(cell[1]), [0, np.linalg.norm(cell[1]), 0], atol=1e-9
        )


def test_monoclinic_cells_with_right_angles_have_axes() -> None:
    """The case that pymatgen's conversion fails at (its issue 3059)."""
    # Ti5Nb: all angles are 90°, but the atoms leave one twofold axis.
    frac = [
        [1 / 3, 0.5, 1 / 6],
        [2 / 3, 0, 1 / 3],
        [0, 0.5, 0.5],
        [1 / 3, 0, 2 / 3],
        [2 / 3, 0.5, 5 / 6],
        [0, 0, 0],
    ]
    crystal = Crystal(np.diag([2.866544, 4.681047, 8.107811]), frac, [22] * 5 + [41])
    found = find_symmetry(crystal)
    assert found.point_group in {"2/m", "mmm"}
    axes = ieee_rotation(found)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-13)
    ieee = axes @ found.rotations @ axes.T
    wanted = point_group_rotations(found.point_group)
    assert np.abs(ieee[:, None] - wanted).max(axis=(2, 3)).min(axis=0).max() < 1e-12


@pytest.mark.parametrize("ratio", [0.9, 1.1])
@pytest.mark.parametrize("first", [0, 1, 2])
def test_the_main_axis_is_z_in_any_setting(ratio: float, first: int) -> None:
    """A tetragonal cell with c first, second or third, longer or shorter than a."""
    cell = np.diag([4.0, 4, 4 * ratio])
    frac = np.array([[0, 0, 0], [0.5, 0.5, 0.47], [0.5, 0.5, 0.9]])
    order = np.roll([0, 1, 2], first)
    turned = Crystal(cell[order][:, order], frac[:, order], [56, 22, 8])
    found = find_symmetry(turned)
    assert found.point_group == "4mm"
    axes = ieee_rotation(found)
    along = turned.cell[np.flatnonzero(order == 2)[0]] @ axes.T
    np.testing.assert_allclose(np.abs(along), [0, 0, 4 * ratio], atol=1e-12)


def test_orthorhombic_axes_go_by_length_but_a_polar_one_is_z() -> None:
    """In mmm c < a < b; in mm2 the polar axis is Z even if it is the longest."""
    square = Crystal(np.diag([5.0, 4, 6]), [[0, 0, 0], [0.5, 0.5, 0.5]], [55, 17])
    found = find_symmetry(square)
    assert found.point_group == "mmm"
    axes = ieee_rotation(found)
    np.testing.assert_allclose(np.abs(axes @ square.cell.T).diagonal(), 0, atol=6)
    lengths = np.abs(axes @ square.cell.T).max(axis=1)
    np.testing.assert_allclose(lengths, [5, 6, 4], atol=1e-12)
    polar = Crystal(
        np.diag([5.0, 4, 6]), [[0, 0, 0], [0.5, 0.5, 0.3], [0, 0, 0.4]], [55, 17, 9]
    )
    found = find_symmetry(polar)
    assert found.point_group == "mm2"
    lengths = np.abs(ieee_rotation(found) @ polar.cell.T).max(axis=1)
    np.testing.assert_allclose(lengths, [4, 5, 6], atol=1e-12)


def test_round_trips_are_lossless(make_crystal: Callable[[int], Crystal]) -> None:
    """To IEEE axes and back, for a group of each crystal system and every rank."""
    rng = np.random.default_rng(0)
    for number in (1, 5, 19, 38, 82, 100, 121, 146, 152, 160, 187, 198, 216):
        found = find_symmetry(make_crystal(number))
        for frame in FRAMES:
            turn = frame_rotation(found, frame)
            for rank in (1, 2, 3, 4):
                tensor = rng.normal(size=(3,) * rank)
                back = rotate(rotate(tensor, turn), turn.T)
                np.testing.assert_allclose(back, tensor, atol=1e-13)


def test_unknown_frames_are_refused(wurtzite: Crystal) -> None:
    """The message lists the frames."""
    with pytest.raises(ConfigError, match="unknown frame 'lab'; known: input, ieee"):
        frame_rotation(find_symmetry(wurtzite), "lab")


@pytest.mark.parametrize("symbol", POINT_GROUPS)
def test_senses_of_axes_keep_the_form_and_make_constants_positive(symbol: str) -> None:
    """Classes with a rule get a positive constant from either sign."""
    group = point_group_rotations(symbol)
    given = np.random.default_rng(5).normal(size=(3, 3, 3))
    piezo = project(given, group, index_symmetry="ijk=ikj")
    leading = {
        "mm2": (2, 2, 2), "4": (2, 2, 2), "4mm": (2, 2, 2), "3": (2, 2, 2),
        "3m": (2, 2, 2), "6": (2, 2, 2), "6mm": (2, 2, 2), "m": (2, 2, 2),
        "32": (0, 0, 0), "-6m2": (1, 1, 1), "-4": (2, 0, 0), "23": (0, 1, 2),
        "-43m": (0, 1, 2), "-42m": (2, 0, 1), "-6": (0, 0, 0),
    }  # fmt: skip
    for sign in (1, -1):
        turn = positive_senses(sign * piezo, symbol)
        assert np.linalg.det(turn) == pytest.approx(1)
        turned = rotate(sign * piezo, turn)
        again = project(turned, group, index_symmetry="ijk=ikj")
        np.testing.assert_allclose(turned, again, atol=1e-13)
        if symbol in leading:
            assert turned[leading[symbol]] > 0
    assert np.array_equal(positive_senses(np.zeros((3, 3, 3)), symbol), np.eye(3))


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    """Load the published conversions, where they are at hand."""
    if not CASES.exists():
        pytest.skip("the published conversions are not here")
    with gzip.open(CASES) as stream:
        found: list[dict[str, Any]] = json.load(stream)
    return found


def published(case: dict[str, Any], key: str) -> np.ndarray:
    """Decode a tensor."""
    value = case[key]
    return np.array(value["data"] if isinstance(value, dict) else value)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Relative difference in the Frobenius norm."""
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


@pytest.mark.parametrize("index", [0, 1, 5, 6, 7])
def test_published_conversions_are_reproduced(
    cases: list[dict[str, Any]], index: int
) -> None:
    """Tetragonal, orthorhombic and three isotropic ones, to the published digits."""
    case = cases[index]
    found = find_symmetry(crystal_from_dict(case["structure"]))
    tensor = project(published(case, "original_tensor"), found.rotations)
    ieee = rotate(tensor, ieee_rotation(found))
    assert difference(ieee, published(case, "ieee_tensor")) < 2e-4


def test_the_published_monoclinic_case_has_left_handed_axes(
    cases: list[dict[str, Any]],
) -> None:
    """It is ours after a half-turn about Z: it takes b against c × a."""
    case = cases[4]
    found = find_symmetry(crystal_from_dict(case["structure"]))
    axes = ieee_rotation(found)
    ieee = rotate(published(case, "original_tensor"), axes)
    other = rotate(ieee, np.diag([-1.0, -1, 1]))
    assert difference(other, published(case, "ieee_tensor")) < 1e-5
    # Right-handed a, b, c with an obtuse β put a on the side of +X.
    cell = found.std_cell @ found.std_rotation @ axes.T
    c, a = sorted(cell[[0, 2]], key=np.linalg.norm)
    a = a if a @ c < 0 else -a
    b = np.cross(c, a)
    assert np.linalg.det([a, b, c]) > 0
    assert (a * np.sign(c[2]))[0] > 0
    assert (b * np.sign(b[1]))[1] > 0


def test_the_published_triclinic_case_calls_the_longest_vector_c(
    cases: list[dict[str, Any]],
) -> None:
    """The standard's c is the shortest; with a < b < c instead, the case is met."""
    case = cases[8]
    crystal = crystal_from_dict(case["structure"])
    a, _, c = crystal.cell[np.argsort(np.linalg.norm(crystal.cell, axis=1))]
    z = c / np.linalg.norm(c)
    y = np.cross(c, a) / np.linalg.norm(np.cross(c, a))
    turn = np.stack([np.cross(y, z), y, z])
    tensor = published(case, "original_tensor")
    assert difference(rotate(tensor, turn), published(case, "ieee_tensor")) < 1e-12
    axes = ieee_rotation(find_symmetry(crystal))
    shortest = crystal.cell[np.linalg.norm(crystal.cell, axis=1).argmin()]
    np.testing.assert_allclose(axes @ shortest, [0, 0, 3.19002], atol=1e-5)


@pytest.mark.parametrize("index", [2, 3])
def test_the_published_trigonal_cases_mistook_the_frame(
    cases: list[dict[str, Any]], index: int
) -> None:
    """The tensor was in IEEE axes already; the structure beside it is not."""
    case = cases[index]
    found = find_symmetry(crystal_from_dict(case["structure"]))
    given, axes = published(case, "original_tensor"), ieee_rotation(found)
    # Taken in the frame of the file, a twelfth of it is forbidden, and the published
    # numbers come out of what is left.
    kept = project(given, found.rotations, index_symmetry=ELASTIC)
    assert difference(kept, given) == pytest.approx(0.0877, abs=1e-3)
    assert difference(rotate(kept, axes), published(case, "ieee_tensor")) < 1e-6
    # Taken in IEEE axes it is trigonal to the noise of a calculation.
    ieee = project(given, point_group_rotations("-3m"), index_symmetry=ELASTIC)
    assert difference(ieee, given) == pytest.approx(0.0040, abs=1e-3)
    voigt = to_voigt(ieee, 4)
    assert voigt[0, 3] == pytest.approx(9.47, abs=0.01)
    assert to_voigt(published(case, "ieee_tensor"), 4)[0, 3] == pytest.approx(
        -1.83, abs=0.01
    )
