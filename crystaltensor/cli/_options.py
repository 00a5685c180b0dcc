"""Options that several subcommands share."""

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

Command = TypeVar("Command", bound="Callable[..., object]")


class StructureFile(click.ParamType):  # type: ignore[type-arg]  # only newer click
    """A file with a crystal, ``FILE#2`` for the third of several, or ``-``."""

    name = "file"

    def convert(
        self,
        value: str,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        """Refuse what is not there; the reader says the rest.

        Raises
        ------
        BadParameter
            If there is no such file.
        """
        path, _, index = value.rpartition("#")
        if value == "-" or Path(value).is_file() or (index and Path(path).is_file()):
            return value
        what = "is a folder" if Path(value).is_dir() else "does not exist"
        raise click.BadParameter(f"{value!r} {what}.", ctx, param)


STRUCTURE = StructureFile()


def symprec(command: Command) -> Command:
    """``--symprec``: how far atoms may be from their symmetric places."""
    return click.option(
        "--symprec",
        type=click.FloatRange(min=0, min_open=True),
        default=0.01,
        show_default=True,
        help="Largest distance between equivalent atoms, in Å.",
    )(command)


def device(command: Command) -> Command:
    """``--device``: where networks run."""
    return click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Where to compute; auto takes a GPU if there is one.",
    )(command)
