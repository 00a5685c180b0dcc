"""Predictions for labelled crystals, made as ``predict`` makes them."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.data.tables import TABLES
from crystaltensor.errors import CrystalTensorError, DataError
from crystaltensor.training.metrics import nearest_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from crystaltensor.data.datasets import LabelledCrystal
    from crystaltensor.inference.models import TrainedModel
    from crystaltensor.inference.predictor import Predictor
    from crystaltensor.properties import TensorProperty
    from crystaltensor.symmetry.operations import Symmetry

    Floats = NDArray[np.float64]

TEST_SETS = {
    "dielectric": "mp_dielectric_test",
    "dielectric-total": "mp_dielectric_test",
    "piezo": "mp_piezo",
    "elastic": "mp_elastic_test",
    "formation-energy": "mp_formation_energy_test",
    "bulk-modulus": "mp_elastic_test",
    "shear-modulus": "mp_elastic_test",
    "band-gap": "mp_dielectric_test",
}
"""Property to the table of the package that holds test crystals of it."""

BATCH = 16
"""Crystals in one pass of a network."""


@dataclass(frozen=True)
class TestSet:
    """Labelled crystals that no model has learnt from.

    Parameters
    ----------
    source : str
        Where they are from.
    rows : tuple of LabelledCrystal
        The crystals.
    whole : bool
        Whether the table had no splits, so that all of its rows are taken.
    training_mean : ndarray or None
        Mean isotropic part of the labels that the model has learnt from, if known.
    """

    source: str
    rows: "tuple[LabelledCrystal, ...]"
    whole: bool
    training_mean: "Floats | None"


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Predictions beside labels.

    Parameters
    ----------
    rows : tuple of LabelledCrystal
        The crystals that could be predicted.
    symmetries : tuple of Symmetry
        Of each.
    predicted, label : ndarray, shape (n, 3, ..., 3)
        One for each crystal, or for each atom of each; the labels projected on what
        the symmetry allows, as for training.
    crystals : ndarray of int, shape (n,)
        Which crystal each of them belongs to.
    residuals : ndarray, shape (n_crystals,)
        Part of each final prediction that the symmetry forbids, relative to its norm.
    uncertainties : tuple
        What each prediction says about its own error, None where it says nothing.
    failures : tuple of str
        Crystals that could not be predicted, and why.
    nearest : ndarray, shape (n, 3, ..., 3)
        The labels once more; if the model has learnt from labels whose axes are open,
        the nearest of what each of them may be.
    """

    rows: "tuple[LabelledCrystal, ...]"
    symmetries: "tuple[Symmetry, ...]"
    predicted: "Floats"
    label: "Floats"
    crystals: "NDArray[np.int64]"
    residuals: "Floats"
    uncertainties: tuple[Any, ...]
    failures: tuple[str, ...]
    nearest: "Floats"

    def up_to_sign(self) -> "NDArray[np.bool_]":
        """Say which labels have a sign that is a convention."""
        known = np.array([row.sign_known for row in self.rows])
        return np.asarray(~known[self.crystals])


def read_test_set(
    model: "TrainedModel", data: str | None, *, short: bool = False
) -> TestSet | None:
    """Read the crystals a model is judged by.

    Parameters
    ----------
    model : TrainedModel
        Says which property, and which rows its training leaves out as outliers.
    data : str, optional
        A table of the user's; the test rows of it, or all rows if it has no splits. One
        of the package if left out.
    short : bool
        Whether to take every fourth row only.

    Returns
    -------
    TestSet or None
        None if the package has no test crystals of the property.

    Raises
    ------
    DataError
        If the table is missing, cannot be read, or has no test rows.
    """
    from crystaltensor.data.datasets import Reading, find_table, read_table

    row, config = model.row, model.config
    name = data or TEST_SETS.get(row.name)
    if name is None:
        return None
    path = find_table(name, Path())
    reading = Reading(config.voigt_order, config.column) if data else Reading()
    found, _ = read_table(
        path, row, max_component=config.max_component, reading=reading
    )
    test = [each for each in found if each.split == "test"]
    whole = not any(each.split for each in found)
    if not test and not whole:
        raise DataError(f"{path.name}: no row has the split 'test'")
    rows = found if whole else test
    learnt = [each.tensor for each in found if each.split == "train"]
    return TestSet(
        source=path.name.removesuffix(".jsonl.gz"),
        rows=tuple(rows[::4] if short else rows),
        whole=whole,
        training_mean=_training_mean(row, learnt if data else []),
    )


def _training_mean(row: "TensorProperty", learnt: "list[Floats]") -> "Floats | None":
    """Average the isotropic parts of training labels, or take what is known of them."""
    from crystaltensor.data.hypotheses import isotropic_part

    if learnt and row.rank and not row.per_atom:
        return np.asarray(
            np.mean([isotropic_part(each, row) for each in learnt], axis=0)
        )
    known = json.loads((TABLES / "training_means.json").read_text(encoding="utf-8"))
    if row.name in known:
        return np.array(known[row.name]["tensor"])
    return np.zeros((3,) * row.rank) if row.per_atom else None


