"""The training loop: epochs that can be stopped and resumed at any time."""

import math
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from crystaltensor.data.graphs import collate
from crystaltensor.data.pool import join_data
from crystaltensor.errors import ConfigError
from crystaltensor.training import distributed
from crystaltensor.training.checkpoints import load_checkpoint, save_checkpoint
from crystaltensor.training.config import make_config, to_toml
from crystaltensor.training.task import (
    METRICS,
    EpochReport,
    Task,
    keep_rows,
    label_rows,
    predict_tensors,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor
    from torch.utils.tensorboard import SummaryWriter

    from crystaltensor.data.datasets import PreparedData
    from crystaltensor.nn.batch import GraphBatch
    from crystaltensor.training.config import TrainingConfig

__all__ = [
    "CHECKPOINT",
    "METRICS",
    "EpochReport",
    "Run",
    "Task",
    "label_rows",
    "predict_tensors",
]

CHECKPOINT = "checkpoint.npz"


class Run(Task):
    """A training run: one task or several, and the optimiser.

    Parameters
    ----------
    network, data, config, folder, device, moduli
        Of the first task; the checkpoint goes into the same folder, and the settings of
        the optimiser are its own.
    others : sequence of Task
        Learnt at the same time by networks that share their features with the first.

    Raises
    ------
    ConfigError
        If the folder holds a run with other settings or other data.
    DataError
        If its checkpoint is damaged, or a crystal is in different splits of two tasks.
    """

    def __init__(
        self,
        network: nn.Module,
        data: "PreparedData",
        config: "TrainingConfig",
        folder: Path,
        *,
        device: str = "cpu",
        moduli: "PreparedData | None" = None,
        others: "Sequence[Task]" = (),
    ) -> None:
        super().__init__(network, data, config, folder, device=device, moduli=moduli)
        self.tasks: list[Task] = [self, *others]
        self.step = 0
        # Sharing makes the same parameter turn up in several networks.
        self.parameters = list(
            dict.fromkeys(p for task in self.tasks for p in task.network.parameters())
        )
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.syllabus = [
            (place, lesson)
            for place, task in enumerate(self.tasks)
            for lesson in task.lessons
        ]
        self.pool = join_data([lesson.data for _, lesson in self.syllabus])
        self.n_steps = math.ceil(len(self.pool.part("train")) / config.batch_size)
        self.board = _tensorboard(folder) if distributed.is_first() else None
        if (folder / CHECKPOINT).is_file():
            self._restore()
        elif distributed.is_first():
            for task in self.tasks:
                (task.folder / METRICS).unlink(missing_ok=True)

    def epochs(self) -> "Iterator[EpochReport]":
        """Train until all tasks are finished; each epoch is on disk before it is told.

        The reports are those of the first task.
        """
        while not all(task.finished for task in self.tasks):
            started = time.monotonic()
            loss = self._train_epoch()
            rate, seconds = self._learning_rate(), time.monotonic() - started
            reports = [task.close_epoch(loss, rate, seconds) for task in self.tasks]
            if distributed.is_first():
                self._save(reports)
            yield reports[0]

    def _train_epoch(self) -> float:
        """Take one pass over the training crystals; its randomness is its number's."""
        seed = [self.config.seed, self.epoch]
        order = np.random.default_rng(seed).permutation(self.pool.part("train"))
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        losses = [
            self._train_step(chosen) for chosen in np.array_split(order, self.n_steps)
        ]
        return float(np.mean(losses))

    def _train_step(self, chosen: "NDArray[np.int64]") -> float:
        """Take one step of the optimiser; return the mean loss of the batch."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        self.optimizer.zero_grad()
        mine = distributed.share(chosen)
        loss = 0.0
        if len(mine):
            summed = self._loss(mine, chosen)
            summed.backward()
            loss = summed.item()
        distributed.sum_gradients(self.parameters)
        nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm)
        self.optimizer.step()
        self.step += 1
        for task in self.tasks:
            task.update_average(self.step)
        return distributed.total(loss)

    def _loss(self, mine: "NDArray[np.int64]", chosen: "NDArray[np.int64]") -> "Tensor":
        """Return what some crystals of a batch add to its loss.

        Each lesson counts by its weight and by the share of crystals that have its label.
        """
        batch = collate([self.pool.graphs[i] for i in mine], device=self.device)
        predicted = self._predict(batch)
        parts = []
        for (place, lesson), rows in zip(self.syllabus, self.pool.rows, strict=True):
            here = rows[mine] >= 0
            if not here.any():
                continue
            asked = rows[chosen][rows[chosen] >= 0]
            weight = lesson.weight * len(asked) / len(chosen)
            tensors = _of_crystals(predicted[place], here, batch)
            losses = lesson.losses(tensors, rows[mine][here])
            parts.append(weight * losses.sum() / len(label_rows(lesson.data, asked)))
        return torch.stack(parts).sum()

    def _predict(self, batch: "GraphBatch") -> "list[Tensor]":
        """Run the networks; those of several tasks have their features in common."""
        with torch.autocast(
            self.device.split(":")[0],
            torch.bfloat16,
            enabled=self.config.mixed_precision and self.device != "cpu",
        ):
            if len(self.tasks) == 1:
                return [self.network(batch)]
            features = self.network.features(batch)  # type: ignore[operator]
            return [
                task.network.read(features, batch)  # type: ignore[operator]
                for task in self.tasks
            ]

    def _learning_rate(self) -> float:
        """Rise linearly, then fall as half a cosine to zero at the last step."""
        total = self.config.epochs * self.n_steps
        rise = min(1.0, (self.step + 1) / max(1, self.config.warmup_steps))
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, self.step / total)))
        return self.config.learning_rate * rise * fall

    def _save(self, reports: list[EpochReport]) -> None:
        """Put the run on disk: first the checkpoint, then the lines of the epoch."""
        record = {
            "step": self.step,
            "progress": [task.progress() for task in self.tasks],
            "settings": [to_toml(task.config) for task in self.tasks],
            "data": [lesson.data.key for _, lesson in self.syllabus],
        }
        states = {
            f"{index}.{name}": state
            for index, task in enumerate(self.tasks)
            for name, state in task.states().items()
        }
        save_checkpoint(self.folder / CHECKPOINT, states, self.optimizer, record)
        for task, report in zip(self.tasks, reports, strict=True):
            task.write(report)
        if self.board is not None:
            for name in ("train_loss", "val_fnorm", "val_ewt_25", "learning_rate"):
                value = getattr(reports[0], name)
                self.board.add_scalar(name, value, reports[0].epoch)

    def _restore(self) -> None:
        """Take up a run where its checkpoint left it."""
        path = self.folder / CHECKPOINT
        states, record = load_checkpoint(path, self.optimizer)
        # Settings that an older version did not have are at their defaults.
        before = [
            make_config(tomllib.loads(text), source=str(path))
            for text in record["settings"]
        ]
        for what, same in (
            ("settings", before == [task.config for task in self.tasks]),
            (
                "data",
                record["data"] == [lesson.data.key for _, lesson in self.syllabus],
            ),
        ):
            if not same:
                raise ConfigError(
                    f"{self.folder} holds a run with other {what}; "
                    "choose another folder, or remove it to start again"
                )
        self.step = record["step"]
        for index, task in enumerate(self.tasks):
            own = {name: states[f"{index}.{name}"] for name in task.states()}
            task.restore(own, record["progress"][index])
            if distributed.is_first():
                keep_rows(task.folder / METRICS, task.epoch)


def _of_crystals(
    predicted: "Tensor", here: "NDArray[np.bool_]", batch: "GraphBatch"
) -> "Tensor":
    """Take the tensors of some crystals of a batch, or of the atoms of those."""
    if here.all():
        return predicted
    kept = torch.from_numpy(here).to(predicted.device)
    return predicted[kept if len(predicted) == len(here) else kept[batch.crystal]]


def _tensorboard(folder: Path) -> "SummaryWriter | None":
    """Open a log for TensorBoard if that is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))
