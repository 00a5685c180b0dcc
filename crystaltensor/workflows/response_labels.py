"""Labelled crystals and their force constants: what a learned part is fitted to."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from crystaltensor.errors import ConfigError, CrystalTensorError
from crystaltensor.properties import DIELECTRIC, DIELECTRIC_TOTAL, PIEZO

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from crystaltensor.data.rows import Dropped, LabelledCrystal
    from crystaltensor.properties import TensorProperty
    from crystaltensor.response.archive import Responses, StoredResponse
    from crystaltensor.response.potentials import Potential
    from crystaltensor.symmetry.operations import Symmetry

    Floats = NDArray[np.float64]

SYMPREC = (0.1, 0.01)
"""Tolerances in Å: a crystal has the symmetry of the first that allows its label."""

_LARGEST = {PIEZO.name: 20.0, DIELECTRIC_TOTAL.name: 100.0}
_MAX_RESIDUAL = 0.2
_SAME_AXES = 0.02
_TRIGONAL = range(143, 168)
_IONIC_SHARE = 0.1  # of ε⁰: below, the difference to ε^∞ is mostly noise


@dataclass(frozen=True, eq=False)
class Subject:
    """A labelled crystal.

    Parameters
    ----------
    row : LabelledCrystal
        As the table has it.
    symmetry : Symmetry
        That allows its label.
    label : ndarray, shape (3, ..., 3)
        The part of the label that it allows; of ε⁰ what is beyond ε^∞.
    """

    row: "LabelledCrystal"
    symmetry: "Symmetry"
    label: "Floats"


def read_subjects(
    path: Path, row: "TensorProperty"
) -> "tuple[list[Subject], list[Dropped]]":
    """Read a table of crystals with labels.

    Parameters
    ----------
    path : Path
        With piezoelectric tensors, or with ε⁰ and ε^∞.
    row : TensorProperty
        ``piezo`` or ``dielectric-total``.

    Returns
    -------
    subjects : list of Subject
        In the order of the table.
    dropped : list of Dropped
        Rows that are not used, and why.

    Raises
    ------
    ConfigError
        If it is another property.
    DataError
        If the table cannot be read.
    """
    from crystaltensor.data.prepared import fitting_symmetry
    from crystaltensor.data.rows import Dropped
    from crystaltensor.data.tables import read_table

    if row.name not in _LARGEST:
        raise ConfigError(
            f"nothing is learned beyond the forces for {row.name}; "
            f"it is for {' and '.join(_LARGEST)}"
        )
    rows, dropped = read_table(path, row, max_component=_LARGEST[row.name])
    if row == DIELECTRIC_TOTAL:
        rows, weak = _ionic_parts(rows, path)
        dropped += weak
    subjects = []
    for each in rows:
        try:
            symmetry, label, lost = fitting_symmetry(each, row, SYMPREC, _MAX_RESIDUAL)
        except CrystalTensorError as error:
            dropped.append(Dropped(each.name, str(error)))
            continue
        if lost > _MAX_RESIDUAL and each.split != "test":
            share = f"{100 * lost:.0f} % of its label is forbidden by symmetry"
            dropped.append(Dropped(each.name, share))
        else:
            subjects.append(Subject(each, symmetry, label))
    return subjects, dropped


def _ionic_parts(
    rows: "list[LabelledCrystal]", path: Path
) -> "tuple[list[LabelledCrystal], list[Dropped]]":
    """Replace ε⁰ by what the ions add to ε^∞, where that is a part worth the name."""
    import numpy as np

    from crystaltensor.data.rows import Dropped
    from crystaltensor.data.tables import read_table

    electronic = {each.name: each.tensor for each in read_table(path, DIELECTRIC)[0]}
    kept, dropped = [], []
    for each in rows:
        if each.name not in electronic:
            dropped.append(Dropped(each.name, "it has no electronic dielectric tensor"))
            continue
        ionic = each.tensor - electronic[each.name]
        if np.trace(ionic) < _IONIC_SHARE * np.trace(each.tensor):
            small = f"its ionic part is below {100 * _IONIC_SHARE:.0f} % of ε⁰"
            dropped.append(Dropped(each.name, small))
        else:
            kept.append(replace(each, tensor=ionic))
    return kept, dropped


def axes_known(subject: Subject) -> bool:
    """Tell whether the label of a polar crystal is in the axes of its structure.

    Labels were published in standardised axes, without the atoms. Of a structure that
    is in such axes already nothing is lost, but for trigonal ones, where obverse and
    reverse have been mixed. Of 28 others that are stable in SevenNet-0 (train and val)
    the ionic response has a cosine above 0.7 with the label in 21, below -0.7 in 2; of
    43 that are in other axes in 13 and 11.

    Parameters
    ----------
    subject : Subject
        With a piezoelectric tensor.

    Returns
    -------
    bool
        False for crystals that are not polar: the sign of their labels is open anyway.
    """
    import numpy as np

    from crystaltensor.symmetry.notation import rotate

    symmetry, label = subject.symmetry, subject.label
    if subject.row.axes_known or not subject.row.polar:
        return subject.row.axes_known
    turned = rotate(label, symmetry.std_rotation)
    same = np.linalg.norm(turned - label) < _SAME_AXES * np.linalg.norm(label)
    return bool(same) and symmetry.number not in _TRIGONAL


def compute_responses(
    subjects: "list[Subject]",
    potential: "Potential",
    *,
    folder: Path | None,
    max_atoms: int,
    on_crystal: "Callable[[int, int], None]" = lambda _done, _of: None,
) -> "tuple[Responses, list[Dropped]]":
    """Compute the force constants of crystals, or take them from the cache.

    Parameters
    ----------
    subjects : list of Subject
        The crystals.
    potential : Potential
        Whence the forces are.
    folder : Path or None
        Where force constants are kept, so that a run that was stopped goes on.
    max_atoms : int
        Crystals with more atoms in their primitive cell are left out.
    on_crystal : callable
        Told how many crystals are done, and of how many.

    Returns
    -------
    responses : Responses
        Of those that the potential could compute.
    dropped : list of Dropped
        The others, and why.
    """
    from crystaltensor.data.rows import Dropped
    from crystaltensor.response.archive import Responses, StoredResponse
    from crystaltensor.response.responder import Responder

    responder = Responder(potential, folder=folder)
    found: dict[str, StoredResponse] = {}
    dropped = []
    for done, each in enumerate(subjects):
        on_crystal(done, len(subjects))
        n_atoms = each.symmetry.n_primitive
        if n_atoms > max_atoms:
            large = f"{n_atoms} atoms in its primitive cell are more than {max_atoms}"
            dropped.append(Dropped(each.row.name, large))
            continue
        try:
            response = responder.respond(each.symmetry)
        except CrystalTensorError as error:
            dropped.append(Dropped(each.row.name, str(error)))
            continue
        found[each.row.name] = StoredResponse.of(response)
    on_crystal(len(subjects), len(subjects))
    return Responses(potential.name, potential.identity, found), dropped


def match_responses(
    subjects: "list[Subject]", responses: "Responses"
) -> "tuple[list[tuple[Subject, StoredResponse]], list[Dropped]]":
    """Put crystals and stored force constants together.

    Parameters
    ----------
    subjects : list of Subject
        The crystals.
    responses : Responses
        From `compute_responses` or a file.

    Returns
    -------
    pairs : list of tuple
        Crystals with their force constants.
    dropped : list of Dropped
        Crystals without.
    """
    from crystaltensor.data.rows import Dropped

    pairs, dropped = [], []
    for each in subjects:
        name = each.row.name
        stored = responses.crystals.get(name)
        if stored is None:
            dropped.append(Dropped(name, "its force constants are not in the file"))
        elif not stored.belongs_to(each.row.crystal):
            other = "the stored force constants are of another structure or setting"
            dropped.append(Dropped(name, other))
        else:
            pairs.append((each, stored))
    return pairs, dropped
