"""What the composition of a crystal says by itself: a reference for each element."""

import torch
from torch import Tensor, nn

from crystaltensor.nn.batch import GraphBatch
from crystaltensor.nn.heads import crystal_mean

_PENALTY = 0.1


class CompositionReference(nn.Module):
    r"""Add what a linear regression on the composition says, and scale the rest.

    .. math:: y = y_0 + \frac{1}{n} \sum_a w_{Z_a} + s\,x

    Parameters
    ----------
    n_elements : int
        How many there may be.
    """

    elements: Tensor  # (n_elements,)
    offset: Tensor
    scale: Tensor

    def __init__(self, n_elements: int) -> None:
        super().__init__()
        self.register_buffer("elements", torch.zeros(n_elements))
        self.register_buffer("offset", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def fit(self, labels: Tensor, compositions: Tensor) -> None:
        """Fit by least squares with a small penalty.

        Parameters
        ----------
        labels : Tensor, shape (n_crystals,)
            Of the training crystals.
        compositions : Tensor, shape (n_crystals, n_elements)
            Share of each element in their atoms; one that is in none of them keeps the
            reference zero.
        """
        x, y = compositions.double(), labels.double()
        offset = y.mean()
        penalty = _PENALTY * torch.eye(x.shape[1], dtype=x.dtype)
        weights = torch.linalg.solve(x.T @ x + penalty, x.T @ (y - offset))
        rest = y - offset - x @ weights
        self.elements.copy_(weights)
        self.offset.copy_(offset)
        # A single crystal, or labels that are all alike, leave nothing to scale by.
        self.scale.copy_(rest.square().mean().sqrt().clamp(min=1e-3))

    def forward(self, values: Tensor, batch: GraphBatch) -> Tensor:
        """Map values of order one, shape (n_crystals,), to the unit of the labels."""
        own = crystal_mean(self.elements[batch.numbers - 1], batch)
        total: Tensor = self.offset + own + self.scale * values
        return total
