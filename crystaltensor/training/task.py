"""What is learnt: a network, its labels, its moving average, the best so far."""

import copy
import csv
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from crystaltensor.data.graphs import collate
from crystaltensor.properties import find_property
from crystaltensor.training.losses import nearest_errors, relative_huber
from crystaltensor.training.metrics import TensorMetrics, measure, nearest_labels
from crystaltensor.training.moduli import ModuliLabels
from crystaltensor.training.scalar_metrics import ScalarMetrics, measure_scalars

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from crystaltensor.data.datasets import PreparedData
    from crystaltensor.training.config import TrainingConfig

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
        what the labels leave open, such as a sign, and that of the zero tensor; in the
        unit of the property.
    val_ewt_25 : float
        Percentage of those within 25 %.
    best : bool
        Whether this epoch is the one to keep so far: with the smallest `val_fnorm`, or
        the last, as the settings say.
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


@dataclass(frozen=True)
class Lesson:
    """Crystals and what judges the tensors that are predicted for them.

    Parameters
    ----------
    data : PreparedData
        The crystals; those of the split train are learnt from.
    losses : callable
        From predicted tensors and the indices of their crystals to a loss for each.
    weight : float
        Of these losses.
    """

    data: "PreparedData"
    losses: "Callable[[Tensor, NDArray[np.int64]], Tensor]"
    weight: float


class Task:
    """A network and the labels it learns, with the state of its training.

    Parameters
    ----------
    network : Module
        Maps a `GraphBatch` to tensors; trained in place.
    data : PreparedData
        With crystals in the splits train and val.
    config : TrainingConfig
        The settings.
    folder : Path
        Where the metrics go; it exists.
    device : str
        Where the network runs.
    moduli : PreparedData, optional
        Further training crystals, see `prepare_moduli`.
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
    ) -> None:
        self.network = network.to(device)
        self.average = copy.deepcopy(self.network).eval()
        self.best_state = copy.deepcopy(self.average.state_dict())
        self.data, self.config, self.folder = data, config, folder
        self.device = device
        self.epoch = self.best_epoch = 0
        self.best_error = math.inf
        self.seconds = 0.0
        # The label alone, or what else it may be.
        choices = (
            data.tensors[:, None] if data.alternatives is None else data.alternatives
        )
        self.choices = torch.tensor(choices, dtype=torch.float32)
        self.sign_known = sign_of_labels(data)
        self.train_part, self.val_part = data.part("train"), data.part("val")
        self.lessons = [Lesson(data, self.losses, config.weight)]
        if moduli is not None:
            weight = config.weight * config.moduli_weight
            more = ModuliLabels(moduli, config)
            self.lessons.append(Lesson(moduli, more.losses, weight))

    @property
    def finished(self) -> bool:
        """Whether no epoch is left, or patience ran out."""
        waited = self.epoch - self.best_epoch
        return self.epoch >= self.config.epochs or waited >= self.config.patience

    def best_network(self) -> nn.Module:
        """Return the averaged network of the epoch that is kept."""
        self.average.load_state_dict(self.best_state)
        return self.average

    def evaluate(
        self, network: nn.Module, part: "NDArray[np.int64]"
    ) -> TensorMetrics | ScalarMetrics:
        """Compare a network with the labels, up to what they leave open."""
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
        free = ~self.sign_known[rows].numpy()
        if self.data.alternatives is not None:
            choices = self.data.alternatives[rows]
            label = nearest_labels(predicted, choices, up_to_sign=free)
        return measure(predicted, label, up_to_sign=free)

    def losses(self, predicted: "Tensor", chosen: "NDArray[np.int64]") -> "Tensor":
        """Return the loss of each tensor of the chosen crystals."""
        rows = label_rows(self.data, chosen)
        choices = self.choices[rows].to(self.device)
        known = self.sign_known[rows].to(self.device)
        errors = nearest_errors(predicted.float(), choices, known)
        return relative_huber(
            errors,
            choices[:, 0],
            floor=self.config.loss_floor,
            softness=self.config.loss_softness,
        )

    @torch.no_grad()
    def update_average(self, step: int) -> None:
        """Move the average towards the weights; faster in the first steps."""
        weight = 1 - min(self.config.ema_decay, step / (step + 10))
        pairs = zip(self.average.parameters(), self.network.parameters(), strict=True)
        for mean, current in pairs:
            mean.lerp_(current, weight)
        copies = zip(self.average.buffers(), self.network.buffers(), strict=True)
        for kept, buffer in copies:
            kept.copy_(buffer)

    def close_epoch(
        self, loss: float, learning_rate: float, seconds: float
    ) -> EpochReport:
        """Measure the average on the validation crystals; keep it if that is due."""
        metrics = self.evaluate(self.average, self.val_part)
        self.epoch += 1
        best = self.config.keep == "last" or metrics.fnorm < self.best_error
        if best:
            self.best_error, self.best_epoch = metrics.fnorm, self.epoch
            self.best_state = copy.deepcopy(self.average.state_dict())
        self.seconds += seconds
        return EpochReport(
            epoch=self.epoch,
            train_loss=loss,
            val_fnorm=metrics.fnorm,
            val_zero=metrics.zero_fnorm,
            val_ewt_25=metrics.ewt_25,
            best=best,
            learning_rate=learning_rate,
            seconds=self.seconds,
        )

    def write(self, report: EpochReport) -> None:
        """Add the line of an epoch to the metrics."""
        append_row(self.folder / METRICS, asdict(report))

    def states(self) -> "dict[str, dict[str, Tensor]]":
        """Collect what a checkpoint holds of the networks."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "best": self.best_state,
        }

    def progress(self) -> dict[str, float]:
        """Collect the numbers that a checkpoint holds."""
        return {name: getattr(self, name) for name in _PROGRESS}

    def restore(
        self, states: "dict[str, dict[str, Tensor]]", progress: dict[str, float]
    ) -> None:
        """Take up what `states` and `progress` have given."""
        self.network.load_state_dict(states["network"])
        self.average.load_state_dict(states["average"])
        self.best_state = states["best"]
        for name in _PROGRESS:
            setattr(self, name, progress[name])


_PROGRESS = ("epoch", "best_epoch", "best_error", "seconds")


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


def predict_splits(
    network: nn.Module, data: "PreparedData", *, device: str = "cpu"
) -> "dict[str, NDArray[np.float64]]":
    """Predict the validation and the test crystals, as far as there are any."""
    return {
        split: predict_tensors(network, data, part, device=device)
        for split in ("val", "test")
        if len(part := data.part(split))
    }


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
