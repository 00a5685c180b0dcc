"""What kind of tensor is wanted, and how it is to be looked at."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.errors import ConfigError
from crystaltensor.properties import TensorProperty, tensor_property
from crystaltensor.symmetry.index_symmetry import parse_index_symmetry
from crystaltensor.symmetry.interpretation import as_matrix, voigt_shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """What kind of tensor is wanted.

    Parameters
    ----------
    row : TensorProperty
        Name, index symmetry, parity and unit.
    axial : bool
        Whether the tensor changes sign under improper operations in addition.
    factors : str
        ``"stress"``, or ``"strain"`` for tensors such as d and S, whose Voigt form has
        factors 2.
    """

    row: TensorProperty
    axial: bool = False
    factors: str = "stress"


@dataclass(frozen=True)
class Options:
    """How to look at a tensor.

    Parameters
    ----------
    symprec : float
        Largest distance between equivalent atoms, in Å.
    frame : str
        Frame of the result.
    positive : bool
        Whether to turn IEEE axes so that the leading piezoelectric constants of the
        tensor are positive, as the standard does; see `positive_senses`.
    tensor_frame : str or None
        Frame of the tensor; what its source says, or that of the file, if left out.
    notation, order : str or None
        Of the tensor; see `interpret`.
    explain : bool
        Whether to list violations, search for mistakes and derive quantities.
    quick : bool
        Whether to leave out what only explanations and other frames need; the result
        is the same.
    """

    symprec: float = 0.01
    frame: str = "input"
    positive: bool = False
    tensor_frame: str | None = None
    notation: str | None = None
    order: str | None = None
    explain: bool = True
    quick: bool = False


def choose_target(
    property_name: str | None = None,
    *,
    rank: int | None = None,
    index_symmetry: str | None = None,
    parity: str | None = None,
    axial: bool = False,
    factors: str = "stress",
) -> Target:
    """Settle what kind of tensor is wanted, from a property or from its description.

    Parameters
    ----------
    property_name : str, optional
        Name or alias of a property.
    rank : int, optional
        1 to 4, for a tensor without a name.
    index_symmetry : str, optional
        Such as ``"ijk=ikj"``; none, if only the rank is given.
    parity : str, optional
        ``"even"`` or ``"odd"`` under inversion; that of a polar tensor if left out.
    axial : bool
        Another way to say that the parity is not that of a polar tensor.
    factors : str
        ``"stress"`` or ``"strain"``.

    Returns
    -------
    Target
        What to project.

    Raises
    ------
    ConfigError
        If the settings contradict each other, or say too little.
    """
    if property_name is not None:
        row = tensor_property(property_name)
        for name, value, own in (
            ("rank", rank, row.rank),
            ("parity", parity, row.parity),
            ("axial", axial or None, False),
        ):
            if value is not None and value != own:
                raise ConfigError(
                    f"the {name} of {row.name} is {own}, not {value}; describe a tensor "
                    "of your own with rank and index symmetry, without a property"
                )
        if index_symmetry not in {None, row.index_symmetry}:
            raise ConfigError(
                f"the index symmetry of {row.name} is {row.index_symmetry}"
            )
        return Target(row, factors=factors)
    if rank is None and index_symmetry is None:
        raise ConfigError(
            "say what the tensor is: a property, such as piezo, or rank and index symmetry"
        )
    text = index_symmetry or "ijkl"[:rank] if rank is None or 1 <= rank <= 4 else ""
    if not text:
        raise ConfigError(f"tensors here have rank 1 to 4, not {rank}")
    own_rank = parse_index_symmetry(text).rank
    if rank not in {None, own_rank}:
        raise ConfigError(f"index symmetry {text!r} has rank {own_rank}, not {rank}")
    polar = "odd" if own_rank % 2 else "even"
    if axial and parity == polar:
        raise ConfigError(f"an axial tensor of rank {own_rank} is not {parity}")
    is_axial = axial or parity not in {None, polar}
    parity = ("even" if polar == "odd" else "odd") if is_axial else polar
    kind = "axial" if is_axial else "polar"
    row = TensorProperty(
        name="tensor",
        aliases=(),
        title=f"{kind} tensor of rank {own_rank} with {text}",
        symbol="T",
        index_symmetry=text,
        parity=parity,
        unit="1",
        label="tensor",
    )
    return Target(row, axial=is_axial, factors=factors)


def shown_matrix(tensor: "Floats", target: Target) -> "Floats":
    """Write a tensor as a table shows it.

    Parameters
    ----------
    tensor : ndarray, shape (3, ..., 3)
        Full components.
    target : Target
        What it is.

    Returns
    -------
    ndarray, two-dimensional
        3×3 for rank 2, the Voigt form for higher rank, else in full with the first half
        of the indices along the rows.
    """
    indices = parse_index_symmetry(target.row.index_symmetry)
    if indices.rank > 2 and voigt_shape(indices) is not None:
        return as_matrix(tensor, target.row.index_symmetry, factors=target.factors)
    rows = 3 ** max(1, indices.rank // 2) if indices.rank > 1 else 1
    return np.asarray(tensor).reshape(rows, -1)


def voigt_list(tensor: "Floats", target: Target) -> list[Any] | None:
    """Write the Voigt form for JSON; that of rank two is the full tensor.

    Parameters
    ----------
    tensor : ndarray, shape (3, ..., 3)
        Full components.
    target : Target
        What it is.

    Returns
    -------
    list or None
        None where the index symmetry leaves no Voigt form.
    """
    row = target.row
    if row.rank == 2:
        listed: list[Any] = tensor.tolist()
        return listed
    if voigt_shape(parse_index_symmetry(row.index_symmetry)) is None:
        return None
    matrix: list[Any] = as_matrix(
        tensor, row.index_symmetry, factors=target.factors
    ).tolist()
    return matrix
