"""From what a network computes to a tensor that physics allows."""

import torch
from torch import Tensor, nn

SQUARE_ROOT_2 = 2**0.5
PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Voigt order: xx yy zz yz xz xy."""


class LinearLink(nn.Module):
    """Multiply by the typical size of the labels."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(()))

    def calibrate(self, labels: Tensor) -> None:
        """Take the size from labels (n, 3, ..., 3)."""
        self.scale.copy_(labels.flatten(1).norm(dim=1).mean())

    def forward(self, tensors: Tensor) -> Tensor:
        """Map tensors (n, 3, ..., 3) of order one to the unit of the labels."""
        return tensors * self.scale


class PositiveLink(nn.Module):
    r"""Make a symmetric tensor whose eigenvalues are above a bound.

    .. math:: T = b\,1 + \exp(\bar L + s\,S)

    with the matrix exponential of the 3×3 matrix of a tensor of rank 2, or of the 6×6
    Kelvin-Mandel matrix of one of rank 4. It commutes with rotations, so that the result
    has the symmetry of S.

    Parameters
    ----------
    rank : int
        2 or 4.
    bound : float
        The bound b, in the unit of the labels.
    """

    offset: Tensor  # (n, n), isotropic
    scale: Tensor
    to_matrix: Tensor  # (n * n, 3^rank)

    def __init__(self, rank: int, bound: float) -> None:
        super().__init__()
        self.rank, self.bound = rank, bound
        if rank == 2:
            columns = torch.eye(3, dtype=torch.float64)
        else:
            columns = torch.zeros(6, 3, 3, dtype=torch.float64)
            for row, (i, j) in enumerate(PAIRS):
                columns[row, i, j] = columns[row, j, i] = (
                    1 if i == j else SQUARE_ROOT_2 / 2
                )
            columns = columns.flatten(1)
        self.size = len(columns)
        matrix = torch.kron(columns, columns)
        self.register_buffer("to_matrix", matrix, persistent=False)
        self.register_buffer("offset", torch.zeros(self.size, self.size))
        self.register_buffer("scale", torch.ones(()))

    def calibrate(self, labels: Tensor) -> None:
        """Take the isotropic mean logarithm, and the spread about it, from labels."""
        logarithms = self.logarithm(labels.double())
        mean = logarithms.mean(dim=0)
        # Isotropic matrices of rank 4 have one eigenvalue for hydrostatic strain and
        # another for shear; those of rank 2 are multiples of one.
        identity = torch.eye(self.size, dtype=mean.dtype, device=mean.device)
        hydrostatic = torch.zeros_like(mean)
        hydrostatic[:3, :3] = 1 / 3
        parts = [identity] if self.rank == 2 else [hydrostatic, identity - hydrostatic]
        offset = sum((part * mean).sum() / part.square().sum() * part for part in parts)
        self.offset.copy_(torch.as_tensor(offset))
        self.scale.copy_((logarithms - offset).flatten(1).norm(dim=1).mean())

    def logarithm(self, labels: Tensor) -> Tensor:
        """Invert the link up to offset and scale; eigenvalues too small are raised."""
        values, vectors = torch.linalg.eigh(self._matrices(labels))
        values = (values - self.bound).clamp(min=1e-3 * values.abs().max().item())
        logarithms = torch.diag_embed(values.log())
        matrices: Tensor = vectors @ logarithms @ vectors.transpose(-1, -2)
        return matrices

    def forward(self, tensors: Tensor) -> Tensor:
        """Map tensors (n, 3, ..., 3) of order one to the unit of the labels."""
        exponents = self.offset + self.scale * self._matrices(tensors)
        # In 32 bits that of a single matrix is off by 1e-5, that of several by 1e-7.
        matrices = torch.linalg.matrix_exp(exponents.double()).to(tensors.dtype)
        identity = torch.eye(self.size, dtype=tensors.dtype, device=tensors.device)
        matrices = matrices + self.bound * identity
        flat = matrices.flatten(1) @ self.to_matrix.to(tensors.dtype)
        bounded: Tensor = flat.view(tensors.shape)
        return bounded

    def _matrices(self, tensors: Tensor) -> Tensor:
        """Write tensors as symmetric matrices (n, size, size)."""
        flat = tensors.flatten(1) @ self.to_matrix.to(tensors.dtype).T
        matrices = flat.view(-1, self.size, self.size)
        return (matrices + matrices.transpose(1, 2)) / 2


def make_link(rank: int, lower_bound: float | None) -> LinearLink | PositiveLink:
    """Choose by whether the eigenvalues of the tensor have a lower bound."""
    return LinearLink() if lower_bound is None else PositiveLink(rank, lower_bound)
