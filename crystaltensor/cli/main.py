"""The entry point: subcommands that are imported when they are called."""

import sys
from importlib import import_module

import click

from crystaltensor import __version__
from crystaltensor.errors import CrystalTensorError

COMMANDS = {
    "predict": "Predict a tensor property of a crystal.",
    "train": "Train a model on a data set.",
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
def cli(debug: bool) -> None:  # noqa: ARG001  (main looks at it when an error arrives)
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
    debug = "--debug" in given
    try:
        code = cli.main(args=given, prog_name="crystaltensor", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        raise SystemExit(2) from None
    except click.UsageError as error:
        where = f" (see '{error.ctx.command_path} --help')" if error.ctx else ""
        message = " ".join(error.format_message().split())
        raise SystemExit(_complain(f"{message}{where}", code=2)) from None
    except click.ClickException as error:
        raise SystemExit(_complain(error.format_message())) from None
    except (click.Abort, KeyboardInterrupt):
        raise SystemExit(_complain("interrupted", code=130)) from None
    except BrokenPipeError:
        sys.stderr.close()  # whoever read the output has gone: there is no one to tell
        raise SystemExit(1) from None
    except CrystalTensorError as error:
        if debug:
            raise
        raise SystemExit(_complain(str(error))) from None
    except MemoryError:
        if debug:
            raise
        raise SystemExit(
            _complain("out of memory; use a smaller cell of the crystal")
        ) from None
    except Exception as error:
        if debug:
            raise
        what = " ".join(f"{type(error).__name__}: {error}".split())
        message = f"{what}; this is a fault of crystaltensor: --debug shows where"
        raise SystemExit(_complain(message)) from None
    raise SystemExit(code if isinstance(code, int) else 0)


def _complain(message: str, *, code: int = 1) -> int:
    """Say what went wrong in one line."""
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    return code
