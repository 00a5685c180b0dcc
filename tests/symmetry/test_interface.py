"""The symmetry functions for arrays and objects of pymatgen and ASE."""

import numpy as np
import pytest

import crystaltensor.symmetry as library
from crystaltensor.crystals.conversion import to_ase, to_pymatgen
from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.pymatgen_tensors import to_pymatgen_tensor
from crystaltensor.errors import ConfigError, StructureError
from crystaltensor.symmetry.interface import (
    space_group,
    symmetrize,
    tensor_form,
    to_frame,
)

RNG = np.random.default_rng(0)


def test_public_names_are_there() -> None:
    """They are imported on first use."""
    assert library.symmetrize is symmetrize
    assert set(library.__all__) <= set(dir(library))
    assert all(getattr(library, name) for name in library.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = library.nothing


@pytest.mark.filterwarnings("ignore")  # of pymatgen and ASE, about themselves
def test_objects_of_other_libraries_go_in_and_come_out(wurtzite: Crystal) -> None:
    """A PiezoTensor stays one; arrays stay arrays."""
    given = RNG.normal(size=(3, 3, 3))
    given = given + given.swapaxes(1, 2)
    expected = symmetrize(given, wurtzite, "piezo")
    assert type(expected) is np.ndarray
    for structure in (to_pymatgen(wurtzite), to_ase(wurtzite), space_group(wurtzite)):
        np.testing.assert_allclose(
            symmetrize(given, structure, "piezo"), expected, atol=1e-14
        )
    tensor = to_pymatgen_tensor(given, "piezo")
    found = symmetrize(tensor, to_pymatgen(wurtzite), "piezo", frame="ieee")
    assert type(found).__name__ == "PiezoTensor"
    back = to_frame(found, wurtzite, "input", source="ieee")
    assert type(back).__name__ == "PiezoTensor"
    np.testing.assert_allclose(np.asarray(back), expected, atol=1e-14)
    assert type(to_pymatgen_tensor(np.eye(3))).__name__ == "Tensor"


def test_pymatgen_projects_the_same(wurtzite: Crystal) -> None:
    """Its fit to a structure is the same average."""
    given = RNG.normal(size=(3, 3, 3, 3))
    given = symmetrize(given, np_identity(), "elastic")
    theirs = to_pymatgen_tensor(given, "").fit_to_structure(to_pymatgen(wurtzite), 0.01)
    ours = symmetrize(given, wurtzite, "elastic")
    # pymatgen takes the operations in fractions of a cell that is not symmetrised.
    np.testing.assert_allclose(np.asarray(theirs), ours, atol=1e-6)


def np_identity() -> Crystal:
    """Make a crystal without symmetry."""
    cell = [[4.1, 0.2, -0.3], [0.7, 5.3, 0.4], [-0.5, 0.9, 6.2]]
    return Crystal(cell, [[0, 0, 0], [0.2, 0.3, 0.4], [0.7, 0.1, 0.6]], [3, 9, 8])


def test_batches_and_atoms_are_projected(wurtzite: Crystal) -> None:
    """Leading axes are a batch, or the atoms."""
    many = RNG.normal(size=(5, 3, 3, 3))
    found = symmetrize(many, wurtzite, "piezo")
    np.testing.assert_allclose(found[2], symmetrize(many[2], wurtzite, "piezo"))
    charges = symmetrize(RNG.normal(size=(4, 3, 3)), wurtzite, "born-charges")
    np.testing.assert_allclose(charges[0], charges[1], atol=1e-14)


def test_forms_of_crystals_and_classes(wurtzite: Crystal) -> None:
    """A text is a class."""
    assert tensor_form(wurtzite, "piezo").independent == ("e15", "e31", "e33")
    assert tensor_form("6mm", "piezo").rows() == tensor_form(wurtzite, "piezo").rows()
    skew = tensor_form("4", index_symmetry="ij=-ji", axial=True)
    assert skew.independent == ("T12",)
    with pytest.raises(ConfigError, match="say what the tensor is"):
        tensor_form("4")


def test_what_is_no_crystal_is_refused() -> None:
    """The message says what can be given."""
    with pytest.raises(StructureError, match="cannot take a dict for a crystal"):
        space_group({})
