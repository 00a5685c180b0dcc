"""How the fit of a learned part is shown."""

import re
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console

from crystaltensor.cli._render import plain, unit_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from crystaltensor.workflows.fit_response import Collected, Fitted

_WIDTH = 34  # of the names of sets of crystals


def fitting(events: "Iterator[Collected | Fitted]") -> None:
    """Show what is fitted to, and what the result is worth."""
    from crystaltensor.workflows.fit_response import Fitted

    console = Console(highlight=False, stderr=True, soft_wrap=True)
    for event in events:
        if isinstance(event, Fitted):
            _fitted(console, event)
            continue
        counts = ", ".join(f"{count} {split}" for split, count in event.counts.items())
        console.print(f"Crystals: {counts}")
        kinds = Counter(re.sub(r"\d[\d.]*", "…", one.reason) for one in event.dropped)
        for reason, count in kinds.most_common():
            console.print(f"  left out {count}: {plain(reason)}")


def _fitted(console: Console, event: "Fitted") -> None:
    """Show the figures of the mean of the networks."""
    unit = unit_of(event.record["unit"]).strip() or "none"
    console.print(f"\n{'':{_WIDTH}}    n   Fnorm    zero  ≤ 25 %  cosine")
    for name, figures in event.record["metrics"].items():
        console.print(f"{name:{_WIDTH}}{_figures(figures)}")
    console.print(
        f"\nFnorm: mean Frobenius norm of the error, unit {unit}; zero: the same if zero is "
        "predicted;\n≤ 25 %: share with a smaller relative error; cosine: median of that "
        f"with the label\nWritten to {plain(event.folder)}"
    )


def _figures(figures: "Mapping[str, float]") -> str:
    """Write the figures of one set of crystals."""
    return (
        f"{figures['n']:5}{figures['fnorm']:8.3f}{figures['zero_fnorm']:8.3f}"
        f"{figures['ewt_25']:6.1f} %{figures['median_cosine']:8.2f}"
    )
