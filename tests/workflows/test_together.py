"""Several properties learnt by networks with common features."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from crystaltensor.data.datasets import TABLES
from crystaltensor.errors import ConfigError
from crystaltensor.inference.models import describe_model, load_network
from crystaltensor.training.config import read_config
from crystaltensor.training.loop import EpochReport
from crystaltensor.workflows.together import jobs_of
from crystaltensor.workflows.train import Trained, train

SETTINGS = """
property = "{name}"
data = ["few.jsonl"]
together = ["piezo.toml", "dielectric.toml"]
weight = {weight}
max_component = 20.0
epochs = {epochs}
patience = 9
batch_size = 8
ema_decay = 0.0
threads = 1

[network]
channels = 4
n_layers = 1
n_radial = 4
cutoff = 4.0
n_pooled = 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a table with two labels, the second in every other row, and two settings."""
    return write_tables(tmp_path, 40)


def write_tables(tmp_path: Path, every: int) -> Path:
    """Write them with every n-th row of the bundled data set."""
    with gzip.open(TABLES / "mp_piezo.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file][::every]
    for index, row in enumerate(rows):
        row["split"] = ("train", "train", "val", "test")[index // 2 % 4]
        if index % 2:
            row["tensors"]["dielectric_electronic"] = ((3 + index) * np.eye(3)).tolist()
    whole = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "few.jsonl").write_text(whole)
    half = "".join(json.dumps(row) + "\n" for row in rows[1::2])
    (tmp_path / "half.jsonl").write_text(half)
    for name, weight, epochs in (("piezo", 1.0, 2), ("dielectric", 0.5, 77)):
        text = SETTINGS.format(name=name, weight=weight, epochs=epochs)
        if name == "dielectric":
            text = text.replace("few", "half")
        (tmp_path / f"{name}.toml").write_text(text)
    return tmp_path


def test_each_keeps_its_data_and_its_loss(folder: Path) -> None:
    """The rest is as the first says, and all have the largest degree."""
    config = read_config(folder / "piezo.toml", learning_rate=0.01)
    first, second = jobs_of(config, folder / "out", base=folder)
    assert (second.config.property, second.config.data) == (
        "dielectric",
        ("half.jsonl",),
    )
    assert second.config.weight == 0.5
    assert second.config.epochs == first.config.epochs == 2
    assert second.config.learning_rate == 0.01
    assert second.config.network["l_max"] == first.config.network["l_max"] == 3
    assert (first.out, second.out) == (folder / "out", folder / "out" / "dielectric")


def test_each_becomes_a_model_of_its_own(folder: Path) -> None:
    """With the features of the others, which both labels have moved."""
    config = read_config(folder / "piezo.toml", epochs=1)
    out = folder / "out"
    events = list(train(config, out, base=folder))
    assert sum(isinstance(event, EpochReport) for event in events) == 1
    finished = [event for event in events if isinstance(event, Trained)]
    assert [event.folder for event in finished] == [out, out / "dielectric"]
    piezo, dielectric = (
        load_network(describe_model(each.folder))[0].state_dict() for each in finished
    )
    common = [name for name in piezo if name.startswith(("embed", "layers"))]
    assert common
    assert all(torch.equal(piezo[name], dielectric[name]) for name in common)
    alone = folder / "alone"
    list(
        train(
            read_config(folder / "piezo.toml", epochs=1, together=()),
            alone,
            base=folder,
        )
    )
    without = load_network(describe_model(alone))[0].state_dict()
    assert not torch.equal(piezo[common[0]], without[common[0]])
    assert read_config(out / "dielectric" / "config.toml").together == config.together


def test_a_stopped_run_goes_on_with_all_of_them(folder: Path) -> None:
    """To the same weights as one that was not stopped."""
    config = read_config(folder / "piezo.toml")
    list(train(config, folder / "whole", base=folder))
    broken = train(config, folder / "broken", base=folder)
    while not isinstance(next(broken), EpochReport):
        pass
    broken.close()
    list(train(config, folder / "broken", base=folder, resume=True))
    for place in (".", "dielectric"):
        names = (
            folder / each / place / "weights.safetensors"
            for each in ("whole", "broken")
        )
        whole, again = (path.read_bytes() for path in names)
        assert whole == again
        metrics = (folder / "broken" / place / "metrics.csv").read_text().splitlines()
        assert len(metrics) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"together": ("none.toml",)}, "no such configuration; see 'together'"),
        ({"property": "elastic"}, None),
        (
            {"property": "band-gap"},
            "only tensors, .* are learnt together, not band-gap",
        ),
        ({"network": {"preset": "paper"}}, "only tensors, and only by the network"),
    ],
)
def test_what_cannot_be_learnt_together_is_refused(
    folder: Path, change: dict[str, object], message: str | None
) -> None:
    """File, property and reason; a property of its own beside two others is fine."""
    config = read_config(folder / "piezo.toml", **change)
    if message is None:
        assert len(jobs_of(config, folder / "out", base=folder)) == 3
        return
    with pytest.raises(ConfigError, match=message):
        jobs_of(config, folder / "out", base=folder)


def test_folds_of_common_networks_leave_out_the_same(tmp_path: Path) -> None:
    """Each property keeps what its own head has said."""
    folder = write_tables(tmp_path, 12)
    config = read_config(folder / "piezo.toml", epochs=1, folds=3)
    out = folder / "out"
    list(train(config, out, base=folder))
    tables = [
        load_file(each / "folds.safetensors") for each in (out, out / "dielectric")
    ]
    counts = [describe_model(each).counts for each in (out, out / "dielectric")]
    for table, count in zip(tables, counts, strict=True):
        assert len(table["left_out"]) == count["train"]
        assert table["val"].shape[:2] == (3, count["val"])
        assert np.abs(table["left_out"]).max(axis=1).all()
