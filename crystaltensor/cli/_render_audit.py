"""How an audit is shown."""

from typing import TYPE_CHECKING

from rich.markup import escape

from crystaltensor.data.choices import FINDINGS, FRAMES

if TYPE_CHECKING:
    from rich.console import Console

    from crystaltensor.workflows.preparation import Audited

_MANY = 0.1  # beyond this share a whole data set is probably in other axes


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
    console.print(f"  (each row is in {escape(str(event.file))})")


def _advice(event: "Audited") -> list[str]:
    """Say what to do if much of a data set has one fault."""
    counts, total = event.audit.counts, len(event.audit.rows)
    lines = []
    known = [name for name in event.audit.explained if name in FRAMES]
    if counts.get("frame", 0) > _MANY * total and known:
        axes = known[0]
        lines.append(
            f"Warning: the labels are probably in {FRAMES[axes]}; if they are, set "
            f"label_frame = '{axes}' (--label-frame {axes})"
        )
    if counts.get("voigt-order", 0) > _MANY * total:
        lines.append(
            "Warning: the columns are probably in the order xx yy zz xy yz zx; if they "
            "are, set voigt_order = 'vasp' (--voigt-order vasp)"
        )
    return lines
