"""Text from files and file names, made fit to be shown: a terminal obeys what it is sent."""

import json
from typing import Any

LONGEST = 1000
"""Most characters of a message."""

_HEAD = 400


def one_line(text: str, longest: int = LONGEST) -> str:
    """Write a text in one line of printable characters.

    Line ends and tabs become blanks. Whatever else does not print is written as its
    escape: colours and cursor movements of terminals, marks that turn the direction of
    writing, bytes of file names that are no UTF-8.

    Parameters
    ----------
    text : str
        Anything.
    longest : int
        A longer text loses its middle.

    Returns
    -------
    str
        Printable; the same text again if it is one line already.
    """
    if len(text) > longest:
        head = min(_HEAD, longest // 2)
        text = f"{text[:head]} … {text[head + 3 - longest :]}"
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    """Write a character that does not print."""
    if character in "\n\r\t\v\f\u2028\u2029":
        return " "
    return character.encode("unicode_escape").decode("ascii")


def json_line(value: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """Write a value as one line of JSON that is safe to show.

    Parameters
    ----------
    value : object
        Numbers, strings, lists and mappings with names.

    Returns
    -------
    str
        JSON; letters of all scripts as they are, what does not print as escapes.
    """
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else json.dumps(each)[1:-1] for each in text
    )
