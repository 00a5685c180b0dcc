r"""Certified bounds of what a truncated lattice sum leaves out.

A closed ball of radius r, wherever its centre, holds at most

.. math:: N(r) \le \prod_i (1 + 2r/h_i) \quad\text{and}\quad
          N(r) \le \tfrac{4\pi}{3} (r + \rho)^3 / V

points of a lattice with Gram-Schmidt lengths :math:`h_i` and covering radius
:math:`\rho`: the first by counting layers, rows and points, the second by volume. A
mixture of Gaussians no wider than :math:`1/\eta` obeys :math:`g(r) \le g(R)
e^{-\eta^2 (r^2 - R^2)}` beyond R, and summation by parts bounds the tail by

.. math:: \sum_{|x| > R} g(|x|) \le
          g(R) \int_R^\infty 2 \eta^2 r e^{-\eta^2 (r^2 - R^2)} N(r) \, dr ,

in closed form since N is a cubic polynomial. No symmetry and no position of the atoms
enters, so the bound holds for every pair of the crystal, needle or plate.
"""

import math

import torch
from torch import Tensor

from crystaltensor.lattice.cells import Geometry
from crystaltensor.lattice.kernels import Kernel, Shell


def gaussian_tail(counts: Tensor, reach: Tensor, scale: Tensor) -> Tensor:
    """Bound the tail of a Gaussian mixture whose value at the cutoff is one.

    Parameters
    ----------
    counts : Tensor, shape (2, n_crystals, 4)
        From `counting_polynomials`.
    reach : Tensor, shape (n_crystals, n)
        Cutoffs to try.
    scale : Tensor, shape (n_crystals, 1)
        η in real space, 1/2η in reciprocal space.

    Returns
    -------
    Tensor, shape (n_crystals, n)
        The smaller of the two bounds.
    """
    width = scale.square().reciprocal()
    erfcx = torch.special.erfcx(scale * reach)
    first = reach + 0.5 * math.sqrt(math.pi) / scale * erfcx
    square = reach.square()
    return _smaller(counts, first, square + width, square * reach + 1.5 * width * first)


def exponential_tail(counts: Tensor, reach: Tensor, decay: float) -> Tensor:
    """Bound the tail of a function that falls at least as exp(-αr), one at the cutoff.

    Parameters
    ----------
    counts : Tensor, shape (2, n_crystals, 4)
        From `counting_polynomials`.
    reach : Tensor, shape (n_crystals, n)
        Cutoffs to try.
    decay : float
        α.

    Returns
    -------
    Tensor, shape (n_crystals, n)
        The smaller of the two bounds.
    """
    first = reach + 1 / decay
    second = reach.square() + 2 / decay * first
    third = reach.square() * reach + 3 / decay * second
    return _smaller(counts, first, second, third)


def _smaller(counts: Tensor, *moments: Tensor) -> Tensor:
    """Weigh the moments of both counting polynomials, and take the smaller bound."""
    stacked = torch.stack([torch.ones_like(moments[0]), *moments], dim=1)
    return (counts.transpose(0, 1) @ stacked).amin(dim=1)


def real_bounds(
    kernels: list[Kernel], geometry: Geometry, u: Tensor, eta: Tensor
) -> Tensor:
    """Bound the real-space tails beyond u/η.

    Parameters
    ----------
    kernels : list of Kernel
        Whose sums are split at η.
    geometry : Geometry
        Of the lattices.
    u : Tensor, shape (n,)
        Reduced cutoffs ηR to try.
    eta : Tensor, shape (n_crystals, 1)
        The width η, in 1/Å.

    Returns
    -------
    Tensor, shape (n_kernels, n_crystals, n)
        In the unit of each kernel.
    """
    tail = gaussian_tail(geometry.counts, u / eta, eta)
    shell = Shell(u.square())
    return torch.stack(
        [tail * (kernel.real(shell, eta) * eta**kernel.dimension) for kernel in kernels]
    )


def direct_bounds(kernels: list[Kernel], geometry: Geometry, reach: Tensor) -> Tensor:
    """Bound the tails of unsplit sums beyond a cutoff.

    Parameters
    ----------
    kernels : list of Kernel
        Whose sums are not split; all decay exponentially.
    geometry : Geometry
        Of the lattices.
    reach : Tensor, shape (n,)
        Cutoffs to try, in Å.

    Returns
    -------
    Tensor, shape (n_kernels, n_crystals, n)
        In the unit of each kernel.
    """
    shell = Shell(reach.square())
    reach = reach.expand(len(geometry.cells), -1)
    return torch.stack(
        [
            exponential_tail(geometry.counts, reach, kernel.decay)
            * kernel.bare(shell, 1.0)
            for kernel in kernels
        ]
    )


def reciprocal_bounds(
    kernels: list[Kernel], geometry: Geometry, u: Tensor, eta: Tensor
) -> Tensor:
    """Bound the reciprocal-space tails beyond 2ηu.

    Parameters
    ----------
    kernels : list of Kernel
        Whose sums are split at η.
    geometry : Geometry
        Of the lattices.
    u : Tensor, shape (n,)
        Reduced cutoffs K/2η to try.
    eta : Tensor, shape (n_crystals, 1)
        The width η, in 1/Å.

    Returns
    -------
    Tensor, shape (n_kernels, n_crystals, n)
        In the unit of each kernel.
    """
    tail = gaussian_tail(geometry.reciprocal_counts, 2 * eta * u, 0.5 / eta)
    tail = tail / geometry.volume.unsqueeze(-1)
    shell = Shell(u.square())
    return torch.stack(
        [
            tail * (kernel.reciprocal(shell, eta) * eta ** (kernel.dimension - 3))
            for kernel in kernels
        ]
    )
