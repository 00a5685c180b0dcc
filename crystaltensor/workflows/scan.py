"""How the space group, and what it leaves of a tensor, depend on the tolerance."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crystaltensor.errors import SymmetryError
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.symmetry.projection import n_independent
from crystaltensor.workflows.symmetrize import symmetrize
from crystaltensor.workflows.targets import Options

if TYPE_CHECKING:
    from crystaltensor.crystals.io import ReadCrystal
    from crystaltensor.crystals.tensor_files import GivenTensor
    from crystaltensor.workflows.targets import Target

TOLERANCES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.2, 0.3)
"""Tolerances in Å that are tried."""


@dataclass(frozen=True)
class ScanRow:
    """What one tolerance gives.

    Parameters
    ----------
    symprec : float
        The tolerance in Å.
    number, symbol, point_group : int, str, str
        The space group; 0 and empty if none is found.
    n_independent : int
        Components that the class leaves to the tensor.
    deviation : float or None
        Largest distance in Å of an atom from where symmetry wants it.
    symmetry_residual : float or None
        Of the tensor, if one is given.
    error : str
        Why there is no group, if there is none.
    """

    symprec: float
    number: int = 0
    symbol: str = ""
    point_group: str = ""
    n_independent: int = 0
    deviation: float | None = None
    symmetry_residual: float | None = None
    error: str = ""


def scan(
    target: "Target | None",
    read: "ReadCrystal",
    given: "GivenTensor | None" = None,
    *,
    options: Options | None = None,
) -> list[ScanRow]:
    """Find the space group at many tolerances.

    Parameters
    ----------
    target : Target or None
        What kind of tensor it is, if one matters.
    read : ReadCrystal
        The crystal.
    given : GivenTensor, optional
        A tensor of it.
    options : Options, optional
        Frame and notation of the tensor.

    Returns
    -------
    list of ScanRow
        One for each of `TOLERANCES`, ascending.

    Raises
    ------
    CrystalTensorError
        If the tensor cannot be read.
    """
    asked = vars(options or Options())
    rows = []
    for symprec in TOLERANCES:
        try:
            symmetry = find_symmetry(read.crystal, symprec=symprec)
            deviation = symmetry.deviation
            left = None
            if given is not None and target is not None:
                settings = Options(**{**asked, "symprec": symprec, "explain": False})
                found = symmetrize(target, read=read, given=given, options=settings)
                left = found.symmetry_residual
        except SymmetryError as error:
            rows.append(ScanRow(symprec, error=str(error)))
            continue
        rows.append(
            ScanRow(
                symprec=symprec,
                number=symmetry.number,
                symbol=symmetry.symbol,
                point_group=symmetry.point_group,
                n_independent=0
                if target is None
                else n_independent(
                    symmetry.rotations, target.row.index_symmetry, axial=target.axial
                ),
                deviation=deviation,
                symmetry_residual=left,
            )
        )
    return rows
