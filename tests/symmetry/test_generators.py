"""Forms of all 32 classes against a second derivation, without groups or projectors.

A tensor is allowed if a few generators leave it unchanged (Nye, 1985, ch. I): linear
equations, whose null space is compared with the form, entry by entry. The generators
are written down again here, as matrices.
"""

from itertools import product

import numpy as np
import pytest

from crystaltensor.symmetry.forms import allowed_form
from crystaltensor.symmetry.point_groups import POINT_GROUPS, point_group_rotations

H, S = 0.5, np.sqrt(3) / 2
INVERSION = -np.eye(3)
TWO_X, TWO_Y = np.diag([1.0, -1, -1]), np.diag([-1.0, 1, -1])
MIRROR_X, MIRROR_Y, MIRROR_Z = (
    np.diag(d) for d in ([-1.0, 1, 1], [1.0, -1, 1], [1.0, 1, -1])
)
FOUR = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
THREE = np.array([[-H, -S, 0], [S, -H, 0], [0, 0, 1]])
SIX = np.array([[H, -S, 0], [S, H, 0], [0, 0, 1]])
BODY = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
TWO_Z = FOUR @ FOUR

GENERATORS = {
    "1": [],
    "-1": [INVERSION],
    "2": [TWO_Y],
    "m": [MIRROR_Y],
    "2/m": [TWO_Y, MIRROR_Y],
    "222": [TWO_X, TWO_Y],
    "mm2": [MIRROR_X, MIRROR_Y],
    "mmm": [MIRROR_X, MIRROR_Y, MIRROR_Z],
    "4": [FOUR],
    "-4": [-FOUR],
    "4/m": [FOUR, MIRROR_Z],
    "422": [FOUR, TWO_X],
    "4mm": [FOUR, MIRROR_X],
    "-42m": [-FOUR, TWO_X],
    "4/mmm": [FOUR, MIRROR_Z, MIRROR_X],
    "3": [THREE],
    "-3": [THREE, INVERSION],
    "32": [THREE, TWO_X],
    "3m": [THREE, MIRROR_X],
    "-3m": [THREE, MIRROR_X, INVERSION],
    "6": [SIX],
    "-6": [THREE, MIRROR_Z],
    "6/m": [SIX, MIRROR_Z],
    "622": [SIX, TWO_X],
    "6mm": [SIX, MIRROR_X],
    "-6m2": [THREE, MIRROR_Z, MIRROR_X],
    "6/mmm": [SIX, MIRROR_Z, MIRROR_X],
    "23": [TWO_Z, BODY],
    "m-3": [TWO_Z, BODY, INVERSION],
    "432": [FOUR, BODY],
    "-43m": [-FOUR, BODY],
    "m-3m": [FOUR, BODY, INVERSION],
}

# Index symmetries in use, with the exchanges of axes that they mean.
KINDS = {
    "i": [],
    "ij": [],
    "ij=ji": [(1, 0)],
    "ij=-ji": [(1, 0)],
    "ijk": [],
    "ijk=ikj": [(0, 2, 1)],
    "ijk=jik": [(1, 0, 2)],
    "ijk=jik=ikj": [(1, 0, 2), (0, 2, 1)],
    "ijkl": [],
    "ijkl=jikl=ijlk": [(1, 0, 2, 3), (0, 1, 3, 2)],
    "ijkl=jikl=ijlk=klij": [(1, 0, 2, 3), (0, 1, 3, 2), (2, 3, 0, 1)],
    "ijkl=jikl=ikjl=ijlk": [(1, 0, 2, 3), (0, 2, 1, 3), (0, 1, 3, 2)],
}


def null_space(symbol: str, kind: str, *, axial: bool) -> np.ndarray:
    """Solve the equations of generators and exchanges; columns are orthonormal."""
    rank = len(kind.split("=", maxsplit=1)[0])
    one = np.eye(3**rank)
    rows = []
    for matrix in GENERATORS[symbol]:
        power = np.ones((1, 1))
        for _ in range(rank):
            power = np.kron(power, matrix)
        rows.append(power * (np.linalg.det(matrix) if axial else 1) - one)
    places = np.arange(3**rank).reshape((3,) * rank)
    for order in KINDS[kind]:
        sign = -1 if "-" in kind else 1
        rows.append(one[places.transpose(order).ravel()] - sign * one)
    if not rows:
        return one
    _, sizes, vectors = np.linalg.svd(np.concatenate(rows))
    return vectors[np.count_nonzero(sizes > 1e-9) :].T


def test_all_classes_are_written_down() -> None:
    """And generate as many operations as the tool has."""
    assert set(GENERATORS) == set(POINT_GROUPS)
    for symbol, generators in GENERATORS.items():
        group = [np.eye(3)]
        for known in group:
            for generator in generators:
                new = generator @ known
                if min(np.abs(new - old).max() for old in group) > 1e-9:
                    group.append(new)
        ours = point_group_rotations(symbol)
        assert len(group) == len(ours)
        apart = np.abs(np.array(group)[:, None] - ours).max(axis=(2, 3))
        assert apart.min(axis=1).max() < 1e-12


@pytest.mark.parametrize("symbol", POINT_GROUPS)
@pytest.mark.parametrize("kind", KINDS)
def test_forms_are_the_null_space_of_the_generators(symbol: str, kind: str) -> None:
    """Polar and axial tensors: as many constants, and each entry as the form says."""
    for axial in (False, True):
        space = null_space(symbol, kind, axial=axial)
        form = allowed_form(point_group_rotations(symbol), kind, axial=axial)
        assert form.n_independent == space.shape[1]
        if not form.n_independent:
            continue
        entries = space[form.flat.ravel()]  # of the shown form, one column per tensor
        names = form.names.ravel().tolist()
        independent = entries[[names.index(name) for name in form.independent]]
        rebuilt = form.coefficients.reshape(-1, form.n_independent) @ independent
        np.testing.assert_allclose(rebuilt, entries, atol=1e-12)
        # Zeros of the form are zeros, and nothing else is.
        for place in product(*map(range, form.names.shape)):
            value = np.abs(entries.reshape(*form.names.shape, -1)[place]).max()
            assert (form.entry(*place) == "0") == (value < 1e-12)
