"""How long PotNet takes: sums, graph and networks for a crystal, and a training step.

python tests/benchmarks/benchmark_potnet.py [FOLDER_OF_A_MODEL]
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.features import element_features
from crystaltensor.data.graphs import collate
from crystaltensor.data.potential_sums import potential_sums
from crystaltensor.data.prepared import build_graphs
from crystaltensor.inference.models import describe_model, find_model, load_network
from crystaltensor.nn.paper_potnet import PaperPotNet, PaperPotNetConfig
from crystaltensor.nn.potnet import PotNet
from crystaltensor.nn.presets import build_network, neighbourhood, network_config

SIZES = ((10, 64), (40, 16), (200, 2), (1000, 1))
REPEATS = 5


def random_crystal(n_atoms: int, seed: int) -> Crystal:
    """Place atoms 18 Å³ each at random, no two closer than about 1.7 Å."""
    rng = np.random.default_rng(seed)
    edge = (18.0 * n_atoms) ** (1 / 3)
    per_side = int(np.ceil(n_atoms ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(per_side)] * 3), axis=-1).reshape(-1, 3)
    chosen = grid[rng.permutation(len(grid))[:n_atoms]]
    frac = (chosen + rng.uniform(-0.15, 0.15, (n_atoms, 3))) / per_side
    shape = np.eye(3) + rng.uniform(-0.1, 0.1, (3, 3))
    return Crystal(edge * shape, frac, rng.choice([3, 8, 14, 22, 26, 38], n_atoms))


def fastest(run: Callable[[], object]) -> float:
    """Return the shortest CPU time of several runs, in seconds."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


@torch.no_grad()
def prediction(model: str, n_atoms: int, count: int) -> str:
    """Time a batch of crystals of one size."""
    described = describe_model(find_model(model))
    config = network_config(described.config.network, described.row)
    around, network = neighbourhood(config), load_network(described)
    crystals = [random_crystal(n_atoms, seed) for seed in range(count)]
    graphs = build_graphs(crystals, around, [{}] * count)
    sums = fastest(lambda: list(potential_sums(crystals, around)))
    graph = fastest(lambda: build_graphs(crystals, around, [{}] * count))
    forward = fastest(lambda: network(collate(graphs, vector_dtype=torch.float64)))
    each = [1000 * seconds / count for seconds in (sums, graph, forward)]
    return (
        f"{n_atoms:5}  {count:5}  {each[0]:7.2f}  {each[1]:14.2f}  {each[2]:8.2f}  "
        f"{each[1] + each[2]:7.2f}"
    )


def training_step(network: PotNet | PaperPotNet) -> float:
    """Time a step with 64 cells of ten atoms."""
    crystals = [random_crystal(10, seed) for seed in range(64)]
    around = network.config.neighbourhood
    graphs = build_graphs(crystals, around, [{}] * len(crystals))
    optimizer = torch.optim.AdamW(network.parameters())

    def step() -> None:
        optimizer.zero_grad()
        network(collate(graphs)).square().mean().backward()
        optimizer.step()

    return fastest(step)


def main(model: str) -> None:
    """Print all figures, in CPU seconds of one thread."""
    torch.set_num_threads(1)
    described = describe_model(find_model(model))
    print(f"{model}: {described.config.members} members, ms a crystal, one thread")
    print("atoms  batch     sums  sums and graph  networks    total")
    for n_atoms, count in SIZES:
        print(prediction(model, n_atoms, count))
    config = network_config(described.config.network, described.row)
    ours = build_network(config, element_features())
    paper = PaperPotNet(PaperPotNetConfig(), element_features())
    for name, network in (("potnet", ours), ("paper", paper)):
        print(f"training step, {name}: {1000 * training_step(network):.0f} ms")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "formation-energy")
