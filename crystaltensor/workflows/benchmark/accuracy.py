"""How far predictions are from labels that the models have not seen."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.errors import ConfigError, ModelError
from crystaltensor.training.metrics import TensorErrors, tensor_errors
from crystaltensor.workflows.benchmark.coverage import judge_uncertainty
from crystaltensor.workflows.benchmark.evaluation import (
    TEST_SETS,
    Evaluated,
    TestSet,
    evaluate,
    part_of,
    read_test_set,
)
from crystaltensor.workflows.benchmark.protocol import (
    SYSTEMS,
    crystal_system,
    published_errors,
    succeeds,
)
from crystaltensor.workflows.benchmark.published import (
    SHAPES,
    moduli_of_others,
    other_data,
    recorded,
    same_split,
)
from crystaltensor.workflows.benchmark.report import Estimate, Figure, Report, Table
from crystaltensor.workflows.benchmark.statistics import Figures, figures_of, mean_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from crystaltensor.inference.models import TrainedModel
    from crystaltensor.inference.predictor import Predictor
    from crystaltensor.properties import TensorProperty
    from crystaltensor.workflows.benchmark.report import Cell

    Floats = NDArray[np.float64]

PROTOCOLS = ("full", "gmtnet")
"""Full Cartesian tensors, or the matrices that GMTNet's authors compare."""

EXACT = 1e-12
"""Largest forbidden part of a prediction, relative to its norm, that is rounding."""


@dataclass(frozen=True)
class _Judged:
    """One model on its test crystals."""

    model: "TrainedModel"
    test: TestSet
    found: Evaluated
    protocol: str

    @property
    def row(self) -> "TensorProperty":
        """What it predicts."""
        return self.model.row

    def errors(self, predicted: "Floats", *, up_to_sign: bool = False) -> TensorErrors:
        """Compare any predictions with the labels."""
        label = self.found.label
        if self.protocol == "gmtnet":
            return published_errors(predicted, label, self.row.rank)
        flip = self.found.up_to_sign() if up_to_sign else None
        return tensor_errors(predicted, label, up_to_sign=flip)

    def figures(self, predicted: "Floats", *, up_to_sign: bool = False) -> Figures:
        """Sum up the errors of any predictions."""
        errors = self.errors(predicted, up_to_sign=up_to_sign)
        return figures_of(errors, self.found.crystals)


def benchmark_accuracy(
    properties: "Sequence[str]" = (),
    *,
    model: str | None = None,
    data: str | None = None,
    protocol: str = "full",
    symprec: float = 0.01,
    device: str = "auto",
    short: bool = False,
    plots: "Path | None" = None,
) -> Report:
    """Compare predictions with labels, and models with each other and with nothing.

    Parameters
    ----------
    properties : sequence of str
        Names or aliases; all that the package has both a model and test crystals for,
        if left out.
    model : str, optional
        Folder of a model, or the name of one that comes along, in place of the property.
    data : str, optional
        A table with labels, in place of the test crystals of the package.
    protocol : str
        ``"full"``, or ``"gmtnet"`` for the conventions of published tables.
    symprec : float
        Largest distance between equivalent atoms, in Å, for the predictions.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    short : bool
        Whether to take every fourth crystal only.
    plots : Path, optional
        Folder for a picture of each property.

    Returns
    -------
    Report
        Tables of errors, by crystal system too, and figures to compare.

    Raises
    ------
    ConfigError
        If a setting is unknown, or `data` is to judge several properties.
    ModelError
        If there is no such model.
    DataError
        If `data` cannot be used.
    """
    from crystaltensor.inference.predictor import load

    if protocol not in PROTOCOLS:
        raise ConfigError(f"unknown protocol {protocol!r}; known: full, gmtnet")
    names = [model] if model else _names(properties, data)
    tables: list[Table] = []
    figures: list[Figure] = []
    pictures: list[Path] = []
    facts: dict[str, Any] = {}
    for name in names:
        predictor = load(name, device=device)
        _refuse_other(predictor, properties, protocol)
        facts[predictor.model.row.name] = predictor.model.identity()
        test = read_test_set(predictor.model, data, short=short)
        if test is None:
            tables.append(_recorded_only(predictor.model))
            continue
        found = evaluate(predictor, test.rows, symprec=symprec)
        judged = _Judged(predictor.model, test, found, protocol)
        coverage, coverage_figures = judge_uncertainty(judged.row, found)
        tables += [*_tables(judged), *([coverage] if coverage else [])]
        figures += [*_figures(judged), *coverage_figures]
        if plots is not None:
            from crystaltensor.workflows.benchmark.pictures import draw_errors

            relative = judged.errors(found.predicted).relative
            pictures.append(draw_errors(judged.row, found, relative, plots))
    settings = {
        "properties": sorted(facts),
        "data": data,
        "protocol": protocol,
        "symprec": symprec,
        "short": short,
    }
    return Report(
        "accuracy", settings, tuple(tables), tuple(figures), tuple(pictures), facts
    )


