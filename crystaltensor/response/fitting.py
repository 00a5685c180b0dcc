"""Fit what a potential does not know: the weights of the ionic response."""

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Case:
    """A crystal to learn from.

    Parameters
    ----------
    features : ndarray, shape (n_features,)
        From `describe`.
    parts : ndarray, shape (n_parts, 3, ..., 3)
        The ionic response at each damping, projected on what the crystal allows.
    labels : ndarray, shape (n_alternatives, 3, ..., 3)
        What DFT gives; several where its axes or its sign are a convention.
    """

    features: "Floats"
    parts: "Floats"
    labels: "Floats"


@dataclass(frozen=True)
class FitSettings:
    """How the small networks are trained.

    Parameters
    ----------
    members
        Networks of the ensemble; member i has the seed i.
    hidden
        Units of the hidden layer.
    dropout
        Share of them that is left out in each step.
    epochs, batch_size, learning_rate, weight_decay
        Of AdamW, with half a cosine.
    floor
        Labels smaller than this count with their absolute error, in their unit.
    softness
        Scaled errors below this count quadratically, those above linearly.
    """

    members: int = 5
    hidden: int = 32
    dropout: float = 0.3
    epochs: int = 80
    batch_size: int = 64
    learning_rate: float = 5e-3
    weight_decay: float = 0.03
    floor: float = 0.5
    softness: float = 1.0


def fit(cases: "Sequence[Case]", settings: FitSettings) -> "dict[str, Floats]":
    """Train the networks of a `Correction`.

    Parameters
    ----------
    cases : sequence of Case
        To learn from.
    settings : FitSettings
        How.

    Returns
    -------
    dict
        The arrays of a `Correction`.
    """
    features = np.stack([case.features for case in cases])
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-3
    given = torch.tensor(np.clip((features - mean) / scale, -4, 4)).float()
    parts = torch.tensor(np.stack([case.parts for case in cases])).float().flatten(2)
    most = max(len(case.labels) for case in cases)
    labels = torch.tensor(
        np.stack([case.labels[np.arange(most) % len(case.labels)] for case in cases])
    )
    networks = [
        _train(given, parts, labels.float().flatten(2), settings, seed)
        for seed in range(settings.members)
    ]
    return {
        "mean": mean,
        "scale": scale,
        **{
            name: np.stack([getattr(one[layer], kind).numpy() for one in networks])
            for name, layer, kind in (
                ("hidden", 0, "weight"),
                ("hidden_bias", 0, "bias"),
                ("out", 3, "weight"),
                ("out_bias", 3, "bias"),
            )
        },
    }


def _train(
    given: Tensor, parts: Tensor, labels: Tensor, settings: FitSettings, seed: int
) -> nn.Sequential:
    """Train one network; it starts from the ionic response as it is."""
    torch.manual_seed(seed)
    last = nn.Linear(settings.hidden, parts.shape[1])
    network = nn.Sequential(
        nn.Linear(given.shape[1], settings.hidden),
        nn.SiLU(),
        nn.Dropout(settings.dropout),
        last,
    )
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    with torch.no_grad():
        last.bias[0] = 1.0
    optimizer = torch.optim.AdamW(
        network.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    n_steps = settings.epochs * -(-len(given) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    for _ in range(settings.epochs):
        for chosen in torch.randperm(len(given)).split(settings.batch_size):
            optimizer.zero_grad()
            weights = network(given[chosen]).unsqueeze(-1)
            found = (weights * parts[chosen]).sum(dim=1)
            _loss(found, labels[chosen], settings).backward()
            optimizer.step()
            schedule.step()
    return copy.deepcopy(network).eval().requires_grad_(requires_grad=False)


def _loss(found: Tensor, labels: Tensor, settings: FitSettings) -> Tensor:
    """Mix absolute and relative errors against the nearest alternative of each label."""
    apart = (found.unsqueeze(1) - labels).square().sum(dim=2).amin(dim=1)
    size = labels[:, 0].norm(dim=1)
    scaled = apart / (size * settings.floor + settings.floor**2)
    losses: Tensor = (settings.softness**2 + scaled).sqrt() - settings.softness
    return losses.mean()


def fit_error(
    sizes: "Floats", softness: "Floats", errors: "Floats", *, share: float = 0.68
) -> dict[str, float]:
    """Fit what errors are to be expected to those of crystals that were held out.

    Parameters
    ----------
    sizes, softness, errors : ndarray, shape (n,)
        Norms of the ionic response, of what the error of the force constants may change
        of it, and of the error.
    share : float
        Of the errors that shall be below what is expected.

    Returns
    -------
    dict
        ``absolute``, ``relative`` and ``softness``: the terms of a sum of squares.
    """
    squares = np.stack([np.ones_like(sizes), sizes**2, softness**2], axis=1)
    best = (np.inf, np.ones(3))
    grid = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
    for absolute in (0.05, 0.1, 0.2, 0.3, 0.5):
        for relative in grid:
            for soft in (0.2, 0.5, 1.0, 2.0):
                terms = np.array([absolute, relative, soft])
                sigma = np.sqrt(squares @ terms**2)
                sigma_scale = float(np.quantile(errors / sigma, share))
                # The sharpest of those that hold the share: the mean log width.
                width = float(np.log(sigma * sigma_scale).mean())
                if width < best[0]:
                    best = (width, terms * sigma_scale)
    absolute, relative, soft = best[1].tolist()
    return {"absolute": absolute, "relative": relative, "softness": soft}
