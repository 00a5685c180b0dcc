"""The training loop: epochs that can be stopped and resumed at any time."""

import copy
import csv
import math
import time
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from crystaltensor.data.graphs import collate
from crystaltensor.errors import ConfigError
from crystaltensor.nn.batch import GraphBatch
from crystaltensor.properties import find_property
from crystaltensor.training import distributed
from crystaltensor.training.checkpoints import load_checkpoint, save_checkpoint
from crystaltensor.training.config import make_config, to_toml
from crystaltensor.training.losses import frobenius_errors, relative_huber
from crystaltensor.training.metrics import TensorMetrics, measure
from crystaltensor.training.scalar_metrics import ScalarMetrics, measure_scalars

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor
    from torch.utils.tensorboard import SummaryWriter

    from crystaltensor.data.datasets import PreparedData
    from crystaltensor.training.config import TrainingConfig

CHECKPOINT = "checkpoint.npz"
METRICS = "metrics.csv"


@dataclass(frozen=True)
class EpochReport:
    """What one epoch brought.

    Parameters
    ----------
    epoch : int
        From 1.
    train_loss : float
        Mean over the steps.
    val_fnorm, val_zero : float
        Mean Frobenius error of the averaged weights on the validation crystals, up to
        the sign where it is a convention, and that of the zero tensor; in the unit of
        the property.
    val_ewt_25 : float
        Percentage of those within 25 %.
    best : bool
        Whether this epoch has the smallest `val_fnorm` so far.
    learning_rate : float
        At the end of the epoch.
    seconds : float
        Since the run began, pauses left out.
    """

    epoch: int
    train_loss: float
    val_fnorm: float
    val_zero: float
    val_ewt_25: float
    best: bool
    learning_rate: float
    seconds: float


class Run:
    """A training run: the network, its moving average, the optimiser, the best so far.

    Parameters
    ----------
    network : Module
        Maps a `GraphBatch` to tensors; trained in place.
    data : PreparedData
        With crystals in the splits train and val.
    config : TrainingConfig
        The settings.
    folder : Path
        Where the checkpoint and the metrics go; it exists.
    device : str
        Where the network runs.

    Raises
    ------
    ConfigError
        If the folder holds a run with other settings or other data.
    DataError
        If its checkpoint is damaged.
    """

    def __init__(
        self,
        network: nn.Module,
        data: "PreparedData",
        config: "TrainingConfig",
        folder: Path,
        *,
        device: str = "cpu",
    ) -> None:
        self.network = network.to(device)
        self.average = copy.deepcopy(self.network).eval()
        self.best_state = copy.deepcopy(self.average.state_dict())
        self.data, self.config, self.folder = data, config, folder
        self.device = device
        self.epoch = self.best_epoch = self.step = 0
        self.best_error = math.inf
        self.seconds = 0.0
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        self.label = torch.tensor(data.tensors, dtype=torch.float32)
        self.sign_known = sign_of_labels(data)
        self.train_part, self.val_part = data.part("train"), data.part("val")
        self.n_steps = math.ceil(len(self.train_part) / config.batch_size)
        self.board = _tensorboard(folder) if distributed.is_first() else None
        if (folder / CHECKPOINT).is_file():
            self._restore()
        elif distributed.is_first():
            (folder / METRICS).unlink(missing_ok=True)

    @property
    def finished(self) -> bool:
        """Whether no epoch is left, or patience ran out."""
        waited = self.epoch - self.best_epoch
        return self.epoch >= self.config.epochs or waited >= self.config.patience

    def epochs(self) -> "Iterator[EpochReport]":
        """Train until the run is finished; each epoch is on disk before it is told."""
        while not self.finished:
            started = time.monotonic()
            loss = self._train_epoch()
            metrics = self.evaluate(self.average, self.val_part)
            self.epoch += 1
            best = metrics.fnorm < self.best_error
            if best:
                self.best_error, self.best_epoch = metrics.fnorm, self.epoch
                self.best_state = copy.deepcopy(self.average.state_dict())
            self.seconds += time.monotonic() - started
            report = EpochReport(
                epoch=self.epoch,
                train_loss=loss,
                val_fnorm=metrics.fnorm,
                val_zero=metrics.zero_fnorm,
                val_ewt_25=metrics.ewt_25,
                best=best,
                learning_rate=self._learning_rate(),
                seconds=self.seconds,
            )
            if distributed.is_first():
                self._save(report)
            yield report

    def best_network(self) -> nn.Module:
        """Return the averaged network of the best epoch."""
        self.average.load_state_dict(self.best_state)
        return self.average

    def evaluate(
        self, network: nn.Module, part: "NDArray[np.int64]"
    ) -> TensorMetrics | ScalarMetrics:
        """Compare a network with the labels, up to the sign where it is a convention."""
        predicted = predict_tensors(network, self.data, part, device=self.device)
        return self.compare(predicted, part)

    def compare(
        self, predicted: "NDArray[np.float64]", part: "NDArray[np.int64]"
    ) -> TensorMetrics | ScalarMetrics:
        """Compare predictions with the labels, as `evaluate` does."""
        rows = label_rows(self.data, part)
        label = self.data.tensors[rows]
        row = find_property(self.config.property)
        if not row.rank:
            mean = float(self.data.tensors[self.train_part].mean())
            return measure_scalars(predicted, label, row, mean=mean)
        return measure(predicted, label, up_to_sign=~self.sign_known[rows].numpy())

    def _train_epoch(self) -> float:
        """Take one pass over the training crystals; its randomness is its number's."""
        seed = [self.config.seed, self.epoch]
        order = np.random.default_rng(seed).permutation(self.train_part)
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
            losses = self._losses(mine)
            summed = losses.sum() / len(label_rows(self.data, chosen))
            summed.backward()
            loss = summed.item()
        distributed.sum_gradients(self.network.parameters())
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.step += 1
        self._update_average()
        return distributed.total(loss)

    def _losses(self, chosen: "NDArray[np.int64]") -> "Tensor":
        """Return the loss of each tensor."""
        rows = label_rows(self.data, chosen)
        label = self.label[rows].to(self.device)
        known = self.sign_known[rows].to(self.device)
        with torch.autocast(
            self.device.split(":")[0],
            torch.bfloat16,
            enabled=self.config.mixed_precision and self.device != "cpu",
        ):
            predicted = self.network(self._batch(chosen))
        errors = frobenius_errors(predicted.float(), label, known)
        return relative_huber(
            errors,
            label,
            floor=self.config.loss_floor,
            softness=self.config.loss_softness,
        )

    def _batch(self, chosen: "NDArray[np.int64]") -> GraphBatch:
        """Join the graphs of a step."""
        return collate([self.data.graphs[i] for i in chosen], device=self.device)

    def _learning_rate(self) -> float:
        """Rise linearly, then fall as half a cosine to zero at the last step."""
        total = self.config.epochs * self.n_steps
        rise = min(1.0, (self.step + 1) / max(1, self.config.warmup_steps))
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, self.step / total)))
        return self.config.learning_rate * rise * fall

    @torch.no_grad()
    def _update_average(self) -> None:
        """Move the average towards the weights; faster in the first steps."""
        weight = 1 - min(self.config.ema_decay, self.step / (self.step + 10))
        pairs = zip(self.average.parameters(), self.network.parameters(), strict=True)
        for mean, current in pairs:
            mean.lerp_(current, weight)
        copies = zip(self.average.buffers(), self.network.buffers(), strict=True)
        for kept, buffer in copies:
            kept.copy_(buffer)

    def _save(self, report: EpochReport) -> None:
        """Put the run on disk: first the checkpoint, then the line of the epoch."""
        record = {
            "epoch": self.epoch,
            "step": self.step,
            "best_epoch": self.best_epoch,
            "best_error": self.best_error,
            "seconds": self.seconds,
            "settings": to_toml(self.config),
            "data": self.data.key,
        }
        states = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "best": self.best_state,
        }
        save_checkpoint(self.folder / CHECKPOINT, states, self.optimizer, record)
        append_row(self.folder / METRICS, asdict(report))
        if self.board is not None:
            for name in ("train_loss", "val_fnorm", "val_ewt_25", "learning_rate"):
                self.board.add_scalar(name, getattr(report, name), report.epoch)

    def _restore(self) -> None:
        """Take up a run where its checkpoint left it."""
        path = self.folder / CHECKPOINT
        states, record = load_checkpoint(path, self.optimizer)
        # Settings that an older version did not have are at their defaults.
        before = make_config(tomllib.loads(record["settings"]), source=str(path))
        for what, same in (
            ("settings", before == self.config),
            ("data", record["data"] == self.data.key),
        ):
            if not same:
                raise ConfigError(
                    f"{self.folder} holds a run with other {what}; "
                    "choose another folder, or remove it to start again"
                )
        self.network.load_state_dict(states["network"])
        self.average.load_state_dict(states["average"])
        self.best_state = states["best"]
        for name in ("epoch", "step", "best_epoch", "best_error", "seconds"):
            setattr(self, name, record[name])
        if distributed.is_first():
            keep_rows(self.folder / METRICS, self.epoch)