def _names(properties: "Sequence[str]", data: str | None) -> list[str]:
    """Settle which models are judged."""
    from crystaltensor.inference.models import installed_models
    from crystaltensor.properties import PROPERTIES, find_property

    if data and len(properties) != 1:
        raise ConfigError(
            "say which property the table is of: one --property, or --model"
        )
    if properties:
        return list(dict.fromkeys(find_property(name).name for name in properties))
    installed = installed_models()
    return [row.name for row in PROPERTIES if row.name in installed]


def _refuse_other(
    predictor: "Predictor", properties: "Sequence[str]", protocol: str
) -> None:
    """Refuse a model of another property, and a protocol that it has no part in."""
    from crystaltensor.properties import find_property

    row = predictor.model.row
    wanted = {find_property(name).name for name in properties}
    if wanted and row.name not in wanted:
        raise ModelError(
            f"the model predicts {row.name}, not {', '.join(sorted(wanted))}"
        )
    if protocol == "gmtnet" and (row.per_atom or not row.rank):
        raise ConfigError(
            f"--protocol gmtnet is for tensors of crystals, not {row.name}"
        )


def _recorded_only(model: "TrainedModel") -> Table:
    """Show what the training has found, where there are no test crystals."""
    note = (
        "The test crystals of this model may not travel with the package; give a table "
        f"with --property {model.row.name} --data FILE."
    )
    title = f"{model.row.name}: {model.row.title}"
    return Table(title, _columns(model.row, "full"), tuple(recorded(model)), (note,))


def _tables(judged: _Judged) -> list[Table]:
    """Make all tables of one property."""
    tables = [_main_table(judged)]
    if _has_moduli(judged.row):
        tables.append(_moduli_table(judged))
    if judged.protocol == "gmtnet":
        tables += other_data(judged.row)
    tables.append(_system_table(judged))
    if judged.row.rank and not judged.row.per_atom:
        tables.append(_symmetry_table(judged))
    return tables


def _main_table(judged: _Judged) -> Table:
    """Put the model beside what knows nothing, and beside others."""
    found, row, test = judged.found, judged.row, judged.test
    rows = [_line(judged, "this model", found.predicted)]
    if row.rank and found.up_to_sign().any() and judged.protocol == "full":
        rows += _sign_lines(judged)
    if _open_axes(judged):
        nearest = _beside_nearest(judged)
        rows.append(_line(nearest, "… up to axes", found.predicted, up_to_sign=True))
    rows.append(_line(judged, "zero", np.zeros_like(found.label)))
    if test.training_mean is not None and test.training_mean.any():
        constant = np.broadcast_to(test.training_mean, found.label.shape).copy()
        rows.append(
            _line(judged, "mean isotropic tensor" if row.rank else "mean", constant)
        )
    notes = [f"{len(found.rows)} crystals of {test.source}{_whose(test)}."]
    notes += [f"Left out: {failure}" for failure in found.failures]
    if judged.model.config.up_to_axes:
        notes.append(
            "Up to axes: the nearest of what a label may be whose standardised axes are "
            "known without the atoms; crystal systems and uncertainties are judged so."
        )
    if row.per_atom:
        notes.append("record.json counts atoms; the intervals here draw crystals.")
    if judged.protocol == "full":
        rows += recorded(judged.model)
    others, about = same_split(judged.row, judged.protocol)
    rows += others
    notes += about
    if others and judged.test.source == TEST_SETS.get(row.name):
        notes.append(
            "Lines with another number of crystals are for all test crystals, of which "
            "not all may travel with the package."
        )
    return Table(
        f"{row.name}: {row.title}",
        _columns(row, judged.protocol),
        tuple(rows),
        tuple(notes),
    )


