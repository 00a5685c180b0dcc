"""Functions of the distance, smooth up to the cutoff and zero beyond."""

import torch
from torch import Tensor, nn

from crystaltensor.errors import ConfigError


class SmoothBessel(nn.Module):
    r"""Expand distances in spherical Bessel functions under a smooth envelope.

    .. math:: b_k(r) = \sqrt{2/r_c}\, \frac{\sin(k \pi r / r_c)}{r}\, f(r / r_c),
              \qquad f(x) = (1 - x)^3 (1 + 3 x + 6 x^2)

    The functions [1]_ and two derivatives vanish at the cutoff, so that the output of a
    network is smooth when an atom crosses it.

    Parameters
    ----------
    cutoff : float
        The radius r_c, in Å.
    size : int
        Number of functions.

    Raises
    ------
    ConfigError
        If `cutoff` or `size` is not positive.

    References
    ----------
    .. [1] J. Gasteiger, J. Groß, S. Günnemann, ICLR 2020, arXiv:2003.03123.
    """

    orders: Tensor  # (size,)

    def __init__(self, cutoff: float, size: int) -> None:
        super().__init__()
        if cutoff <= 0 or size < 1:
            raise ConfigError(f"need cutoff > 0 and size >= 1, got {cutoff=}, {size=}")
        self.cutoff = cutoff
        self.size = size
        orders = torch.arange(1, size + 1, dtype=torch.float64) * torch.pi
        self.register_buffer("orders", orders, persistent=False)

    def forward(self, distances: Tensor) -> Tensor:
        """Map distances in Å, shape (...), to features, shape (..., size)."""
        x = (distances / self.cutoff).clamp(max=1.0).unsqueeze(-1)
        envelope = (1 - x) ** 3 * (1 + 3 * x + 6 * x**2)
        waves = torch.sin(x * self.orders.to(x.dtype)) / x
        scaled: Tensor = (2 / self.cutoff**3) ** 0.5 * waves * envelope
        return scaled

    def extra_repr(self) -> str:
        """Show the settings in ``print(model)``."""
        return f"cutoff={self.cutoff:g} Å, size={self.size}"
