"""Index symmetries such as ``"ijk=ikj"``: what permuting indices must not change."""

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST = 4

SignedPermutation = tuple[tuple[int, ...], int]


@dataclass(frozen=True, eq=False)
class IndexSymmetry:
    """A group of signed permutations of the indices of a tensor.

    Parameters
    ----------
    text : str
        As written.
    rank : int
        Number of indices.
    permutations : tuple of (tuple of int, int)
        Every axis order that the tensor equals up to the sign beside it.
    embedding : ndarray, shape (3**rank, n_free)
        Orthonormal columns, one per set of equal components: they span the tensors
        with this symmetry.
    free : ndarray of int, shape (n_free,)
        Flat index of the first component of each set.
    """

    text: str
    rank: int
    permutations: tuple[SignedPermutation, ...] = field(repr=False)
    embedding: "NDArray[np.float64]" = field(repr=False)
    free: "NDArray[np.int64]" = field(repr=False)

    def joins(self, first: int, second: int) -> bool:
        """Say whether exchanging two indices changes nothing."""
        order = list(range(self.rank))
        order[first], order[second] = order[second], order[first]
        return (tuple(order), 1) in self.permutations


@lru_cache(maxsize=64)
def parse_index_symmetry(text: str) -> IndexSymmetry:
    """Read an index symmetry.

    Parameters
    ----------
    text : str
        Equal index orders, such as ``"ijkl=jikl=ijlk=klij"`` or ``"ij=-ji"``; a single
        term, such as ``"ijk"``, asks for nothing.

    Returns
    -------
    IndexSymmetry
        The whole group that the terms generate.

    Raises
    ------
    ConfigError
        If the terms are not permutations of the same one to four letters, or if they
        contradict each other.
    """
    terms = text.replace(" ", "").replace("\N{MINUS SIGN}", "-").split("=")
    letters = terms[0]
    if not (0 < len(letters) <= _MOST and letters.isalpha()) or len(
        set(letters)
    ) != len(letters):
        raise ConfigError(
            f"index symmetry {text!r} must begin with 1 to {_MOST} different letters, "
            "such as 'ijk=ikj'"
        )
    generators = []
    for term in terms[1:]:
        sign, order = (-1, term[1:]) if term.startswith("-") else (1, term)
        if sorted(order) != sorted(letters):
            raise ConfigError(
                f"index symmetry {text!r}: {term!r} does not permute {letters!r}"
            )
        generators.append((tuple(letters.index(letter) for letter in order), sign))
    group = _close(generators, len(letters))
    if (tuple(range(len(letters))), -1) in group:
        raise ConfigError(f"index symmetry {text!r} contradicts itself: T = -T")
    embedding, free = _embed(group, len(letters))
    return IndexSymmetry(text, len(letters), tuple(sorted(group)), embedding, free)


def _close(generators: list[SignedPermutation], rank: int) -> list[SignedPermutation]:
    """Multiply signed permutations until nothing new appears."""
    group: list[SignedPermutation] = [(tuple(range(rank)), 1)]
    for order, sign in group:  # grows while it is read
        for other, other_sign in generators:
            new = (tuple(order[place] for place in other), sign * other_sign)
            if new not in group:
                group.append(new)
    return group


def _embed(
    group: list[SignedPermutation], rank: int
) -> "tuple[NDArray[np.float64], NDArray[np.int64]]":
    """Give each orbit of components a unit vector; drop those that must vanish."""
    columns, free = [], []
    seen: set[tuple[int, ...]] = set()
    for index in product(range(3), repeat=rank):
        if index in seen:
            continue
        column = np.zeros((3,) * rank)
        for order, sign in group:
            image = tuple(index[place] for place in order)
            seen.add(image)
            column[image] += sign
        norm = np.linalg.norm(column)
        if norm > 0:
            columns.append(column.ravel() / norm)
            free.append(int(np.ravel_multi_index(index, (3,) * rank)))
    embedding = np.array(columns).reshape(-1, 3**rank).T
    embedding.setflags(write=False)
    return embedding, np.array(free, dtype=np.int64)
