"""Train a model: from data sets and settings to a folder that `predict` can use."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystaltensor.errors import ConfigError, DataError
from crystaltensor.training.config import TrainingConfig
from crystaltensor.workflows.preparation import count_splits, prepare_data

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crystaltensor.training.loop import EpochReport, Run
    from crystaltensor.workflows.preparation import Prepared


@dataclass(frozen=True)
class Trained:
    """A finished run.

    Parameters
    ----------
    folder : Path
        The model.
    record : dict
        What `save_model` keeps: metrics, elements, times.
    written : bool
        Whether the model was written: not where safetensors is not installed, and then
        resuming the run where it is will do it.
    """

    folder: Path
    record: dict[str, Any]
    written: bool


def train(
    config: TrainingConfig,
    out: Path,
    *,
    base: Path,
    device: str = "cpu",
    resume: bool = False,
    prepare_only: bool = False,
) -> "Iterator[Prepared | EpochReport | Trained]":
    """Train a model; the state after every epoch is on disk.

    Under ``torchrun`` all processes train it together, and the first one reports.

    Parameters
    ----------
    config : TrainingConfig
        The settings.
    out : Path
        Folder of the run and of the model it makes.
    base : Path
        Folder that the names of the data sets are relative to.
    device : str
        ``"cpu"`` or ``"cuda"``.
    resume : bool
        Whether to go on with a run that the folder holds; without it such a run is an
        error, so that nothing is overwritten.
    prepare_only : bool
        Whether to stop when the data are prepared.

    Yields
    ------
    Prepared, EpochReport, Trained
        Once, for every epoch, and at the end.

    Raises
    ------
    ConfigError
        If a setting is wrong, or the folder holds a run that does not fit.
    DataError
        If a data set is missing or damaged.
    """
    import torch

    from crystaltensor.data.features import element_features
    from crystaltensor.nn.devices import choose_device
    from crystaltensor.nn.presets import build_network, network_config
    from crystaltensor.properties import tensor_property
    from crystaltensor.training import distributed
    from crystaltensor.training.loop import CHECKPOINT, Run

    if (out / CHECKPOINT).is_file() and not resume:
        raise ConfigError(
            f"{out} holds a run already; go on with it by --resume, or choose another "
            "folder"
        )
    torch.set_num_threads(config.threads)
    out.mkdir(parents=True, exist_ok=True)
    device = distributed.join(choose_device(device))
    try:
        if not distributed.is_first():
            distributed.wait()  # the first process prepares the data for all
        data, prepared = prepare_data(config, out, base=base)
        if distributed.is_first():
            distributed.wait()
            yield prepared
        for split in ("train", "val"):
            if not prepared.counts[split]:
                raise DataError(f"{config.data}: no crystal in the split {split!r}")
        if prepare_only:
            return
        torch.manual_seed(config.seed)
        row = tensor_property(config.property)
        shape = network_config(config.network, row)
        network = build_network(shape, element_features())
        network.calibrate(torch.tensor(data.tensors[data.part("train")]))
        run = Run(network, data, config, out, device=device)
        for report in run.epochs():
            if distributed.is_first():
                yield report
        if distributed.is_first():
            yield _finish(run)
    finally:
        distributed.leave()


def _finish(run: "Run") -> Trained:
    """Measure the best network and write it as a model."""
    import torch

    from crystaltensor.inference.models import save_model

    network = run.best_network()
    chosen = run.data.part("train")
    elements = {int(z) for i in chosen for z in run.data.graphs[i].numbers}
    record = {
        "name": run.config.property,
        "elements": sorted(elements),
        "n_parameters": sum(p.numel() for p in network.parameters()),
        "counts": count_splits(run.data),
        "best_epoch": run.best_epoch,
        "epochs": run.epoch,
        "seconds": round(run.seconds, 1),
        "device": run.device,
        "torch": torch.__version__,
        "data": run.data.key,
        "metrics": evaluate(run, network),
    }
    _draw(run)
    try:
        save_model(run.folder, network, run.config, record)
    except ModuleNotFoundError:
        return Trained(run.folder, record, written=False)
    return Trained(run.folder, record, written=True)


def _draw(run: "Run") -> None:
    """Draw the learning curves where matplotlib is installed."""
    from crystaltensor.properties import tensor_property
    from crystaltensor.training.curves import draw_curves
    from crystaltensor.training.loop import METRICS

    unit = tensor_property(run.config.property).unit
    with contextlib.suppress(ModuleNotFoundError):
        draw_curves(run.folder / METRICS, run.folder / "curves.png", unit=unit)


def evaluate(run: "Run", network: Any) -> dict[str, dict[str, object]]:  # noqa: ANN401
    """Measure a network on validation and test crystals, plain and up to sign."""
    from crystaltensor.training.loop import label_rows, predict_tensors
    from crystaltensor.training.metrics import measure

    metrics = {}
    for split in ("val", "test"):
        part = run.data.part(split)
        if not len(part):
            continue
        predicted = predict_tensors(network, run.data, part, device=run.device)
        rows = label_rows(run.data, part)
        label, known = run.data.tensors[rows], run.sign_known.numpy()[rows]
        metrics[split] = measure(predicted, label).as_dict()
        if not known.all():
            up_to_sign = measure(predicted, label, up_to_sign=~known)
            metrics[f"{split}, up to sign"] = up_to_sign.as_dict()
        if known.any() and not known.all():
            certain = measure(predicted[known], label[known])
            metrics[f"{split}, sign known"] = certain.as_dict()
    return metrics
