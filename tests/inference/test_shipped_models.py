"""Every model that comes along, on real crystals: what symmetry promises is kept."""

import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.records import crystal_from_dict
from crystaltensor.data.datasets import TABLES
from crystaltensor.data.graphs import FEWEST
from crystaltensor.inference.inputs import Needs, NetworkInput
from crystaltensor.inference.models import installed_models
from crystaltensor.inference.prediction import Prediction
from crystaltensor.inference.predictor import Predictor, load
from crystaltensor.properties import TENSORS
from crystaltensor.symmetry.notation import rotate
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.symmetry.projection import project
from crystaltensor.symmetry.sites import project_site_tensors

MODELS = [row.name for row in TENSORS if row.name in installed_models()]
MORE = Path(__file__).parents[3] / "shared" / "data"
N_CRYSTALS = 200
REPEATS = np.array([[1, 1, 0], [0, 1, 0], [0, 0, -2]])
"""Another basis of the lattice, left-handed, and twice the cell."""

SMALL = {row.name: 1.0 if row.per_atom else 0.1 for row in TENSORS}
"""Norms below this count as this: what cancels in them is an electron, or 0.1 C/m²."""


def table(path: Path) -> Iterator[Crystal]:
    """Read the crystals of a table that belong to its test split."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            if record["split"] == "test":
                yield crystal_from_dict(record["structure"])


@cache
def sample() -> list[Crystal]:
    """Draw test crystals of all tables: of any class, with up to 16 atoms."""
    names = ("mp_piezo", "mp_dielectric_test", "mp_elastic_test")
    found = [
        crystal
        for name in names
        for crystal in table(TABLES / f"{name}.jsonl.gz")
        if crystal.n_atoms <= 16
    ]
    drawn = np.random.default_rng(0).permutation(len(found))[:N_CRYSTALS]
    assert len(drawn) == N_CRYSTALS
    return [found[place] for place in drawn]


def disguise(crystal: Crystal, seed: int) -> tuple[Crystal, np.ndarray, np.ndarray]:
    """Turn or mirror a crystal, double its cell, move its origin, mix its atoms."""
    rng = np.random.default_rng(seed)
    matrix, upper = np.linalg.qr(rng.normal(size=(3, 3)))
    matrix = matrix * np.sign(np.diag(upper)) * (-1) ** seed
    frac = np.concatenate([crystal.frac, crystal.frac + np.array([0, 0, 1])])
    frac = frac @ np.linalg.inv(REPEATS) + rng.random(3)
    order = rng.permutation(len(frac))
    numbers = np.tile(crystal.numbers, 2)[order]
    other = Crystal(REPEATS @ crystal.cell @ matrix.T, frac[order], numbers)
    return other, matrix, order % crystal.n_atoms


@cache
def described() -> tuple[list[NetworkInput], list[NetworkInput]]:
    """Describe the crystals, plain and disguised, for all models at once."""
    needs = Needs.union(predictor(name).needs for name in MODELS)
    pairs = [
        (crystal, disguise(crystal, seed)[0]) for seed, crystal in enumerate(sample())
    ]
    plain, other = (
        [needs.describe(find_symmetry(each, symprec=0.1)) for each in part]
        for part in zip(*pairs, strict=True)
    )
    return plain, other


@cache
def predictor(name: str) -> Predictor:
    """Load a model."""
    torch.set_num_threads(1)
    return load(name, device="cpu")


def predict(name: str, inputs: list[NetworkInput]) -> list[Prediction]:
    """Predict in batches."""
    batches = [inputs[first : first + 20] for first in range(0, len(inputs), 20)]
    return [
        found for batch in batches for found in predictor(name).predict_described(batch)
    ]


@pytest.mark.parametrize("name", MODELS)
def test_tensors_do_not_know_how_a_crystal_is_written(name: str) -> None:
    """In other axes, another cell, order and origin: 1e-5 of the norm, in float32."""
    plain, other = (predict(name, inputs) for inputs in described())
    rank, sizes = plain[0].row.rank, []
    for seed, (one, two) in enumerate(zip(plain, other, strict=True)):
        _, matrix, atoms = disguise(sample()[seed], seed)
        expected = one.tensor[atoms] if one.row.per_atom else one.tensor
        expected = rotate(expected, matrix, rank=rank)
        sizes.append(np.linalg.norm(expected))
        apart = np.linalg.norm(two.tensor - expected)
        assert apart <= 1e-5 * max(sizes[-1], SMALL[name]), (seed, one.crystal.formula)
    assert np.median(sizes) > 0.1 or name == "piezo"
    assert np.max(sizes) > 1


@pytest.mark.parametrize("name", MODELS)
def test_tensors_have_the_symmetry_of_their_crystals(name: str) -> None:
    """Projecting them once more changes 1e-12 of the norm at the most."""
    inputs, _ = described()
    for each, found in zip(inputs, predict(name, inputs), strict=True):
        if found.row.per_atom:
            again = project_site_tensors(found.tensor, each.symmetry, sum_rule=True)
        else:
            again = project(
                found.tensor,
                each.symmetry.rotations,
                index_symmetry=found.row.index_symmetry,
            )
        lost = np.linalg.norm(again - found.tensor)
        assert lost <= 1e-12 * max(np.linalg.norm(found.tensor), 1.0)


@pytest.mark.skipif("piezo" not in MODELS, reason="no model for piezo is installed")
def test_no_shaken_centrosymmetric_crystal_is_piezoelectric() -> None:
    """Of all test sets, every atom moved by 1e-3 Å: none has a component above 1e-6."""
    tables = sorted({*TABLES.glob("mp_*_test.jsonl.gz"), *MORE.glob("mp_*.jsonl.gz")})
    rng, shaken = np.random.default_rng(0), 0
    needs = predictor("piezo").needs
    seen: set[tuple[float, ...]] = set()
    for path in tables:
        for crystal in table(path):
            key = tuple(crystal.cell.ravel().tolist())
            if key in seen or crystal.n_atoms > 40:
                continue
            seen.add(key)
            if not _has_centre(crystal):
                continue
            shifts = rng.normal(size=crystal.frac.shape)
            shifts *= 1e-3 / np.linalg.norm(shifts, axis=1, keepdims=True)
            moved = crystal.frac + shifts @ np.linalg.inv(crystal.cell)
            symmetry = find_symmetry(Crystal(crystal.cell, moved, crystal.numbers))
            (found,) = predictor("piezo").predict_described([needs.describe(symmetry)])
            assert np.abs(found.tensor).max() <= 1e-6, (path.name, crystal.formula)
            shaken += 1
    assert shaken > 200


def _has_centre(crystal: Crystal) -> bool:
    """Whether the point group of a crystal holds the inversion."""
    rotations = find_symmetry(crystal).rotations
    return bool((np.abs(rotations + np.eye(3)).max(axis=(1, 2)) < 1e-6).any())


@pytest.mark.parametrize("name", sorted(installed_models()))
def test_a_crystal_alone_is_as_in_a_batch(name: str) -> None:
    """To 1e-6 of the largest component, for cells of two atoms and for small tensors."""
    inputs = predictor(name).needs.describe_many(
        [find_symmetry(each, symprec=0.1) for each in sample()[:50]]
    )
    assert min(each.n_atoms for each in inputs) < FEWEST
    together = predictor(name).predict_described(inputs)
    for described, one in zip(inputs, together, strict=True):
        (alone,) = predictor(name).predict_described([described])
        apart = np.abs(alone.tensor - one.tensor).max()
        assert apart <= 1e-6 * np.abs(one.tensor).max(), one.crystal.formula
