"""Fit the learned part of a response property to a table of DFT tensors."""

import csv
import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystaltensor.errors import ConfigError, DataError
from crystaltensor.properties import BORN_CHARGES, DIELECTRIC, PIEZO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from crystaltensor.data.rows import Dropped
    from crystaltensor.inference.predictor import Predictor
    from crystaltensor.properties import TensorProperty
    from crystaltensor.response.archive import Responses, StoredResponse
    from crystaltensor.response.correction import Correction
    from crystaltensor.response.fitting import Case, FitSettings
    from crystaltensor.workflows.response_labels import Subject

    Floats = NDArray[np.float64]

DAMPINGS = (0.3, 3.0)
"""δ of the parts in eV/Å²."""

RESPONSES = "responses.npz"
"""Force constants of the crystals of a fit, in the folder of what it makes."""

DROPPED = "dropped.csv"

STABLE = 0.3
"""The softest mode of what is called stable in the figures, in eV/Å²."""


@dataclass(frozen=True, eq=False)
class Example:
    """A labelled crystal and its ionic response.

    Parameters
    ----------
    name, split : str
        As the table says.
    case : Case
        What is fitted to; its first label is that of the table.
    softness : float
        What the error of the force constants may change, as a norm.
    softest : float
        The smallest λ in eV/Å².
    sign_known, polar : bool
        As the table says.
    """

    name: str
    split: str
    case: "Case"
    softness: float
    softest: float
    sign_known: bool
    polar: bool


@dataclass(frozen=True)
class Collected:
    """What a fit learns from.

    Parameters
    ----------
    counts : dict
        Split to the number of its crystals.
    dropped : tuple of Dropped
        Rows that are not used.
    """

    counts: dict[str, int]
    dropped: "tuple[Dropped, ...]"


@dataclass(frozen=True)
class Fitted:
    """A learned part that is done.

    Parameters
    ----------
    folder : Path
        Where it is.
    record : dict
        Settings and figures.
    """

    folder: Path
    record: dict[str, Any]


def fit_response(
    table: str,
    row: "TensorProperty",
    out: Path,
    settings: "FitSettings",
    *,
    potential: str | None = None,
    responses: Path | None = None,
    max_atoms: int = 60,
    cached: bool = True,
    on_crystal: "Callable[[int, int], None]" = lambda _done, _of: None,
) -> "Iterator[Collected | Fitted]":
    """Fit a correction to a table, measure it, and write it with the force constants.

    Parameters
    ----------
    table : str
        A file, or the name of a data set that comes along.
    row : TensorProperty
        ``piezo`` or ``dielectric-total``.
    out : Path
        Folder of the correction; made if it does not exist.
    settings : FitSettings
        How.
    potential : str, optional
        Whence the forces are, see `find_potential`.
    responses : Path, optional
        Force constants that an earlier run has kept, in place of a potential.
    max_atoms : int
        Crystals with more atoms in their primitive cell are not computed.
    cached : bool
        Whether force constants are kept in the user's cache folder, and taken from it.
    on_crystal : callable
        Told how many crystals are computed, and of how many.

    Yields
    ------
    Collected, Fitted
        Before and after the fit.

    Raises
    ------
    ConfigError
        If there is neither a potential nor a file, or both.
    DataError
        If a table or file is missing or damaged, or a split is empty.
    """
    from crystaltensor.data.tables import find_table
    from crystaltensor.response.archive import load_responses, save_responses
    from crystaltensor.workflows.response_labels import match_responses, read_subjects

    if (potential is None) == (responses is None):
        raise ConfigError("name a potential, or a file of force constants from a fit")
    subjects, dropped = read_subjects(find_table(table, Path()), row)
    if responses is not None:
        known = load_responses(responses)
    else:
        known, failed = _compute(
            subjects, str(potential), max_atoms, cached, on_crystal
        )
        done = {one.name for one in failed}
        subjects = [each for each in subjects if each.row.name not in done]
        dropped += failed
    pairs, without = match_responses(subjects, known)
    found = examples(pairs, row)
    dropped += without
    yield Collected(_count(found), tuple(dropped))
    _refuse_empty(found)
    out.mkdir(parents=True, exist_ok=True)
    with (out / DROPPED).open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(("name", "reason"))
        lines.writerows((one.name, one.reason) for one in dropped)
    used = {each.row.name: stored for each, stored in pairs}
    save_responses(out / RESPONSES, replace(known, crystals=used))
    yield Fitted(out, fit_examples(found, row, known, out, settings))


