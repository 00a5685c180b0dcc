"""The audit of a data set: what is wrong, or may be wrong, with each of its labels."""

import csv
from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.data.choices import FILE, FINDINGS, FRAMES
from crystaltensor.data.hypotheses import (
    ODD,
    VASP_ORDER,
    Examined,
    examine,
    symmetry_of,
)
from crystaltensor.data.likeness import compare_groups
from crystaltensor.symmetry.notation import to_mandel
from crystaltensor.symmetry.point_groups import is_polar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from crystaltensor.data.rows import LabelledCrystal
    from crystaltensor.properties import TensorProperty

    Floats = NDArray[np.float64]

_FAR = 4.0  # robust standard deviations of log |T|
_SIGMA = 1.4826  # median absolute deviation to standard deviation, for a normal law


@dataclass(frozen=True)
class AuditedRow:
    """What is known of one row.

    Parameters
    ----------
    name, split : str
        Of the row.
    formula : str
        Reduced.
    space_group : int
        At the tolerance at which the label fits best.
    point_group : str
        The class.
    norm : float
        Of the label.
    lowest : float or None
        Smallest eigenvalue of a label that has a lower bound.
    residual : float
        Part of the label that the symmetry forbids, relative to its norm.
    residual_aniso : float
        The same relative to what is not isotropic in it.
    symprec : float or None
        Tolerance in Å at which the structure allows the label as it is.
    fits : str
        What makes it fit: names joined by ``+``.
    sign : str
        ``"free"`` where the class leaves the sign of an odd tensor to convention,
        ``"fixed"`` where it does not; empty for even ones.
    findings : str
        Names of `FINDINGS` joined by ``+``.
    note : str
        One sentence on each.
    """

    name: str
    split: str
    formula: str
    space_group: int
    point_group: str
    norm: float
    lowest: float | None
    residual: float
    residual_aniso: float
    symprec: float | None
    fits: str
    sign: str
    findings: str
    note: str

    @property
    def found(self) -> tuple[str, ...]:
        """Names of `FINDINGS`."""
        return tuple(self.findings.split("+")) if self.findings else ()


