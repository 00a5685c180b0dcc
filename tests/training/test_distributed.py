"""Two processes train as one does."""

import csv
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CONFIG = """
property = "piezo"
data = ["few.jsonl"]
epochs = 3
batch_size = 6
threads = 1

[network]
channels = 4
n_layers = 1
n_radial = 4
cutoff = 4.0
n_pooled = 2
"""


@pytest.fixture
def config(write_sample: Callable[[str, int], Path]) -> Path:
    """Write a configuration and a data set of 30 crystals."""
    return write_sample(CONFIG, 29)


def free_port() -> int:
    """Ask the system for a port on this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_processes(config: Path, out: Path, count: int) -> list[dict[str, str]]:
    """Train with so many processes, and return the lines of all epochs."""
    command = [sys.executable, "-m", "crystaltensor", "train", str(config)]
    command += ["--out", str(out), "--device", "cpu"]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    shared |= {"WORLD_SIZE": str(count), "GLOO_SOCKET_IFNAME": "lo"}
    running = [
        subprocess.Popen(
            command,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    for process in running:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    with (out / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_two_processes_have_the_loss_of_one(config: Path, tmp_path: Path) -> None:
    """To 1e-6, in every epoch, batches of odd size included; one of them writes."""
    alone = run_processes(config, tmp_path / "one", 1)
    together = run_processes(config, tmp_path / "two", 2)
    assert len(alone) == len(together) == 3
    for ours, theirs in zip(alone, together, strict=True):
        for name in ("train_loss", "val_fnorm"):
            assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=1e-6)
    assert (tmp_path / "two" / "weights.safetensors").is_file()
