"""Modes: translations left out, the inverse of hard modes, bounds for soft ones."""

import numpy as np
import pytest

from crystaltensor.response.modes import UNSTABLE, Modes


def chain(spring: float) -> np.ndarray:
    """Two atoms joined by springs of one stiffness in all directions."""
    pair = np.array([[1.0, -1.0], [-1.0, 1.0]])
    return np.einsum("mn,ab->manb", spring * pair, np.eye(3))


def test_translations_are_no_modes() -> None:
    """Two atoms have one relative coordinate, of stiffness 2k, in three directions."""
    modes = Modes.of(chain(3.0))
    assert modes.stiffness == pytest.approx([6.0] * 3)
    np.testing.assert_allclose(modes.vectors.sum(axis=1), 0, atol=1e-12)


def test_a_soft_mode_is_not_taken_for_a_translation() -> None:
    """Translations are known, not looked for among the smallest."""
    modes = Modes.of(chain(1e-9))
    assert len(modes.stiffness) == 3
    assert modes.softest == pytest.approx(2e-9)


def test_without_damping_the_gain_is_the_pseudo_inverse() -> None:
    """Numpy finds the same by singular values."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(12, 12))
    flat = root @ root.T
    shift = np.eye(12) - np.kron(np.full((4, 4), 0.25), np.eye(3))
    flat = shift @ flat @ shift
    modes = Modes.of(flat.reshape(4, 3, 4, 3))
    vectors = modes.vectors.reshape(9, 12)
    found = np.einsum("m,mi,mj->ij", modes.gain(0.0), vectors, vectors)
    np.testing.assert_allclose(found, np.linalg.pinv(flat), atol=1e-8)


def test_damping_bounds_soft_modes_and_leaves_hard_ones() -> None:
    """The gain is at most 1/2δ, and nothing where λ ≤ 0."""
    stiffness = np.array([-1.0, 0.0, 1e-3, 0.3, 30.0])
    modes = Modes(stiffness, np.zeros((5, 1, 3)))
    gain = modes.gain(0.3)
    assert gain[0] == gain[1] == 0.0
    assert gain.max() == pytest.approx(1 / (2 * 0.3))
    assert gain[4] == pytest.approx(1 / 30, rel=2e-4)


def test_a_negative_stiffness_beyond_noise_is_unstable() -> None:
    """A little below zero may be the noise of a difference."""
    assert Modes.of(chain(UNSTABLE / 4)).stable
    assert not Modes.of(chain(UNSTABLE)).stable


def test_a_single_atom_has_no_modes_and_is_stable() -> None:
    """It has translations alone."""
    modes = Modes.of(np.zeros((1, 3, 1, 3)))
    assert len(modes.stiffness) == 0
    assert modes.stable
    assert modes.softest == float("inf")
