"""Fit the learned part of a response property to a table of DFT tensors."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystaltensor.errors import CrystalTensorError, DataError
from crystaltensor.properties import BORN_CHARGES, PIEZO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from crystaltensor.data.rows import LabelledCrystal
    from crystaltensor.inference.predictor import Predictor
    from crystaltensor.properties import TensorProperty
    from crystaltensor.response.fitting import Case, FitSettings
    from crystaltensor.response.potentials import Potential

    Floats = NDArray[np.float64]

DAMPINGS = (0.3, 3.0)
"""δ of the parts in eV/Å²."""


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


def examples(
    rows: "list[LabelledCrystal]",
    row: "TensorProperty",
    potential: "Potential",
    *,
    folder: Path | None,
    axes_known: "frozenset[str]" = frozenset(),
    symprec: float = 0.1,
) -> "Iterator[Example | CrystalTensorError]":
    """Compute the ionic response of labelled crystals.

    Parameters
    ----------
    rows : list of LabelledCrystal
        From `read_table`.
    row : TensorProperty
        ``piezo``; or ``dielectric-total``, with labels of the ionic part alone.
    potential : Potential
        Whence the forces are.
    folder : Path or None
        Where force constants are kept, so that a run that was stopped goes on.
    axes_known : frozenset of str
        Names of polar crystals whose labels never were in standardised axes; those of
        the others are known up to what such axes leave open, see `indistinguishable`.
    symprec : float
        At which the labels have the symmetry of their crystals, in Å.

    Yields
    ------
    Example or CrystalTensorError
        One for each row, in their order.
    """
    from crystaltensor.inference.predictor import load
    from crystaltensor.response.responder import Responder

    responder = Responder(potential, folder=folder)
    charges = load(BORN_CHARGES.name, device="cpu")
    for each in rows:
        try:
            known = row != PIEZO or (each.polar and each.name in axes_known)
            yield _example(each, row, responder, charges, symprec, known=known)
        except CrystalTensorError as error:
            yield error


def _example(
    each: "LabelledCrystal",
    row: "TensorProperty",
    responder: Any,  # noqa: ANN401 - a Responder; the module is imported late
    charges: "Predictor",
    symprec: float,
    *,
    known: bool,
) -> Example:
    """Compute the ionic response of one crystal, and what its label may be."""
    import numpy as np

    from crystaltensor.response.born_charges import to_primitive
    from crystaltensor.response.composition import softness
    from crystaltensor.response.fitting import make_case
    from crystaltensor.response.formulas import IonicResponse
    from crystaltensor.symmetry.normalizer import indistinguishable
    from crystaltensor.symmetry.operations import find_symmetry
    from crystaltensor.symmetry.projection import project

    symmetry = find_symmetry(each.crystal, symprec=symprec)
    response = responder.respond(symmetry)
    crystal = response.primitive.crystal
    ionic = IonicResponse(
        response.modes,
        response.constants.internal_strain,
        to_primitive(charges.predict_symmetric(symmetry).tensor, response.index),
        crystal.volume,
    )
    of = ionic.piezo if row == PIEZO else ionic.dielectric
    scale = [max(1.0, damping) for damping in DAMPINGS]
    parts = np.stack(
        [of(d).sum(axis=0) * factor for d, factor in zip(DAMPINGS, scale, strict=True)]
    )
    indices = row.index_symmetry
    parts = project(parts, symmetry.rotations, index_symmetry=indices)
    label = project(each.tensor, symmetry.rotations, index_symmetry=indices)
    labels = label[None]
    if not known:
        labels = indistinguishable(label, symmetry)
    if not each.sign_known:
        labels = np.concatenate([labels, -labels])
    return Example(
        each.name,
        each.split,
        make_case(crystal.numbers, ionic, parts, labels),
        softness(ionic, of),
        response.modes.softest,
        each.sign_known,
        each.polar,
    )


def fit_response(
    found: "list[Example]",
    row: "TensorProperty",
    potential: "Potential",
    out: Path,
    settings: "FitSettings",
    *,
    on_step: "Callable[[str], None]" = lambda _: None,
) -> dict[str, Any]:
    """Fit a correction on the training crystals, measure it, and write it.

    Parameters
    ----------
    found : list of Example
        Of the splits train, val and test.
    row : TensorProperty
        What is predicted.
    potential : Potential
        Whence the forces were.
    out : Path
        Folder of the model; made if it does not exist.
    settings : FitSettings
        How.
    on_step : callable
        Told what is done.

    Returns
    -------
    dict
        What the record holds.

    Raises
    ------
    DataError
        If there is no training crystal, or none to measure the error on.
    """
    import numpy as np
    from safetensors.numpy import save

    import crystaltensor
    from crystaltensor.response.correction import RECORD, WEIGHTS, Correction
    from crystaltensor.response.fitting import fit, fit_error

    by_split = {
        split: [one for one in found if one.split == split]
        for split in ("train", "val", "test")
    }
    if not all(by_split.values()):
        raise DataError("crystals in all of train, val and test are needed")
    on_step("fit")
    arrays = fit([one.case for one in by_split["train"]], settings)
    stored = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    content = save(stored)
    arrays = {name: array.astype(np.float64) for name, array in stored.items()}
    correction = Correction(out.name, DAMPINGS, arrays, {})
    predicted = {
        split: np.stack([weighted(correction, one.case) for one in many])
        for split, many in by_split.items()
    }
    held_out = by_split["val"]
    error = fit_error(
        np.array([np.linalg.norm(one.case.parts[0]) for one in held_out]),
        np.array([one.softness for one in held_out]),
        np.array(
            [
                nearest(one.case.labels, tensor)[1]
                for one, tensor in zip(held_out, predicted["val"], strict=True)
            ]
        ),
    )
    record: dict[str, Any] = {
        "version": crystaltensor.__version__,
        "property": row.name,
        "unit": row.unit,
        "of": "e" if row == PIEZO else "the ionic part",
        "potential": potential.identity,
        "dampings": list(DAMPINGS),
        "counts": {split: len(many) for split, many in by_split.items()},
        "settings": asdict(settings),
        "error": error,
        "metrics": {
            name: metrics
            for split in ("val", "test")
            for name, metrics in measure_examples(
                split, by_split[split], predicted[split]
            ).items()
        },
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (out / RECORD).write_text(text + "\n", encoding="utf-8")
    (out / WEIGHTS).write_bytes(content)
    return record


def weighted(correction: Any, case: "Case") -> "Floats":  # noqa: ANN401 - as above
    """Put a response together as a correction does, shape (3, ..., 3)."""
    import numpy as np

    weights = correction.weigh(case.features).mean(axis=0)
    found: Floats = np.einsum("p,p...->...", weights, case.parts)
    return found


def nearest(labels: "Floats", tensor: "Floats") -> "tuple[Floats, float]":
    """Find the label nearest to a tensor, and its distance."""
    import numpy as np

    axes = tuple(range(1, labels.ndim))
    apart = np.sqrt(np.square(labels - tensor).sum(axis=axes))
    best = int(apart.argmin())
    return labels[best], float(apart[best])


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

    from crystaltensor.training.metrics import measure

    given = np.stack([one.case.labels[0] for one in many])
    near = np.stack(
        [
            nearest(one.case.labels, tensor)[0]
            for one, tensor in zip(many, predicted, strict=True)
        ]
    )
    free = ~np.array([one.sign_known for one in many])
    polar = np.array([one.polar for one in many])
    stable = np.array([one.softest for one in many]) > _STABLE
    sets: dict[str, tuple[Any, Any, Any]] = {
        split: (np.ones(len(many), bool), given, None),
        f"{split}, up to axes": (np.ones(len(many), bool), near, None),
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


_STABLE = 0.3  # eV/Å²: the softest mode of what is called stable in the figures