def _compute(
    subjects: "list[Subject]",
    potential: str,
    max_atoms: int,
    cached: bool,
    on_crystal: "Callable[[int, int], None]",
) -> "tuple[Responses, list[Dropped]]":
    """Compute force constants with a potential."""
    from crystaltensor.response.cache import cache_folder
    from crystaltensor.response.potentials import find_potential
    from crystaltensor.workflows.response_labels import compute_responses

    return compute_responses(
        subjects,
        find_potential(potential),
        folder=cache_folder() if cached else None,
        max_atoms=max_atoms,
        on_crystal=on_crystal,
    )


def _count(found: "list[Example]") -> dict[str, int]:
    """Count the crystals of each split."""
    return {
        split: sum(one.split == split for one in found)
        for split in ("train", "val", "test")
    }


def _refuse_empty(found: "list[Example]") -> None:
    """Refuse what cannot be learned from, or not measured."""
    empty = [split for split, count in _count(found).items() if not count]
    if empty:
        raise DataError(
            f"no crystal with force constants in {', '.join(empty)}; "
            "crystals in all of train, val and test are needed"
        )


def examples(
    pairs: "list[tuple[Subject, StoredResponse]]", row: "TensorProperty"
) -> list[Example]:
    """Describe labelled crystals as a correction sees them.

    Parameters
    ----------
    pairs : list of tuple
        Crystals and their force constants.
    row : TensorProperty
        ``piezo`` or ``dielectric-total``.

    Returns
    -------
    list of Example
        In their order.
    """
    from crystaltensor.inference.predictor import load

    charges = load(BORN_CHARGES.name, device="cpu")
    electronic = load(DIELECTRIC.name, device="cpu")
    return [
        _example(subject, stored, row, charges, electronic) for subject, stored in pairs
    ]


def _example(
    subject: "Subject",
    stored: "StoredResponse",
    row: "TensorProperty",
    charges: "Predictor",
    electronic: "Predictor",
) -> Example:
    """Compute the ionic response of one crystal, and what its label may be."""
    import numpy as np

    from crystaltensor.response.born_charges import to_primitive
    from crystaltensor.response.composition import softness
    from crystaltensor.response.correction import damped_parts, describe
    from crystaltensor.response.fitting import Case
    from crystaltensor.response.formulas import IonicResponse
    from crystaltensor.symmetry.normalizer import indistinguishable
    from crystaltensor.symmetry.projection import project
    from crystaltensor.workflows.response_labels import axes_known

    symmetry = subject.symmetry
    ionic = IonicResponse(
        stored.modes,
        stored.internal_strain,
        to_primitive(charges.predict_symmetric(symmetry).tensor, stored.index),
        stored.volume,
    )
    of = ionic.piezo if row == PIEZO else ionic.dielectric
    parts = damped_parts(of, DAMPINGS)
    features = describe(
        stored.numbers, ionic, parts, electronic.predict_symmetric(symmetry).tensor
    )
    parts = project(parts, symmetry.rotations, index_symmetry=row.index_symmetry)
    labels = subject.label[None]
    if row == PIEZO and not axes_known(subject):
        labels = indistinguishable(subject.label, symmetry)
    if not subject.row.sign_known:
        labels = np.concatenate([labels, -labels])
    return Example(
        subject.row.name,
        subject.row.split,
        Case(features, parts, labels),
        softness(ionic, of),
        stored.modes.softest,
        subject.row.sign_known,
        subject.row.polar,
    )


