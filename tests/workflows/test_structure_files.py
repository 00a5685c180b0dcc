"""Tests of crystaltensor.workflows.structure_files."""

from pathlib import Path

import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.io import ReadCrystal
from crystaltensor.crystals.writing import write_crystal
from crystaltensor.errors import FormatError
from crystaltensor.workflows.structure_files import (
    Failure,
    in_batches,
    structure_files,
    structures_of,
)


@pytest.fixture
def folder(tmp_path: Path, rock_salt: Crystal, quartz: Crystal) -> Path:
    """Two good files, a broken one, one that is no structure, and a hidden one."""
    write_crystal(rock_salt, tmp_path / "POSCAR.b")
    (tmp_path / "deep").mkdir()
    write_crystal(quartz, tmp_path / "deep" / "a.xyz")
    (tmp_path / "broken.cif").write_text("data_x\n_cell_length_a zero\n")
    (tmp_path / "notes.txt").write_text("no structure")
    (tmp_path / ".POSCAR").write_text("hidden")
    return tmp_path


def test_folders_are_searched_in_order_of_names(folder: Path) -> None:
    """Hidden files, and what no reader knows, are left alone."""
    names = [Path(name).name for name in structure_files([str(folder)])]
    assert names == ["POSCAR.b", "broken.cif", "a.xyz"]
    twice = structure_files([str(folder / "POSCAR.b"), str(folder)])
    assert len(twice) == 3
    left = structure_files([str(folder)], leave_out=folder / "deep")
    assert [Path(name).name for name in left] == ["POSCAR.b", "broken.cif"]
    (folder / "deep" / "a.xyz").unlink()
    with pytest.raises(FormatError, match="deep: holds no structure file"):
        structure_files([str(folder / "deep")])


def test_a_file_that_cannot_be_read_is_one_failure(tmp_path: Path) -> None:
    """Whether it is broken or not there."""
    (tmp_path / "broken.cif").write_text("data_x\n")
    for name in ("broken.cif", "missing.cif"):
        (item,) = structures_of(str(tmp_path / name), None)
        assert isinstance(item, Failure)
        assert item.source == str(tmp_path / name)
        assert name in str(item.as_dict()["error"])


def test_batches_hold_tens_of_small_crystals_or_few_large_ones(
    rock_salt: Crystal,
) -> None:
    """The order stays."""
    items = [ReadCrystal(rock_salt, f"{i}") for i in range(150)]
    batches = list(in_batches(items))
    assert [len(batch) for batch in batches] == [64, 64, 22]
    assert [item.source for batch in batches for item in batch] == [
        f"{i}" for i in range(150)
    ]
    large = Crystal(
        [[30.0, 0, 0], [0, 30, 0], [0, 0, 30]],
        [[i / 1200, i % 2 / 2, i % 3 / 3] for i in range(1200)],
        [1] * 1200,
    )
    items = [ReadCrystal(large, f"{i}") for i in range(3)]
    assert [len(batch) for batch in in_batches(items)] == [1, 1, 1]
