"""Crystals at the edge of what exists: found symmetric, predicted finite, never a fault."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.errors import CrystalTensorError
from crystaltensor.inference.predictor import Predictor, load
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.symmetry.projection import project

MANY = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def _needle(draw: st.DrawFn) -> np.ndarray:
    """One axis a hundred times the others."""
    return np.diag([3.0, 3.0, draw(st.floats(100, 400))])


def _slab(draw: st.DrawFn) -> np.ndarray:
    """One axis short, two long."""
    return np.diag([draw(st.floats(2.2, 3)), 30.0, draw(st.floats(25, 40))])


def _sheared(draw: st.DrawFn) -> np.ndarray:
    """Describe a small cubic cell by long, nearly parallel vectors."""
    shear = np.eye(3) + draw(st.integers(-9, 9)) * np.eye(3, k=1)
    return 4.0 * (shear + draw(st.integers(-9, 9)) * np.eye(3, k=2))


def _left_handed(draw: st.DrawFn) -> np.ndarray:
    """Turn one axis round."""
    return np.diag([4.0, 4.0, -draw(st.floats(3, 6))])


def _tiny(draw: st.DrawFn) -> np.ndarray:
    """As close as atoms can be."""
    return draw(st.floats(1.2, 1.8)) * np.eye(3)


def _nearly_flat(draw: st.DrawFn) -> np.ndarray:
    """Two vectors with a small angle between them."""
    angle = draw(st.floats(0.02, 0.2))
    return np.array([[9.0, 0, 0], [9 * np.cos(angle), 9 * np.sin(angle), 0], [0, 0, 9]])


def _nearly_symmetric(draw: st.DrawFn) -> np.ndarray:
    """Off from cubic by about the tolerance."""
    off = draw(st.floats(-2, 2)) * 0.01
    return np.array([[4.0, off, 0], [0, 4 + off, 0], [0, 0, 4.0]])


def _any(draw: st.DrawFn) -> np.ndarray:
    """Whatever comes."""
    rows = st.lists(st.floats(-9, 9), min_size=9, max_size=9)
    return np.array(draw(rows)).reshape(3, 3)


_CELLS: dict[str, Callable[[st.DrawFn], np.ndarray]] = {
    "needle": _needle,
    "slab": _slab,
    "sheared": _sheared,
    "left-handed": _left_handed,
    "tiny": _tiny,
    "nearly flat": _nearly_flat,
    "nearly symmetric": _nearly_symmetric,
    "any": _any,
}


@st.composite
def crystals(draw: st.DrawFn, cell: str) -> Crystal:
    """Draw a crystal: one atom to eight, of one species or as many, wrapped or not."""
    matrix = _CELLS[cell](draw)
    n_atoms = 1 if cell == "tiny" else draw(st.integers(1, 8))
    on_grid = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1 / 3, 2 / 3, -0.5, 7.25])
    places = st.tuples(*[st.one_of(on_grid, st.floats(-2, 2))] * 3)
    frac = draw(st.lists(places, min_size=n_atoms, max_size=n_atoms))
    numbers = draw(st.lists(st.integers(1, 92), min_size=n_atoms, max_size=n_atoms))
    try:
        return Crystal(matrix, frac, numbers)
    except CrystalTensorError:
        assume(False)
        raise


@pytest.fixture(scope="module", params=["dielectric", "piezo", "elastic"])
def predictor(request: pytest.FixtureRequest) -> Predictor:
    """Load a model that comes along."""
    return load(request.param, device="cpu")


@pytest.mark.parametrize("cell", _CELLS)
def test_a_tensor_is_finite_and_keeps_its_symmetry(
    cell: str, predictor: Predictor
) -> None:
    """Or the crystal is refused by an error of ours."""

    @MANY
    @given(crystal=crystals(cell))
    def check(crystal: Crystal) -> None:
        try:
            symmetry = find_symmetry(crystal)
            found = predictor.predict_symmetric(symmetry)
        except CrystalTensorError:
            return
        tensor = np.asarray(found.tensor)
        assert np.isfinite(tensor).all()
        kept = project(
            tensor,
            symmetry.rotations,
            index_symmetry=predictor.model.row.index_symmetry,
        )
        scale = max(1.0, float(np.abs(tensor).max()))
        np.testing.assert_allclose(kept, tensor, rtol=0, atol=1e-9 * scale)
        assert symmetry.rotations.shape[1:] == (3, 3)
        identity = symmetry.rotations @ symmetry.rotations.transpose(0, 2, 1)
        np.testing.assert_allclose(
            identity, np.broadcast_to(np.eye(3), identity.shape), atol=1e-9
        )

    check()


@MANY
@given(
    numbers=st.lists(st.floats(-1e3, 1e3), min_size=27, max_size=27),
    cell=st.sampled_from([4.0 * np.eye(3), np.diag([3.0, 3, 5]), np.diag([3.0, 4, 5])]),
    scale=st.sampled_from([1e-300, 1.0, 1e300]),
)
def test_any_tensor_is_projected_once(
    numbers: list[float], cell: np.ndarray, scale: float
) -> None:
    """Twice is once; no number is too small or too large."""
    symmetry = find_symmetry(Crystal(cell, [[0, 0, 0], [0.5, 0.5, 0.45]], [22, 8]))
    tensor = scale * np.array(numbers).reshape(3, 3, 3)
    once = project(tensor, symmetry.rotations, index_symmetry="ijk=ikj")
    assert np.isfinite(once).all()
    twice = project(once, symmetry.rotations, index_symmetry="ijk=ikj")
    size = float(np.abs(tensor).max())
    np.testing.assert_allclose(twice, once, rtol=0, atol=1e-12 * size)
