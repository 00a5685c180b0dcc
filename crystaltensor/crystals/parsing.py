"""What the parsers of structure files share: their result, and reading numbers."""

from typing import TYPE_CHECKING, NamedTuple

from crystaltensor.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crystaltensor.crystals.crystal import Crystal

MAX_ATOMS = 100_000
"""Largest cell that a file may hold; a header that asks for more is refused unread."""

MAX_LINE = 1 << 16
"""Longest line of a text format, in characters."""


MAX_TEXT = 1 << 25
"""Longest text, in characters, that is read as a whole."""


class Parsed(NamedTuple):
    """A crystal, and what its reader should tell the user."""

    crystal: "Crystal"
    warnings: tuple[str, ...] = ()


def shown(text: object) -> str:
    """Quote a piece of a file for a message: one line, printable, not long."""
    quoted = ascii(str(text)[:60])
    return quoted if len(quoted) <= 42 else quoted[:38] + "...'"


def to_float(token: str, where: str) -> float:
    """Read one number as Fortran and C write it."""
    try:
        # Python alone takes 1_000 and the digits of other scripts for a number.
        plain = token if token.isascii() and "_" not in token else "?"
        return float(plain.lower().replace("d", "e", 1))
    except ValueError:
        raise FormatError(f"{where}: {shown(token)} is not a number") from None


def three_floats(tokens: "Sequence[str]", where: str, what: str) -> list[float]:
    """Read the three numbers that a line starts with."""
    if len(tokens) < 3:
        raise FormatError(
            f"{where}: expected {what}, three numbers, not {shown(' '.join(tokens))}"
        )
    return [to_float(token, where) for token in tokens[:3]]
