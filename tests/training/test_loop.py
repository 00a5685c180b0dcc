"""The training loop: it learns, it can be stopped and resumed, it stops by itself."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.datasets import LabelledCrystal, PreparedData, prepare
from crystaltensor.data.features import element_features
from crystaltensor.errors import ConfigError, DataError
from crystaltensor.nn.batch import Neighbourhood
from crystaltensor.nn.gmtnet import GMTNet, GMTNetConfig
from crystaltensor.properties import PIEZO
from crystaltensor.training.config import TrainingConfig
from crystaltensor.training.loop import CHECKPOINT, METRICS, Run

CONFIG = TrainingConfig(
    property="piezo",
    data=("none",),
    epochs=6,
    batch_size=4,
    learning_rate=0.01,
    warmup_steps=2,
    ema_decay=0.5,
    threads=1,
)


@pytest.fixture(scope="module")
def data() -> PreparedData:
    """Twelve wurtzite-like crystals whose e33 follows the internal parameter."""
    rows = []
    for index in range(12):
        u = 0.37 + 0.002 * index
        cell = [[3.1, 0, 0], [-1.55, 1.55 * 3**0.5, 0], [0, 0, 5.0]]
        frac = [[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5]]
        frac += [[x, y, z + u] for x, y, z in frac]
        tensor = np.zeros((3, 3, 3))
        tensor[2, 2, 2] = 1.0 + 100 * (u - 0.38)
        rows.append(
            LabelledCrystal(
                name=f"crystal {index}",
                crystal=Crystal(cell, frac, [13, 13, 7, 7]),
                tensor=tensor,
                split="val" if index % 4 == 3 else "train",
                sign_known=True,
                polar=True,
            )
        )
    settings = {"around": Neighbourhood(4.0), "symprec": (0.01,), "max_residual": 0.2}
    return prepare(rows, PIEZO, key="test", **settings)[0]


def make_run(folder: Path, data: PreparedData, config: TrainingConfig = CONFIG) -> Run:
    """Start or resume a run of a tiny network."""
    torch.manual_seed(config.seed)
    shape = GMTNetConfig(
        "ijk=ikj", channels=6, n_layers=1, cutoff=4.0, n_radial=4, dropout=0.1
    )
    network = GMTNet(shape, element_features())
    network.calibrate(torch.tensor(data.tensors))
    return Run(network, data, config, folder)


def read_metrics(folder: Path) -> list[dict[str, str]]:
    """Read the lines of all epochs."""
    with (folder / METRICS).open(newline="") as file:
        return list(csv.DictReader(file))


def test_labels_with_free_axes_can_be_learnt(
    tmp_path: Path, data: PreparedData
) -> None:
    """Half of the polar axes are upside down: lost on one that takes labels as they are."""
    flips = np.where(np.arange(12) // 2 % 2, -1.0, 1.0)
    flipped = data.tensors * flips[:, None, None, None]
    errors = []
    for alternatives in (None, np.stack([flipped, -flipped], axis=1)):
        mixed = replace(data, tensors=flipped, alternatives=alternatives)
        folder = tmp_path / f"{len(errors)}"
        folder.mkdir()
        run = make_run(folder, mixed, replace(CONFIG, epochs=25))
        reports = list(run.epochs())
        errors.append(min(report.val_fnorm for report in reports) / reports[0].val_zero)
    assert errors[0] > 0.8
    assert errors[1] < 0.5


def test_a_run_learns(tmp_path: Path, data: PreparedData) -> None:
    """The validation error falls well below that of the zero tensor."""
    run = make_run(tmp_path, data, replace(CONFIG, epochs=25))
    reports = list(run.epochs())
    assert min(report.val_fnorm for report in reports) < 0.5 * reports[0].val_zero
    best = run.evaluate(run.best_network(), run.val_part)
    assert best.fnorm == pytest.approx(run.best_error, rel=1e-6)


def test_a_run_that_was_killed_ends_as_if_it_had_not_been(
    tmp_path: Path, data: PreparedData
) -> None:
    """Bit by bit, dropout and optimiser moments included."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    through = make_run(whole, data)
    list(through.epochs())
    first = make_run(broken, data)
    stopped = first.epochs()
    next(stopped)
    next(stopped)
    stopped.close()
    second = make_run(broken, data)
    assert second.epoch == 2
    list(second.epochs())
    for name, tensor in through.network.state_dict().items():
        assert torch.equal(tensor, second.network.state_dict()[name]), name
    for name, tensor in through.best_state.items():
        assert torch.equal(tensor, second.best_state[name]), name
    rows = [read_metrics(folder) for folder in (whole, broken)]
    columns = ("epoch", "train_loss", "val_fnorm", "best", "learning_rate")
    for ours, theirs in zip(*rows, strict=True):
        assert [ours[name] for name in columns] == [theirs[name] for name in columns]


def test_a_line_that_outran_its_checkpoint_is_written_once(
    tmp_path: Path, data: PreparedData
) -> None:
    """The metrics hold each epoch once, whenever the kill came."""
    stopped = make_run(tmp_path, data).epochs()
    next(stopped)
    stopped.close()
    with (tmp_path / METRICS).open("a") as file:
        file.write("2,0,0,0,0,False,0,0\n")
    list(make_run(tmp_path, data).epochs())
    epochs = [row["epoch"] for row in read_metrics(tmp_path)]
    assert epochs == [str(epoch + 1) for epoch in range(CONFIG.epochs)]


def test_a_run_stops_when_patience_runs_out(tmp_path: Path, data: PreparedData) -> None:
    """A learning rate of almost nothing brings no better epoch for ever."""
    config = replace(CONFIG, epochs=50, patience=3, learning_rate=1e-12, ema_decay=0.0)
    run = make_run(tmp_path, data, config)
    run.best_error = 0.0
    assert len(list(run.epochs())) == 3
    assert run.finished


def test_the_last_epoch_is_kept_where_the_settings_say_so(
    tmp_path: Path, data: PreparedData
) -> None:
    """Whatever its error is; patience does not end the run before."""
    run = make_run(tmp_path, data, replace(CONFIG, keep="last", patience=1))
    list(run.epochs())
    assert run.best_epoch == run.epoch == CONFIG.epochs
    for name, tensor in run.average.state_dict().items():
        assert torch.equal(tensor, run.best_state[name])


def test_seeds_matter_and_are_kept(tmp_path: Path, data: PreparedData) -> None:
    """The same seed repeats a run; another one does not."""
    losses = []
    for index, seed in enumerate((0, 0, 1)):
        folder = tmp_path / str(index)
        folder.mkdir()
        run = make_run(folder, data, replace(CONFIG, seed=seed, epochs=2))
        losses.append([report.train_loss for report in run.epochs()])
    assert losses[0] == losses[1] != losses[2]


def test_a_run_of_other_settings_or_data_is_not_resumed(
    tmp_path: Path, data: PreparedData
) -> None:
    """Nothing is mixed."""
    next(make_run(tmp_path, data).epochs())
    with pytest.raises(ConfigError, match="holds a run with other settings"):
        make_run(tmp_path, data, replace(CONFIG, learning_rate=0.1))
    with pytest.raises(ConfigError, match="holds a run with other data"):
        make_run(tmp_path, replace(data, key="other"))


def test_a_damaged_checkpoint_is_named(tmp_path: Path, data: PreparedData) -> None:
    """The way out is told."""
    (tmp_path / CHECKPOINT).write_bytes(b"half a file")
    with pytest.raises(DataError, match=r"not a checkpoint.*remove it to start again"):
        make_run(tmp_path, data)
