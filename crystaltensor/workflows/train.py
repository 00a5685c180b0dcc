"""Train a model: from data sets and settings to a folder that `predict` can use."""

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystaltensor.errors import ConfigError, DataError
from crystaltensor.training.config import TrainingConfig
from crystaltensor.workflows.preparation import (
    count_splits,
    prepare_data,
    prepare_extra_moduli,
    prepare_run_descriptors,
)
from crystaltensor.workflows.pretraining import FOLDER, pretrain
from crystaltensor.workflows.together import PreparedJob, jobs_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from crystaltensor.training.loop import EpochReport, Run, Task
    from crystaltensor.workflows.preparation import Prepared
    from crystaltensor.workflows.pretraining import Pretrained, PretrainingBegins
    from crystaltensor.workflows.together import Job

    Metrics = dict[str, dict[str, object]]


@dataclass(frozen=True)
class MemberBegins:
    """The next network of an ensemble is trained.

    Parameters
    ----------
    index : int
        Which one, from 0.
    n_members : int
        How many there are.
    fold : bool
        Whether it is none of the ensemble, but trained without a part of the crystals,
        to learn from it about errors.
    """

    index: int
    n_members: int
    fold: bool = False


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
    calibrate_only: bool = False,
) -> "Iterator[Prepared | PretrainingBegins | MemberBegins | EpochReport | Trained]":
    """Train a model, member by member; the state after every epoch is on disk.

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
    calibrate_only : bool
        Whether to calibrate the model that `out` holds again; its own settings hold.
        Members are not trained, and networks of folds only if they are missing.

    Yields
    ------
    Prepared, PretrainingBegins, MemberBegins, EpochReport, Trained
        For every property once, for the features if they are learnt first, for every
        member, for every epoch of each, and for every property at the end.

    Raises
    ------
    ConfigError
        If a setting is wrong, or the folder holds a run that does not fit.
    DataError
        If a data set is missing or damaged.
    """
    import torch

    from crystaltensor.nn.devices import choose_device
    from crystaltensor.training import distributed
    from crystaltensor.training.loop import CHECKPOINT

    if calibrate_only:
        torch.set_num_threads(config.threads)
        yield from _calibrate_again(out, base=base, device=choose_device(device))
        return
    jobs = jobs_of(config, out, base=base)
    folders = [*member_folders(config, out), out / FOLDER]
    if any((each / CHECKPOINT).is_file() for each in folders) and not resume:
        raise ConfigError(
            f"{out} holds a run already; go on with it by --resume, or choose another "
            "folder"
        )
    torch.set_num_threads(config.threads)
    out.mkdir(parents=True, exist_ok=True)
    device = distributed.join(choose_device(device))
    first = distributed.is_first()
    try:
        if not first:
            distributed.wait()  # the first process prepares the data for all
        ready, found = _ready(jobs)
        if first:
            distributed.wait()
            yield from found
        _refuse_empty_splits(ready)
        if prepare_only:
            return
        events = _train_members(ready, device=device)
        yield from (event for event in events if first)
    finally:
        distributed.leave()


def _calibrate_again(
    out: Path, *, base: Path, device: str
) -> "Iterator[PretrainingBegins | MemberBegins | EpochReport | Trained]":
    """Calibrate a finished model; train the networks of its folds if they are missing."""
    from crystaltensor.inference.models import describe_model
    from crystaltensor.workflows.calibration import calibrate_model
    from crystaltensor.workflows.folds import TABLE

    config = describe_model(out).config
    if config.folds and not (out / TABLE).is_file():
        jobs, _ = _ready(jobs_of(config, out, base=base))
        start = yield from pretrain(jobs[0], device=device)
        yield from _train_folds(jobs, start, device=device)
    yield Trained(out, calibrate_model(out, base=base, device=device), written=True)


