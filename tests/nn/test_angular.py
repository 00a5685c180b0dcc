"""Irreducible tensors in torch, against their definition in numpy."""

import numpy as np
import pytest
import torch

from crystaltensor.nn.angular import (
    DegreeLinear,
    SphericalHarmonics,
    TensorProduct,
    degree_sizes,
)
from crystaltensor.symmetry.irreps import (
    clebsch_gordan,
    harmonic_polynomials,
    monomials,
    wigner,
)


def rotation(seed: int, sign: int) -> np.ndarray:
    """Draw an orthogonal matrix with a determinant of that sign."""
    matrix = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return matrix * np.sign(np.linalg.det(matrix)) * sign


def turn(features: torch.Tensor, matrix: np.ndarray, *, pseudo: bool) -> torch.Tensor:
    """Rotate features of all degrees."""
    l_max = round(len(features) ** 0.5) - 1
    parts = features.split(degree_sizes(l_max))
    turned = [
        torch.einsum("ab,bnc->anc", torch.tensor(wigner(d, matrix, pseudo=pseudo)), x)
        for d, x in enumerate(parts)
    ]
    return torch.cat(turned)


def test_harmonics_are_those_of_the_polynomials() -> None:
    """One by one."""
    vectors = torch.randn(7, 3, dtype=torch.float64)
    vectors = vectors / vectors.norm(dim=1, keepdim=True)
    found = SphericalHarmonics(4)(vectors).numpy()
    start = 0
    for degree in range(5):
        powers = monomials(degree)
        values = [
            [x**a * y**b * z**c for a, b, c in powers] for x, y, z in vectors.tolist()
        ]
        expected = np.array(values) @ harmonic_polynomials(degree).T
        stop = start + 2 * degree + 1
        np.testing.assert_allclose(found[:, start:stop], expected, atol=1e-13)
        start = stop


@pytest.mark.parametrize("sign", [1, -1])
def test_products_are_equivariant_in_both_parities(sign: int) -> None:
    """Natural times natural: even couplings stay natural, odd ones become pseudo."""
    torch.manual_seed(0)
    product = TensorProduct(3, 4).double()
    left, right = torch.randn(2, 16, 5, 4, dtype=torch.float64)
    matrix = rotation(1, sign)
    even, odd = product(left, right)
    moved = [turn(each, matrix, pseudo=False) for each in (left, right)]
    new_even, new_odd = product(*moved)
    torch.testing.assert_close(new_even, turn(even, matrix, pseudo=False))
    torch.testing.assert_close(new_odd, turn(odd, matrix, pseudo=True))
    assert odd[1:].abs().max() > 0.1
    assert not odd[0].any()


def test_a_product_is_its_couplings_mixed() -> None:
    """Computed a second way, path by path."""
    torch.manual_seed(1)
    product = TensorProduct(2, 3).double()
    left, right = torch.randn(2, 9, 4, 3, dtype=torch.float64)
    lefts, rights = left.split([1, 3, 5]), right.split([1, 3, 5])
    for parity, found in enumerate(product(left, right)):
        weights = product.even if parity == 0 else product.odd
        for degree, part in enumerate(found.split([1, 3, 5])):
            paths = []
            for first in range(3):
                for second in range(abs(first - degree), min(first + degree, 2) + 1):
                    if (first + second + degree) % 2 == parity:
                        table = torch.tensor(clebsch_gordan(first, second, degree))
                        factors = lefts[first], rights[second]
                        paths.append(torch.einsum("abm,anc,bnc->mnc", table, *factors))
            if paths:
                expected = torch.cat(paths, dim=2) @ weights[degree]
                torch.testing.assert_close(part, expected)
            else:
                assert not part.any()


def test_degrees_are_mixed_apart() -> None:
    """A change of one degree leaves the others."""
    torch.manual_seed(2)
    mix = DegreeLinear(2, 3, 5)
    features = torch.randn(9, 4, 3)
    changed = features.clone()
    changed[1:4] += 1
    before, after = mix(features), mix(changed)
    same = (before == after).all(dim=2).all(dim=1)
    assert same.tolist() == [True] + [False] * 3 + [True] * 5
    assert repr(mix) == "DegreeLinear(l_max=2, 3 -> 5)"