def fit_examples(
    found: list[Example],
    row: "TensorProperty",
    responses: "Responses",
    out: Path,
    settings: "FitSettings",
) -> dict[str, Any]:
    """Fit a correction on the training crystals, measure it, and write it.

    Parameters
    ----------
    found : list of Example
        Of the splits train, val and test.
    row : TensorProperty
        What is predicted.
    responses : Responses
        Whose name and identity are kept.
    out : Path
        Folder of the correction.
    settings : FitSettings
        How.

    Returns
    -------
    dict
        What the record holds.
    """
    import numpy as np
    from safetensors.numpy import save

    import crystaltensor
    from crystaltensor.response.correction import RECORD, WEIGHTS, Correction
    from crystaltensor.response.fitting import fit

    train = [one.case for one in found if one.split == "train"]
    arrays = {
        name: np.asarray(array, np.float32)
        for name, array in fit(train, settings).items()
    }
    content = save(arrays)
    exact = {name: array.astype(np.float64) for name, array in arrays.items()}
    correction = Correction(out.name, DAMPINGS, exact, {})
    record: dict[str, Any] = {
        "version": crystaltensor.__version__,
        "property": row.name,
        "unit": row.unit,
        "of": "e" if row == PIEZO else "the ionic part",
        "potential": responses.identity,
        "dampings": list(DAMPINGS),
        "counts": _count(found),
        "settings": asdict(settings),
        "error": _expected_error(correction, found),
        "metrics": _figures(found, correction),
        "members": [
            {"seed": seed, "metrics": _figures(found, correction, seed)}
            for seed in range(settings.members)
        ],
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (out / RECORD).write_text(text + "\n", encoding="utf-8")
    (out / WEIGHTS).write_bytes(content)
    return record


def _expected_error(correction: "Correction", found: list[Example]) -> dict[str, float]:
    """Fit what error is to be expected to that of the validation crystals.

    Those that are unstable get no answer, and have no say unless there are no others.
    """
    import numpy as np

    from crystaltensor.response.fitting import fit_error
    from crystaltensor.response.modes import UNSTABLE

    held_out = [one for one in found if one.split == "val"]
    held_out = [one for one in held_out if one.softest > UNSTABLE] or held_out
    predicted = [weighted(correction, one.case) for one in held_out]
    errors = [
        float(np.linalg.norm(nearest(one.case.labels, tensor) - tensor))
        for one, tensor in zip(held_out, predicted, strict=True)
    ]
    return fit_error(
        np.array([np.linalg.norm(one.case.parts[0]) for one in held_out]),
        np.array([one.softness for one in held_out]),
        np.array(errors),
    )


def _figures(
    found: list[Example], correction: "Correction", member: int | None = None
) -> dict[str, dict[str, Any]]:
    """Measure a correction, or a member of it, on validation and test crystals."""
    import numpy as np

    metrics: dict[str, dict[str, Any]] = {}
    for split in ("val", "test"):
        many = [one for one in found if one.split == split]
        predicted = np.stack([weighted(correction, one.case, member) for one in many])
        metrics |= measure_examples(split, many, predicted)
    return metrics


def weighted(
    correction: "Correction", case: "Case", member: int | None = None
) -> "Floats":
    """Put a response together as a correction, or one of its members, does.

    Parameters
    ----------
    correction : Correction
        The networks.
    case : Case
        A crystal.
    member : int, optional
        Which network; their mean if left out.

    Returns
    -------
    ndarray, shape (3, ..., 3)
        In the unit of the property.
    """
    import numpy as np

    weights = correction.weigh(case.features)
    chosen = weights.mean(axis=0) if member is None else weights[member]
    found: Floats = np.einsum("p,p...->...", chosen, case.parts)
    return found


def nearest(labels: "Floats", tensor: "Floats") -> "Floats":
    """Find the label nearest to a tensor."""
    import numpy as np

    from crystaltensor.training.metrics import nearest_labels

    signs_listed = np.zeros(1, dtype=bool)  # as labels of their own
    chosen: Floats = nearest_labels(
        tensor[None], labels[None], up_to_sign=signs_listed
    )[0]
    return chosen


def measure_examples(
    split: str, many: "list[Example]", predicted: "Floats"
) -> dict[str, dict[str, Any]]:
    """Compare predictions with labels as given, up to sign, and up to axes.

    Parameters
    ----------
    split : str
        Begins the names of the sets.
    many : list of Example
        The crystals.
    predicted : ndarray, shape (n, 3, ..., 3)
        In their order.

    Returns
    -------
    dict
        Name of a set of crystals to its figures.
    """
    import numpy as np

    from crystaltensor.response.modes import UNSTABLE
    from crystaltensor.training.metrics import measure

    given = np.stack([one.case.labels[0] for one in many])
    near = np.stack(
        [
            nearest(one.case.labels, tensor)
            for one, tensor in zip(many, predicted, strict=True)
        ]
    )
    free = ~np.array([one.sign_known for one in many])
    polar = np.array([one.polar for one in many])
    softest = np.array([one.softest for one in many])
    stable = softest > STABLE
    sets: dict[str, tuple[Any, Any, Any]] = {
        split: (np.ones(len(many), bool), given, None),
        f"{split}, up to axes": (np.ones(len(many), bool), near, None),
        f"{split}, not unstable, up to axes": (softest > UNSTABLE, near, None),
        f"{split}, stable, up to axes": (stable, near, None),
        f"{split}, soft or unstable, up to axes": (~stable, near, None),
    }
    if free.any():
        sets[f"{split}, up to sign"] = (np.ones(len(many), bool), given, free)
        sets[f"{split}, polar"] = (polar, given, None)
        sets[f"{split}, polar, up to axes"] = (polar, near, None)
    return {
        name: measure(
            predicted[chosen],
            label[chosen],
            up_to_sign=None if blind is None else blind[chosen],
        ).as_dict()
        for name, (chosen, label, blind) in sets.items()
        if chosen.any()
    }
