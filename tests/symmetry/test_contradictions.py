"""What cannot be in nature."""

import numpy as np
import pytest

from crystaltensor.symmetry.contradictions import contradictions
from crystaltensor.symmetry.notation import from_voigt


def cubic(c11: float, c12: float, c44: float) -> np.ndarray:
    """Write a cubic stiffness in full."""
    matrix = np.diag([c11 - c12] * 3 + [c44] * 3).astype(float)
    matrix[:3, :3] += c12
    return from_voigt(matrix, 4)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([2.0, 3.0, 1.0], None),
        ([2.0, 0.9, 3.0], "is 0.9, less than 1"),
        ([2.0, -1.5, 3.0], "smallest principal value is -1.5"),
    ],
)
def test_dielectric_tensors_are_at_least_that_of_the_vacuum(
    values: list[float], said: str | None
) -> None:
    """In any axes."""
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    tensor = turn @ np.diag(values) @ turn.T
    for name in ("dielectric", "dielectric-total"):
        found = contradictions(name, tensor)
        assert [said in one for one in found] == [True] * (said is not None)


def test_an_unstable_stiffness_names_its_softest_strain() -> None:
    """C11 < C12: the tetragonal shear costs less than nothing (Born, 1940)."""
    (found,) = contradictions("elastic", cubic(100, 120, 75))
    assert found.startswith(
        "unstable: the smallest Kelvin-Mandel eigenvalue of C is -20 GPa"
    )
    numbers = np.array(found.split("the strain (")[1].split(")")[0].split(), float)
    assert abs(numbers[:3].sum()) < 0.02
    assert np.abs(numbers[:3]).max() > 0.6
    assert not numbers[3:].any()
    assert contradictions("elastic", cubic(120, 60, 75)) == []


def test_born_charges_add_up_to_zero() -> None:
    """A sum of a tenth of an electron is told."""
    charges = np.array([np.eye(3), -np.eye(3)])
    assert contradictions("born-charges", charges) == []
    (found,) = contradictions("born-charges", charges + 0.05)
    assert "add up to 0.1 e" in found


def test_other_properties_may_be_anything() -> None:
    """A piezoelectric tensor has no bound."""
    assert contradictions("piezo", np.full((3, 3, 3), 1e3)) == []