def evaluate(
    predictor: "Predictor", rows: "Sequence[LabelledCrystal]", *, symprec: float
) -> Evaluated:
    """Predict labelled crystals, with the symmetry that is found at a tolerance.

    Parameters
    ----------
    predictor : Predictor
        A model.
    rows : sequence of LabelledCrystal
        The crystals.
    symprec : float
        Largest distance between equivalent atoms, in Å, for the predictions.

    Returns
    -------
    Evaluated
        Without the crystals that cannot be predicted, which are named.

    Raises
    ------
    DataError
        If none can be predicted.
    """
    from crystaltensor.symmetry.operations import find_symmetry

    kept, symmetries, inputs, failures = [], [], [], []
    for row in rows:
        try:
            predictor.needs.refuse_unfit(row.crystal)
            symmetry = find_symmetry(row.crystal, symprec=symprec)
            inputs.append(predictor.needs.describe(symmetry))
        except CrystalTensorError as error:
            failures.append(f"{row.name}: {error}")
            continue
        kept.append(row)
        symmetries.append(symmetry)
    if not kept:
        raise DataError(
            f"none of {len(rows)} crystals can be predicted ({failures[0]})"
        )
    found = [
        each
        for first in range(0, len(inputs), BATCH)
        for each in predictor.predict_described(inputs[first : first + BATCH])
    ]
    tensors = [np.asarray(each.tensor, dtype=np.float64) for each in found]
    choices = [_labels(row, predictor.model) for row in kept]
    labels = [each[0] for each in choices]
    nearest = [_nearest(*each) for each in zip(tensors, choices, kept, strict=True)]
    join = np.concatenate if predictor.model.row.per_atom else np.stack
    counts = [len(each) if predictor.model.row.per_atom else 1 for each in tensors]
    return Evaluated(
        rows=tuple(kept),
        symmetries=tuple(symmetries),
        predicted=join(tensors),
        label=join(labels),
        crystals=np.repeat(np.arange(len(kept)), counts),
        residuals=np.array(
            [
                _residual(tensor, symmetry, predictor.model.row)
                for tensor, symmetry in zip(tensors, symmetries, strict=True)
            ]
        ),
        uncertainties=tuple(getattr(each, "uncertainty", None) for each in found),
        failures=tuple(failures),
        nearest=join(nearest),
    )


def part_of(found: Evaluated, chosen: "NDArray[np.bool_]") -> Evaluated:
    """Keep some of the crystals.

    Parameters
    ----------
    found : Evaluated
        All of them.
    chosen : ndarray of bool, shape (n_crystals,)
        Which to keep.

    Returns
    -------
    Evaluated
        Those, without the failures.
    """
    tensors = chosen[found.crystals]
    renumbered = np.cumsum(chosen) - 1
    return replace(
        found,
        rows=tuple(row for row, keep in zip(found.rows, chosen, strict=True) if keep),
        symmetries=tuple(
            each for each, keep in zip(found.symmetries, chosen, strict=True) if keep
        ),
        predicted=found.predicted[tensors],
        label=found.label[tensors],
        nearest=found.nearest[tensors],
        crystals=renumbered[found.crystals[tensors]],
        residuals=found.residuals[chosen],
        uncertainties=tuple(
            each for each, keep in zip(found.uncertainties, chosen, strict=True) if keep
        ),
        failures=(),
    )


def _labels(row: "LabelledCrystal", model: "TrainedModel") -> "list[Floats]":
    """Project a label on what the symmetry allows, by the rule of the training.

    What else it may be comes behind, for a model that has learnt from labels whose axes
    are open.
    """
    from crystaltensor.data.prepared import fitting_symmetry, possible_labels

    if not model.row.rank:
        return [np.asarray(row.tensor, dtype=np.float64)]
    config = model.config
    symmetry, label, _ = fitting_symmetry(
        row, model.row, config.symprec, config.max_residual
    )
    if not config.up_to_axes:
        return [label]
    return list(possible_labels(row, label, symmetry, model.row))


def _nearest(
    predicted: "Floats", choices: "list[Floats]", row: "LabelledCrystal"
) -> "Floats":
    """Choose among what a label may be."""
    if len(choices) == 1:
        return choices[0]
    free = np.array([not row.sign_known])
    found = nearest_labels(predicted[None], np.stack(choices)[None], up_to_sign=free)
    return np.asarray(found[0])


def _residual(tensor: "Floats", symmetry: "Symmetry", row: "TensorProperty") -> float:
    """Measure what a final prediction has that its crystal forbids."""
    from crystaltensor.symmetry.projection import project
    from crystaltensor.symmetry.sites import project_site_tensors

    norm = float(np.linalg.norm(tensor))
    if not row.rank or not norm:
        return 0.0
    if row.per_atom:
        allowed = project_site_tensors(tensor, symmetry, sum_rule=True)
    else:
        allowed = project(tensor, symmetry.rotations, index_symmetry=row.index_symmetry)
    return float(np.linalg.norm(tensor - allowed)) / norm
