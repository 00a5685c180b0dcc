"""Several networks of one shape that differ in their weights."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from crystaltensor.nn.gmtnet import GMTNet
from crystaltensor.nn.potnet import PotNet

if TYPE_CHECKING:
    from collections.abc import Callable

    from crystaltensor.nn.batch import GraphBatch


class Ensemble(nn.ModuleList):
    """Networks that look at the same crystals; member i has the weights ``i.*``.

    Parameters
    ----------
    n_members : int
        How many there are.
    make : callable
        Makes one of them; all have one shape.
    """

    def __init__(self, n_members: int, make: "Callable[[], nn.Module]") -> None:
        super().__init__(make() for _ in range(n_members))

    def forward(self, batch: "GraphBatch") -> Tensor:
        """Return shape (n_members, ...): what each member returns for the batch."""
        first = self[0]
        if isinstance(first, GMTNet | PotNet):
            around = first.surroundings(batch)
            return torch.stack([member(batch, around) for member in self])
        return torch.stack([member(batch) for member in self])
