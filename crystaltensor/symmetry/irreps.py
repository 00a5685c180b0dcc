r"""Irreducible tensors of O(3) in real form, built from Cartesian tensors alone.

An irreducible tensor of degree :math:`l` is a symmetric traceless Cartesian tensor of
rank :math:`l`; ``harmonic_basis(l)`` is an orthonormal basis of those. Everything else
follows by contraction: spherical harmonics, rotation matrices, Clebsch-Gordan
coefficients, and the irreducible parts of a tensor with index symmetry. Degrees up to 4
serve tensors up to rank 4; the construction holds for any.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import comb, factorial, prod
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.errors import ShapeError
from crystaltensor.symmetry.index_symmetry import parse_index_symmetry
from crystaltensor.symmetry.projection import projector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LEVI_CIVITA = np.array(
    [
        [[(i - j) * (j - k) * (k - i) / 2 for k in range(3)] for j in range(3)]
        for i in range(3)
    ]
)


def monomials(degree: int) -> list[tuple[int, int, int]]:
    """List the exponents (of x, y, z) of all monomials of one degree."""
    return [
        (degree - rest, rest - z, z)
        for rest in range(degree + 1)
        for z in range(rest + 1)
    ]


@lru_cache
def harmonic_polynomials(degree: int) -> "Array":
    r"""Coefficients of the real solid harmonics of one degree.

    They are scaled so that :math:`\sum_m Y_{lm}(\hat r)^2 = 2l + 1` on the unit sphere
    ("component" normalisation), ordered m = -l … l with sines before cosines [1]_.

    Parameters
    ----------
    degree : int
        The degree l ≥ 0.

    Returns
    -------
    ndarray, shape (2 * degree + 1, n_monomials)
        Row m, in the basis ``monomials(degree)``.

    References
    ----------
    .. [1] T. Helgaker, P. Jørgensen, J. Olsen, Molecular Electronic-Structure Theory,
       Wiley (2000), section 6.4.
    """
    index = {powers: column for column, powers in enumerate(monomials(degree))}
    table = np.zeros((2 * degree + 1, len(index)))
    for order in range(-degree, degree + 1):
        for powers, value in _solid_harmonic(degree, order):
            table[order + degree, index[powers]] += value
    norms = np.sqrt(np.square(_as_tensors(table, degree)).sum(axis=1, keepdims=True))
    # |traceless part of r̂ ⊗ … ⊗ r̂|² = l! / (2l − 1)!!
    odd = prod(range(1, 2 * degree, 2))
    scaled: Array = table / norms * np.sqrt((2 * degree + 1) * odd / factorial(degree))
    return scaled


def _solid_harmonic(
    degree: int, order: int
) -> list[tuple[tuple[int, int, int], float]]:
    """Expand one real solid harmonic in monomials, up to a factor."""
    m = abs(order)
    first = 1 if order < 0 else 0  # odd powers of y are the imaginary part
    terms = []
    for k in range((degree - m) // 2 + 1):
        axial = (-1) ** k * comb(degree, k) * comb(2 * (degree - k), degree)
        axial *= factorial(degree - 2 * k) // factorial(degree - 2 * k - m)
        for a, b in product(range(k + 1), repeat=2):
            if a + b > k:
                continue
            split = factorial(k) // (factorial(a) * factorial(b) * factorial(k - a - b))
            for y in range(first, m + 1, 2):
                value = axial * split * comb(m, y) * (-1) ** (y // 2)
                powers = (m - y + 2 * a, y + 2 * b, degree - m - 2 * a - 2 * b)
                terms.append((powers, float(value)))
    return terms


def _as_tensors(polynomials: "Array", degree: int) -> "Array":
    """Write homogeneous polynomials as symmetric tensors, flattened."""
    index = {powers: column for column, powers in enumerate(monomials(degree))}
    tensors = np.empty((len(polynomials), 3**degree))
    for flat, axes in enumerate(product(range(3), repeat=degree)):
        powers = (axes.count(0), axes.count(1), axes.count(2))
        ways = factorial(degree) / prod(factorial(power) for power in powers)
        tensors[:, flat] = polynomials[:, index[powers]] / ways
    return tensors


@lru_cache
def harmonic_basis(degree: int) -> "Array":
    """Orthonormal basis of the symmetric traceless tensors of one rank.

    Parameters
    ----------
    degree : int
        The rank l ≥ 0.

    Returns
    -------
    ndarray, shape (2 * degree + 1, 3, ..., 3)
        Contracted with r̂ on all axes it gives the spherical harmonics of that degree,
        up to one positive factor.
    """
    tensors = _as_tensors(harmonic_polynomials(degree), degree)
    tensors /= np.sqrt(np.square(tensors).sum(axis=1, keepdims=True))
    return tensors.reshape(-1, *[3] * degree)


def wigner(degree: int, rotations: "Array", *, pseudo: bool = False) -> "Array":
    """Matrices by which orthogonal matrices act on an irreducible tensor.

    Parameters
    ----------
    degree : int
        The degree l.
    rotations : ndarray, shape (..., 3, 3)
        Proper or improper, acting on column vectors.
    pseudo : bool
        Whether the tensor has parity -(-1)^l in place of (-1)^l.

    Returns
    -------
    ndarray, shape (..., 2 * degree + 1, 2 * degree + 1)
        Orthogonal, acting on columns.
    """
    basis = harmonic_basis(degree)
    lead = rotations.shape[:-2]
    turned = np.broadcast_to(basis.reshape(-1), (*lead, basis.size))
    turned = turned.reshape(*lead, 2 * degree + 1, 3**degree)
    for axis in range(degree):
        shape = (*lead, (2 * degree + 1) * 3**axis, 3, 3 ** (degree - axis - 1))
        split = turned.reshape(shape)
        turned = rotations[..., None, :, :] @ split
    flat = turned.reshape(*lead, 2 * degree + 1, 3**degree)
    matrices: Array = basis.reshape(2 * degree + 1, -1) @ flat.swapaxes(-1, -2)
    if pseudo:
        matrices = matrices * np.linalg.det(rotations)[..., None, None].round()
    return matrices


@lru_cache
def clebsch_gordan(first: int, second: int, result: int) -> "Array":
    r"""Couple two irreducible tensors to a third.

    Contracts the harmonic tensors over :math:`k = \lfloor (l_1+l_2-l_3)/2 \rfloor` pairs
    of indices, and over the Levi-Civita tensor where :math:`l_1+l_2+l_3` is odd, then
    takes the symmetric traceless part.

    Parameters
    ----------
    first, second, result : int
        Degrees; ``|first - second| <= result <= first + second``.

    Returns
    -------
    ndarray, shape (2 * first + 1, 2 * second + 1, 2 * result + 1)
        With orthonormal columns, unique up to the sign, which is fixed here.

    Raises
    ------
    ShapeError
        If the degrees violate the triangle rule.
    """
    if not abs(first - second) <= result <= first + second:
        raise ShapeError(f"degrees {first} and {second} do not couple to {result}")
    pairs, odd = divmod(first + second - result, 2)
    left, right = harmonic_basis(first), harmonic_basis(second)
    axes = list(range(1, 1 + pairs))
    if odd:  # ε_ipq a_p… b_q…: the axes of left end with i, q
        left = np.tensordot(left, LEVI_CIVITA, axes=(1, 1))
        axes.append(left.ndim - 1)
    coupled = np.tensordot(left, right, axes=(axes, list(range(1, 1 + len(axes)))))
    coupled = np.moveaxis(coupled, first - pairs + 1, 1)
    coupled = coupled.reshape(2 * first + 1, 2 * second + 1, -1)
    table: Array = coupled @ harmonic_basis(result).reshape(2 * result + 1, -1).T
    norm = np.sqrt(np.square(table).sum() / (2 * result + 1))
    table = table / norm
    table[np.abs(table) < 1e-14] = 0.0
    return table


@dataclass(frozen=True)
class TensorIrreps:
    """The irreducible parts of a Cartesian tensor with index symmetry.

    Parameters
    ----------
    degrees : tuple of int
        Degree of each part, ascending.
    pseudo : tuple of bool
        Whether the parity of that part is -(-1)^l.
    basis : ndarray, shape (n_components, 3, ..., 3)
        Orthonormal; the rows of the parts follow each other.
    """

    degrees: tuple[int, ...]
    pseudo: tuple[bool, ...]
    basis: "Array"


@lru_cache
def tensor_irreps(index_symmetry: str) -> TensorIrreps:
    """Decompose polar tensors with index symmetry into irreducible parts of O(3).

    All indices are coupled from left to right, which splits the space of tensors by
    degree; the index symmetry then acts on the copies of each degree alone, and a
    Gram-Schmidt sweep in a fixed order picks the copies that have it, so that the
    basis is the same on every machine.

    Parameters
    ----------
    index_symmetry : str
        Such as ``"ijk=ikj"``.

    Returns
    -------
    TensorIrreps
        For ``"ijk=ikj"``: degrees 1, 1, 2, 3, the third of them pseudo.
    """
    indices = parse_index_symmetry(index_symmetry)
    rank = indices.rank
    degrees: list[int] = []
    parts: list[Array] = []
    for degree in range(rank + 1):
        copies = _coupled_copies(rank, degree)  # (n_copies, 2l + 1, 3^rank)
        inside = copies @ indices.embedding  # (n_copies, 2l + 1, n_free)
        mixing = np.einsum("umk,vmk->uv", inside, inside) / (2 * degree + 1)
        for mixture in _independent_rows(mixing):
            degrees.append(degree)
            parts.append(np.einsum("u,umt->mt", mixture, copies))
    basis = np.concatenate(parts).reshape(-1, *[3] * rank)
    basis[np.abs(basis) < 1e-14] = 0.0
    pseudo = tuple((degree - rank) % 2 == 1 for degree in degrees)
    return TensorIrreps(tuple(degrees), pseudo, basis)


def irrep_projectors(
    rotations: "Array", index_symmetry: str
) -> dict[tuple[int, bool], "Array"]:
    """Average the matrices of the irreducible parts of a tensor over a point group.

    Parameters
    ----------
    rotations : ndarray, shape (n_ops, 3, 3)
        Orthogonal matrices of the whole group, acting on column vectors.
    index_symmetry : str
        Of the polar tensor, such as ``"ijk=ikj"``.

    Returns
    -------
    dict
        ``(degree, pseudo)`` to the projector onto what the group allows, shape
        (2 * degree + 1, 2 * degree + 1), for each kind of part.

    Raises
    ------
    SymmetryError
        If `rotations` are not a group of orthogonal matrices.
    """
    irreps = tensor_irreps(index_symmetry)
    rank = irreps.basis.ndim - 1
    basis = irreps.basis.reshape(-1, 3**rank)
    turned = basis @ projector(rotations, rank)
    found: dict[tuple[int, bool], Array] = {}
    start = 0
    for degree, pseudo in zip(irreps.degrees, irreps.pseudo, strict=True):
        part = slice(start, start + 2 * degree + 1)
        start = part.stop
        if (degree, pseudo) not in found:
            found[degree, pseudo] = turned[part] @ basis[part].T
    return found


def _coupled_copies(rank: int, degree: int) -> "Array":
    """All orthonormal copies of one degree among tensors of one rank."""
    vector = harmonic_basis(1)  # rows in the order of m, not x, y, z
    copies = {1: [vector]}
    for _ in range(1, rank):
        longer: dict[int, list[Array]] = {}
        for old, tensors in sorted(copies.items()):
            for new in range(abs(old - 1), old + 2):
                table = clebsch_gordan(old, 1, new)
                for tensor in tensors:
                    coupled = np.einsum("abm,at,bi->mti", table, tensor, vector)
                    longer.setdefault(new, []).append(coupled.reshape(2 * new + 1, -1))
        copies = longer
    found = copies.get(degree, [])
    return np.array(found).reshape(-1, 2 * degree + 1, 3**rank)


def _independent_rows(projector: "Array") -> list["Array"]:
    """Orthonormalise the rows of a projector in the order they come."""
    found: list[Array] = []
    for row in projector:
        rest = row - sum((row @ other) * other for other in found)
        norm = float(np.linalg.norm(rest))
        if norm > 1e-8:
            found.append(rest / norm)
    return found
