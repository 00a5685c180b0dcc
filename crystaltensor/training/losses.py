"""How far predictions are from labels."""

import torch
from torch import Tensor


def frobenius_errors(predicted: Tensor, label: Tensor, sign_known: Tensor) -> Tensor:
    """Distance of each tensor to its label, up to the sign where that is a convention.

    Parameters
    ----------
    predicted, label : Tensor, shape (n, 3, ..., 3)
        In one unit; of shape (n,) for scalars.
    sign_known : Tensor of bool, shape (n,)
        False where a label may as well be its negative.

    Returns
    -------
    Tensor, shape (n,)
        Frobenius norms in the same unit; smooth at zero distance.
    """
    plain = _rows(predicted - label).square().sum(dim=1)
    flipped = _rows(predicted + label).square().sum(dim=1)
    squares = torch.where(sign_known, plain, torch.minimum(plain, flipped))
    return (squares + 1e-12).sqrt()


def nearest_errors(
    predicted: Tensor, alternatives: Tensor, sign_known: Tensor
) -> Tensor:
    """Distance of each tensor to the nearest of what its label may be.

    Parameters
    ----------
    predicted : Tensor, shape (n, 3, ..., 3)
        In the unit of the labels.
    alternatives : Tensor, shape (n, n_alternatives, 3, ..., 3)
        Of each label.
    sign_known : Tensor of bool, shape (n,)
        As in `frobenius_errors`.

    Returns
    -------
    Tensor, shape (n,)
        Frobenius norms in the same unit.
    """
    errors = [
        frobenius_errors(predicted, one, sign_known) for one in alternatives.unbind(1)
    ]
    return torch.stack(errors).amin(dim=0)


def relative_huber(
    errors: Tensor, label: Tensor, *, floor: float, softness: float
) -> Tensor:
    r"""Mix absolute and relative errors to one loss that outliers do not rule.

    .. math:: \sqrt{\delta^2 + (d / s)^2} - \delta, \qquad
              s = \sqrt{\|T\| \cdot f + f^2}

    Parameters
    ----------
    errors : Tensor, shape (n,)
        Distances d to the labels.
    label : Tensor, shape (n, 3, ..., 3)
        The labels T. Those of scalars, shape (n,), count as zero in s: energies have no
        natural zero, and the logarithm of a modulus is relative already.
    floor : float
        The size f below which errors count absolutely, in the unit of the labels.
    softness : float
        Scaled errors below this δ count quadratically, those above linearly.

    Returns
    -------
    Tensor, shape (n,)
        One loss for each label.
    """
    norms = _rows(label).norm(dim=1) * (label.ndim > 1)
    scale = (norms * floor + floor**2).sqrt()
    losses: Tensor = torch.sqrt(softness**2 + (errors / scale).square()) - softness
    return losses


def _rows(values: Tensor) -> Tensor:
    """Write tensors or scalars as one row each."""
    return values.reshape(len(values), -1)
