"""The tables of Nye, entry by entry."""

import numpy as np
import pytest

from crystaltensor.errors import ConfigError
from crystaltensor.symmetry.forms import allowed_form
from crystaltensor.symmetry.notation import rotate, to_voigt
from crystaltensor.symmetry.point_groups import POINT_GROUPS, point_group_rotations
from crystaltensor.symmetry.projection import n_independent, project

ELASTIC = "ijkl=jikl=ijlk=klij"
PIEZO = "ijk=ikj"

# J. F. Nye, Physical Properties of Crystals (1985), appendix E: moduli d of all
# piezoelectric classes, rows 1 to 3; a dot is a zero, -ij is -d_ij, --ij is -2 d_ij.
NYE_PIEZO = {
    "1": "11 12 13 14 15 16 / 21 22 23 24 25 26 / 31 32 33 34 35 36",
    "2": ". . . 14 . 16 / 21 22 23 . 25 . / . . . 34 . 36",
    "m": "11 12 13 . 15 . / . . . 24 . 26 / 31 32 33 . 35 .",
    "222": ". . . 14 . . / . . . . 25 . / . . . . . 36",
    "mm2": ". . . . 15 . / . . . 24 . . / 31 32 33 . . .",
    "4": ". . . 14 15 . / . . . 15 -14 . / 31 31 33 . . .",
    "-4": ". . . 14 15 . / . . . -15 14 . / 31 -31 . . . 36",
    "422": ". . . 14 . . / . . . . -14 . / . . . . . .",
    "4mm": ". . . . 15 . / . . . 15 . . / 31 31 33 . . .",
    "-42m": ". . . 14 . . / . . . . 14 . / . . . . . 36",
    "3": "11 -11 . 14 15 --22 / -22 22 . 15 -14 --11 / 31 31 33 . . .",
    "32": "11 -11 . 14 . . / . . . . -14 --11 / . . . . . .",
    "3m": ". . . . 15 --22 / -22 22 . 15 . . / 31 31 33 . . .",
    "6": ". . . 14 15 . / . . . 15 -14 . / 31 31 33 . . .",
    "-6": "11 -11 . . . --22 / -22 22 . . . --11 / . . . . . .",
    "622": ". . . 14 . . / . . . . -14 . / . . . . . .",
    "6mm": ". . . . 15 . / . . . 15 . . / 31 31 33 . . .",
    "-6m2": ". . . . . --22 / -22 22 . . . . / . . . . . .",
    "23": ". . . 14 . . / . . . . 14 . / . . . . . 14",
    "-43m": ". . . 14 . . / . . . . 14 . / . . . . . 14",
}

# The same book and appendix, stiffnesses c: the upper triangle by rows; H stands for
# (c11 - c12)/2. Nye's c25 of classes 3 and -3 is -c15.
NYE_ELASTIC = {
    "-1": "11 12 13 14 15 16 22 23 24 25 26 33 34 35 36 44 45 46 55 56 66",
    "2/m": "11 12 13 . 15 . 22 23 . 25 . 33 . 35 . 44 . 46 55 . 66",
    "mmm": "11 12 13 . . . 22 23 . . . 33 . . . 44 . . 55 . 66",
    "4/m": "11 12 13 . . 16 11 13 . . -16 33 . . . 44 . . 44 . 66",
    "4/mmm": "11 12 13 . . . 11 13 . . . 33 . . . 44 . . 44 . 66",
    "-3": "11 12 13 14 15 . 11 13 -14 -15 . 33 . . . 44 . -15 44 14 H",
    "-3m": "11 12 13 14 . . 11 13 -14 . . 33 . . . 44 . . 44 14 H",
    "6/m": "11 12 13 . . . 11 13 . . . 33 . . . 44 . . 44 . H",
    "6/mmm": "11 12 13 . . . 11 13 . . . 33 . . . 44 . . 44 . H",
    "m-3": "11 12 12 . . . 11 12 . . . 11 . . . 44 . . 44 . 44",
    "m-3m": "11 12 12 . . . 11 12 . . . 11 . . . 44 . . 44 . 44",
}


def written(entry: str, symbol: str) -> str:
    """Translate an entry of the tables above."""
    if entry == ".":
        return "0"
    if entry == "H":
        return f"({symbol}11 - {symbol}12)/2"
    sign, digits = entry[:-2], entry[-2:]
    return {"": "", "-": "-", "--": "-2 "}[sign] + symbol + digits


@pytest.mark.parametrize("symbol", NYE_PIEZO)
def test_piezoelectric_forms_are_those_of_nye(symbol: str) -> None:
    """All 20 classes, all 18 entries, with the factors of d."""
    form = allowed_form(
        point_group_rotations(symbol), PIEZO, symbol="d", factors="strain"
    )
    table = NYE_PIEZO[symbol].split(" / ")
    expected = [[written(entry, "d") for entry in row.split()] for row in table]
    assert form.rows() == expected
    named = {entry[-2:] for entry in NYE_PIEZO[symbol].split() if entry[-2:].isdigit()}
    assert set(form.independent) == {"d" + digits for digits in named}


def test_the_twelve_other_classes_have_no_piezoelectric_form() -> None:
    """Eleven contain inversion; 432 has too many rotations."""
    for symbol in set(POINT_GROUPS) - set(NYE_PIEZO):
        form = allowed_form(point_group_rotations(symbol), PIEZO, symbol="e")
        assert form.independent == ()
        assert form.coefficients.shape == (3, 6, 0)
        assert form.rows() == [["0"] * 6] * 3


