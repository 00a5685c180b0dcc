"""Tests of crystaltensor.lattice.twisted."""

import itertools
import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from crystaltensor.errors import ConfigError, ShapeError, StructureError
from crystaltensor.lattice.kernels import InversePower, Pauli, ScreenedCoulomb
from crystaltensor.lattice.potentials import LennardJones, Potential
from crystaltensor.lattice.sums import lattice_sums
from crystaltensor.lattice.twisted import twisted_sums

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "potnet_sums.json"

CELL = torch.tensor([[3.1, 0.2, -0.3], [0.7, 3.3, 0.4], [-0.5, 0.9, 3.6]]).double()
X = torch.tensor([[0.02, 0.05, 0.01], [1.5, 7.2, 2.2], [-2.1, 0.08, 2.6]]).double()
TWIST = torch.tensor([0.05, 0.03, -0.02]).double()
ALL: list[Potential] = [
    InversePower(1),
    InversePower(2),
    InversePower(6),
    InversePower(12),
    Pauli(1.5),
    ScreenedCoulomb(0.9),
    LennardJones(1.1, 0.2),
]


def sums(cell: Tensor, x: Tensor, twist: Tensor, potentials: list = ALL) -> Tensor:
    """Sum with a small tolerance."""
    return twisted_sums(cell, x, potentials, twist, 1e-12).matrices


def test_short_ranged_sums_agree_with_brute_force() -> None:
    """All images of a large block, one by one."""
    n = torch.tensor(list(itertools.product(range(-20, 21), repeat=3))).double()
    images = n @ CELL
    r = (X[:, None, None] - X[None, :, None] + images).norm(dim=-1)
    away = r.masked_fill(r == 0, math.inf)
    phases = torch.exp(2j * math.pi * (images @ TWIST))
    values = [away**-12, torch.exp(-1.5 * r), torch.exp(-0.9 * away) / away]
    expected = torch.stack([value.to(phases.dtype) @ phases for value in values])
    torch.testing.assert_close(
        sums(CELL, X, TWIST)[3:6], expected, rtol=1e-11, atol=1e-11
    )


@pytest.mark.skipif(not REFERENCE.exists(), reason="needs the reference file")
def test_published_values_agree() -> None:
    """The code of PotNet gives the real part for 1/r²; its grid suffices for cubes."""
    cells = json.loads(REFERENCE.read_text())["cells"]
    for case in (cells["NaCl_prim"], cells["NaCl_conv"]):
        found = case["sums"][max(case["sums"])]["epstein_w"]
        x = torch.tensor(
            [site["xyz"] for site in case["structure"]["sites"]], dtype=torch.float64
        )
        cell = torch.tensor(case["lattice"], dtype=torch.float64)
        twist = torch.tensor(found["w"], dtype=torch.float64)
        ours = sums(cell, x, twist, [InversePower(2)])[0].real
        first, second = torch.tensor(case["pairs"]).T
        expected = torch.tensor(found["value"], dtype=torch.float64)
        torch.testing.assert_close(ours[first, second], expected, rtol=0, atol=1e-12)


def test_sums_are_hermitian_and_periodic_in_the_twist() -> None:
    """A whole turn per lattice vector is no turn."""
    found = sums(CELL, X, TWIST)
    torch.testing.assert_close(found, found.mH, rtol=0, atol=1e-13)
    turn = torch.linalg.inv(CELL) @ torch.tensor([1.0, -2.0, 1.0]).double()
    torch.testing.assert_close(sums(CELL, X, TWIST + turn), found, rtol=0, atol=1e-10)
    torch.testing.assert_close(sums(CELL, X, -TWIST), found.conj(), rtol=0, atol=1e-12)


def test_the_sums_do_not_depend_on_the_choice_of_cell() -> None:
    """Nor on which atom of a row of images is named, but for its phase."""
    basis = torch.tensor([[1, 2, 0], [0, 1, -3], [1, 2, 1]]).double()
    found = sums(CELL, X, TWIST)
    torch.testing.assert_close(sums(basis @ CELL, X, TWIST), found, rtol=0, atol=1e-10)
    moved = X.clone()
    moved[0] += 2 * CELL[1]
    # The images of a moved atom are the same, counted from two cells further on.
    phase = torch.exp(-2j * math.pi * (2 * CELL[1] @ TWIST))
    again = sums(CELL, moved, TWIST)
    torch.testing.assert_close(
        again[:, 0, 1], phase * found[:, 0, 1], rtol=0, atol=1e-10
    )


def test_twists_average_to_the_sum_over_a_supercell() -> None:
    """The mean over all half turns leaves the images in even cells."""
    half = torch.linalg.inv(CELL) / 2
    potentials: list[Potential] = [InversePower(p) for p in (1, 2, 6)]
    potentials.append(Pauli(1.5))
    total = sum(
        sums(CELL, X, half @ torch.tensor(turns).double(), potentials)
        for turns in itertools.product((0.0, 1.0), repeat=3)
        if any(turns)
    )
    untwisted = lattice_sums(CELL[None], [X], potentials, 1e-12).matrices[0]
    mean = (total + untwisted) / 8
    expected = lattice_sums(2 * CELL[None], [X], potentials, 1e-12).matrices[0]
    torch.testing.assert_close(mean.real, expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(mean.imag, 0 * expected, rtol=0, atol=1e-11)


def test_the_bound_is_above_the_error() -> None:
    """Against a much smaller tolerance."""
    exact = sums(CELL, X, TWIST)
    for tolerance in (1e-3, 1e-7):
        found = twisted_sums(CELL, X, ALL, TWIST, tolerance)
        error = (found.matrices - exact).abs().amax(dim=(1, 2))
        assert (error <= found.error_bounds + 1e-12).all()
        assert (found.error_bounds <= tolerance).all()


def test_derivatives() -> None:
    """In positions, cell and twist, first and second."""
    potentials: list[Potential] = [InversePower(1), Pauli(1.5)]

    def function(cell: Tensor, x: Tensor, twist: Tensor) -> Tensor:
        found = torch.view_as_real(sums(cell, x, twist, potentials))
        return (found * torch.arange(1.0, 1 + found[0].numel()).view_as(found[0])).sum()

    inputs = [y.clone().requires_grad_() for y in (CELL, X, TWIST)]
    settings = {"rtol": 1e-4, "atol": 1e-5, "fast_mode": True}
    assert torch.autograd.gradcheck(function, inputs, **settings)
    assert torch.autograd.gradgradcheck(function, inputs, **settings)


def test_bad_input_is_refused() -> None:
    """Each with a message of its own."""
    with pytest.raises(ConfigError, match="the twist is a reciprocal lattice vector"):
        sums(CELL, X, 0 * TWIST)
    with pytest.raises(ShapeError, match="three finite numbers"):
        sums(CELL, X, TWIST * math.nan)
    with pytest.raises(ShapeError, match="in float64"):
        sums(CELL.float(), X.float(), TWIST)
    with pytest.raises(StructureError, match="at the same place"):
        sums(CELL, X[[0, 1, 1]], TWIST)
    with pytest.raises(StructureError, match="position is not finite"):
        sums(CELL, X * math.inf, TWIST)
    with pytest.raises(StructureError, match="no volume"):
        sums(CELL[[0, 1, 1]], X, TWIST)
