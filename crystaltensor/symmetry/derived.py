"""Quantities that follow from tensors: moduli, stability, indices, d = e·S."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.errors import DataError, ShapeError
from crystaltensor.symmetry.notation import (
    from_mandel,
    from_voigt,
    to_mandel,
    to_voigt,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

PC_PER_N = 1000.0
"""1 (C/m²)/GPa in pC/N: 1e-9 C/N is 1000 pC/N."""


@dataclass(frozen=True)
class Moduli:
    r"""Elastic moduli of a polycrystal without texture, after Voigt, Reuss and Hill.

    Parameters
    ----------
    bulk_voigt, bulk_reuss, bulk_hill : float
        Bulk moduli in GPa.
    shear_voigt, shear_reuss, shear_hill : float
        Shear moduli in GPa.
    young : float
        Young's modulus :math:`9KG/(3K+G)` in GPa, of Hill's means.
    poisson : float
        Poisson's ratio :math:`(3K-2G)/(6K+2G)`, of Hill's means.
    universal_anisotropy : float
        :math:`A_U = 5 G_V/G_R + K_V/K_R - 6`; zero for an isotropic crystal [1]_.

    References
    ----------
    .. [1] S. I. Ranganathan and M. Ostoja-Starzewski, Phys. Rev. Lett. 101, 055504
       (2008).
    """

    bulk_voigt: float
    bulk_reuss: float
    bulk_hill: float
    shear_voigt: float
    shear_reuss: float
    shear_hill: float
    young: float
    poisson: float
    universal_anisotropy: float


@dataclass(frozen=True, eq=False)
class Stability:
    """Whether a crystal without load resists every small strain.

    Parameters
    ----------
    margin : float
        Smallest eigenvalue of the stiffness in Kelvin-Mandel form, in GPa: twice the
        least energy density of a strain of norm one. It does not depend on the axes.
    softest : ndarray, shape (3, 3)
        The strain of norm one that costs the least energy.
    """

    margin: float
    softest: "Floats"

    @property
    def stable(self) -> bool:
        """Whether every strain costs energy: Born's criterion."""
        return self.margin > 0


def compliance(stiffness: "ArrayLike") -> "Floats":
    """Invert a stiffness.

    Parameters
    ----------
    stiffness : array_like, shape (3, 3, 3, 3)
        In GPa.

    Returns
    -------
    ndarray, shape (3, 3, 3, 3)
        Full components in 1/GPa, without factors: S_44 of tables is four times S_2323.

    Raises
    ------
    ShapeError
        If the shape does not fit, or a pair of indices is not symmetric.
    DataError
        If the stiffness has no inverse.
    """
    return from_mandel(np.linalg.inv(_invertible(stiffness)), 4)


def _invertible(stiffness: "ArrayLike") -> "Floats":
    """Write a stiffness as a Kelvin-Mandel matrix; refuse one without an inverse."""
    matrix = to_mandel(stiffness, 4)
    sizes = np.abs(np.linalg.eigvalsh((matrix + matrix.T) / 2))
    if not sizes.min() > 1e-12 * sizes.max():
        raise DataError(
            "the stiffness has no inverse: a strain costs no energy, so that "
            "compliances and what follows from them do not exist"
        )
    return matrix


def moduli(stiffness: "ArrayLike") -> Moduli:
    r"""Average a stiffness over all orientations.

    .. math:: 9 K_V = C_{iijj} , \quad 30 G_V = 3 C_{ijij} - C_{iijj} , \quad
              1 / K_R = S_{iijj} , \quad 15 / (2 G_R) = 3 S_{ijij} - S_{iijj}

    Parameters
    ----------
    stiffness : array_like, shape (3, 3, 3, 3)
        In GPa.

    Returns
    -------
    Moduli
        Voigt's, Reuss's and Hill's means [1]_.

    Raises
    ------
    ShapeError
        If the shape does not fit, or a pair of indices is not symmetric.
    DataError
        If the stiffness has no inverse.

    References
    ----------
    .. [1] R. Hill, Proc. Phys. Soc. A 65, 349 (1952).
    """
    values = moduli_of_mandel(_invertible(stiffness))
    return Moduli(*(float(value) for value in values))


