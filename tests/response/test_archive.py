"""Force constants of many crystals in one file."""

from pathlib import Path

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.errors import DataError
from crystaltensor.response.archive import (
    Responses,
    StoredResponse,
    load_responses,
    save_responses,
)
from crystaltensor.response.potentials import AsePotential
from crystaltensor.response.responder import Responder
from crystaltensor.symmetry.operations import Symmetry, find_symmetry
from tests.response.conftest import EDGE


@pytest.fixture
def stored(zincblende: Symmetry, nearest: AsePotential) -> StoredResponse:
    """Ask springs about GaAs."""
    return StoredResponse.of(Responder(nearest).respond(zincblende))


def test_a_file_gives_what_was_written(stored: StoredResponse, tmp_path: Path) -> None:
    """To the last bit, and twice the same bytes."""
    given = Responses("springs", "springs 1", {"one": stored, "two": stored})
    save_responses(tmp_path / "a.npz", given)
    found = load_responses(tmp_path / "a.npz")
    save_responses(tmp_path / "b.npz", found)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert (found.potential, found.identity) == ("springs", "springs 1")
    assert [*found.crystals] == ["one", "two"]
    two = found.crystals["two"]
    for name in ("numbers", "cell", "index", "phi", "internal_strain"):
        np.testing.assert_array_equal(getattr(two, name), getattr(stored, name))
    np.testing.assert_array_equal(two.modes.stiffness, stored.modes.stiffness)
    assert two.volume == pytest.approx(EDGE**3 / 4)


def test_force_constants_know_their_crystal(
    zincblende: Symmetry, nearest: AsePotential
) -> None:
    """The cell, its axes and the order of its atoms count; its size does not."""
    crystal, shift = zincblende.crystal, np.array([1.0, 0.0, 0.0])
    double = Crystal(
        crystal.cell * [[2], [1], [1]],
        np.concatenate([crystal.frac, crystal.frac + shift]) / [2, 1, 1],
        np.tile(crystal.numbers, 2),
    )
    stored = StoredResponse.of(Responder(nearest).respond(find_symmetry(double)))
    assert len(stored.numbers) == 2
    assert stored.belongs_to(double)
    turn = np.array([[0.6, 0.8, 0.0], [-0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
    assert not stored.belongs_to(
        Crystal(double.cell @ turn, double.frac, double.numbers)
    )
    order = [1, 0, 2, 3]
    swapped = Crystal(double.cell, double.frac, double.numbers[order])
    assert not stored.belongs_to(swapped)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), (b"nothing", "or damaged"), (b"", "or damaged")],
)
def test_a_file_that_is_none_is_told(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    """With its name."""
    path = tmp_path / "responses.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"responses.npz: .*{message}"):
        load_responses(path)
