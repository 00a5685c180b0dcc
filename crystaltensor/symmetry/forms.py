"""The form of a tensor in a crystal class, as the tables of Nye print it."""

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.errors import ConfigError
from crystaltensor.symmetry.index_symmetry import IndexSymmetry, parse_index_symmetry
from crystaltensor.symmetry.notation import VOIGT_PAIRS
from crystaltensor.symmetry.projection import pivoted_basis, reduced_projector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

_FACTORS = {"stress": 1, "strain": 2}

# Which of several related constants names the set, as tables do: longitudinal ones
# first, then shear; e22 rather than e16 or e21, e11 rather than e12 or e26.
_PIEZO = "11 22 33 14 15 24 25 31 32 13 23 34 35 36 12 21 26 16".split()


@dataclass(frozen=True, eq=False)
class AllowedForm:
    """The entries of a tensor as combinations of its independent components.

    Parameters
    ----------
    independent : tuple of str
        Names of the independent components, such as ``("e15", "e31", "e33")``.
    names : ndarray of str, shape of the form
        Name of every entry: (3,), (3, 3), (3, 6), (6, 3) or (6, 6) where the index
        symmetry has Voigt pairs, else all Cartesian indices.
    coefficients : ndarray, shape (..., n_independent)
        What each entry is, in terms of the independent components.
    flat : ndarray of int, shape of the form
        Place of each entry in the flattened full tensor.
    weights : ndarray, shape of the form
        Entry over full component: 2 for each unequal pair of a strain-like tensor.
    """

    independent: tuple[str, ...]
    names: "NDArray[np.str_]" = field(repr=False)
    coefficients: "Floats" = field(repr=False)
    flat: "NDArray[np.int64]" = field(repr=False)
    weights: "Floats" = field(repr=False)

    @property
    def n_independent(self) -> int:
        """Count the independent components."""
        return len(self.independent)

    def entry(self, *index: int) -> str:
        """Write one entry, by its place from zero: ``0``, ``-e22``, ``(C11 - C12)/2``."""
        return _combination(self.coefficients[index], self.independent)

    def rows(self) -> list[list[str]]:
        """Write all entries as a table; a form of higher rank is flattened to two."""
        shape = self.names.shape
        half = max(1, len(shape) // 2)
        texts = [self.entry(*index) for index in np.ndindex(*shape)]
        width = prod(shape[half:]) if len(shape) > 1 else shape[0]
        return [texts[start : start + width] for start in range(0, len(texts), width)]

    def values(self, tensor: "ArrayLike") -> dict[str, float]:
        """Read the independent components off a full tensor, (3, ..., 3)."""
        entries = np.asarray(tensor, dtype=np.float64).ravel()[self.flat] * self.weights
        by_name = dict(zip(self.names.ravel().tolist(), entries.ravel(), strict=True))
        return {name: float(by_name[name]) for name in self.independent}


def allowed_form(
    rotations: "ArrayLike",
    index_symmetry: str,
    *,
    symbol: str = "T",
    factors: str = "stress",
    axial: bool = False,
) -> AllowedForm:
    """Find which entries of a tensor are zero, which related and which independent.

    Parameters
    ----------
    rotations : array_like, shape (n_ops, 3, 3)
        Orthogonal matrices of the whole group, acting on column vectors. In axes that
        are not the crystal's a form has many entries, and coefficients of any size.
    index_symmetry : str
        Such as ``"ijk=ikj"``.
    symbol : str
        Of the tensor, for names such as ``e15``.
    factors : str
        ``"stress"`` for e and C, whose entries are components of the full tensor;
        ``"strain"`` for d and S, whose entries have a 2 for each unequal Voigt pair.
    axial : bool
        Whether the tensor changes sign under improper operations in addition.

    Returns
    -------
    AllowedForm
        Without independent components if the group forbids the tensor.

    Raises
    ------
    ShapeError
        If `rotations` is not a stack of 3×3 matrices.
    SymmetryError
        If they are not a group of orthogonal matrices.
    ConfigError
        If `index_symmetry` or `factors` is unknown.
    """
    if factors not in _FACTORS:
        raise ConfigError(f"unknown factors {factors!r}; known: {', '.join(_FACTORS)}")
    indices = parse_index_symmetry(index_symmetry)
    layout = _layout(index_symmetry)
    reduced = reduced_projector(rotations, indices, axial=axial)
    rows, pivots = pivoted_basis(reduced, np.array(list(layout.entry_of), dtype=int))
    chosen = sorted(layout.entry_of[pivot] for pivot in pivots)
    weights = np.power(_FACTORS[factors], layout.unequal).astype(np.float64)
    # One row per basis tensor, one column per entry of the form.
    entries: Floats = (rows @ indices.embedding.T)[:, layout.flat] * weights
    coefficients = np.linalg.solve(entries[:, chosen], entries).T
    names = np.array([symbol + digits for digits in layout.digits])
    shape = layout.shape
    return AllowedForm(
        independent=tuple(names[chosen].tolist()),
        names=names.reshape(shape),
        coefficients=_snap(coefficients).reshape(*shape, len(chosen)),
        flat=layout.flat.reshape(shape),
        weights=weights.reshape(shape),
    )


@dataclass(frozen=True, eq=False)
class _Layout:
    """How a form is laid out: one row per entry, in reading order."""

    shape: tuple[int, ...]
    flat: "NDArray[np.int64]"  # place in the full tensor
    unequal: "NDArray[np.int64]"  # number of Voigt pairs with two different indices
    digits: list[str]
    entry_of: dict[int, int]  # free component to the entry that names it, best first


@lru_cache(maxsize=64)
def _layout(index_symmetry: str) -> _Layout:
    """Lay out the form of an index symmetry."""
    indices = parse_index_symmetry(index_symmetry)
    axes = _axes(indices)
    full = [sum(parts, ()) for parts in product(*axes)]
    flat = np.array([np.ravel_multi_index(index, (3,) * len(index)) for index in full])
    unequal = np.array(
        [
            sum(len(part) == 2 and part[0] != part[1] for part in parts)
            for parts in product(*axes)
        ]
    )
    places = list(product(*(range(len(axis)) for axis in axes)))
    digits = ["".join(str(part + 1) for part in place) for place in places]
    entry_of: dict[int, int] = {}
    for entry in sorted(
        range(len(full)), key=lambda at: _rank_of_name(digits[at], axes)
    ):
        free = np.flatnonzero(indices.embedding[flat[entry]])
        if free.size:
            entry_of.setdefault(int(free[0]), entry)
    shape = tuple(len(axis) for axis in axes)
    return _Layout(shape, flat, unequal, digits, entry_of)


def _axes(indices: IndexSymmetry) -> list[tuple[tuple[int, ...], ...]]:
    """List, for each axis of a form, the Cartesian indices of its places."""
    single = tuple((place,) for place in range(3))
    if indices.rank == 3 and indices.joins(1, 2):
        return [single, VOIGT_PAIRS]
    if indices.rank == 3 and indices.joins(0, 1):
        return [VOIGT_PAIRS, single]
    if indices.rank == 4 and indices.joins(0, 1) and indices.joins(2, 3):
        return [VOIGT_PAIRS, VOIGT_PAIRS]
    return [single] * indices.rank


def _rank_of_name(
    digits: str, axes: list[tuple[tuple[int, ...], ...]]
) -> tuple[int, str]:
    """Order names by preference."""
    lengths = [len(axis) for axis in axes]
    if lengths == [3, 6]:
        return _PIEZO.index(digits), digits
    if lengths == [6, 3]:
        return _PIEZO.index(digits[::-1]), digits
    if lengths == [6, 6]:
        return 0, digits
    return int(len(set(digits)) > 1), digits


def _snap(coefficients: "NDArray[np.floating]") -> "Floats":
    """Make multiples of one half exact; the rest of the coefficients stay."""
    exact = np.round(2 * coefficients) / 2
    near = np.abs(coefficients - exact) < 1e-9
    return np.where(near, exact, coefficients) + 0.0  # no negative zeros


def _combination(coefficients: "Floats", names: tuple[str, ...]) -> str:
    """Write a linear combination."""
    terms = [
        (float(factor), name)
        for factor, name in zip(coefficients, names, strict=True)
        if factor != 0
    ]
    if not terms:
        return "0"
    sizes = {abs(factor) for factor, _ in terms}
    common = sizes.pop() if len(terms) > 1 and len(sizes) == 1 else 1.0
    text = "".join(_term(factor / common, name) for factor, name in terms)
    text = text[3:] if text.startswith(" + ") else "-" + text[3:]
    if common == 0.5:
        return f"({text})/2"
    return text if common == 1 else f"{common:.4g} ({text})"


def _term(factor: float, name: str) -> str:
    """Write one term with its sign in front."""
    sign = " + " if factor > 0 else " - "
    size = abs(factor)
    if size == 1:
        return sign + name
    if size == 0.5:
        return f"{sign}{name}/2"
    return f"{sign}{size:.4g} {name}"
