"""The published network: its weights' pooled features, and our exact projection."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from crystaltensor.crystals.crystal import Crystal, atomic_number
from crystaltensor.data.features import element_features
from crystaltensor.data.graphs import CrystalGraph, collate
from crystaltensor.nn.batch import GraphBatch, Neighbourhood
from crystaltensor.nn.paper import PaperConfig, PaperGMTNet
from crystaltensor.symmetry.irreps import tensor_irreps
from crystaltensor.symmetry.notation import rotate

REFERENCE = Path(__file__).parents[3] / "shared" / "reference"
SYMMETRIES = {"dielectric": "ij=ji", "piezo": "ijk=ikj"}
NAMES = {
    "atom_embedding": "embed",
    "rbf.1": "edge_embed.0",
    "equi_update.node_linear": "narrow",
    "equi_update.nlayer_1.fc": "equivariant.0.weights",
    "equi_update.nlayer_2.fc": "equivariant.1.weights",
    "equi_update.nlayer_3.fc": "equivariant.2.weights",
    "att_layers": "attention",
    "lin_query": "query",
    "lin_key": "key",
    "lin_value": "value",
    "lin_edge": "edge",
    "lin_msg_update": "message",
    "lin_concate": "out",
    "bn_att": "norm",
}
LEFT_OUT = ("bn.", "tp.", "output_block", "rbf.0", "etgnn")


def published(which: str) -> PaperGMTNet:
    """Load the published weights into our network."""
    net = PaperGMTNet(PaperConfig(SYMMETRIES[which]), element_features())
    state = {}
    weights = load_file(REFERENCE / f"gmtnet_official_{which}.safetensors")
    for name, tensor in weights.items():
        if any(part in name.replace("bn_att.", "") for part in LEFT_OUT):
            continue
        ours = name
        for old, new in NAMES.items():
            ours = ours.replace(old, new)
        state[ours] = tensor
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert not unexpected
    prefixes = ("element_features", "link.", "head.")
    assert all(name.startswith(prefixes) or ".product." in name for name in missing)
    return net.eval()


def stored_graph(record: dict[str, Any], index_symmetry: str) -> CrystalGraph:
    """Make a graph from a stored edge list."""
    sites = record["structure"]["sites"]
    symbols = [site["species"][0]["element"] for site in sites]
    targets, sources = np.array(record["edge_index"])
    order = np.lexsort((sources, targets))
    irreps = tensor_irreps(index_symmetry)
    return CrystalGraph(
        numbers=np.array([atomic_number(symbol) for symbol in symbols]),
        volume=1.0,
        targets=targets[order],
        sources=sources[order],
        vectors=np.array(record["edge_vec"])[order],
        projectors={
            kind: np.eye(2 * kind[0] + 1)
            for kind in zip(irreps.degrees, irreps.pseudo, strict=True)
        },
    )


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="needs the published weights")
@pytest.mark.parametrize("which", SYMMETRIES)
def test_the_published_weights_give_the_published_features(which: str) -> None:
    """Pooled features of 14 crystals, from the stored edge lists, to 2e-5."""
    with gzip.open(REFERENCE / "gmtnet_reference.json.gz", "rt") as file:
        crystals = json.load(file)[which]["crystals"]
    assert len(crystals) >= 14
    net = published(which)
    for record in crystals.values():
        batch = collate([stored_graph(record, SYMMETRIES[which])])
        with torch.no_grad():
            found = net.pooled(batch)[0].numpy()
        np.testing.assert_allclose(found, record["pooled_nomask"], atol=2e-5)


def test_the_size_is_the_published_one() -> None:
    """Trunk of 682,328 parameters less the head that is here a linear map."""
    net = PaperGMTNet(PaperConfig("ijk=ikj"), element_features())
    counted = {
        name: parameter.numel()
        for name, parameter in net.named_parameters()
        if not name.startswith("head")
    }
    # 512 are the published head's and unused linear layers.
    assert sum(counted.values()) == 681_808


@pytest.mark.parametrize(
    "index_symmetry", [*SYMMETRIES.values(), "ijkl=jikl=ijlk=klij"]
)
def test_with_an_exact_projection_it_is_equivariant(
    index_symmetry: str, make_batch: Callable[..., GraphBatch], quartz: Crystal
) -> None:
    """Its published form is not: its mask is no projector."""
    torch.manual_seed(0)
    net = PaperGMTNet(PaperConfig(index_symmetry, width=16), element_features())
    net = net.double().eval()
    matrix = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    moved = Crystal(quartz.cell @ matrix.T, quartz.frac, quartz.numbers)
    options = {
        "index_symmetry": index_symmetry,
        "around": Neighbourhood(4.0, n_nearest=16),
    }
    rank = len(index_symmetry.split("=", maxsplit=1)[0])
    with torch.no_grad():
        plain = net(make_batch(quartz, **options)).numpy()
        turned = net(make_batch(moved, **options)).numpy()
    assert np.abs(plain).max() > 1e-4
    expected = rotate(plain, matrix, rank=rank)
    np.testing.assert_allclose(turned, expected, atol=1e-9)
