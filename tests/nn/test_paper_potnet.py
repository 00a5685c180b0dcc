"""The published network for scalars, layer by layer."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from crystaltensor.crystals.crystal import Crystal, atomic_number
from crystaltensor.data.features import element_features
from crystaltensor.data.graphs import CrystalGraph, collate
from crystaltensor.data.prepared import build_graphs
from crystaltensor.nn.paper_potnet import PaperPotNet, PaperPotNetConfig

REFERENCE = Path(__file__).parents[3] / "shared" / "reference"
NAMES = {
    "conv_layers": "layers",
    "bn_interaction": "gate_norm",
    ".bn.": ".norm.",
    "nonlinear_full": "gate",
    "nonlinear": "message",
    "inf_edge_embedding.centers": "scalar.centres",
    "edge_embedding.0.centers": "centres",
    "edge_embedding.1": "near_embed.0",
    "infinite_linear": "far_embed.0",
    "infinite_bn": "far_embed.2",
    "atom_embedding": "embed",
    "fc_out": "out",
    "fc.0": "hidden",
}
BUFFERS = {"centres", "scalar.centres"}


def published() -> PaperPotNet:
    """Load the stored random weights into our network."""
    net = PaperPotNet(PaperPotNetConfig(), element_features())
    state = {}
    for name, tensor in load_file(REFERENCE / "potnet_random.safetensors").items():
        ours = name
        for old, new in NAMES.items():
            ours = ours.replace(old, new)
        state[ours] = tensor
    for name in BUFFERS:
        torch.testing.assert_close(net.get_buffer(name), state[name])
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert set(unexpected) == BUFFERS
    assert all(name.startswith(("element_features", "reference.")) for name in missing)
    return net.eval()


def stored_graph(record: dict[str, Any]) -> CrystalGraph:
    """Make a graph from stored edges and sums; only lengths matter here."""
    sites = record["structure"]["sites"]
    numbers = [atomic_number(site["species"][0]["element"]) for site in sites]
    edges = record["use_canonize_True"]
    sources, targets = np.array(edges["edge_index"])
    order = np.lexsort((sources, targets))
    lengths = np.array(edges["edge_length"])[order]
    sums = np.array(edges["inf_sums"]).reshape(len(sites), len(sites), 3)
    return CrystalGraph(
        numbers=np.array(numbers),
        volume=1.0,
        targets=targets[order],
        sources=sources[order],
        vectors=lengths[:, None] * [1.0, 0.0, 0.0],
        projectors={},
        sums=sums.transpose(2, 0, 1),
    )


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="needs the published outputs")
def test_every_layer_is_the_published_one() -> None:
    """Atoms before and after each convolution, summary and output, to 1e-4."""
    with gzip.open(REFERENCE / "potnet_random_parity.json.gz", "rt") as file:
        crystals = json.load(file)["crystals"]
    net, n_layers = published(), 0
    for record in crystals.values():
        batch = collate([stored_graph(record)])
        with torch.no_grad():
            layers, output = net.atoms(batch), net(batch)
            summary = net.summary(layers[-1], batch)
        stored = record["use_canonize_True"]
        np.testing.assert_allclose(output, [stored["output"]], atol=1e-4, rtol=1e-5)
        for name, found in zip(
            ("atom", "conv0", "conv1", "conv2", "fc"), [*layers, summary], strict=True
        ):
            if stored["conv_outputs"]:
                expected = stored["conv_outputs"][name]
                np.testing.assert_allclose(found, expected, atol=1e-4)
                n_layers += 1
    assert len(crystals) == 4
    assert n_layers == 10


def test_the_size_is_the_published_one() -> None:
    """1,751,809 parameters."""
    net = PaperPotNet(PaperPotNetConfig(), element_features())
    assert sum(parameter.numel() for parameter in net.parameters()) == 1_751_809


def test_it_runs_on_graphs_of_ours(rock_salt: Crystal, quartz: Crystal) -> None:
    """In one batch as one by one."""
    config = PaperPotNetConfig(width=16)
    net = PaperPotNet(config, element_features()).eval()
    graphs = build_graphs([rock_salt, quartz], config.neighbourhood, [{}, {}])
    with torch.no_grad():
        together = net(collate(graphs))
        alone = torch.cat([net(collate([graph])) for graph in graphs])
    torch.testing.assert_close(together, alone)
    assert abs(float(together[0] - together[1])) > 1e-4
