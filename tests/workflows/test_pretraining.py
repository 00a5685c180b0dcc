"""Features that are learnt from descriptors of atoms, and networks that begin there."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.datasets import TABLES, load_prepared
from crystaltensor.data.descriptors import Described, write_descriptors
from crystaltensor.data.graphs import neighbours
from crystaltensor.errors import ConfigError
from crystaltensor.training.config import TrainingConfig, read_config
from crystaltensor.training.loop import EpochReport
from crystaltensor.workflows.preparation import DESCRIPTORS
from crystaltensor.workflows.pretraining import FOLDER, PretrainingBegins
from crystaltensor.workflows.train import MemberBegins, train

SETTINGS = """
property = "dielectric"
data = ["labels.jsonl"]
descriptors = ["atoms.npz"]
pretraining_epochs = 3
epochs = 2
batch_size = 8
ema_decay = 0.0
warmup_steps = 0
threads = 1

[network]
channels = 8
n_layers = 1
n_radial = 4
cutoff = 4.0
n_pooled = 2
dropout = 0.2
"""


def coordination(crystal: Crystal) -> np.ndarray:
    """Describe atoms by their number, and by how many and which are about them."""
    targets, sources, vectors = neighbours(crystal, 3.5)
    weights = np.exp(-np.linalg.norm(vectors, axis=1))
    numbers = crystal.numbers
    about = np.bincount(targets, weights, minlength=len(numbers))
    which = np.bincount(targets, weights * numbers[sources], minlength=len(numbers))
    return np.stack([numbers / 50, about, which / 50], axis=1).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write crystals with labels, these and others with descriptors, settings."""
    with gzip.open(
        TABLES / "mp_dielectric_test.jsonl.gz", "rt", encoding="utf-8"
    ) as file:
        rows = [json.loads(line) for line in file]
    rows.sort(key=lambda row: len(row["structure"]["species"]))
    labelled, described = rows[:80:4], rows[:160:2]
    for index, row in enumerate(labelled):
        row["split"] = ("train", "train", "val", "test")[index % 4]
    text = "".join(json.dumps(row) + "\n" for row in labelled)
    (tmp_path / "labels.jsonl").write_text(text)
    table = []
    for row in described:
        given = row["structure"]
        crystal = Crystal.from_symbols(
            given["lattice"], given["frac_coords"], given["species"]
        )
        table.append(Described(row["id"], crystal, coordination(crystal)))
    write_descriptors(table, tmp_path / "atoms.npz")
    (tmp_path / "settings.toml").write_text(SETTINGS)
    return tmp_path


def settings(folder: Path, **changes: object) -> TrainingConfig:
    """Read the settings of the folder."""
    return read_config(folder / "settings.toml", **changes)


def test_what_is_judged_by_is_not_learnt_from(folder: Path) -> None:
    """Crystals of val and test have no descriptors; those of train may."""
    out = folder / "out"
    (prepared,) = train(settings(folder), out, base=folder, prepare_only=True)
    labels = load_prepared(out / "prepared.npz")
    described = load_prepared(out / DESCRIPTORS)
    assert prepared.n_described == len(described.names)
    held_out = {
        labels.names[i] for split in ("val", "test") for i in labels.part(split)
    }
    learnt = {labels.names[i] for i in labels.part("train")}
    assert held_out
    assert not held_out & set(described.names)
    assert learnt & set(described.names)
    dropped = (out / "dropped_descriptors.csv").read_text()
    assert all(name in dropped for name in held_out)


def test_descriptors_are_learnt_before_the_members(folder: Path) -> None:
    """Better than zeros, and the record says how well."""
    config = settings(folder, pretraining_epochs=40, pretraining_rate=0.01)
    events = list(train(config, folder / "out", base=folder))
    kinds = [type(event) for event in events]
    assert kinds.index(PretrainingBegins) < kinds.index(MemberBegins)
    assert kinds.count(EpochReport) == 40 + config.epochs
    record = json.loads((folder / "out" / "record.json").read_text())["pretraining"]
    assert record["epochs"] == 40
    assert record["val_error"] < 0.5 * record["val_zero"]
    n_described = len(load_prepared(folder / "out" / DESCRIPTORS).names)
    assert sum(record["counts"].values()) == n_described


def test_members_begin_from_the_features(folder: Path) -> None:
    """All of them, and the properties that are learnt together with them."""
    other = SETTINGS.replace('"dielectric"', '"dielectric-total"')
    (folder / "total.toml").write_text(other)
    config = settings(folder, members=2, together=("total.toml",), learning_rate=1e-12)
    list(train(config, folder / "out", base=folder))
    weights = load_file(folder / "out" / "weights.safetensors")
    total = load_file(folder / "out" / "dielectric-total" / "weights.safetensors")
    shared = [
        name.split(".", 1)[1]
        for name in weights
        if name.split(".")[:2] in (["0", "embed"], ["0", "layers"])
    ]
    assert shared
    for name in shared:
        first = weights[f"0.{name}"]
        torch.testing.assert_close(weights[f"1.{name}"], first)
        torch.testing.assert_close(total[f"0.{name}"], first)
    heads = [name.split(".", 1)[1] for name in weights if name.startswith("0.head.")]
    assert any(not weights[f"1.{n}"].equal(weights[f"0.{n}"]) for n in heads)


@pytest.mark.parametrize("n_epochs", [2, 4])
def test_a_stopped_run_goes_on(folder: Path, n_epochs: int) -> None:
    """While descriptors are learnt or after that, to the same weights."""
    config = settings(folder)
    list(train(config, folder / "whole", base=folder))
    broken = train(config, folder / "broken", base=folder)
    while n_epochs:
        n_epochs -= isinstance(next(broken), EpochReport)
    broken.close()
    with pytest.raises(ConfigError, match="--resume"):
        list(train(config, folder / "broken", base=folder))
    assert (folder / "broken" / FOLDER).is_dir()
    (folder / "labels.jsonl").rename(folder / "elsewhere.jsonl")
    list(train(config, folder / "broken", base=folder, resume=True))
    names = (folder / each / "weights.safetensors" for each in ("whole", "broken"))
    whole, again = (path.read_bytes() for path in names)
    assert whole == again


def test_a_network_without_such_features_is_refused(folder: Path) -> None:
    """That of the published architecture."""
    config = replace(settings(folder), network={"preset": "paper"})
    with pytest.raises(ConfigError, match="gmtnet"):
        list(train(config, folder / "out", base=folder))
