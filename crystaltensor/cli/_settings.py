"""Options that are made from the fields of a settings class."""

import tomllib
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, TypeVar

import click

from crystaltensor.settings import describe_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from dataclasses import Field

Command = TypeVar("Command", bound="Callable[..., object]")


class Listed(click.ParamType):  # type: ignore[type-arg]  # only newer click
    """Values with commas between them."""

    name = "list"

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def convert(
        self,
        value: str,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[object, ...]:
        """Split the text, and read each part.

        Raises
        ------
        BadParameter
            If a part is not what it should be.
        """
        try:
            return tuple(self.kind(part.strip()) for part in value.split(","))
        except ValueError:
            what = "numbers" if self.kind is float else "names"
            raise click.BadParameter(
                f"{value!r} is not a list of {what} with commas between them.",
                ctx,
                param,
            ) from None


_TYPES: dict[object, click.ParamType | type] = {  # type: ignore[type-arg]
    int: int,
    float: float,
    str: str,
    tuple[str, ...]: Listed(str),
    tuple[float, ...]: Listed(float),
}


def options_of(
    kind: type, *, without: "Collection[str]"
) -> "Callable[[Command], Command]":
    """Add an option for each field, so that options and configuration keys agree.

    Parameters
    ----------
    kind : type
        A dataclass with a docstring that describes its fields.
    without : collection of str
        Fields that have no such option.

    Returns
    -------
    callable
        A decorator; options that are not given are None.
    """
    texts = describe_fields(kind)

    def decorate(command: Command) -> Command:
        for field in reversed(fields(kind)):
            if field.name not in without:
                command = _option(field, texts.get(field.name, ""))(command)
        return command

    return decorate


def _option(field: "Field[object]", text: str) -> "Callable[[Command], Command]":
    """Make the option of a field."""
    name = field.name.replace("_", "-")
    text = f"{text} [{_shown(field.default)}]" if field.default != MISSING else text
    if field.type is bool:
        return click.option(f"--{name}/--no-{name}", default=None, help=text)
    return click.option(f"--{name}", type=_TYPES[field.type], help=text)


def _shown(value: object) -> str:
    """Write a default as it would be typed."""
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return str(value) if value != "" else "none"


def assignments(given: tuple[str, ...]) -> dict[str, object] | None:
    """Read ``KEY=VALUE``, the value as TOML or else as a word.

    Parameters
    ----------
    given : tuple of str
        As typed.

    Returns
    -------
    dict or None
        None if nothing was given.

    Raises
    ------
    BadParameter
        If there is no ``=``.
    """
    found: dict[str, object] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE.")
        try:
            found[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[key.strip()] = value.strip()
    return found or None
