"""A crystal keeps what it is given, and refuses what no crystal is."""

import time

import numpy as np
import pytest

from crystaltensor.crystals.crystal import (
    _FORMULA_ORDER,
    COINCIDENT,
    SYMBOLS,
    Crystal,
    atomic_number,
)
from crystaltensor.errors import ElementError, StructureError

CUBE = 4 * np.eye(3)


def test_every_element_has_a_number_and_a_place_in_formulas() -> None:
    """There are 118 elements (IUPAC)."""
    assert len(SYMBOLS) == 119
    assert [atomic_number(symbol) for symbol in SYMBOLS[1:]] == list(range(1, 119))
    assert sorted(_FORMULA_ORDER) == sorted(SYMBOLS[1:])


@pytest.mark.parametrize(
    ("symbols", "formula"),
    [
        (["N", "Al"], "AlN"),
        (["O", "Si", "O"], "SiO2"),
        (["As", "Ga", "As", "Ga"], "GaAs"),
        (["O", "H", "H"], "H2O"),
        (["F", "K", "F"], "KF2"),
    ],
)
def test_the_formula_is_reduced_and_electropositive_first(
    symbols: list[str], formula: str
) -> None:
    """AlN, not NAl: table VI of the IUPAC nomenclature."""
    frac = [[0.13 * index, 0.21 * index, 0.4 * index] for index in range(len(symbols))]
    assert Crystal.from_symbols(CUBE, frac, symbols).formula == formula


def test_nothing_is_wrapped_or_reordered_and_nothing_can_be_changed() -> None:
    """A tensor belongs to the crystal as given."""
    frac = [[-0.25, 1.5, 7.125], [0.5, 0.25, -3.0]]
    crystal = Crystal.from_symbols(CUBE, frac, ["N", "Al"])
    assert crystal.frac.tolist() == frac
    assert crystal.symbols == ["N", "Al"]
    assert repr(crystal) == "Crystal(AlN, 2 atoms, 64 Å³)"
    for array in (crystal.cell, crystal.frac, crystal.numbers, crystal.positions):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_a_left_handed_cell_is_a_cell(triclinic: Crystal) -> None:
    """Its volume is positive all the same."""
    mirrored = Crystal(-triclinic.cell, triclinic.frac, triclinic.numbers)
    assert mirrored.volume == pytest.approx(triclinic.volume, rel=1e-14)
    assert mirrored.volume == pytest.approx(abs(np.linalg.det(triclinic.cell)))


@pytest.mark.parametrize(
    ("cell", "frac", "numbers", "message"),
    [
        (np.eye(2), [[0, 0, 0]], [1], r"shape \(3, 3\), not \(2, 2\)"),
        (CUBE, [[0, 0]], [1], "1 atomic numbers do not fit"),
        (CUBE, [[0, 0, 0]], [1, 2], "2 atomic numbers do not fit"),
        (CUBE, np.empty((0, 3)), [], "no atom"),
        (np.diag([4, 4, np.nan]), [[0, 0, 0]], [1], "cell has an entry that is not a"),
        (np.diag([4, 4, np.inf]), [[0, 0, 0]], [1], "cell has an entry that is not a"),
        (CUBE, [[0, 0, 0], [0, np.inf, 0]], [1, 1], "atom 2 has a coordinate"),
        ([[4, 0, 0], [0, 4, 0], [4, 4, 0]], [[0, 0, 0]], [1], "no volume"),
        (np.diag([4, 4, 0]), [[0, 0, 0]], [1], "are they in Å?"),
        (CUBE / 10, [[0, 0, 0]], [1], "0.4, 0.4, 0.4 Å long"),
        (CUBE * 1e6, [[0, 0, 0]], [1], "are they in Å?"),
        (CUBE / 6, [[0, 0, 0], [0.5, 0.5, 0.5]], [1, 1], "0.15 Å³ for each atom"),
        (CUBE, [[0, 0, 0], [1, -1, 0.001]], [13, 7], r"atoms 1 \(Al\) and 2 \(N\)"),
        ("cell", [[0, 0, 0]], [1], "cell must be an array of numbers"),
        (CUBE, [[0, 0, 0], [0]], [1], "frac must be an array of numbers"),
        (CUBE, [[0, 0, 0]], [1.5], "numbers must be an array of whole numbers"),
        (CUBE, [[0, 0, 0]], ["H"], "numbers must be an array of whole numbers"),
    ],
)
def test_what_no_crystal_is_is_refused(
    cell: object, frac: object, numbers: object, message: str
) -> None:
    """Each error is one line."""
    with pytest.raises(StructureError, match=message) as caught:
        Crystal(cell, frac, numbers)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [0, -1, 119, 10**9])
def test_numbers_without_an_element_are_refused(number: int) -> None:
    """The message names the number."""
    with pytest.raises(ElementError, match=f"from 1 to 118, not {number}"):
        Crystal(CUBE, [[0, 0, 0]], [number])


@pytest.mark.parametrize(
    ("symbol", "message"),
    [
        ("D", "isotope"),
        ("T", "isotope"),
        ("X", "not a chemical element"),
        ("al", "did you mean 'Al'"),
        ("Zz", "'Zz' is not a chemical element$"),
        ("", "not a chemical element"),
    ],
)
def test_symbols_without_an_element_are_refused(symbol: str, message: str) -> None:
    """The way out is named where there is one."""
    with pytest.raises(ElementError, match=message):
        Crystal.from_symbols(CUBE, [[0, 0, 0]], [symbol])


@pytest.mark.parametrize("n_side", [3, 5, 17])
def test_coincident_atoms_are_found_in_small_and_large_cells(n_side: int) -> None:
    """Above 64 atoms they are sorted into boxes: no pair may fall between boxes."""
    axis = np.arange(n_side) / n_side
    frac = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    rng = np.random.default_rng(5)
    frac += rng.normal(size=frac.shape) * 0.03 / n_side
    cell = n_side * (3 * np.eye(3) + rng.normal(size=(3, 3)) * 0.3)
    numbers = np.full(len(frac), 14)
    assert Crystal(cell, frac, numbers).n_atoms == n_side**3
    for _ in range(20):
        first, second = sorted(rng.choice(len(frac), 2, replace=False))
        step = rng.normal(size=3)
        step *= COINCIDENT * rng.random() / np.linalg.norm(step)
        broken = frac.copy()
        broken[second] = (
            broken[first] + step @ np.linalg.inv(cell) + rng.integers(-2, 3, 3)
        )
        with pytest.raises(
            StructureError, match=rf"atoms {first + 1} .* {second + 1} "
        ):
            Crystal(cell, broken, numbers)


def test_a_large_cell_is_checked_in_time() -> None:
    """5,000 atoms take about 5 ms; a second leaves room for a slow machine."""
    frac = np.random.default_rng(0).permutation(5832)[:5000, None] // [324, 18, 1] % 18
    start = time.perf_counter()
    Crystal(50 * np.eye(3), frac / 18, np.full(5000, 6))
    assert time.perf_counter() - start < 1
