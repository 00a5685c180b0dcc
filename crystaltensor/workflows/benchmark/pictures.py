"""Pictures of benchmarks."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from crystaltensor.properties import TensorProperty
    from crystaltensor.workflows.benchmark.evaluation import Evaluated

    Floats = NDArray[np.float64]

_BLUE, _GREY, _INK = "#2a6fbb", "#9aa4ae", "#22303c"
_COLOURS = ("#2a6fbb", "#e08a1e", "#3f9b6c", "#b5495b", "#7a5ea8", "#8c6d46", "#9aa4ae")


def draw_errors(
    row: "TensorProperty", found: "Evaluated", relative: "Floats", folder: "Path"
) -> "Path":
    """Draw prediction against label, and how large the errors are.

    Parameters
    ----------
    row : TensorProperty
        What was predicted.
    found : Evaluated
        Predictions and labels.
    relative : ndarray, shape (n,)
        Relative errors.
    folder : Path
        Where to draw; it is made.

    Returns
    -------
    Path
        A PNG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    unit = "" if row.unit == "1" else f" ({row.unit.replace('^2', '²')})"
    shown = _components(found.label, row), _components(found.predicted, row)
    low, high = (f(np.concatenate(shown)) for f in (np.min, np.max))
    margin = 0.04 * (high - low)
    limits = (low - margin, high + margin)
    left.plot(limits, limits, color=_GREY, linewidth=1, zorder=1)
    left.scatter(*shown, s=9, alpha=0.45, color=_BLUE, linewidths=0, zorder=2)
    left.set(xlim=limits, ylim=limits, aspect="equal")
    what = "components of " if row.rank else ""
    left.set_xlabel(f"label: {what}{row.symbol}{unit}")
    left.set_ylabel(f"prediction{unit}")
    _draw_histogram(right, relative)
    figure.suptitle(f"{row.title}: {len(found.rows)} test crystals", color=_INK)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"accuracy_{row.name}.png"
    figure.savefig(path, dpi=130)
    return path


def _draw_histogram(axes: object, relative: "Floats") -> None:
    """Draw how many tensors have which relative error, and the share below each."""
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)  # noqa: S101 - matplotlib's own type is wider
    most = 1.5
    edges = np.linspace(0, most, 31)
    axes.hist(
        np.minimum(relative, most - 1e-9), bins=list(edges), color=_BLUE, alpha=0.85
    )
    shares = []
    for limit in (0.05, 0.10, 0.25):
        axes.axvline(limit, color=_INK, linewidth=0.8, linestyle=":")
        shares.append(
            f"{100 * (relative < limit).mean():.0f} % within {100 * limit:g} %"
        )
    axes.set_ylim(top=1.12 * axes.get_ylim()[1])
    axes.text(
        0.97,
        0.97,
        ",  ".join(shares),
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=9,
        color=_INK,
    )
    axes.set(
        xlabel="relative error ‖error‖ / ‖label‖ (the last bar: this and more)",
        ylabel="number",
        xlim=(0, most),
    )


def _components(tensors: "Floats", row: "TensorProperty") -> "Floats":
    """List the components that differ by index symmetry."""
    from crystaltensor.symmetry.notation import to_voigt

    if row.rank in {0, 1} or row.per_atom:
        return tensors.ravel()
    return to_voigt(tensors, row.rank).ravel()


def draw_stages(
    stages: "Sequence[tuple[str, Sequence[tuple[str, float]]]]", path: "Path"
) -> "Path":
    """Draw where the time goes: a bar for each case, a part of it for each stage.

    Parameters
    ----------
    stages : sequence of tuple
        Name of a case to its stages, each a name and milliseconds per crystal.
    path : Path
        A PNG to write.

    Returns
    -------
    Path
        The same.
    """
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for _, parts in stages for name, _ in parts))
    colours = dict(zip(names, _COLOURS, strict=False))
    figure = Figure(figsize=(9.6, 1.5 + 0.75 * len(stages)), layout="constrained")
    axes = figure.subplots()
    longest = max(sum(value for _, value in parts) for _, parts in stages)
    for place, (_, parts) in enumerate(stages):
        start = 0.0
        for name, value in parts:
            axes.barh(place, value, left=start, color=colours[name], height=0.62)
            if value > 0.05 * longest:
                axes.text(
                    start + value / 2,
                    place,
                    f"{value:.0f}" if value >= 10 else f"{value:.2g}",
                    ha="center",
                    va="center",
                    color="white",
                    fontsize=9,
                )
            start += value
        axes.text(
            start + 0.01 * longest, place, f"{start:.3g} ms", va="center", fontsize=9
        )
    axes.set_yticks(range(len(stages)), [case for case, _ in stages])
    axes.invert_yaxis()
    axes.set(xlabel="milliseconds per crystal", xlim=(0, 1.12 * longest))
    handles = [axes.barh(0, 0, color=colours[name], label=name) for name in names]
    axes.legend(
        handles=handles,
        ncols=len(names),
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        frameon=False,
        fontsize=9,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    return path
