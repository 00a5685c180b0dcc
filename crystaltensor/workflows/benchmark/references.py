"""Sums that are known otherwise: to 20 digits, or from the literature."""

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DIGITS = 25
"""Of the numbers that references are computed with."""

TERMS = 46.0
"""Terms below exp(-46) = 1e-20 are left out."""

_FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
_BCC = np.array([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]])
_ZINCBLENDE = 1.6380550533887894237
_ROCK_SALT = 1.7475645946331821906


@dataclass(frozen=True)
class KnownSum:
    """A lattice sum from the literature.

    Parameters
    ----------
    name : str
        Of the structure.
    power : int
        p of 1/r^p.
    cell : ndarray, shape (3, 3)
        Rows, in units of the cubic lattice constant.
    frac : tuple
        Fractional coordinates.
    charges : tuple of float
        Of the atoms; the sum of all pairs, over minus two, is the energy.
    nearest : float
        Distance of nearest neighbours in units of the lattice constant, to which the
        value refers.
    value : float
        As published.
    source : str
        Where.
    """

    name: str
    power: int
    cell: "Floats"
    frac: tuple[tuple[float, float, float], ...]
    charges: tuple[float, ...]
    nearest: float
    value: float
    source: str


_ORIGIN = (0.0, 0.0, 0.0)
_MIDDLE = (0.5, 0.5, 0.5)
_QUARTER = (0.25, 0.25, 0.25)
_REVISITED = "Schwerdtfeger 2021"

KNOWN = (
    KnownSum(
        "rock salt",
        1,
        _FCC,
        (_ORIGIN, _MIDDLE),
        (1, -1),
        0.5,
        _ROCK_SALT,
        "OEIS A085469",
    ),
    KnownSum(
        "caesium chloride",
        1,
        np.eye(3),
        (_ORIGIN, _MIDDLE),
        (1, -1),
        math.sqrt(3) / 2,
        1.7626747730709883979,
        "OEIS A181152",
    ),
    KnownSum(
        "zincblende",
        1,
        _FCC,
        (_ORIGIN, _QUARTER),
        (1, -1),
        math.sqrt(3) / 4,
        _ZINCBLENDE,
        "Zucker 1975",
    ),
    KnownSum(
        "fluorite",
        1,
        _FCC,
        (_ORIGIN, _QUARTER, (0.75, 0.75, 0.75)),
        (2, -1, -1),
        math.sqrt(3) / 4,
        4 * _ZINCBLENDE - _ROCK_SALT * math.sqrt(3) / 2,
        "from these",
    ),
    KnownSum(
        "simple cubic",
        6,
        np.eye(3),
        (_ORIGIN,),
        (1,),
        1.0,
        8.40192397482754,
        _REVISITED,
    ),
    KnownSum(
        "bcc", 6, _BCC, (_ORIGIN,), (1,), math.sqrt(3) / 2, 12.2536678672923, _REVISITED
    ),
    KnownSum(
        "fcc", 6, _FCC, (_ORIGIN,), (1,), math.sqrt(0.5), 14.4539210437445, _REVISITED
    ),
    KnownSum(
        "simple cubic",
        12,
        np.eye(3),
        (_ORIGIN,),
        (1,),
        1.0,
        6.20214904504752,
        _REVISITED,
    ),
    KnownSum(
        "fcc", 12, _FCC, (_ORIGIN,), (1,), math.sqrt(0.5), 12.1318801965446, _REVISITED
    ),
)
"""Madelung constants, and sums of 1/r^6 and 1/r^12 over all neighbours.

I. J. Zucker, J. Phys. A 8, 1734 (1975); P. Schwerdtfeger, A. Burrows and O. R. Smits, J.
Phys. Chem. A 125, 3037 (2021).
"""