@dataclass(frozen=True)
class Audit:
    """What an audit has found.

    Parameters
    ----------
    rows : tuple of AuditedRow
        In the order of the data set.
    """

    rows: tuple[AuditedRow, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows with each finding; those that nothing has are left out."""
        found = Counter(name for row in self.rows for name in row.found)
        return {name: found[name] for name in FINDINGS if found[name]}

    @property
    def explained(self) -> dict[str, int]:
        """Number of labels that fit in other axes only, by axes, most first."""
        found = Counter(
            name
            for row in self.rows
            if "frame" in row.found
            for name in row.fits.split("+")
            if name != VASP_ORDER
        )
        return dict(found.most_common())

    @property
    def free_signs(self) -> int:
        """Number of labels whose sign is a convention."""
        return sum(row.sign == "free" for row in self.rows)


def audit(
    rows: "Sequence[LabelledCrystal]",
    row: "TensorProperty",
    *,
    symprec: "Sequence[float]",
) -> Audit:
    """Look for labels that are wrong, or not in the axes of their structures.

    Parameters
    ----------
    rows : sequence of LabelledCrystal
        With their splits.
    row : TensorProperty
        What the labels are.
    symprec : sequence of float
        Tolerances for the symmetry in Å, the coarsest first.

    Returns
    -------
    Audit
        One `AuditedRow` for each row.
    """
    examined = [examine(each, row, symprec) for each in rows]
    votes = Counter(name for each in examined for name in _explanations(each))
    notes: list[dict[str, str]] = [_fit_notes(each, votes) for each in examined]
    lowest = [_lowest(each, row) for each in rows]
    for found, value in zip(notes, lowest, strict=True):
        found.update(_bound_notes(value, row))
    norms = np.array([np.linalg.norm(each.tensor) for each in rows])
    for place, note in _outliers(norms, row).items():
        notes[place]["outlier"] = note
    # At the tolerance by which splits are drawn, too.
    numbers = [symmetry_of(each.crystal, symprec[0]).number for each in rows]
    for place, found in compare_groups(rows, numbers, row).items():
        notes[place].update(found)
    return Audit(
        tuple(
            _audited(each, how, float(norm), value, found, row)
            for each, how, norm, value, found in zip(
                rows, examined, norms, lowest, notes, strict=True
            )
        )
    )


def left_out(
    found: AuditedRow, *, drop: "Sequence[str]", max_residual_aniso: float
) -> str | None:
    """Say why a row is not learnt from, if the settings leave it out.

    Parameters
    ----------
    found : AuditedRow
        What is known of it.
    drop : sequence of str
        Names of `FINDINGS`.
    max_residual_aniso : float
        Largest part of what is not isotropic in the label that the symmetry may
        forbid; rows of the test split may have more.

    Returns
    -------
    str or None
        The reason.
    """
    for name in found.found:
        if name in drop:
            return f"{name}: {FINDINGS[name]}"
    if found.residual_aniso > max_residual_aniso and found.split != "test":
        share = 100 * found.residual_aniso
        return f"{share:.0f} % of its anisotropic part is forbidden by symmetry"
    return None


def write_audit(found: Audit, path: "Path") -> None:
    """Write one line of CSV for each row."""
    columns = [each.name for each in fields(AuditedRow)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in found.rows:
            writer.writerow([_cell(getattr(row, name)) for name in columns])


def _cell(value: object) -> object:
    """Write six digits of a number."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else value


def _explanations(examined: Examined) -> tuple[str, ...]:
    """List what explains a label that does not fit as it is."""
    return () if FILE in examined.fits else examined.fits


def _fit_notes(examined: Examined, votes: "Counter[str]") -> dict[str, str]:
    """Say why a label does not fit its structure."""
    if FILE in examined.fits:
        return {}
    share = f"{100 * examined.residual_aniso:.0f} % of its anisotropic part"
    group = f"{examined.symmetry.point_group} at {examined.symmetry.symprec:g} Å"
    forbidden = f"{share} is forbidden by class {group}"
    if examined.symprec is not None:
        forbidden += f", nothing at {examined.symprec:g} Å"
    reasons = _explanations(examined)
    if not reasons:
        return {"symmetry": forbidden} if examined.residual_aniso > ODD else {}
    # What explains most rows of the set is the likeliest for each that it explains.
    best = max(reasons, key=lambda name: votes[name])
    if best == VASP_ORDER:
        return {"voigt-order": f"{forbidden}; it fits with columns in VASP's order"}
    axes = FRAMES.get(best, "permuted axes")
    return {"frame": f"{forbidden}; it fits in {axes}"}


def _lowest(labelled: "LabelledCrystal", row: "TensorProperty") -> float | None:
    """Give the smallest eigenvalue of a label that has a lower bound."""
    if row.lower_bound is None or not row.rank:
        return None
    matrix = labelled.tensor
    if row.rank == 4:
        # Averaged first: a label may break its own index symmetry by rounding.
        pairs = (matrix + matrix.swapaxes(0, 1)) / 2
        matrix = to_mandel((pairs + pairs.swapaxes(2, 3)) / 2, 4)
    return float(np.linalg.eigvalsh((matrix + matrix.T) / 2)[0])


def _bound_notes(value: float | None, row: "TensorProperty") -> dict[str, str]:
    """Say which eigenvalue is not what it must be."""
    if value is None or row.lower_bound is None:
        return {}
    if row.rank == 4 and value <= row.lower_bound:
        return {"unstable": f"its lowest eigenvalue is {value:.4g} {row.unit}"}
    if row.rank == 2 and value < row.lower_bound:
        return {"below-one": f"its lowest eigenvalue is {value:.4g}"}
    return {}


def _outliers(norms: "Floats", row: "TensorProperty") -> dict[int, str]:
    """Find norms that are far from the others, on a logarithmic scale."""
    positive = norms > 0
    if positive.sum() < 10:
        return {}
    logs = np.log10(np.where(positive, norms, 1.0))
    middle = np.median(logs[positive])
    spread = _SIGMA * np.median(np.abs(logs[positive] - middle))
    far = (logs - middle) / max(spread, 0.05)
    # Odd tensors and energies come as small as one likes, others do not.
    small = row.parity == "odd" or (not row.rank and not row.logarithmic)
    wrong = far > _FAR if small else np.abs(far) > _FAR
    return {
        int(place): f"‖{row.symbol}‖ = {norms[place]:.4g} where half of all are "
        f"{'above' if far[place] < 0 else 'below'} {10**middle:.3g}"
        for place in np.flatnonzero(wrong & positive)
    }


def _audited(
    labelled: "LabelledCrystal",
    examined: Examined,
    norm: float,
    lowest: float | None,
    notes: dict[str, str],
    row: "TensorProperty",
) -> AuditedRow:
    """Put the line of one row together."""
    symmetry = examined.symmetry
    sign = ""
    if row.parity == "odd":
        sign = "fixed" if is_polar(symmetry.rotations) else "free"
    found = [name for name in FINDINGS if name in notes]
    return AuditedRow(
        name=labelled.name,
        split=labelled.split,
        formula=labelled.crystal.formula,
        space_group=symmetry.number,
        point_group=symmetry.point_group,
        norm=norm,
        lowest=lowest,
        residual=examined.residual,
        residual_aniso=examined.residual_aniso,
        symprec=examined.symprec,
        fits="+".join(examined.fits),
        sign=sign,
        findings="+".join(found),
        note="; ".join(notes[name] for name in found),
    )
