"""Tests of crystaltensor.lattice.plan."""

import numpy as np
from numpy.typing import NDArray

from crystaltensor.lattice.kernels import InversePower, Kernel, Pauli
from crystaltensor.lattice.plan import plan_batches

PAPER: list[Kernel] = [InversePower(1), InversePower(6), Pauli(3.0)]


def cubes(n_atoms: list[int]) -> NDArray[np.float64]:
    """Return cubic cells of 14 Å³ per atom."""
    edges = np.cbrt(14.0 * np.array(n_atoms))
    return edges[:, None, None] * np.eye(3)


def test_every_crystal_is_in_one_batch() -> None:
    """Sizes from 1 to 300 atoms, mixed."""
    n_atoms = [1, 300, 8, 8, 2, 40, 8, 100, 9, 7, 2, 41]
    batches = plan_batches(cubes(n_atoms), n_atoms, PAPER, [1e-10] * 3)
    members = [i for batch in batches for i in batch.members]
    assert sorted(members) == list(range(len(n_atoms)))


def test_like_crystals_share_a_batch_and_unlike_ones_do_not() -> None:
    """Sixty-four small crystals are one batch; one of 200 atoms stays alone."""
    n_atoms = [9] * 64 + [200]
    batches = plan_batches(cubes(n_atoms), n_atoms, PAPER, [1e-10] * 3)
    assert sorted(len(batch.members) for batch in batches) == [1, 64]


def test_padding_wastes_little() -> None:
    """A thousand crystals of all sizes need no more than twice the distances."""
    n_atoms = [1 + (7 * i) % 60 for i in range(1000)]
    batches = plan_batches(cubes(n_atoms), n_atoms, PAPER, [1e-10] * 3)
    padded = true = 0
    for batch in batches:
        sizes = [n_atoms[i] for i in batch.members]
        padded += len(sizes) * max(sizes) ** 2
        true += sum(size**2 for size in sizes)
    assert padded < 2 * true
    assert len(batches) < 100


def test_cutoffs_follow_from_the_tolerance() -> None:
    """A smaller tolerance needs more images and waves, and its bound is smaller."""
    n_atoms = [8]
    loose = plan_batches(cubes(n_atoms), n_atoms, PAPER, [1e-4] * 3)[0]
    tight = plan_batches(cubes(n_atoms), n_atoms, PAPER, [1e-14] * 3)[0]
    assert (loose.bounds <= 1e-4).all()
    assert (tight.bounds <= 1e-14).all()
    assert tight.images.shape[1] * tight.waves.shape[1] > (
        loose.images.shape[1] * loose.waves.shape[1]
    )


def test_fast_exponentials_are_summed_as_they_are() -> None:
    """A short-ranged one needs no reciprocal part, a long-ranged one does."""
    n_atoms = [8]
    kernels: list[Kernel] = [Pauli(3.0), Pauli(0.2)]
    batch = plan_batches(cubes(n_atoms), n_atoms, kernels, [1e-10] * 2)[0]
    assert batch.direct == [0]
    assert batch.split == [1]


def test_only_fast_exponentials_need_no_waves() -> None:
    """The whole sum is then in real space."""
    n_atoms = [8, 9]
    batch = plan_batches(cubes(n_atoms), n_atoms, [Pauli(5.0)], [1e-10])[0]
    assert batch.waves.shape[1] == 1
