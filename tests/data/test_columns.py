"""Tensors spread over columns: names, orders, gaps."""

import numpy as np
import pytest

from crystaltensor.data.columns import tensor_columns, tensor_from_columns
from crystaltensor.errors import DataError
from crystaltensor.properties import DIELECTRIC, ELASTIC, PIEZO, TensorProperty
from crystaltensor.symmetry.notation import from_voigt, to_voigt

LETTERS = ("xx", "yy", "zz", "yz", "xz", "xy")
PROPERTIES = {"dielectric": DIELECTRIC, "piezo": PIEZO, "elastic": ELASTIC}


def some_tensor(row: TensorProperty) -> np.ndarray:
    """Draw a tensor with the index symmetry of a property."""
    shape = {2: (6,), 3: (3, 6), 4: (6, 6)}[row.rank]
    voigt = np.random.default_rng(row.rank).normal(size=shape)
    return from_voigt(voigt + voigt.T if row.rank == 4 else voigt, row.rank)


def names_and_numbers(
    row: TensorProperty, style: str
) -> tuple[list[str], list[float], np.ndarray]:
    """Write a tensor in one of the spellings."""
    tensor = some_tensor(row)
    voigt = to_voigt(tensor, row.rank)
    places = [
        place
        for place in np.ndindex(*voigt.shape)
        if row.rank < 4 or place[0] <= place[1]
    ]
    names = []
    for place in places:
        if row.rank == 2:
            digits = "".join(str("xyz".index(one) + 1) for one in LETTERS[place[0]])
            letters = LETTERS[place[0]]
        else:
            digits = "".join(str(part + 1) for part in place)
            first = "xyz"[place[0]] if row.rank == 3 else LETTERS[place[0]]
            letters = first + LETTERS[place[1]]
        names.append(style.format(digits=digits, letters=letters))
    return ["id", *names], [float(voigt[place]) for place in places], tensor


@pytest.mark.parametrize(
    ("name", "style"),
    [
        ("dielectric", "eps_{letters}"),
        ("dielectric", "e{digits}"),
        ("dielectric", "ε{digits}"),
        ("piezo", "e{digits}"),
        ("piezo", "e_{letters}"),
        ("elastic", "C{digits}"),
        ("elastic", "c_{digits}"),
        ("elastic", "c_{letters}"),
    ],
)
def test_all_spellings_give_one_tensor(name: str, style: str) -> None:
    """Upper and lower case, with and without an underscore, digits and letters."""
    row = PROPERTIES[name]
    header, numbers, tensor = names_and_numbers(row, style)
    found = tensor_columns(header, row)
    assert list(found) == list(range(1, len(header)))
    again = tensor_from_columns(numbers, list(found.values()), row, "voigt")
    np.testing.assert_allclose(again, tensor, rtol=1e-14)


def test_the_order_of_vasp_concerns_numbers_but_not_letters() -> None:
    """Its fourth component is xy."""
    header, numbers, tensor = names_and_numbers(PIEZO, "e{digits}")
    places = list(tensor_columns(header, PIEZO).values())
    read = tensor_from_columns(numbers, places, PIEZO, "vasp")
    np.testing.assert_allclose(
        read, from_voigt(np.reshape(numbers, (3, 6)), 3, order="vasp")
    )
    assert read[0, 0, 1] == pytest.approx(tensor[0, 1, 2])
    header, numbers, tensor = names_and_numbers(PIEZO, "e_{letters}")
    places = list(tensor_columns(header, PIEZO).values())
    np.testing.assert_allclose(
        tensor_from_columns(numbers, places, PIEZO, "vasp"), tensor
    )


@pytest.mark.parametrize("name", list(PROPERTIES))
@pytest.mark.parametrize("form", ["short", "full"])
def test_numbers_without_a_header_are_known_by_their_count(
    name: str, form: str
) -> None:
    """Voigt, upper triangle, or all components."""
    row = PROPERTIES[name]
    _, numbers, tensor = names_and_numbers(row, "{digits}")
    given = numbers if form == "short" else tensor.ravel().tolist()
    again = tensor_from_columns(given, None, row, "voigt")
    np.testing.assert_allclose(again, tensor, rtol=1e-14)


def test_other_columns_are_passed_over() -> None:
    """Only complete names count; a header without any gives nothing."""
    header, _, _ = names_and_numbers(DIELECTRIC, "eps_{letters}")
    found = tensor_columns([*header, "e_form", "x", "e111", "max"], DIELECTRIC)
    assert max(found) == 6
    assert tensor_columns(["id", "gap", "e_hull"], DIELECTRIC) == {}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            ["id", "e11", "e12"],
            "numbers 13, 14, 15, 16, 21, 22, …; give all 18, with 0",
        ),
        (["id", "e11", "E11"], "the column 'e11' is there twice"),
    ],
)
def test_gaps_and_doubles_are_refused(header: list[str], message: str) -> None:
    """They could mean anything."""
    with pytest.raises(DataError, match=message):
        tensor_columns(header, PIEZO)


def test_wrong_numbers_are_refused() -> None:
    """A count that fits no form, and what is not finite."""
    with pytest.raises(
        DataError, match=r"7 numbers are not a tensor C: .*21, 36 or 81"
    ):
        tensor_from_columns([1.0] * 7, None, ELASTIC, "voigt")
    with pytest.raises(DataError, match="not finite"):
        tensor_from_columns([float("nan")] * 6, None, DIELECTRIC, "voigt")
