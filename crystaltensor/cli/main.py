"""The entry point: subcommands that are imported when they are called."""

import sys
import traceback
from importlib import import_module

import click

from crystaltensor import __version__
from crystaltensor.errors import CrystalTensorError
from crystaltensor.text import one_line

COMMANDS = {
    "predict": "Predict properties of crystals.",
    "merge": "Join the outputs of the shards of a run.",
    "symmetrize": "Say what symmetry allows of a tensor, and project it.",
    "train": "Train a model on a data set.",
    "fit": "Fit what the forces of a potential do not hold.",
    "featurize": "Sum pair potentials over all periodic images.",
    "models": "List the models that are installed, or compare some.",
    "benchmark": "Measure errors, symmetry, sums and speed.",
}
"""Name to one line of help; each lives in a module of its name."""


class LazyGroup(click.Group):
    """A group whose commands are imported only when one of them is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands, in the order a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"crystaltensor.cli.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="crystaltensor")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Predict, project and check the tensor properties of crystals.

    Example: crystaltensor predict POSCAR --property piezo
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process with its exit code.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the process if left out.

    Raises
    ------
    SystemExit
        Always: 0 all went well, 1 bad data, 2 wrong usage, 130 interrupted.
    """
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = cli.main(args=given, prog_name="crystaltensor", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        raise SystemExit(2) from None
    except BrokenPipeError:
        sys.stderr.close()  # whoever read the output has gone: there is no one to tell
        raise SystemExit(1) from None
    except (Exception, KeyboardInterrupt) as error:
        message, code = _explain(error)
        if "--debug" in given:
            traceback.print_exception(error)
        click.echo(f"Error: {one_line(message.strip())}", err=True)
        raise SystemExit(code) from None
    raise SystemExit(code if isinstance(code, int) else 0)


def _explain(error: BaseException) -> tuple[str, int]:
    """Turn an error into one line and an exit code."""
    if isinstance(error, click.UsageError):
        where = f" (see '{error.ctx.command_path} --help')" if error.ctx else ""
        return error.format_message() + where, 2
    if isinstance(error, click.ClickException | CrystalTensorError):
        return str(error), 1
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return "interrupted", 130
    if isinstance(error, OSError) and error.filename:
        message = f"{error.filename}: {error.strerror}"
    elif isinstance(error, MemoryError):
        message = "out of memory; use a smaller cell of the crystal"
    else:
        what = f"{type(error).__name__}: {error}"
        message = f"{what} (a fault of crystaltensor; --debug shows where)"
    return message, 1
