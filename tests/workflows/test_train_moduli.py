"""A stiffness learnt from whole tensors and from moduli."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from crystaltensor.data.datasets import TABLES, load_prepared
from crystaltensor.errors import ConfigError
from crystaltensor.inference.models import describe_model, load_network
from crystaltensor.training.config import TrainingConfig, read_config
from crystaltensor.training.loop import EpochReport
from crystaltensor.training.moduli import hill_moduli
from crystaltensor.training.task import predict_tensors
from crystaltensor.workflows.preparation import MODULI, prepare_extra_moduli
from crystaltensor.workflows.train import train

SETTINGS = """
property = "elastic"
data = ["whole.jsonl"]
moduli = ["moduli.jsonl"]
epochs = 2
batch_size = 8
ema_decay = 0.0
loss_floor = 50.0
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
    """Write crystals with all of C, some of them and others with moduli, settings."""
    with gzip.open(TABLES / "mp_elastic_test.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    rows.sort(key=lambda row: len(row["structure"]["species"]))
    whole, bare = rows[:80:4], rows[1:80:4]
    for index, row in enumerate(whole):
        row["split"] = ("train", "train", "val", "test")[index % 4]
    for row in bare:
        row["split"] = "train"
    leaking = [{**row, "split": ""} for row in whole]
    for name, many in (("whole", whole), ("moduli", [*bare, *leaking])):
        text = "".join(json.dumps(row) + "\n" for row in many)
        (tmp_path / f"{name}.jsonl").write_text(text)
    (tmp_path / "elastic.toml").write_text(SETTINGS)
    return tmp_path


def settings(folder: Path, **changes: object) -> TrainingConfig:
    """Read the settings of the folder."""
    return read_config(folder / "elastic.toml", **changes)


def test_crystals_with_all_of_c_are_not_learnt_from_twice(folder: Path) -> None:
    """Those of val and test would be learnt from and measured."""
    out = folder / "out"
    (prepared,) = train(settings(folder), out, base=folder, prepare_only=True)
    whole, extra = load_prepared(out / "prepared.npz"), load_prepared(out / MODULI)
    assert len(extra.names) == prepared.n_moduli > 10
    assert set(extra.splits) == {"train"}
    assert not set(extra.names) & set(whole.names)
    dropped = (out / "dropped_moduli.csv").read_text()
    assert all(name in dropped for name in whole.names)


def test_moduli_are_learnt(folder: Path) -> None:
    """Those of crystals whose stiffness is not known come closer than without them."""
    errors = {}
    for name, moduli in (("with", ("moduli.jsonl",)), ("without", ())):
        config = settings(
            folder,
            moduli=moduli,
            epochs=15,
            keep="last",
            learning_rate=0.02,
            warmup_steps=0,
        )
        list(train(config, folder / name, base=folder))
        (network,) = load_network(describe_model(folder / name))
        extra = load_prepared(folder / "with" / MODULI)
        found = predict_tensors(network, extra, np.arange(len(extra.names)))
        apart = hill_moduli(torch.tensor(found)).numpy() - extra.tensors
        errors[name] = np.abs(apart).mean(axis=0)
    assert (errors["with"] < 0.8 * errors["without"]).all()


def test_a_stopped_run_goes_on_with_them(folder: Path) -> None:
    """To the same weights as one that was not stopped; other moduli are another run."""
    config = settings(folder)
    list(train(config, folder / "whole", base=folder))
    broken = train(config, folder / "broken", base=folder)
    while not isinstance(next(broken), EpochReport):
        pass
    broken.close()
    lines = (folder / "moduli.jsonl").read_text().splitlines(keepends=True)
    (folder / "moduli.jsonl").write_text("".join(lines[1:]))
    with pytest.raises(ConfigError, match="other data"):
        list(train(config, folder / "broken", base=folder, resume=True))
    (folder / "moduli.jsonl").write_text("".join(lines))
    list(train(config, folder / "broken", base=folder, resume=True))
    names = (folder / each / "weights.safetensors" for each in ("whole", "broken"))
    whole, again = (path.read_bytes() for path in names)
    assert whole == again


def test_prepared_moduli_are_kept(folder: Path) -> None:
    """Under the hash of all tables; and need none of them once they are there."""
    config, out = settings(folder), folder / "out"
    out.mkdir()
    first = prepare_extra_moduli(config, out, base=folder)
    written = (out / MODULI).stat().st_mtime_ns
    assert prepare_extra_moduli(config, out, base=folder).names == first.names
    (folder / "moduli.jsonl").unlink()
    assert prepare_extra_moduli(config, out, base=folder).names == first.names
    assert (out / MODULI).stat().st_mtime_ns == written


def test_only_a_stiffness_has_moduli(folder: Path) -> None:
    """The settings of another property cannot ask for them."""
    config = settings(folder, property="piezo")
    with pytest.raises(ConfigError, match="moduli are labels of elastic, not of piezo"):
        prepare_extra_moduli(config, folder, base=folder)
