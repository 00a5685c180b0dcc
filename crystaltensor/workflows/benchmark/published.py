"""What others have reached, and what the training of a model has noted of it."""

import json
from typing import TYPE_CHECKING, Any

from crystaltensor.data.tables import TABLES
from crystaltensor.workflows.benchmark.report import Estimate, Table

if TYPE_CHECKING:
    from crystaltensor.inference.models import TrainedModel
    from crystaltensor.properties import TensorProperty
    from crystaltensor.workflows.benchmark.report import Cell

SHAPES = {2: "3×3", 3: "3×6", 4: "6×6"}
"""Matrices that published tables compare, by the rank of the tensor."""


def _known(section: str) -> dict[str, Any]:
    """Read a part of the table of published figures."""
    text = (TABLES / "published.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)[section]
    return found


def recorded(model: "TrainedModel") -> "list[tuple[Cell, ...]]":
    """Show what the training has found on all of its test crystals.

    Parameters
    ----------
    model : TrainedModel
        With its record.

    Returns
    -------
    list of tuple
        One line, or none: name, count, Fnorm, shares within 25, 10 and 5 %, median.
    """
    test = model.test_figures
    if not test:
        return []
    low, high = test["fnorm_interval"]
    fnorm: Cell = Estimate(float(test["fnorm"]), float(low), float(high))
    if model.row.logarithmic:  # that one is an error of the logarithm
        fnorm = float(test["mae"])
    return [
        (
            "record.json",
            int(test["n"]),
            fnorm,
            *(float(test[f"ewt_{percent}"]) for percent in (25, 10, 5)),
            float(test["median_relative"]),
        )
    ]


def same_split(
    row: "TensorProperty", protocol: str
) -> "tuple[list[tuple[Cell, ...]], list[str]]":
    """Show what others reach after training on the same crystals.

    Parameters
    ----------
    row : TensorProperty
        What is predicted.
    protocol : str
        ``"gmtnet"`` for the matrices that its authors compare.

    Returns
    -------
    lines, notes : list
        Lines as those of `recorded`, and what is to be said of them.
    """
    known = _known("same_split")
    lines: list[tuple[Cell, ...]] = []
    for each in known.get(row.name, ()):
        found = each
        if protocol == "gmtnet" and row.rank > 2:
            found = each.get("matrix")
        if found is None:
            continue
        low, high = found.get("fnorm_interval", (None, None))
        fnorm = found["fnorm"] if low is None else Estimate(found["fnorm"], low, high)
        within = found.get("ewt", (None, None, None))
        median = found.get("median_relative")
        lines.append((each["name"], each["n"], fnorm, *within, median))
    if not lines:
        return [], []
    return lines, [known["about"]]


def other_data(row: "TensorProperty") -> list[Table]:
    """Show published tables, which are about other crystals.

    Parameters
    ----------
    row : TensorProperty
        What is predicted.

    Returns
    -------
    list of Table
        One, or none.
    """
    known = _known("other_data")
    table = known.get(row.name)
    if table is None:
        return []
    rows = tuple(
        (each["name"], each["fnorm"], *each["ewt"], each["source"])
        for each in table["results"]
    )
    return [
        Table(
            f"{row.name}: published, OTHER DATA ({table['data']})",
            ("", f"Fnorm {SHAPES[row.rank]}", "<25 %", "<10 %", "<5 %", "source"),
            rows,
            (known["about"],),
        )
    ]


def moduli_of_others(row: "TensorProperty") -> "list[tuple[Cell, ...]]":
    """List errors of bulk and shear moduli from networks trained on the same crystals.

    Parameters
    ----------
    row : TensorProperty
        The elastic tensor.

    Returns
    -------
    list of tuple
        Name, count, and the errors of K and G in GPa.
    """
    found = _known("same_split")[row.name]
    return [(each["name"], each["n"], each["bulk"], each["shear"]) for each in found]
