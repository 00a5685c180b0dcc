"""Special functions that neither overflow nor cancel where lattice sums need them."""

import math

import torch
from torch import Tensor

_EULER = 0.5772156649015329
_SERIES_TERMS = 28
_FRACTION_DEPTH = 70


def power_sum(power: int, inverse: Tensor) -> Tensor:
    r"""Sum the elementary part of an incomplete gamma function over a power.

    .. math:: \frac{\Gamma(p/2, u^2)}{\Gamma(p/2) \, u^p} = e^{-u^2} A_p(u)
              + [p \text{ odd}] \frac{\operatorname{erfc} u}{u^p}, \qquad
              A_p(u) = \sum_{j < p/2} \frac{u^{2j - p}}{\Gamma(j + 1)}

    with j = 0, 1, ... for even p and j = 1/2, 3/2, ... for odd p [1]_. All terms are
    positive, so nothing cancels.

    Parameters
    ----------
    power : int
        p > 1.
    inverse : Tensor, shape (...)
        1/u².

    Returns
    -------
    Tensor, shape (...)
        :math:`A_p(u)`, a polynomial in 1/u² for even and odd p alike.

    References
    ----------
    .. [1] NIST Digital Library of Mathematical Functions, 8.4 and 8.8.2.
    """
    first = 0.0 if power % 2 == 0 else 0.5
    total = inverse / math.gamma(first + 1)
    for j in range(1, power // 2):
        total = (total + 1 / math.gamma(first + j + 1)) * inverse
    return total


def scaled_exponential_integral(twice: int, y: Tensor) -> Tensor:
    r"""Generalised exponential integral times :math:`e^y`, for half-integer orders.

    .. math:: h_\nu(y) = e^y E_\nu(y) = e^y \int_1^\infty t^{-\nu} e^{-yt} dt,
              \qquad h_{\nu + 1} = (1 - y h_\nu) / \nu

    The recurrence [1]_ cancels for large y, but only by :math:`y^n` where the result is
    needed times :math:`e^{-y}`: the product stays exact to rounding.

    Parameters
    ----------
    twice : int
        2ν, from 0 up.
    y : Tensor, shape (...)
        Positive.

    Returns
    -------
    Tensor, shape (...)
        Positive.

    References
    ----------
    .. [1] NIST Digital Library of Mathematical Functions, 8.19.
    """
    value: Tensor
    if twice % 2:
        order, value = 0.5, (math.pi / y).sqrt() * torch.special.erfcx(y.sqrt())
    elif twice == 0:
        return 1 / y
    else:
        order, value = 1.0, _scaled_e1(y)
    while order < twice / 2:
        value = (1 - y * value) / order
        order += 1
    return value


def _scaled_e1(y: Tensor) -> Tensor:
    """Return exp(y) E1(y): the power series below 1.5, the continued fraction above."""
    small = y.clamp(max=1.5)
    series = torch.zeros_like(y)
    for k in range(_SERIES_TERMS, 0, -1):
        series = (1 / k - series) * small / k
    large = y.clamp(min=1.5)
    fraction = large
    for k in range(_FRACTION_DEPTH, 0, -1):
        fraction = large + k / (1 + k / fraction)
    low = small.exp() * (series - _EULER - small.log())
    return torch.where(y < 1.5, low, 1 / fraction)


def exp_erfc(decay: Tensor, gaussian: Tensor, u: Tensor) -> Tensor:
    r"""Exponential times complementary error function, whatever the argument.

    .. math:: e^{-d} \operatorname{erfc}(u) = g \operatorname{erfcx}(u),
              \qquad g = e^{-d - u^2}

    Parameters
    ----------
    decay : Tensor, shape (...)
        d, not negative.
    gaussian : Tensor, shape (...)
        g, which must not overflow.
    u : Tensor, shape (...)
        The argument of the error function.

    Returns
    -------
    Tensor, shape (...)
        By the left form where u < 0, where erfcx grows, by the right form elsewhere.
    """
    left = torch.exp(-decay) * torch.erfc(u.clamp(max=0))
    return torch.where(u < 0, left, gaussian * torch.special.erfcx(u.clamp(min=0)))
