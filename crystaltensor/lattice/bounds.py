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
enters, so the bound holds for every pair of the crystal, needle or plate. A function
that decays at least as :math:`e^{-\alpha r}` is bounded in the same way.
"""

import math
from functools import lru_cache

import numpy as np
import torch

from crystaltensor.lattice.cells import Array, Geometry
from crystaltensor.lattice.kernels import Kernel, Shell


def gaussian_moments(u: Array) -> Array:
    r"""Integrate powers of the radius over a Gaussian tail that is one at its start.

    .. math:: M_m = \int_u^\infty 2 t \, e^{u^2 - t^2} t^m dt, \qquad m = 0, 1, 2, 3

    Parameters
    ----------
    u : ndarray, shape (n,)
        Reduced cutoffs.

    Returns
    -------
    ndarray, shape (4, n)
        In reduced units.
    """
    erfcx = torch.special.erfcx(torch.tensor(u)).numpy()
    first = u + 0.5 * math.sqrt(math.pi) * erfcx
    return np.array([np.ones_like(u), first, u**2 + 1, u**3 + 1.5 * first])


def exponential_moments(u: Array) -> Array:
    r"""Integrate powers of the radius over an exponential tail that is one at its start.

    .. math:: M_m = \int_u^\infty e^{u - t} t^m dt, \qquad m = 0, 1, 2, 3

    Parameters
    ----------
    u : ndarray, shape (n,)
        Reduced cutoffs.

    Returns
    -------
    ndarray, shape (4, n)
        In reduced units.
    """
    first = u + 1
    second = u**2 + 2 * first
    return np.array([np.ones_like(u), first, second, u**3 + 3 * second])


def real_bounds(
    kernels: list[Kernel], geometry: Geometry, u: Array, eta: Array
) -> Array:
    """Bound the real-space tails beyond u/η.

    Parameters
    ----------
    kernels : list of Kernel
        Whose sums are split at η.
    geometry : Geometry
        Of the lattices.
    u : ndarray, shape (n,)
        Reduced cutoffs ηR to try.
    eta : ndarray, shape (n_crystals, 1)
        The width η, in 1/Å.

    Returns
    -------
    ndarray, shape (n_kernels, n_crystals, n)
        In the unit of each kernel.
    """
    tail = _tail(geometry.counts, eta, _table("gaussian", u))
    parts = [
        _values(kernel, "real", u, eta) * eta**kernel.dimension for kernel in kernels
    ]
    return tail * np.array(parts)


def direct_bounds(kernel: Kernel, geometry: Geometry, u: Array) -> Array:
    """Bound the tails of an unsplit sum beyond u/α.

    Parameters
    ----------
    kernel : Kernel
        One that decays exponentially.
    geometry : Geometry
        Of the lattices.
    u : ndarray, shape (n,)
        Reduced cutoffs αR to try.

    Returns
    -------
    ndarray, shape (1, n_crystals, n)
        In the unit of the kernel.
    """
    tail = _tail(geometry.counts, kernel.decay, _table("exponential", u))
    return tail[None] * _table("bare", u / kernel.decay, kernel)


def reciprocal_bounds(
    kernels: list[Kernel], geometry: Geometry, u: Array, eta: Array
) -> Array:
    """Bound the reciprocal-space tails beyond 2ηu.

    Parameters
    ----------
    kernels : list of Kernel
        Whose sums are split at η.
    geometry : Geometry
        Of the lattices.
    u : ndarray, shape (n,)
        Reduced cutoffs K/2η to try.
    eta : ndarray, shape (n_crystals, 1)
        The width η, in 1/Å.

    Returns
    -------
    ndarray, shape (n_kernels, n_crystals, n)
        In the unit of each kernel.
    """
    tail = _tail(geometry.reciprocal_counts, 0.5 / eta, _table("gaussian", u))
    tail /= geometry.volume[:, None]
    parts = [
        _values(kernel, "reciprocal", u, eta) * eta ** (kernel.dimension - 3.0)
        for kernel in kernels
    ]
    return tail * np.array(parts)


def _values(kernel: Kernel, part: str, u: Array, eta: Array) -> Array:
    """Evaluate a part of a kernel, shape (n_crystals, n) or (n,)."""
    if kernel.scale_free:
        return _table(part, u, kernel)
    shell, width = Shell(torch.from_numpy(u**2)), torch.from_numpy(eta)
    values: torch.Tensor = getattr(kernel, part)(shell, width)
    return np.asarray(values.expand(len(eta), -1).numpy())


def _table(what: str, u: Array, kernel: Kernel | None = None) -> Array:
    """Evaluate what depends on the cutoffs alone: once, for the same are tried again."""
    return _remembered(what, u.tobytes(), kernel)


@lru_cache(maxsize=256)
def _remembered(what: str, key: bytes, kernel: Kernel | None) -> Array:
    """Evaluate moments, or a part of a kernel for η = 1."""
    u = np.frombuffer(key)
    if kernel is None:
        moments = gaussian_moments if what == "gaussian" else exponential_moments
        return moments(u)
    values: torch.Tensor = getattr(kernel, what)(Shell(torch.from_numpy(u**2)), 1.0)
    return np.asarray(values.numpy())


def _tail(counts: Array, scale: Array | float, moments: Array) -> Array:
    """Bound the sum beyond the cutoffs over the value there, shape (n_crystals, n)."""
    # Radii are in units of 1/scale, and so are the coefficients of their powers.
    reduced = counts * (1 / np.asarray(scale)) ** np.arange(4)
    return np.asarray((reduced @ moments).min(axis=0))