def _open_axes(judged: _Judged) -> bool:
    """Whether labels are known up to what standardised axes leave open."""
    return judged.model.config.up_to_axes and judged.protocol == "full"


def _beside_nearest(judged: _Judged) -> _Judged:
    """Take the nearest of what each label may be for the label."""
    if not _open_axes(judged):
        return judged
    found = judged.found
    return replace(judged, found=replace(found, label=found.nearest))


def _columns(row: "TensorProperty", protocol: str) -> tuple[str, ...]:
    """Name the columns of the main table."""
    unit = "" if row.unit == "1" else f", {row.unit}"
    kind = f"Fnorm{unit}" if row.rank else f"MAE{unit}"
    if protocol == "gmtnet":
        kind = f"Fnorm {SHAPES[row.rank]}{unit}"
    return ("", "n", kind, "≤25 %", "≤10 %", "≤5 %", "median")


def _whose(test: TestSet) -> str:
    """Say which rows of a table were taken."""
    return ", which has no splits: all rows" if test.whole else ", split test"


def _line(
    judged: _Judged, name: str, predicted: "Floats", *, up_to_sign: bool = False
) -> "tuple[Cell, ...]":
    """Make one line of the main table."""
    figures = judged.figures(predicted, up_to_sign=up_to_sign)
    return (name, figures.n, figures.fnorm, *figures.ewt, figures.median_relative)


def _sign_lines(judged: _Judged) -> "list[tuple[Cell, ...]]":
    """Judge again where the sign of labels is a convention, and where it is none."""
    found = judged.found
    lines = [_line(judged, "… up to sign", found.predicted, up_to_sign=True)]
    known = ~found.up_to_sign()
    if known.any():
        certain = _Judged(judged.model, judged.test, part_of(found, known), "full")
        lines.append(_line(certain, "… sign known", certain.found.predicted))
        zero = np.zeros_like(certain.found.label)
        lines.append(_line(certain, "… zero there", zero))
    return lines


def _has_moduli(row: "TensorProperty") -> bool:
    """Whether bulk and shear moduli follow from the tensor."""
    return row.rank == 4


def _moduli_table(judged: _Judged) -> Table:
    """Judge the bulk and shear moduli that follow from the tensors."""
    found = judged.found
    mean = judged.test.training_mean
    lines = {"this model": found.predicted, "zero": np.zeros_like(found.label)}
    if mean is not None:
        lines["mean isotropic tensor"] = np.broadcast_to(mean, found.label.shape)
    rows: list[tuple[Cell, ...]] = [
        (name, len(found.rows), *_moduli_errors(predicted, found.label))
        for name, predicted in lines.items()
    ]
    rows += moduli_of_others(judged.row)
    return Table(
        f"{judged.row.name}, moduli after Hill",
        ("", "n", "MAE of K, GPa", "MAE of G, GPa"),
        tuple(rows),
        ("Of the crystals with a stable label.",),
    )


