"""How far predictions are from labels."""

import torch
from torch import Tensor


def frobenius_errors(predicted: Tensor, label: Tensor, sign_known: Tensor) -> Tensor:
    """Distance of each tensor to its label, up to the sign where that is a convention.

    Parameters
    ----------
    predicted, label : Tensor, shape (n, 3, ..., 3)
        In one unit.
    sign_known : Tensor of bool, shape (n,)
        False where a label may as well be its negative.

    Returns
    -------
    Tensor, shape (n,)
        Frobenius norms in the same unit; smooth at zero distance.
    """
    axes = tuple(range(1, label.ndim))
    plain = (predicted - label).square().sum(axes)
    flipped = (predicted + label).square().sum(axes)
    squares = torch.where(sign_known, plain, torch.minimum(plain, flipped))
    return (squares + 1e-12).sqrt()


def relative_huber(errors: Tensor, label: Tensor, *, floor: float) -> Tensor:
    r"""Mix absolute and relative errors to one loss that outliers do not rule.

    .. math:: \mathrm{mean}\left[\sqrt{1 + (d / s)^2} - 1\right], \qquad
              s = \sqrt{\|T\| \cdot f + f^2}

    Parameters
    ----------
    errors : Tensor, shape (n,)
        Distances d to the labels.
    label : Tensor, shape (n, 3, ..., 3)
        The labels T.
    floor : float
        The size f below which errors count absolutely, in the unit of the labels.

    Returns
    -------
    Tensor, shape ()
        Quadratic in small errors and linear in large ones.
    """
    norms = label.flatten(1).norm(dim=1)
    scale = (norms * floor + floor**2).sqrt()
    return (torch.sqrt(1 + (errors / scale).square()) - 1).mean()
