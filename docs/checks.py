"""Run what the README and the pages here say, and compare what they show.

::

    python docs/checks.py                  all pages, short forms of what takes long
    python docs/checks.py --long PAGE…     as it stands, in new processes
    python docs/checks.py --write PAGE…    put what comes out in place of what is shown

A page is Markdown. Its ``sh`` blocks are scripts; a ``console`` block has commands after
``$`` and what they print; a ``python`` block is a program, and a ``text`` block right
behind it is what it prints. All blocks of a page run in one folder, in which the files
of the repository lie. A line ``…`` stands for any lines; numbers need to agree to
0.2 %, times and rates not at all. A comment in front of a block changes what is done:

``<!-- before: COMMAND -->``
    Run this first; a reader would have the files.
``<!-- short: COMMAND -->``
    Takes long; the tests run this in its place.
``<!-- long -->``
    Takes long; the tests leave it out.
``<!-- elsewhere: REASON -->``
    Needs what is not here; nothing runs it.
``<!-- exit: CODE -->``
    The last command ends with this code.
``<!-- varies -->``
    What is printed differs from machine to machine, and is not compared.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from warm import ask, environment, warm_server

ROOT = Path(__file__).resolve().parents[1]
RUNNABLE = ("sh", "console", "python")
DIRECTIVES = ("before", "short", "long", "elsewhere", "exit", "varies")
BLOCK = re.compile(
    r"(?P<marks>(?:^<!-- (?:(?!-->).)* -->\n)*)^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    flags=re.DOTALL | re.MULTILINE,
)
NUMBER = re.compile(r"[-−]?\d+(?:\.\d+)?(?:e[-+−]?\d+)?")
TIMES = re.compile(r"(?<![\w.])[\d.,]+ ?(?:µs|ms|s|min|h)(?!\w)|\d+:\d\d:\d\d")
RATE = re.compile(r"a second|\d/s\b")
DIGEST = re.compile(r"\b[0-9a-f]{12,64}\b")
DIRECTION = re.compile(r"\((?:-?[\d.]+ ){2}-?[\d.]+\)")


@dataclass(frozen=True)
class Block:
    """A block of a page that runs, with what was said in comments before it."""

    page: Path
    line: int
    language: str
    text: str
    shown: str | None
    marks: dict[str, list[str]] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it is."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


class PageError(AssertionError):
    """A block that does not do what the page says."""


def pages() -> list[Path]:
    """List the pages that are written by hand, and the README."""
    found = sorted((ROOT / "docs").rglob("*.md"))
    hidden = {"_build", "_generated"}
    own = [page for page in found if not hidden.intersection(page.parts)]
    return [ROOT / "README.md", *own]


def blocks(page: Path) -> list[Block]:
    """Find the blocks of a page that run.

    Raises
    ------
    PageError
        If a comment before a block is not one of those above.
    """
    text = page.read_text(encoding="utf-8")
    matches = list(BLOCK.finditer(text))
    after = [*matches[1:], None] if matches else []
    found = []
    for match, follower in zip(matches, after, strict=True):
        if match["language"] not in RUNNABLE:
            continue
        line = text.count("\n", 0, match.start("text"))
        marks: dict[str, list[str]] = {}
        for mark in re.findall(r"<!-- (.*?) -->", match["marks"], flags=re.DOTALL):
            name, _, value = mark.partition(":")
            if name not in DIRECTIVES:
                raise PageError(f"{page}:{line}: unknown comment {name!r}")
            marks.setdefault(name, []).append(value.strip())
        shown = None
        if follower is not None and follower["language"] == "text":
            between = text[match.end() : follower.start()]
            is_output = match["language"] == "python" and not between.strip()
            shown = follower["text"] if is_output else None
        found.append(Block(page, line, match["language"], match["text"], shown, marks))
    return found


def commands(text: str) -> list[tuple[str, str]]:
    """Split a console block into commands and what each prints."""
    found: list[tuple[list[str], list[str]]] = []
    goes_on = False
    for line in text.splitlines():
        if goes_on:
            found[-1][0].append(line)
        elif line.startswith("$ "):
            found.append(([line[2:]], []))
        elif found:
            found[-1][1].append(line)
        else:
            raise PageError(f"a console block begins with '$ ', not with {line!r}")
        goes_on = line.endswith("\\") and (goes_on or line.startswith("$ "))
    return [("\n".join(command), "\n".join(output)) for command, output in found]


def same(shown: str, printed: str) -> bool:
    """Tell whether a page shows what was printed."""
    wanted = [_tokens(line) for line in shown.rstrip().splitlines()]
    given = [_tokens(line) for line in printed.rstrip().splitlines()]
    gap: tuple[list[str], list[float]] = _tokens("…")
    pieces: list[list[tuple[list[str], list[float]]]] = [[]]
    for line in wanted:
        if line == gap:
            pieces.append([])
        else:
            pieces[-1].append(line)
    if len(pieces) == 1:
        return len(given) == len(wanted) and _find(given, pieces[0], 0, only=True) == 0
    start = 0
    for number, piece in enumerate(pieces):
        if number == len(pieces) - 1:
            start = max(start, len(given) - len(piece))
        at = _find(given, piece, start, only=number in {0, len(pieces) - 1})
        if at is None:
            return False
        start = at + len(piece)
    return True


def _find(
    given: list[tuple[list[str], list[float]]],
    piece: list[tuple[list[str], list[float]]],
    start: int,
    *,
    only: bool,
) -> int | None:
    """Find lines among others, from some line on, or only there."""
    last = start if only else len(given) - len(piece)
    for at in range(start, last + 1):
        lines = given[at : at + len(piece)]
        if len(lines) == len(piece) and all(map(_alike, piece, lines)):
            return at
    return None


def _tokens(line: str) -> tuple[list[str], list[float]]:
    """Split a line into its words, without times and digests, and its numbers."""
    plain = DIGEST.sub("DIGEST", TIMES.sub("TIME", line)).replace("─", " ")
    plain = DIRECTION.sub("DIRECTION", plain)
    if RATE.search(plain):
        return NUMBER.sub("#", plain).split(), []
    numbers = [float(each.replace("−", "-")) for each in NUMBER.findall(plain)]
    return NUMBER.sub("#", plain).split(), numbers


def _alike(
    one: tuple[list[str], list[float]], two: tuple[list[str], list[float]]
) -> bool:
    """Compare words exactly and numbers nearly."""
    return one[0] == two[0] and all(
        abs(a - b) <= 2e-3 * max(abs(a), abs(b)) + 1e-9
        for a, b in zip(one[1], two[1], strict=True)
    )


class Workplace:
    """A folder with the files of the repository, in which the blocks of a page run.

    Parameters
    ----------
    folder : Path
        Empty; what the blocks write goes there.
    server : Path, optional
        Socket of a warm server; new processes are started without.
    """

    def __init__(self, folder: Path, server: Path | None) -> None:
        self.folder = folder
        self.server = server
        for path in ROOT.iterdir():
            if path.name not in {".git", ".venv", "build", "dist", "runs"}:
                (folder / path.name).symlink_to(path)

    def run(self, block: Block, *, long: bool) -> list[tuple[str, str]]:
        """Run a block; return what each of its commands should print, and what it did."""
        marks = block.marks
        if "elsewhere" in marks or ("long" in marks and not long):
            return []
        for command in marks.get("before", []):
            self._bash(command, block, code=0)
        code = int(marks.get("exit", ["0"])[-1])
        if "short" in marks and not long:
            for command in marks["short"]:
                self._bash(command, block, code=code)
            return []
        if block.language == "python":
            printed = self._python(block)
            return [] if block.shown is None else [(block.shown, printed)]
        if block.language == "sh":
            self._bash(block.text, block, code=code)
            return []
        split = commands(block.text)
        codes = [0] * (len(split) - 1) + [code]
        return [
            (shown, self._bash(command, block, code=wanted))
            for (command, shown), wanted in zip(split, codes, strict=True)
        ]

    def _bash(self, script: str, block: Block, *, code: int) -> str:
        """Run a script; return what it prints.

        Raises
        ------
        PageError
            If it ends with another code.
        """
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=environment(self.server),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != code:
            raise PageError(
                f"{block.place}: {script.strip()}\nends with {done.returncode}, not "
                f"{code}:\n{done.stdout}"
            )
        return done.stdout

    def _python(self, block: Block) -> str:
        """Run a program; return what it prints."""
        if self.server is None:
            script = self.folder / "snippet.py"
            script.write_text(block.text, encoding="utf-8")
            return self._bash(f"python {script.name}", block, code=0)
        read, write = os.pipe()
        with os.fdopen(read) as printed:
            code = ask(
                self.server,
                {"python": block.text, "cwd": str(self.folder)},
                (0, write, write),
                close=write,
            )
            text = printed.read()
        if code:
            raise PageError(f"{block.place}: the program fails:\n{text}")
        return text


def check(page: Path, server: Path | None, *, long: bool) -> None:
    """Run a page.

    Raises
    ------
    PageError
        If a block fails, or prints what the page does not show.
    """
    with tempfile.TemporaryDirectory() as name:
        place = Workplace(Path(name), server)
        for block in blocks(page):
            for shown, printed in place.run(block, long=long):
                if "varies" not in block.marks and not same(shown, printed):
                    raise PageError(
                        f"{block.place}: the page shows\n{shown}\nand it prints\n{printed}"
                    )


def rewrite(page: Path, server: Path | None, *, long: bool) -> list[str]:
    """Put what comes out in place of what a page shows; say what cannot be."""
    text = page.read_text(encoding="utf-8")
    left: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        place = Workplace(Path(name), server)
        for block in blocks(page):
            found = place.run(block, long=long)
            fresh = [
                _fresh(shown, printed, block.place, left) for shown, printed in found
            ]
            if block.shown is not None:
                text = text.replace(
                    f"```text\n{block.shown}```", f"```text\n{fresh[0]}```", 1
                )
            elif fresh:
                split = commands(block.text)
                new = "".join(
                    f"$ {command}\n{output}"
                    for (command, _), output in zip(split, fresh, strict=True)
                )
                text = text.replace(
                    f"```console\n{block.text}```", f"```console\n{new}```", 1
                )
    page.write_text(text, encoding="utf-8")
    return left


def _fresh(shown: str, printed: str, place: str, left: list[str]) -> str:
    """Return what should be shown; note what is to be written by hand."""
    kept = shown.rstrip() + "\n" if shown.strip() else ""
    if same(shown, printed):
        return kept
    filled = _fill(shown, printed)
    # Lines that are new between others fit into no gap.
    if filled is None or not same(filled, printed):
        left.append(f"{place}: {shown}\n--- prints ---\n{printed}")
        return kept
    return filled.rstrip() + "\n" if filled.strip() else ""


def _fill(shown: str, printed: str) -> str | None:
    """Fill a text with gaps from what was printed, lines of the same words."""
    lines = [line.rstrip() for line in printed.rstrip().splitlines()]
    if "…" not in shown.splitlines():
        return "\n".join(lines)
    words = [_tokens(line)[0] for line in lines]
    filled: list[str] = []
    start = 0
    for line in shown.rstrip().splitlines():
        if line == "…":
            filled.append(line)
            continue
        if _tokens(line)[0] not in words[start:]:
            return None
        start = words.index(_tokens(line)[0], start)
        filled.append(lines[start])
        start += 1
    return "\n".join(filled)


def main() -> None:
    """Check or rewrite pages, as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path)
    parser.add_argument("--long", action="store_true", help="run what takes long, too")
    parser.add_argument("--write", action="store_true", help="show what comes out")
    given = parser.parse_args()
    chosen = [page.resolve() for page in given.pages] or pages()
    failed = 0
    with warm_server() as warm:
        server = None if given.long else warm
        for page in chosen:
            try:
                left = []
                if given.write:
                    left = rewrite(page, server, long=given.long)
                else:
                    check(page, server, long=given.long)
            except PageError as error:
                left = [str(error)]
            failed += bool(left)
            name = page.relative_to(ROOT)
            sys.stdout.write(
                "\n".join([f"{'FAIL' if left else 'ok'} {name}", *left, ""])
            )
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
