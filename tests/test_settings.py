"""Checks of configuration files."""

from dataclasses import dataclass

import pytest

from crystaltensor.errors import ConfigError
from crystaltensor.settings import check_fields, describe_fields, suggestion


@dataclass
class Shape:
    """Three fields of three types, and one nobody may set."""

    width: int = 1
    length: float = 1.0
    name: str = ""
    secret: int = 0


def test_good_settings_pass() -> None:
    """An integer may stand for a real number."""
    check_fields({"width": 2, "length": 3, "name": "x"}, Shape, source="here")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"widht": 1}, "here: unknown key 'widht'; did you mean 'width'?"),
        ({"zzz": 1}, "here: unknown key 'zzz'; known: width, length, name"),
        ({"secret": 1}, "here: unknown key 'secret'; known: width, length, name"),
        ({"width": 1.5}, "here: width must be int, not 1.5"),
        ({"width": True}, "here: width must be int, not True"),
        ({"length": "1"}, "here: length must be float, not '1'"),
        ({"name": 3}, "here: name must be str, not 3"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, object], message: str) -> None:
    """With where it is from."""
    with pytest.raises(ConfigError) as raised:
        check_fields(given, Shape, source="here", fixed=("secret",))
    assert str(raised.value) == message


def test_a_suggestion_lists_all_names_if_none_is_near() -> None:
    """So that the user can choose."""
    assert suggestion("piezi", ["piezo", "elastic"]) == "did you mean 'piezo'?"
    assert suggestion("qqq", ["piezo", "elastic"]) == "known: piezo, elastic"


def test_fields_are_described_by_the_docstring() -> None:
    """Names that share an entry share its text, and lines are joined."""

    @dataclass
    class Documented:
        """A class.

        Parameters
        ----------
        one, two : int
            Both of
            them.
        three
            The third.

        Raises
        ------
        ValueError
            Never.
        """

        one: int
        two: int
        three: int

    assert describe_fields(Documented) == {
        "one": "Both of them.",
        "two": "Both of them.",
        "three": "The third.",
    }
