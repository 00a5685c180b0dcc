r"""Bulk and shear moduli as labels of a stiffness.

The labels stand for the isotropic stiffness with these moduli, and are compared with the
isotropic one that has Hill's means of the prediction. Its Frobenius norm is
:math:`\sqrt{9 K^2 + 20 G^2}`, so that a crystal with moduli alone and one with all of C
are judged on one scale.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from crystaltensor.training.losses import frobenius_errors, relative_huber

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from crystaltensor.data.datasets import PreparedData
    from crystaltensor.training.config import TrainingConfig

_SCALES = (3.0, 20**0.5)
_PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def hill_moduli(stiffness: Tensor) -> Tensor:
    r"""Average stiffnesses over all orientations, after Hill; differentiable.

    .. math:: 9 K_V = C_{iijj} , \quad 30 G_V = 3 C_{ijij} - C_{iijj} , \quad
              1 / K_R = S_{iijj} , \quad 15 / (2 G_R) = 3 S_{ijij} - S_{iijj}

    Parameters
    ----------
    stiffness : Tensor, shape (n, 3, 3, 3, 3)
        With the index symmetries of C, and positive definite.

    Returns
    -------
    Tensor, shape (n, 2)
        Means of Voigt's and Reuss's K and G [1]_, in the unit given.

    References
    ----------
    .. [1] R. Hill, Proc. Phys. Soc. A 65, 349 (1952).
    """
    matrix = _mandel(stiffness)
    soft = torch.linalg.inv(matrix)
    (c_bulk, c_all), (s_bulk, s_all) = (_invariants(each) for each in (matrix, soft))
    k_voigt, g_voigt = c_bulk / 9, (3 * c_all - c_bulk) / 30
    k_reuss, g_reuss = 1 / s_bulk, 15 / (2 * (3 * s_all - s_bulk))
    return torch.stack([k_voigt + k_reuss, g_voigt + g_reuss], dim=1) / 2


class ModuliLabels:
    """What crystals with K, G or both teach a network of C.

    Parameters
    ----------
    data : PreparedData
        From `prepare_moduli`.
    config : TrainingConfig
        Of the run.
    """

    def __init__(self, data: "PreparedData", config: "TrainingConfig") -> None:
        self.data, self.config = data, config
        self.label = torch.tensor(data.tensors)

    def losses(self, predicted: Tensor, chosen: "NDArray[np.int64]") -> Tensor:
        """Return the loss of each chosen crystal, given all of its stiffness."""
        label = self.label[torch.as_tensor(chosen)].to(predicted.device)
        known = label.isfinite()
        scales = label.new_tensor(_SCALES)
        wanted = torch.where(known, label, 0.0) * scales
        found = torch.where(known, hill_moduli(predicted.double()), 0.0) * scales
        errors = frobenius_errors(found, wanted, known.any(dim=1))
        return relative_huber(
            errors,
            wanted,
            floor=self.config.loss_floor,
            softness=self.config.loss_softness,
        )


def _mandel(stiffness: Tensor) -> Tensor:
    """Write stiffnesses as Kelvin-Mandel matrices, (n, 6, 6)."""
    first, second = (list(indices) for indices in zip(*_PAIRS, strict=True))
    factors = stiffness.new_tensor([1.0] * 3 + [2**0.5] * 3)
    matrix = stiffness[:, first, second][:, :, first, second]
    return matrix * factors[:, None] * factors


def _invariants(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Contract T_iijj and T_ijij."""
    return matrix[:, :3, :3].sum(dim=(1, 2)), matrix.diagonal(dim1=1, dim2=2).sum(dim=1)