def moduli_of_mandel(stiffness: "Floats") -> "Floats":
    """Average many stiffnesses over all orientations.

    Parameters
    ----------
    stiffness : ndarray, shape (..., 6, 6)
        Kelvin-Mandel matrices, in GPa.

    Returns
    -------
    ndarray, shape (..., 9)
        In the order of the fields of `Moduli`; NaN where a matrix has no inverse.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        try:
            soft = np.linalg.inv(stiffness)
        except np.linalg.LinAlgError:  # one of them is singular to the last bit
            soft = np.full_like(stiffness, np.nan)
        c_bulk, s_bulk = (
            part[..., :3, :3].sum(axis=(-2, -1)) for part in (stiffness, soft)
        )
        c_all, s_all = (
            np.trace(part, axis1=-2, axis2=-1) for part in (stiffness, soft)
        )
        k_voigt, g_voigt = c_bulk / 9, (3 * c_all - c_bulk) / 30
        k_reuss, g_reuss = 1 / s_bulk, 15 / (2 * (3 * s_all - s_bulk))
        bulk, shear = (k_voigt + k_reuss) / 2, (g_voigt + g_reuss) / 2
        found = (
            k_voigt,
            k_reuss,
            bulk,
            g_voigt,
            g_reuss,
            shear,
            9 * bulk * shear / (3 * bulk + shear),
            (3 * bulk - 2 * shear) / (6 * bulk + 2 * shear),
            5 * g_voigt / g_reuss + k_voigt / k_reuss - 6,
        )
    return np.stack(found, axis=-1)


def stability(stiffness: "ArrayLike") -> Stability:
    """Find the strain that a crystal resists least.

    Parameters
    ----------
    stiffness : array_like, shape (3, 3, 3, 3)
        In GPa.

    Returns
    -------
    Stability
        Born's criterion with its margin [1]_.

    Raises
    ------
    ShapeError
        If the shape does not fit, or a pair of indices is not symmetric.

    References
    ----------
    .. [1] F. Mouhat and F.-X. Coudert, Phys. Rev. B 90, 224104 (2014).
    """
    matrix = to_mandel(stiffness, 4)
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    softest = vectors[:, 0] * np.sign(vectors[np.abs(vectors[:, 0]).argmax(), 0])
    softest = np.where(np.abs(softest) < 1e-12, 0.0, softest)
    return Stability(float(values[0]), from_mandel(softest, 2))


def principal_values(tensor: "ArrayLike") -> "tuple[Floats, Floats]":
    """Diagonalise a symmetric tensor of rank two.

    Parameters
    ----------
    tensor : array_like, shape (3, 3)
        Its symmetric part is taken.

    Returns
    -------
    values : ndarray, shape (3,)
        Ascending, in the unit of `tensor`.
    axes : ndarray, shape (3, 3)
        Rows are the unit vectors, each with its largest component positive.

    Raises
    ------
    ShapeError
        If the shape does not fit.
    """
    given = np.asarray(tensor, dtype=np.float64)
    if given.shape != (3, 3):
        raise ShapeError(f"a tensor of rank 2 has shape (3, 3), not {given.shape}")
    values, vectors = np.linalg.eigh((given + given.T) / 2)
    axes = vectors.T
    largest = np.abs(axes).argmax(axis=1)
    return values, axes * np.sign(axes[np.arange(3), largest])[:, None]


def refractive_indices(dielectric: "ArrayLike") -> "tuple[Floats, Floats]":
    r"""Give the principal refractive indices, :math:`n = \sqrt{\epsilon^\infty}`.

    Parameters
    ----------
    dielectric : array_like, shape (3, 3)
        Electronic dielectric tensor of a crystal that is not magnetic.

    Returns
    -------
    indices : ndarray, shape (3,)
        Ascending.
    axes : ndarray, shape (3, 3)
        Rows are the polarisations of the electric displacement.

    Raises
    ------
    ShapeError
        If the shape does not fit.
    DataError
        If a principal value is negative.
    """
    values, axes = principal_values(dielectric)
    if values[0] < 0:
        raise DataError(
            f"a principal value of the dielectric tensor is {values[0]:.4g}: there is "
            "no refractive index"
        )
    return np.sqrt(values), axes


def piezo_strain(piezo: "ArrayLike", stiffness: "ArrayLike") -> "Floats":
    r"""Give the piezoelectric moduli :math:`d_{ijk} = e_{ilm} S_{lmjk}` in pC/N.

    Parameters
    ----------
    piezo : array_like, shape (3, 3, 3)
        Constants e in C/m².
    stiffness : array_like, shape (3, 3, 3, 3)
        At constant electric field, in GPa, in the same frame.

    Returns
    -------
    ndarray, shape (3, 3, 3)
        Full components in pC/N; ``to_voigt(d, 3, factors="strain")`` is the matrix of
        tables, in which d_14 is twice d_123.

    Raises
    ------
    ShapeError
        If a shape does not fit, or a pair of indices is not symmetric.
    DataError
        If the stiffness has no inverse.

    References
    ----------
    .. [1] J. F. Nye, Physical Properties of Crystals, Oxford (1985), ch. X.
    """
    matrix = to_mandel(piezo, 3) @ to_mandel(compliance(stiffness), 4)
    return from_mandel(PC_PER_N * matrix, 3)


def strain_voigt(tensor: "ArrayLike") -> "Floats":
    """Write d as the 3×6 matrix of tables, with its factors 2, in the unit given."""
    return to_voigt(tensor, 3, factors="strain")


def from_strain_voigt(matrix: "ArrayLike") -> "Floats":
    """Read the 3×6 matrix d of tables, with its factors 2, as a full tensor."""
    return from_voigt(matrix, 3, factors="strain")