def _ready(jobs: "list[Job]") -> "tuple[list[PreparedJob], list[Prepared]]":
    """Prepare the data of all properties; the first one has what all begin from."""
    ready, found = [], []
    for job in jobs:
        job.out.mkdir(exist_ok=True)
        data, prepared = prepare_data(job.config, job.out, base=job.base)
        moduli = prepare_extra_moduli(job.config, job.out, base=job.base)
        ready.append(PreparedJob(job.config, job.out, data, moduli))
        n_moduli = 0 if moduli is None else len(moduli.names)
        found.append(replace(prepared, n_moduli=n_moduli))
    descriptors = prepare_run_descriptors(jobs)
    if descriptors is not None:
        ready[0] = replace(ready[0], descriptors=descriptors)
        found[0] = replace(found[0], n_described=len(descriptors.names))
    return ready, found


def _refuse_empty_splits(jobs: "list[PreparedJob]") -> None:
    """Refuse data that nothing can be learnt from or chosen by."""
    for job in jobs:
        for split in ("train", "val"):
            if not len(job.data.part(split)):
                raise DataError(f"{job.config.data}: no crystal in the split {split!r}")


def _train_members(
    jobs: "list[PreparedJob]", *, device: str
) -> "Iterator[PretrainingBegins | MemberBegins | EpochReport | Trained]":
    """Train one member after the other; the first process writes the models."""
    from crystaltensor.training import distributed

    start = yield from pretrain(jobs[0], device=device)
    n_members = jobs[0].config.members
    runs = []
    for index in range(n_members):
        yield MemberBegins(index, n_members)
        runs.append(_begin(jobs, index, start, device=device))
        yield from runs[-1].epochs()
    yield from _train_folds(jobs, start, device=device)
    if distributed.is_first():
        for place, job in enumerate(jobs):
            tasks = [run.tasks[place] for run in runs]
            yield _finish(tasks, job.config, job.out, start)


def _train_folds(
    jobs: "list[PreparedJob]", start: "Pretrained | None", *, device: str
) -> "Iterator[MemberBegins | EpochReport]":
    """Train a network without each part of the crystals, and keep what it says of it."""
    from crystaltensor.training import distributed
    from crystaltensor.workflows.folds import collect_folds, read_table, without_fold

    n_folds = jobs[0].config.folds
    if not n_folds or all(read_table(job.out, job.data) for job in jobs):
        return
    runs = []
    for index in range(n_folds):
        yield MemberBegins(index, n_folds, fold=True)
        parts = [without_fold(job, index) for job in jobs]
        runs.append(_begin(parts, 0, start, device=device))
        yield from runs[-1].epochs()
    if distributed.is_first():
        for place, job in enumerate(jobs):
            collect_folds(job, [run.tasks[place] for run in runs]).save(job.out)


def member_folders(config: TrainingConfig, out: Path) -> list[Path]:
    """Say where each member is trained: a single one where the model will be."""
    if config.members == 1:
        return [out]
    return [out / f"member-{index}" for index in range(config.members)]


def _begin(
    jobs: "list[PreparedJob]", index: int, start: "Pretrained | None", *, device: str
) -> "Run":
    """Make a member with fresh weights, but for its features, or take up its run."""
    import torch

    from crystaltensor.training.loop import Run, Task

    networks, settings, folders = [], [], []
    for job in jobs:
        alone = replace(job.config, seed=job.config.seed + index, members=1)
        torch.manual_seed(alone.seed)
        networks.append(_network(job))
        settings.append(alone)
        folders.append(member_folders(job.config, job.out)[index])
        folders[-1].mkdir(exist_ok=True)
    if start is not None:
        networks[0].begin_from(start.trunk)
    for network in networks[1:]:
        network.share(networks[0])
    tasks = [
        Task(network, job.data, alone, folder, device=device, moduli=job.moduli)
        for network, job, alone, folder in zip(
            networks[1:], jobs[1:], settings[1:], folders[1:], strict=True
        )
    ]
    return Run(
        networks[0],
        jobs[0].data,
        settings[0],
        folders[0],
        device=device,
        moduli=jobs[0].moduli,
        others=tasks,
    )


