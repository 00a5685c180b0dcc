"""The syntax of CIF: data blocks of tags, values and loops."""

import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from crystaltensor.crystals.parsing import MAX_LINE, shown
from crystaltensor.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

# A quote ends only before a space. One that does not end, as in a title with an
# apostrophe, takes the rest of its line: it is no reason to refuse a structure.
_TOKEN = re.compile(
    r"""'(?P<single>(?:[^']|'(?=\S))*)'(?=\s|$)|"(?P<double>(?:[^"]|"(?=\S))*)"(?=\s|$)"""
    r"""|(?P<open>['"].*)|(?P<comment>\#.*)|(?P<plain>\S+)"""
)


MAX_TOKENS = 1_000_000
"""Most words in a CIF: eight columns for the largest cell."""


class Token(NamedTuple):
    """A word of a CIF; a quoted one is never a tag or a keyword."""

    text: str
    line: int
    quoted: bool

    def is_tag(self) -> bool:
        """Tell a tag, such as ``_cell_length_a``, from a value."""
        return not self.quoted and self.text[:1] == "_"

    def is_keyword(self, word: str) -> bool:
        """Tell a reserved word; upper and lower case do not count."""
        return not self.quoted and self.text[: len(word)].lower() == word


@dataclass
class Block:
    """One data block; tags are in lower case, with underscores for dots.

    Parameters
    ----------
    name : str
        What follows ``data_``.
    line : int
        Where the block starts.
    columns : dict of str to list of Token
        The values of each tag: one for a plain tag, one per row in a loop.
    loops : list of list of str
        The tags of each loop.
    """

    name: str
    line: int
    columns: dict[str, list[Token]] = field(default_factory=dict)
    loops: list[list[str]] = field(default_factory=list)

    def find(self, *tags: str) -> list[Token]:
        """Look up the values of the first of these tags that is there."""
        for tag in tags:
            if self.columns.get(tag):
                return self.columns[tag]
        return []


def parse_blocks(text: str) -> list[Block]:
    """Split a CIF into its data blocks.

    Parameters
    ----------
    text : str
        The whole file.

    Returns
    -------
    list of Block
        In the order of the file.

    Raises
    ------
    FormatError
        If there is no data block, or a loop is cut short.
    """
    blocks: list[Block] = []
    tokens = list(islice(_tokens(text), MAX_TOKENS + 1))
    if len(tokens) > MAX_TOKENS:
        raise FormatError(f"has more than {MAX_TOKENS} words: too many for a crystal")
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.is_keyword("data_"):
            blocks.append(Block(token.text[5:], token.line))
            at += 1
        elif not blocks:
            raise FormatError(
                f"line {token.line}: expected data_..., the start of a CIF, "
                f"not {shown(token.text)}"
            )
        elif token.is_keyword("loop_"):
            at = _read_loop(tokens, at + 1, blocks[-1])
        elif token.is_tag():
            at = _read_pair(tokens, at, blocks[-1])
        else:  # a stray word, as after an apostrophe in a title
            at += 1
    if not blocks:
        raise FormatError("there is no data block (data_...): this is not a CIF")
    return blocks


def _read_pair(tokens: list[Token], at: int, block: Block) -> int:
    """Read a tag and its value; return where to go on."""
    value = tokens[at + 1] if at + 1 < len(tokens) else None
    if value is None or value.is_tag() or _is_start(value):
        return at + 1  # a tag without a value
    block.columns[_plain(tokens[at].text)] = [value]
    return at + 2


def _read_loop(tokens: list[Token], at: int, block: Block) -> int:
    """Read a loop; return where to go on."""
    start = at
    while at < len(tokens) and tokens[at].is_tag():
        at += 1
    tags = [_plain(token.text) for token in tokens[start:at]]
    first = at
    while at < len(tokens) and not tokens[at].is_tag() and not _is_start(tokens[at]):
        at += 1
    values = tokens[first:at]
    if not tags:
        return at
    if len(values) % len(tags):
        raise FormatError(
            f"line {tokens[start].line}: the loop over {shown(tags[0])} has {len(tags)} "
            f"columns, but {len(values)} values: one is missing, or the file is cut short"
        )
    for column, tag in enumerate(tags):
        block.columns[tag] = values[column :: len(tags)]
    block.loops.append(tags)
    return at


def _is_start(token: Token) -> bool:
    """Tell the words that end a list of values."""
    return token.is_keyword("loop_") or token.is_keyword("data_")


def _plain(tag: str) -> str:
    """Write a tag as version 1 of CIF does; version 2 has dots."""
    return tag.lower().replace(".", "_")


def _tokens(text: str) -> "Iterator[Token]":
    """Split into words; text between semicolons is one word."""
    lines = iter(enumerate(text.split("\n"), 1))
    for number, line in lines:
        if line[:1] == ";":
            parts = [line[1:]]
            for _, more in lines:
                if more[:1] == ";":
                    break
                parts.append(more)
            yield Token("\n".join(parts).strip(), number, quoted=True)
            continue
        yield from _words(line, number)


def _words(line: str, number: int) -> "Iterator[Token]":
    """Split a line into words; drop its comment."""
    if "'" not in line and '"' not in line and "#" not in line:
        for word in line.split():  # most lines, and several times faster
            yield Token(word, number, quoted=False)
        return
    if len(line) > MAX_LINE:
        raise FormatError(f"line {number} is too long: {len(line)} characters")
    for match in _TOKEN.finditer(line):
        kind = str(match.lastgroup)
        if kind in {"plain", "open"}:
            yield Token(match[kind].rstrip(), number, quoted=kind == "open")
        elif kind != "comment":
            yield Token(match[kind], number, quoted=True)
