"""The examples in docs/lattice_sums.md run, and what they define is right."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from crystaltensor.lattice.kernels import InversePower, Pauli
from crystaltensor.lattice.sums import lattice_sums

PAGE = Path(__file__).parents[2] / "docs" / "lattice_sums.md"

CELL = torch.tensor([[4.0, 0, 0], [1, 5, 0], [0, -1, 6]], dtype=torch.float64)
X = torch.tensor([[0, 0, 0], [1.5, 2.0, 2.5]], dtype=torch.float64)


@pytest.fixture
def examples() -> list[dict[str, Any]]:
    """Run each block of Python code on the page; return what it defines."""
    blocks = re.findall(
        r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    spaces = []
    for block in blocks:
        space: dict[str, Any] = {"print": lambda *_: None}
        exec(compile(block, str(PAGE), "exec"), space)  # noqa: S102
        spaces.append(space)
    return spaces


def test_the_first_example_gives_the_madelung_constant(
    examples: list[dict[str, Any]],
) -> None:
    """And forces that have no reason to be anything but zero."""
    first = examples[0]
    coulomb, edge = first["coulomb"], first["edge"]
    constant = float((coulomb[0, 1] - coulomb[0, 0]).detach()) * edge / 2
    assert constant == pytest.approx(1.7475645946331821906, abs=1e-12)
    assert first["forces"].abs().max() < 1e-9


def test_a_combination_of_kernels_is_summed(examples: list[dict[str, Any]]) -> None:
    """Buckingham is its two terms."""
    potential = examples[1]["Buckingham"](1000.0, 0.3, 30.0)
    kernels = [Pauli(1 / 0.3), InversePower(6)]
    sums = lattice_sums(CELL[None], [X], [potential, *kernels]).matrices[0]
    torch.testing.assert_close(
        sums[0], 1000 * sums[1] - 30 * sums[2], rtol=1e-12, atol=1e-9
    )


@pytest.mark.parametrize("beta", [0.1, 0.4, 0.8, 3.0])
def test_a_kernel_of_ones_own_is_summed(
    examples: list[dict[str, Any]], beta: float
) -> None:
    """erf(βr)/r is 1/r less erfc(βr)/r, and the latter can be summed one by one."""
    smeared = examples[2]["SmearedCoulomb"](beta)
    result = lattice_sums(CELL[None], [X], [smeared, InversePower(1)])
    n = torch.arange(-30.0, 31).double()
    images = torch.cartesian_prod(n, n, n) @ CELL
    r = (X[:, None, None] - X[None, :, None] + images).norm(dim=-1)
    away = torch.where(r > 0, torch.erfc(beta * r) / r, 0.0).sum(dim=-1)
    # An atom's own erf(βr)/r is finite, so it is part of the sum.
    own = 2 * beta / torch.pi**0.5 * torch.eye(2, dtype=torch.float64)
    expected = result.matrices[0][1] - away + own
    bound = float(result.error_bounds.sum())
    torch.testing.assert_close(
        result.matrices[0][0], expected, rtol=0, atol=bound + 1e-12
    )
