"""Options that several subcommands share."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Command = TypeVar("Command", bound="Callable[..., object]")


def _is_readable(name: str) -> bool:
    """Tell whether there is a file, a pipe or a device; the reader refuses the last."""
    try:
        return Path(name).exists() and not Path(name).is_dir()
    except OSError:  # a name that is too long
        return False


class PathType(click.ParamType):  # type: ignore[type-arg]  # only newer click
    """A path, which the shell completes."""

    name = "path"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Leave files to the shell."""
        return [CompletionItem(incomplete, type="file")]


class StructureFile(PathType):
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
        if value == "-" or _is_readable(value) or (index and _is_readable(path)):
            return value
        there = os.path.lexists(value)
        what = "is a folder or leads nowhere" if there else "does not exist"
        raise click.BadParameter(f"{value!r} {what}.", ctx, param)


class PropertyName(click.ParamType):  # type: ignore[type-arg]  # only newer click
    """The name of a property; what is no such name is refused where it is used."""

    name = "name"

    def __init__(self, *others: str) -> None:
        self.others = others

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the names, with what they are called in words."""
        from crystaltensor.properties import PROPERTIES

        titles = {row.name: row.title for row in PROPERTIES}
        return [
            CompletionItem(name, help=titles.get(name, ""))
            for name in (*titles, *self.others)
            if name.startswith(incomplete)
        ]


def add(command: Command, options: "Sequence[Callable[[Command], Command]]") -> Command:
    """Give a command several options, in the order of the help."""
    for option in reversed(options):
        command = option(command)
    return command


STRUCTURE = StructureFile()
PROPERTY = PropertyName()


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
