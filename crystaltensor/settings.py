"""Checks of what users write into configuration files."""

import difflib
import inspect
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from crystaltensor.errors import ConfigError
from crystaltensor.text import one_line

_LARGEST_FILE = 1 << 24  # bytes; settings of a model have some thousand

_LONGEST_NAME = 60  # the time to find what is alike grows with the square

_KINDS: dict[object, tuple[type, ...]] = {
    int: (int,),
    float: (int, float),
    str: (str,),
    bool: (bool,),
}


def suggestion(given: str, known: Iterable[str]) -> str:
    """Say which of the known names was probably meant, or list them all.

    Parameters
    ----------
    given : str
        What was written.
    known : iterable of str
        What could have been.

    Returns
    -------
    str
        The end of an error message.
    """
    names = list(known)
    close = difflib.get_close_matches(given[:_LONGEST_NAME], names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"


def check_fields(
    given: Mapping[str, Any], kind: type, *, source: str, fixed: Collection[str] = ()
) -> None:
    """Refuse keys that are not fields of a dataclass, and values of another type.

    Parameters
    ----------
    given : mapping
        What was read.
    kind : type
        A dataclass; fields of type int, float, str and bool are checked.
    source : str
        Where it is from, for the message.
    fixed : collection of str
        Fields that a user cannot set.

    Raises
    ------
    ConfigError
        Naming the key, and the one that was probably meant or the type.
    """
    types = {each.name: each.type for each in fields(kind) if each.name not in fixed}
    for key, value in given.items():
        if key not in types:
            raise ConfigError(
                f"{source}: unknown key {one_line(repr(key), 60)}; "
                f"{suggestion(key, types)}"
            )
        wanted = _KINDS.get(types[key])
        # In Python True is an int, in a configuration it is not.
        wrong = isinstance(value, bool) and wanted != (bool,)
        if wanted and (wrong or not isinstance(value, wanted)):
            name = wanted[-1].__name__
            shown = one_line(repr(value), 60)
            raise ConfigError(f"{source}: {key} must be {name}, not {shown}")


def check_bounds(given: object, **bounds: tuple[float, float]) -> None:
    """Refuse numbers beyond what a setting may be.

    Parameters
    ----------
    given : object
        Its attributes are checked.
    bounds : tuple of float
        The smallest and the largest value of the attribute of that name.

    Raises
    ------
    ConfigError
        Naming the setting and the bound.
    """
    for name, (least, most) in bounds.items():
        value = getattr(given, name)
        if not value >= least:
            raise ConfigError(f"{name} must be at least {least:g}")
        if value > most:
            raise ConfigError(f"{name} must be at most {most:g}")


def read_small_file(path: Path) -> str:
    """Read a text of settings; refuse what is none, or far too long to be one.

    Parameters
    ----------
    path : Path
        A file.

    Returns
    -------
    str
        All of it.

    Raises
    ------
    ConfigError
        If it is no file, cannot be read, is too long, or is no text.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file")
    try:
        with path.open("rb") as stream:
            content = stream.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise ConfigError(f"{path}: longer than {_LARGEST_FILE >> 20} MiB")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no text in UTF-8 ({error})") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def describe_fields(kind: type) -> dict[str, str]:
    """Read what the docstring of a dataclass says of its fields.

    Parameters
    ----------
    kind : type
        A dataclass with a numpy docstring.

    Returns
    -------
    dict
        Field to one line of text; those of one entry share it. Empty if Python was
        told to leave out docstrings.
    """
    text = inspect.getdoc(kind) or ""
    section = text.partition("Parameters\n----------\n")[2].partition("\n\n")[0]
    found: dict[str, str] = {}
    for names, lines in re.findall(r"^(\S.*)\n((?: +.*\n?)*)", section, re.MULTILINE):
        for name in names.split(" : ")[0].split(", "):
            found[name] = " ".join(lines.split())
    return found
