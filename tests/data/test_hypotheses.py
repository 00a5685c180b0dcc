"""What is wrong with a label that does not fit, found again after it was put there."""

from dataclasses import replace

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.choices import FRAMES
from crystaltensor.data.hypotheses import (
    examine,
    in_file_axes,
    isotropic_part,
    misfit,
    rotation_to,
)
from crystaltensor.data.rows import LabelledCrystal
from crystaltensor.errors import SymmetryError
from crystaltensor.properties import (
    BORN_CHARGES,
    DIELECTRIC,
    ELASTIC,
    PIEZO,
    TensorProperty,
)
from crystaltensor.symmetry.notation import from_voigt, rotate, to_voigt
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.symmetry.projection import project

SYMPREC = (0.1, 0.01)


def turned(seed: int = 3) -> np.ndarray:
    """Draw a proper rotation."""
    matrix, upper = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    matrix = matrix * np.sign(np.diag(upper))
    return matrix * np.sign(np.linalg.det(matrix))


def wurtzite(rotation: np.ndarray | None = None, u: float = 0.38) -> Crystal:
    """Make AlN in any orientation."""
    cell = np.array([[3.1, 0, 0], [-1.55, 1.55 * 3**0.5, 0], [0, 0, 5.0]])
    frac = [[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5]]
    frac += [[x, y, z + u] for x, y, z in frac]
    turn = np.eye(3) if rotation is None else rotation
    return Crystal(cell @ turn.T, frac, [13, 13, 7, 7])


def label(crystal: Crystal, row: TensorProperty, seed: int = 0) -> LabelledCrystal:
    """Give a crystal a random tensor that it allows."""
    voigt = np.random.default_rng(seed).normal(
        size={2: (6,), 3: (3, 6), 4: (6, 6)}[row.rank]
    )
    group = find_symmetry(crystal).rotations
    tensor = project(
        from_voigt(voigt, row.rank), group, index_symmetry=row.index_symmetry
    )
    return LabelledCrystal("AlN", crystal, tensor, "train", True, True)


@pytest.mark.parametrize("row", [DIELECTRIC, PIEZO, ELASTIC], ids=lambda row: row.name)
def test_a_right_label_fits_as_it_is(row: TensorProperty) -> None:
    """At the coarsest tolerance, whatever the orientation."""
    found = examine(label(wurtzite(turned()), row), row, SYMPREC)
    assert found.fits == ("file",)
    assert found.symprec == 0.1
    assert found.residual < 1e-10


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("row", [DIELECTRIC, PIEZO, ELASTIC], ids=lambda row: row.name)
def test_the_frame_of_a_label_is_found_and_undone(
    row: TensorProperty, frame: str
) -> None:
    """Turn it into the frame; the audit names that, and the setting turns it back."""
    right = label(wurtzite(turned()), row)
    rotation = rotation_to(find_symmetry(right.crystal), frame)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    wrong = replace(right, tensor=rotate(right.tensor, rotation))
    found = examine(wrong, row, SYMPREC)
    assert frame in found.fits
    assert found.residual_aniso > 0.1
    (back,) = in_file_axes([wrong], row, frame=frame, symprec=0.01)
    np.testing.assert_allclose(back.tensor, right.tensor, atol=1e-12)


def test_axes_with_other_names_are_found_last() -> None:
    """A tetragonal crystal with c along x, its label with c along y."""
    cell = np.diag([5.0, 3.0, 3.0])
    crystal = Crystal(cell, [[0, 0, 0], [0.5, 0.5, 0.5]], [50, 8])
    right = label(crystal, DIELECTRIC)
    order = [[0, 1, 0], [1, 0, 0], [0, 0, -1]]
    wrong = replace(right, tensor=rotate(right.tensor, order))
    # Here c is also along z in the standardised axes: only y is left to permute.
    assert examine(wrong, DIELECTRIC, SYMPREC).fits == ("permuted",)


@pytest.mark.parametrize("row", [PIEZO, ELASTIC], ids=lambda row: row.name)
def test_columns_in_the_order_of_vasp_are_found(row: TensorProperty) -> None:
    """Read without reordering, they put xy where yz belongs."""
    right = label(wurtzite(), row)
    columns = to_voigt(right.tensor, row.rank, order="vasp")
    wrong = replace(right, tensor=from_voigt(columns, row.rank))
    assert "vasp-order" in examine(wrong, row, SYMPREC).fits
    again = from_voigt(to_voigt(wrong.tensor, row.rank), row.rank, order="vasp")
    np.testing.assert_allclose(again, right.tensor, atol=1e-14)