def _moduli_errors(predicted: "Floats", label: "Floats") -> tuple[Estimate, Estimate]:
    """Average the errors of the moduli after Hill, over the stable labels."""
    from crystaltensor.symmetry.derived import moduli, stability

    pairs = []
    for one, other in zip(predicted, label, strict=True):
        if stability(other).stable:
            right = moduli(other)
            left = moduli(one) if one.any() else None
            bulk, shear = (left.bulk_hill, left.shear_hill) if left else (0.0, 0.0)
            pairs.append((bulk - right.bulk_hill, shear - right.shear_hill))
    bulk, shear = np.abs(np.array(pairs)).T
    return mean_of(bulk), mean_of(shear)


def _system_table(judged: _Judged) -> Table:
    """Judge by crystal system."""
    merge = judged.protocol == "gmtnet" and judged.row.rank == 2
    systems = np.array(
        [
            crystal_system(each.number, merge_trigonal=merge)
            for each in judged.found.symmetries
        ]
    )
    rows: list[tuple[Cell, ...]] = []
    for system in SYSTEMS:
        chosen = systems == system
        if not chosen.any():
            continue
        part = part_of(_beside_nearest(judged).found, chosen)
        own = _Judged(judged.model, judged.test, part, judged.protocol)
        figures = own.figures(part.predicted, up_to_sign=_open_axes(judged))
        zero = own.figures(np.zeros_like(part.label)).fnorm.value
        values = (each.value for each in figures.ewt)
        rows.append(
            (
                system,
                figures.n,
                figures.fnorm,
                *values,
                figures.median_relative.value,
                zero,
            )
        )
    columns = (*_columns(judged.row, judged.protocol)[:7], "zero")
    return Table(f"{judged.row.name}, by crystal system", columns, tuple(rows))


def _symmetry_table(judged: _Judged) -> Table:
    """Count the predictions that obey symmetry."""
    found = judged.found
    line = (
        "this model",
        len(found.rows),
        _success(judged),
        100 * float((found.residuals < EXACT).mean()),
        float(found.residuals.max()),
    )
    columns = ("published tolerances, %", f"residual < {EXACT:g}, %", "worst residual")
    note = (
        "Published tolerances: forbidden components ≤ 1e-5, equal ones within 1e-4, in "
        "the unit of the property. The residual is ‖T − PT‖/‖T‖, P the mean over the "
        "point group."
    )
    return Table(f"{judged.row.name}, symmetry", ("", "n", *columns), (line,), (note,))


def _success(judged: _Judged) -> float:
    """Give the percentage of predictions within the published tolerances."""
    found = judged.found
    fine = [
        succeeds(tensor, symmetry.rotations, judged.row)
        for tensor, symmetry in zip(found.predicted, found.symmetries, strict=True)
    ]
    return 100 * float(np.mean(fine))


def _figures(judged: _Judged) -> list[Figure]:
    """List what a later run is compared with."""
    row, found = judged.row, judged.found
    figures = _beside_nearest(judged).figures(
        found.predicted, up_to_sign=_open_axes(judged)
    )
    one = 100 / figures.n
    listed = [
        Figure(f"{row.name} fnorm", "error", figures.fnorm.value, row.unit),
        *(
            Figure(f"{row.name} within {percent} %", "share", each.value, "%", one)
            for percent, each in zip((25, 10, 5), figures.ewt, strict=True)
        ),
        Figure(f"{row.name} median", "error", figures.median_relative.value),
        Figure(f"{row.name} mae", "error", figures.mae.value, row.unit),
    ]
    if row.rank:
        worst = float(found.residuals.max())
        listed.append(Figure(f"{row.name} residual", "error", worst, floor=EXACT))
    if row.rank and not row.per_atom:
        listed.append(Figure(f"{row.name} symmetry", "share", _success(judged), "%"))
    if _has_moduli(row):
        errors = _moduli_errors(found.predicted, found.label)
        for name, each in zip(("bulk modulus", "shear modulus"), errors, strict=True):
            listed.append(Figure(f"{row.name} {name} mae", "error", each.value, "GPa"))
    return listed