def _network(job: "PreparedJob") -> Any:  # noqa: ANN401
    """Make a network for the labels of a property."""
    import torch

    from crystaltensor.data.features import element_features
    from crystaltensor.nn.presets import ScalarNetwork, build_network, network_config
    from crystaltensor.properties import find_property

    row, data = find_property(job.config.property), job.data
    shape = network_config(job.config.network, row)
    network = build_network(shape, element_features())
    chosen = data.part("train")
    labels = torch.tensor(data.tensors[chosen])
    if isinstance(network, ScalarNetwork):
        network.calibrate(labels, torch.tensor(data.compositions(chosen)))
    else:
        network.calibrate(labels)
    return network


def _finish(
    runs: "list[Task]", config: TrainingConfig, out: Path, start: "Pretrained | None"
) -> Trained:
    """Measure the best network of each run, and their mean, and write the model."""
    import torch

    from crystaltensor.inference.models import save_model
    from crystaltensor.properties import find_property
    from crystaltensor.training.task import predict_splits
    from crystaltensor.workflows.calibration import calibrate_ensemble
    from crystaltensor.workflows.folds import read_table

    data, row = runs[0].data, find_property(config.property)
    networks = [run.best_network() for run in runs]
    predicted = [
        predict_splits(network, data, device=run.device)
        for run, network in zip(runs, networks, strict=True)
    ]
    elements = {int(z) for i in data.part("train") for z in data.graphs[i].numbers}
    table = read_table(out, data)
    calibrated, domain = calibrate_ensemble(data, row, predicted, table)
    record = {
        "name": config.property,
        "elements": sorted(elements),
        "n_parameters": sum(p.numel() for p in networks[0].parameters()),
        "counts": count_splits(data),
        "device": runs[0].device,
        "torch": torch.__version__,
        "data": data.key,
        **({} if start is None else {"pretraining": start.record}),
        "metrics": _measure(runs[0], _mean(predicted)),
        "members": [
            {
                "seed": run.config.seed,
                "best_epoch": run.best_epoch,
                "epochs": run.epoch,
                "seconds": round(run.seconds, 1),
                "metrics": _measure(run, found),
            }
            for run, found in zip(runs, predicted, strict=True)
        ],
        **calibrated,
    }
    for run in runs:
        _draw(run)
    try:
        save_model(out, networks, config, record, domain)
    except ModuleNotFoundError:
        return Trained(out, record, written=False)
    return Trained(out, record, written=True)


def _draw(run: "Task") -> None:
    """Draw the learning curves where matplotlib is installed."""
    from crystaltensor.properties import find_property
    from crystaltensor.training.curves import draw_curves
    from crystaltensor.training.loop import METRICS

    unit = find_property(run.config.property).learnt_unit
    with contextlib.suppress(ModuleNotFoundError):
        draw_curves(run.folder / METRICS, run.folder / "curves.png", unit=unit)


def _mean(
    predicted: "list[dict[str, NDArray[np.float64]]]",
) -> "dict[str, NDArray[np.float64]]":
    """Average the predictions of the members."""
    import numpy as np

    return {
        split: np.mean([each[split] for each in predicted], axis=0)
        for split in predicted[0]
    }


def _measure(run: "Task", predicted: "dict[str, NDArray[np.float64]]") -> "Metrics":
    """Compare predictions with the labels, plain and up to sign."""
    from crystaltensor.properties import find_property
    from crystaltensor.training.loop import label_rows
    from crystaltensor.training.metrics import measure

    metrics = {}
    for split, found in predicted.items():
        part = run.data.part(split)
        if not find_property(run.config.property).rank:
            metrics[split] = run.compare(found, part).as_dict()
            continue
        rows = label_rows(run.data, part)
        label, known = run.data.tensors[rows], run.sign_known.numpy()[rows]
        metrics[split] = measure(found, label).as_dict()
        if not known.all():
            up_to_sign = measure(found, label, up_to_sign=~known)
            metrics[f"{split}, up to sign"] = up_to_sign.as_dict()
        if run.data.alternatives is not None:
            metrics[f"{split}, up to axes"] = run.compare(found, part).as_dict()
        if known.any() and not known.all():
            certain = measure(found[known], label[known])
            metrics[f"{split}, sign known"] = certain.as_dict()
    return metrics