def test_a_label_of_another_crystal_fits_nowhere() -> None:
    """And the tolerance at which the structure allows it is none."""
    right = label(wurtzite(turned()), PIEZO)
    wrong = replace(right, tensor=from_voigt(np.arange(18.0).reshape(3, 6), 3))
    found = examine(wrong, PIEZO, SYMPREC)
    assert found.fits == ()
    assert found.symprec is None
    assert 0.1 < found.residual <= 1


def test_the_tolerance_at_which_a_distorted_structure_allows_its_label_is_found() -> (
    None
):
    """An atom 0.03 Å off is symmetric at 0.1 Å, but not at 0.01 Å."""
    crystal = wurtzite()
    frac = crystal.frac.copy()
    frac[0, 0] += 0.01
    distorted = Crystal(crystal.cell, frac, crystal.numbers)
    tensor = project(
        from_voigt(np.arange(18.0).reshape(3, 6), 3),
        find_symmetry(distorted).rotations,
    )
    row = LabelledCrystal("off", distorted, tensor, "train", True, True)
    found = examine(row, PIEZO, SYMPREC)
    assert (found.fits, found.symprec) == (("file",), 0.01)


def test_the_isotropic_part_is_what_all_rotations_leave() -> None:
    """Averaged over the group of the icosahedron's rotations it is left as well."""
    golden = (1 + 5**0.5) / 2
    axis = np.array([0, 1, golden]) / np.hypot(1, golden)
    cross = np.cross(np.eye(3), axis)
    angle = 2 * np.pi / 5
    five = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    group = [np.eye(3)]
    for known in group:
        for generator in (five, np.roll(np.eye(3), 1, axis=0)):
            new = generator @ known
            if not any(np.allclose(new, other) for other in group):
                group.append(new)
    assert len(group) == 60
    for row in (DIELECTRIC, ELASTIC, PIEZO):
        tensor = label(Crystal(np.eye(3) * 3, [[0] * 3], [84]), row).tensor
        tensor = tensor + label(wurtzite(turned()), row, 1).tensor
        mean = np.mean([rotate(tensor, each) for each in group], axis=0)
        np.testing.assert_allclose(isotropic_part(tensor, row), mean, atol=1e-12)


def test_noise_of_an_isotropic_label_is_no_misfit() -> None:
    """0.1 % of a cubic dielectric tensor may be forbidden."""
    tensor = 5 * np.eye(3)
    noisy = tensor + np.diag([0.004, 0, -0.004])
    assert misfit(noisy, tensor, DIELECTRIC) < 0.02
    assert misfit(tensor + np.diag([0.5, 0, -0.5]), tensor, DIELECTRIC) > 0.9
    assert misfit(np.zeros((3, 3, 3)), np.zeros((3, 3, 3)), PIEZO) == 0


def test_born_charges_are_examined_atom_by_atom() -> None:
    """Those of wurtzite are uniaxial, and their sum is zero."""
    one = np.diag([2.5, 2.5, 2.8])
    tensor = np.stack([one, one, -one, -one])
    crystal = wurtzite(turned())
    right = LabelledCrystal(
        "AlN",
        crystal,
        np.stack([rotate(each, turned()) for each in tensor]),
        "train",
        True,
        True,
    )
    assert examine(right, BORN_CHARGES, SYMPREC).fits == ("file",)
    wrong = replace(right, tensor=tensor)
    assert "standard" in examine(wrong, BORN_CHARGES, SYMPREC).fits


def test_a_structure_without_symmetry_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stops the audit, as it would stop the training."""

    def refuse(*_: object, **__: object) -> None:
        raise SymmetryError("spglib finds none")

    monkeypatch.setattr("crystaltensor.data.hypotheses.find_symmetry", refuse)
    row = LabelledCrystal("odd", wurtzite(), np.eye(3), "train", True, False)
    with pytest.raises(SymmetryError, match="odd: no symmetry"):
        examine(row, DIELECTRIC, SYMPREC)
