"""Options that several subcommands share."""

from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

Command = TypeVar("Command", bound="Callable[..., object]")

STRUCTURE = click.Path(exists=True, dir_okay=False, allow_dash=True)


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
        help="Where the network runs; auto takes a GPU if there is one.",
    )(command)
