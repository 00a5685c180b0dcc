"""Index symmetries: how many components are free."""

import numpy as np
import pytest

from crystaltensor.errors import ConfigError
from crystaltensor.properties import TENSORS
from crystaltensor.symmetry.index_symmetry import parse_index_symmetry


@pytest.mark.parametrize(
    ("text", "order", "free"),
    [
        ("i", 1, 3),
        ("ij", 1, 9),
        ("ij=ji", 2, 6),
        ("ij=-ji", 2, 3),
        ("ijk=ikj", 2, 18),
        ("ijk=ikj=jik", 6, 10),
        ("ijk=-jik=-ikj", 6, 1),
        ("ijkl=jikl=ijlk", 4, 36),
        ("ijkl=jikl=ijlk=klij", 8, 21),
        ("ijkl = jikl = ijlk = klij = ikjl", 24, 15),
        ("ijkl=-jikl=-ijlk=klij", 8, 6),
    ],
)
def test_free_components_are_those_of_the_textbooks(
    text: str, order: int, free: int
) -> None:
    """Nye (1985), ch. I, VII, VIII; the last is the Riemann tensor without Bianchi."""
    symmetry = parse_index_symmetry(text)
    assert len(symmetry.permutations) == order
    assert symmetry.embedding.shape == (3**symmetry.rank, free)
    np.testing.assert_allclose(
        symmetry.embedding.T @ symmetry.embedding, np.eye(free), atol=1e-15
    )


@pytest.mark.parametrize("row", TENSORS, ids=lambda row: row.name)
def test_every_property_has_an_index_symmetry(row: object) -> None:
    """The table of properties and this reader agree on the rank."""
    assert parse_index_symmetry(row.index_symmetry).rank == row.rank


def test_a_tensor_of_the_span_is_unchanged_by_its_permutations() -> None:
    """An exchange of indices gives back the tensor, with its sign."""
    symmetry = parse_index_symmetry("ijk=-jik")
    tensor = symmetry.embedding @ np.random.default_rng(0).normal(size=9)
    cube = tensor.reshape(3, 3, 3)
    np.testing.assert_array_equal(cube, -cube.transpose(1, 0, 2))
    assert np.abs(cube).max() > 0.1
    assert not symmetry.joins(0, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must begin with 1 to 4 different letters"),
        ("iij", "must begin with 1 to 4 different letters"),
        ("ijklm", "must begin with 1 to 4 different letters"),
        ("i1=1i", "must begin with 1 to 4 different letters"),
        ("ijk=ij", "'ij' does not permute 'ijk'"),
        ("ij=jk", "'jk' does not permute 'ij'"),
        ("ij=-ij", "contradicts itself: T = -T"),
        ("ij=ji=-ji", "contradicts itself: T = -T"),
    ],
)
def test_nonsense_is_refused(text: str, message: str) -> None:
    """Each mistake has a message that names the term."""
    with pytest.raises(ConfigError, match=message):
        parse_index_symmetry(text)