def inverse_power_sum(
    power: int, cell: "Floats", apart: "Floats", *, width: float = 1.0
) -> float:
    r"""Sum 1/r^p over a lattice, with 25 digits and mpmath's own functions.

    Ewald's split as it stands in textbooks, with incomplete gamma functions; no part of
    it is shared with `lattice_sums`. Two widths give the same to 20 digits.

    Parameters
    ----------
    power : int
        p, not 3.
    cell : ndarray, shape (3, 3)
        Rows, in Å.
    apart : ndarray, shape (3,)
        From one atom to the other, in Å; zero for an atom and its own images.
    width : float
        Of the split, in units of √π / V^{1/3}.

    Returns
    -------
    float
        In 1/Å^p.
    """
    import mpmath  # type: ignore[import-untyped]

    with mpmath.workdps(DIGITS):
        rows = _exact(cell)
        volume = abs(mpmath.det(rows))
        eta = width * mpmath.sqrt(mpmath.pi) / mpmath.cbrt(volume)
        half = mpmath.mpf(power) / 2
        gamma = mpmath.gamma(half)
        total = mpmath.mpf(0)
        reach = math.sqrt(TERMS) / float(eta)
        for square in _squares(mpmath, rows, cell, apart, reach):
            if square:
                total += mpmath.gammainc(half, eta**2 * square) / (gamma * square**half)
            else:
                total -= 2 * eta**power / (power * gamma)
        total += (
            2 * mpmath.pi**1.5 * eta ** (power - 3) / ((power - 3) * gamma * volume)
        )
        reciprocal = np.array(2 * math.pi * np.linalg.inv(cell).T, dtype=np.float64)
        exact = 2 * mpmath.pi * mpmath.inverse(rows).T
        turned = mpmath.matrix([mpmath.mpf(float(x)) for x in apart])
        steps = _steps(reciprocal, np.zeros(3), 2 * float(eta) * math.sqrt(TERMS))
        for step in _half(steps):
            wave = exact.T * mpmath.matrix([int(n) for n in step])
            quarter = sum(x**2 for x in wave) / 4
            weight = quarter ** (half - 1.5) * mpmath.gammainc(
                1.5 - half, quarter / eta**2
            )
            phase = mpmath.cos(sum(k * x for k, x in zip(wave, turned, strict=True)))
            total += 2 * mpmath.pi**1.5 / (volume * gamma) * weight * phase
        return float(total)


def exponential_sum(alpha: float, cell: "Floats", apart: "Floats") -> float:
    """Sum exp(-αr) over a lattice, term by term, with 25 digits.

    Parameters
    ----------
    alpha : float
        In 1/Å.
    cell : ndarray, shape (3, 3)
        Rows, in Å.
    apart : ndarray, shape (3,)
        From one atom to the other, in Å.

    Returns
    -------
    float
        With the term of r = 0.
    """
    import mpmath

    with mpmath.workdps(DIGITS):
        squares = _squares(mpmath, _exact(cell), cell, apart, TERMS / alpha)
        terms = (mpmath.exp(-alpha * mpmath.sqrt(square)) for square in squares)
        return float(mpmath.fsum(terms))


def _exact(cell: "Floats") -> Any:  # noqa: ANN401 - mpmath has no types
    """Take the binary numbers of a cell as they are."""
    import mpmath

    return mpmath.matrix([[mpmath.mpf(float(x)) for x in row] for row in cell])


def _squares(
    mpmath: Any,  # noqa: ANN401 - a module
    rows: Any,  # noqa: ANN401 - a matrix of mpmath
    cell: "Floats",
    apart: "Floats",
    reach: float,
) -> "list[Any]":
    """List the squared distances up to a reach, with all digits."""
    start = mpmath.matrix([mpmath.mpf(float(x)) for x in apart])
    found = []
    for step in _steps(cell, apart, reach):
        vector = rows.T * mpmath.matrix([int(n) for n in step]) + start
        found.append(sum(x**2 for x in vector))
    return found


def _half(steps: "NDArray[np.int64]") -> "NDArray[np.int64]":
    """Keep one of each pair of opposite steps, and not the one of length zero."""
    first = np.argmax(steps != 0, axis=1)
    return np.asarray(steps[steps[np.arange(len(steps)), first] > 0])


def _steps(cell: "Floats", apart: "Floats", reach: float) -> "NDArray[np.int64]":
    """List the lattice steps that lead to a point within a reach."""
    heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    middle = -apart @ np.linalg.inv(cell)
    ranges = [
        range(math.floor(at - reach / height), math.ceil(at + reach / height) + 1)
        for at, height in zip(middle, heights, strict=True)
    ]
    steps = np.array(list(itertools.product(*ranges)))
    lengths = np.linalg.norm(steps @ cell + apart, axis=1)
    return np.asarray(steps[lengths <= reach])