@pytest.mark.parametrize("symbol", NYE_ELASTIC)
def test_elastic_forms_are_those_of_nye(symbol: str) -> None:
    """One class of each Laue group, all entries."""
    form = allowed_form(point_group_rotations(symbol), ELASTIC, symbol="C")
    rows = form.rows()
    upper = [rows[i][j] for i in range(6) for j in range(i, 6)]
    assert upper == [written(entry, "C") for entry in NYE_ELASTIC[symbol].split()]
    assert rows == [list(column) for column in zip(*rows, strict=True)]


def test_compliances_have_the_factors_of_nye() -> None:
    """In class 32, s66 = 2 (s11 - s12) and s56 = 2 s14: Nye (1985), ch. VIII."""
    form = allowed_form(
        point_group_rotations("32"), ELASTIC, symbol="s", factors="strain"
    )
    assert form.entry(5, 5) == "2 (s11 - s12)"
    assert form.entry(4, 5) == "2 s14"
    assert form.entry(0, 5) == "0"


@pytest.mark.parametrize(
    ("symbol", "rows"),
    [
        ("1", [["11", "12", "13"], ["12", "22", "23"], ["13", "23", "33"]]),
        ("2", [["11", "0", "13"], ["0", "22", "0"], ["13", "0", "33"]]),
        ("mm2", [["11", "0", "0"], ["0", "22", "0"], ["0", "0", "33"]]),
        ("3", [["11", "0", "0"], ["0", "11", "0"], ["0", "0", "33"]]),
        ("432", [["11", "0", "0"], ["0", "11", "0"], ["0", "0", "11"]]),
    ],
)
def test_dielectric_forms_are_those_of_nye(symbol: str, rows: list[list[str]]) -> None:
    """Nye (1985), table 3."""
    form = allowed_form(point_group_rotations(symbol), "ij=ji")
    bare = [[entry.replace("T", "") for entry in row] for row in form.rows()]
    assert bare == rows


def test_forms_without_voigt_pairs_name_all_indices() -> None:
    """A vector, an antisymmetric and a general tensor, and the electro-optic form."""
    group = point_group_rotations("4")
    assert allowed_form(group, "i", symbol="p").rows() == [["0", "0", "p3"]]
    skew = allowed_form(group, "ij=-ji", symbol="A")
    assert skew.rows() == [["0", "A12", "0"], ["-A12", "0", "0"], ["0", "0", "0"]]
    general = allowed_form(point_group_rotations("-43m"), "ijk")
    assert general.independent == ("T123",)
    assert np.array(general.rows()).shape == (3, 9)
    electrooptic = allowed_form(point_group_rotations("3m"), "ijk=jik", symbol="r")
    assert electrooptic.names.shape == (6, 3)
    assert electrooptic.independent == ("r13", "r22", "r33", "r51")


@pytest.mark.parametrize("index_symmetry", ["ij=ji", "ij", PIEZO, "ijk", ELASTIC])
@pytest.mark.parametrize("symbol", ["1", "-4", "3", "6mm", "23"])
def test_a_form_rebuilds_a_projected_tensor(symbol: str, index_symmetry: str) -> None:
    """From its independent components alone, also in axes that fit no crystal."""
    rng = np.random.default_rng(11)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rank = len(index_symmetry.split("=", maxsplit=1)[0])
    for frame in (np.eye(3), turn):
        group = frame @ point_group_rotations(symbol) @ frame.T
        form = allowed_form(group, index_symmetry)
        assert form.n_independent == n_independent(group, index_symmetry)
        tensor = project(
            rng.normal(size=(3,) * rank), group, index_symmetry=index_symmetry
        )
        values = np.array([form.values(tensor)[name] for name in form.independent])
        entries = tensor.ravel()[form.flat]
        # The choice of components rests on at least 1 % of each: 1e-12 × 10.
        np.testing.assert_allclose(form.coefficients @ values, entries, atol=1e-11)
        assert np.abs(entries).max() > 0.01


def test_values_carry_the_factors_of_the_form() -> None:
    """The component named d14 is 2 d_123."""
    group = point_group_rotations("-43m")
    tensor = project(np.random.default_rng(2).normal(size=(3, 3, 3)), group)
    form = allowed_form(group, PIEZO, symbol="d", factors="strain")
    assert form.values(tensor)["d14"] == 2 * tensor[0, 1, 2]
    assert form.values(tensor)["d14"] == to_voigt(tensor, 3, factors="strain")[0, 3]


def test_a_small_misorientation_keeps_the_usual_names() -> None:
    """A cell that is turned by a thousandth must not change which constants are named."""
    angle = 1e-3
    turn = np.array(
        [
            [1, 0, 0],
            [0, np.cos(angle), -np.sin(angle)],
            [0, np.sin(angle), np.cos(angle)],
        ]
    )
    group = turn @ point_group_rotations("6mm") @ turn.T
    form = allowed_form(group, PIEZO, symbol="e")
    assert form.independent == ("e15", "e31", "e33")
    tensor = rotate(
        project(np.ones((3, 3, 3)), point_group_rotations("6mm")), turn, rank=3
    )
    values = np.array(list(form.values(tensor).values()))
    np.testing.assert_allclose(
        form.coefficients @ values, to_voigt(tensor, 3), atol=1e-12
    )


def test_unknown_factors_are_refused() -> None:
    """Kelvin-Mandel components have no tables."""
    with pytest.raises(ConfigError, match="unknown factors 'mandel'; known: stress"):
        allowed_form(point_group_rotations("1"), PIEZO, factors="mandel")
