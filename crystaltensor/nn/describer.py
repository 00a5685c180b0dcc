"""A network that says of atoms what others have found, so that its features are of use."""

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from crystaltensor.nn.batch import GraphBatch
    from crystaltensor.nn.gmtnet import GMTNet

WIDTH = 4
"""Hidden numbers of the last step, in units of the channels."""


class Describer(nn.Module):
    """Read descriptors off the scalar features of a network.

    Parameters
    ----------
    trunk : GMTNet
        Whose features are to become good ones; its head is not used.
    n_descriptors : int
        Numbers of each atom.
    """

    def __init__(self, trunk: "GMTNet", n_descriptors: int) -> None:
        super().__init__()
        channels = trunk.config.channels
        self.trunk = trunk
        self.read = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, WIDTH * channels),
            nn.SiLU(),
            nn.Linear(WIDTH * channels, n_descriptors),
        )

    def forward(self, batch: "GraphBatch") -> Tensor:
        """Return shape (n_atoms, n_descriptors)."""
        scalars, _, _ = self.trunk.features(batch, pseudo=False)
        described: Tensor = self.read(scalars)
        return described
