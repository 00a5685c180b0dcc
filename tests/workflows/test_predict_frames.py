"""Predictions in other frames than that of the file."""

from pathlib import Path

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.writing import poscar_text
from crystaltensor.symmetry.frames import ieee_rotation
from crystaltensor.symmetry.notation import rotate
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.workflows.predict import predict


@pytest.mark.parametrize("frame", ["ieee", "standard"])
def test_a_prediction_in_another_frame_is_the_same_tensor(
    tmp_path: Path, wurtzite: Crystal, frame: str
) -> None:
    """It carries its rotation; forbidden entries are exactly zero in the new axes."""
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    moved = Crystal(wurtzite.cell @ turn.T, wurtzite.frac, wurtzite.numbers)
    path = tmp_path / "POSCAR"
    path.write_text(poscar_text(moved))
    (plain,) = predict(str(path), ["piezo"], device="cpu")
    (found,) = predict(str(path), ["piezo"], frame=frame, device="cpu")
    assert plain.frame == "input"
    assert plain.rotation is None
    assert found.frame == frame
    assert found.rotation is not None
    scale = np.abs(plain.tensor).max()
    np.testing.assert_allclose(
        found.tensor, rotate(plain.tensor, found.rotation), atol=1e-6 * scale
    )
    if frame == "ieee":
        expected = ieee_rotation(find_symmetry(moved))
        np.testing.assert_allclose(found.rotation, expected, atol=1e-9)
    assert np.count_nonzero(found.voigt) == 5
    assert set(found.components) == {"e15", "e31", "e33"}
    assert found.as_dict()["rotation"] == found.rotation.tolist()
