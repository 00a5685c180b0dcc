"""Time symmetry, graph and a training step.

Run ``python tests/benchmarks/benchmark_predict.py``; it prints medians of several
rounds, CPU seconds beside wall seconds, and for the training step the ratio to the
published architecture in the same run.
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.features import element_features
from crystaltensor.data.graphs import build_graph, collate
from crystaltensor.nn.presets import build_network, neighbourhood, network_config
from crystaltensor.properties import PIEZO
from crystaltensor.symmetry.irreps import irrep_projectors
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.symmetry.projection import project

ROUNDS = 7


def median(run: Callable[[], object], *, repeats: int = 1) -> tuple[float, float]:
    """Return median wall and CPU seconds of one call."""
    run()
    walls, cpus = [], []
    for _ in range(ROUNDS):
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(repeats):
            run()
        walls.append((time.perf_counter() - wall) / repeats)
        cpus.append((time.process_time() - cpu) / repeats)
    return statistics.median(walls), statistics.median(cpus)


def random_crystal(n_atoms: int, rng: np.random.Generator) -> Crystal:
    """Draw a crystal of 0.06 atoms per Å³ without symmetry."""
    while True:
        cell = np.eye(3) * (n_atoms / 0.06) ** (1 / 3) + rng.normal(size=(3, 3)) * 0.3
        try:
            return Crystal(cell, rng.random((n_atoms, 3)), rng.integers(1, 84, n_atoms))
        except Exception:  # noqa: BLE001, S112  two atoms came too near: draw again
            continue


def training_step(preset: str, crystals: list[Crystal]) -> Callable[[], None]:
    """Prepare a step of the optimiser over a batch."""
    config = network_config({"preset": preset}, PIEZO)
    around = neighbourhood(config)
    torch.manual_seed(0)
    network = build_network(config, element_features())
    kinds = irrep_projectors(np.eye(3)[None], PIEZO.index_symmetry)
    batch = collate([build_graph(crystal, around, kinds) for crystal in crystals])
    label = torch.randn(len(crystals), 3, 3, 3)
    optimizer = torch.optim.AdamW(network.parameters())

    def step() -> None:
        loss = (network(batch) - label).flatten(1).norm(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def main() -> None:
    """Print the table."""
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    rng = np.random.default_rng(0)
    print(f"medians of {ROUNDS} rounds, {threads} threads for the training step\n")
    torch.set_num_threads(1)
    crystal = random_crystal(10, rng)
    around = neighbourhood(network_config({}, PIEZO))
    group = find_symmetry(crystal).rotations
    kinds = irrep_projectors(group, PIEZO.index_symmetry)
    tensor = rng.normal(size=(3, 3, 3))

    def symmetry() -> None:
        rotations = find_symmetry(crystal).rotations
        irrep_projectors(rotations, PIEZO.index_symmetry)
        project(tensor, rotations, index_symmetry=PIEZO.index_symmetry)

    for name, run in (
        ("symmetry, 10 atoms", symmetry),
        ("graph, 10 atoms", lambda: build_graph(crystal, around, kinds)),
    ):
        wall, cpu = median(run, repeats=50)
        print(f"{name:34} {1e3 * wall:7.2f} ms wall {1e3 * cpu:6.2f} ms CPU")
    torch.set_num_threads(threads)
    crystals = [random_crystal(10, rng) for _ in range(64)]
    walls = {}
    for preset in ("gmtnet", "paper"):
        wall, cpu = median(training_step(preset, crystals))
        walls[preset] = wall
        print(
            f"{f'step of 64 × 10 atoms, {preset}':34} {wall:7.3f} s wall {cpu:7.3f} s CPU"
        )
    print(f"{'ratio gmtnet / paper':34} {walls['gmtnet'] / walls['paper']:7.2f}")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'peak memory of this process':34} {own:7.0f} MiB")


if __name__ == "__main__":
    main()
