"""Features that members begin from: learnt from descriptors of atoms."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from crystaltensor.properties import find_property
from crystaltensor.workflows.preparation import count_splits

if TYPE_CHECKING:
    from collections.abc import Generator

    from crystaltensor.nn.describer import Describer
    from crystaltensor.nn.gmtnet import GMTNet, GMTNetConfig
    from crystaltensor.training.loop import EpochReport
    from crystaltensor.workflows.together import PreparedJob

FOLDER = "pretraining"

WEIGHT_DECAY = 0.01
"""There are so many descriptors that nothing is learnt by heart."""


@dataclass(frozen=True)
class PretrainingBegins:
    """The features are trained, before any member.

    Parameters
    ----------
    epochs : int
        How long.
    """

    epochs: int


@dataclass(frozen=True, eq=False)
class Pretrained:
    """Features to begin from.

    Parameters
    ----------
    trunk : GMTNet
        The network that has them.
    record : dict
        What was learnt from, and how well.
    """

    trunk: "GMTNet" = field(repr=False)
    record: dict[str, Any]


def pretrain(
    job: "PreparedJob", *, device: str
) -> "Generator[PretrainingBegins | EpochReport, None, Pretrained | None]":
    """Train the features, or take up where a stopped run was.

    Parameters
    ----------
    job : PreparedJob
        The first of a run.
    device : str
        ``"cpu"`` or ``"cuda"``.

    Yields
    ------
    PretrainingBegins, EpochReport
        Once, and for every epoch.

    Returns
    -------
    Pretrained or None
        None if there is nothing to learn from.
    """
    import torch

    from crystaltensor.data.features import element_features
    from crystaltensor.nn.describer import Describer
    from crystaltensor.nn.gmtnet import GMTNet
    from crystaltensor.nn.presets import network_config
    from crystaltensor.training.pretraining import Pretraining

    config, data = job.config, job.descriptors
    if data is None:
        return None
    settings = replace(
        config,
        network={**config.network, "dropout": 0.0},
        members=1,
        folds=0,
        epochs=config.pretraining_epochs,
        learning_rate=config.pretraining_rate,
        weight_decay=WEIGHT_DECAY,
        keep="last",
    )
    # Whoever prepared the descriptors has refused all other networks.
    shape = network_config(settings.network, find_property(config.property))
    torch.manual_seed(config.seed)
    trunk = GMTNet(cast("GMTNetConfig", shape), element_features())
    folder = job.out / FOLDER
    folder.mkdir(exist_ok=True)
    run = Pretraining(
        Describer(trunk, data.tensors.shape[1]), data, settings, folder, device=device
    )
    yield PretrainingBegins(settings.epochs)
    yield from run.epochs()
    network = run.best_network()
    found = run.evaluate(network, run.val_part)
    record = {
        "counts": count_splits(data),
        "epochs": run.epoch,
        "seconds": round(run.seconds, 1),
        "val_error": found.fnorm,
        "val_zero": found.zero_fnorm,
    }
    return Pretrained(cast("Describer", network).trunk, record)