def _tensorboard(folder: Path) -> "SummaryWriter | None":
    """Open a log for TensorBoard if that is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))


@torch.no_grad()
def predict_tensors(
    network: nn.Module,
    data: "PreparedData",
    part: "Sequence[int] | NDArray[np.int64]",
    *,
    batch_size: int = 64,
    device: str = "cpu",
) -> "NDArray[np.float64]":
    """Run a network over prepared crystals.

    Parameters
    ----------
    network : Module
        In evaluation mode.
    data : PreparedData
        The crystals.
    part : sequence of int
        Which of them.
    batch_size : int
        How many at once.
    device : str
        Where the network is.

    Returns
    -------
    ndarray, shape (n, 3, ..., 3)
        One tensor for each crystal, or each atom of theirs, in the unit of the labels.
    """
    found: list[Tensor] = []
    for first in range(0, len(part), batch_size):
        graphs = [data.graphs[i] for i in part[first : first + batch_size]]
        found.append(network(collate(graphs, device=device)).cpu().double())
    return torch.cat(found).numpy()


def label_rows(
    data: "PreparedData", chosen: "Sequence[int] | NDArray[np.int64]"
) -> "NDArray[np.int64]":
    """Find the labels of crystals: one for each, or one for each of their atoms."""
    picked = np.asarray(chosen, dtype=np.int64)
    if len(data.tensors) == len(data.graphs):
        return picked
    counts = np.array([len(graph.numbers) for graph in data.graphs])
    ends = np.cumsum(counts)
    rows = [np.arange(ends[i] - counts[i], ends[i]) for i in picked]
    return np.concatenate(rows) if rows else picked


def sign_of_labels(data: "PreparedData") -> "Tensor":
    """Say of each label whether its sign means something."""
    if len(data.tensors) == len(data.graphs):
        return torch.tensor(data.sign_known)
    counts = [len(graph.numbers) for graph in data.graphs]
    return torch.tensor(np.repeat(data.sign_known, counts))


def append_row(path: Path, row: dict[str, object]) -> None:
    """Add a line to a CSV file, with a header if it is the first."""
    new = not path.is_file()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)


def keep_rows(path: Path, n_rows: int) -> None:
    """Cut a CSV file after that many rows: what came later will come again."""
    if path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(lines[: n_rows + 1]), encoding="utf-8")
