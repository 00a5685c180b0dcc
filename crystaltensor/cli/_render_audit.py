"""How an audit is shown."""

from typing import TYPE_CHECKING

from rich.markup import escape

from crystaltensor.cli._render import plain
from crystaltensor.data.choices import FINDINGS, FRAMES

if TYPE_CHECKING:
    from rich.console import Console

    from crystaltensor.workflows.preparation import Audited

_MANY = 0.1  # beyond this share a whole data set is probably in other axes
_AS_GOOD = 0.9


def summary(console: "Console", event: "Audited") -> None:
    """Count what was found, and say what can be done about it."""
    found = event.audit
    total = len(found.rows)
    wrong = sum(bool(row.found) for row in found.rows)
    console.print(f"Audit: {total} rows, of which something is found in {wrong}")
    width = len(str(total))
    for name, count in found.counts.items():
        console.print(f"  {count:{width}} {name}: {escape(FINDINGS[name])}")
        if name == "frame":
            shares = [
                f"{axes} {count} ({count / total:.0%})"
                for axes, count in found.explained.items()
            ]
            console.print(f"  {'':{width}} axes they fit in: {', '.join(shares)}")
    if found.free_signs:
        console.print(
            f"  {found.free_signs:{width}} labels are of a class without a polar axis, "
            "where the sign is a convention"
        )
    for line in _advice(event):
        console.print(line)
    console.print(f"  (each row is in {plain(event.file)})")


def _advice(event: "Audited") -> list[str]:
    """Say what to do if much of a data set has one fault."""
    counts, total = event.audit.counts, len(event.audit.rows)
    lines = []
    axes = {n: c for n, c in event.audit.explained.items() if n in FRAMES}
    if counts.get("frame", 0) > _MANY * total and axes:
        # Frames that explain as much as the best cannot be told apart here.
        best = [name for name, c in axes.items() if c >= _AS_GOOD * max(axes.values())]
        lines.append(
            f"Warning: the labels are probably in {' or in '.join(FRAMES[name] for name in best)}; "
            f"if they are, set label_frame = '{best[0]}' (--label-frame {best[0]})"
        )
    if counts.get("voigt-order", 0) > _MANY * total:
        lines.append(
            "Warning: the columns are probably in the order xx yy zz xy yz zx; if they "
            "are, set voigt_order = 'vasp' (--voigt-order vasp)"
        )
    return lines
