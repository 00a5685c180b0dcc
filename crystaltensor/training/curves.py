"""Learning curves as a picture."""

import csv
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def draw_curves(metrics: "Path", picture: "Path", *, unit: str) -> None:
    """Draw the loss and the validation error of every epoch.

    Parameters
    ----------
    metrics : Path
        The CSV file of a run.
    picture : Path
        A PNG or SVG file.
    unit : str
        Of the validation error.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # half a second
    from matplotlib.figure import Figure

    with metrics.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    epochs = [int(row["epoch"]) for row in rows]
    errors = [float(row["val_fnorm"]) for row in rows]
    best = min(range(len(rows)), key=errors.__getitem__)
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [float(row["train_loss"]) for row in rows], color="C0")
    left.set(xlabel="epoch", ylabel="training loss", yscale="log")
    right.plot(epochs, errors, color="C1", label="network")
    right.plot(epochs[best], errors[best], "o", color="C1", label="best")
    zero = float(rows[-1]["val_zero"])
    if zero < 3 * max(errors):
        right.axhline(zero, color="0.6", linestyle="--", label="zero tensor")
    shown = "" if unit == "1" else f" ({unit})"
    right.set(xlabel="epoch", ylabel=f"validation error{shown}")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=120)
