"""Tests of crystaltensor.workflows.featurize."""

from pathlib import Path

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.writing import write_crystal
from crystaltensor.errors import ConfigError, ResourceError
from crystaltensor.workflows import featurize as workflow
from crystaltensor.workflows import structure_files
from crystaltensor.workflows.featurize import Featurized, featurize, featurize_all
from crystaltensor.workflows.structure_files import Failure


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


def test_a_file_gives_the_madelung_constant(folder: Path) -> None:
    """Rock salt: M = (S_12 - S_11) a/2 (OEIS A085469)."""
    found = featurize(str(folder / "POSCAR.b"), tolerance=1e-13)
    assert (found.formula, found.symbols) == ("NaCl", ["Na", "Cl"])
    coulomb = found.matrices[0]
    constant = (coulomb[0, 1] - coulomb[0, 0]) * 5.64 / 2
    assert constant == pytest.approx(1.7475645946331821906, abs=1e-12)
    record = found.as_dict()
    assert list(record) == [
        "schema", "source", "formula", "n_atoms", "lattice", "potentials", "seconds",
    ]  # fmt: skip
    assert list(found.as_dict()["potentials"]) == ["coulomb", "london", "pauli:3.0"]


def test_an_archive_holds_what_was_summed(folder: Path, tmp_path: Path) -> None:
    """With the same bytes each time."""
    found = featurize(str(folder / "POSCAR.b"), potentials="london,pauli:2")
    for name in ("one.npz", "two.npz"):
        found.write_npz(tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with np.load(tmp_path / "one.npz") as arrays:
        assert arrays["potentials"].tolist() == ["london", "pauli:2.0"]
        assert arrays["units"].tolist() == ["1/Å^6", "1"]
        np.testing.assert_array_equal(arrays["london"], found.matrices[0])
        np.testing.assert_array_equal(arrays["pauli:2.0"], found.matrices[1])
        np.testing.assert_array_equal(arrays["error_bounds"], found.error_bounds)
        np.testing.assert_array_equal(arrays["lattice"], found.lattice)
        np.testing.assert_array_equal(arrays["numbers"], [11, 17])


def test_a_broken_file_stops_nothing(folder: Path) -> None:
    """Its failure is in its place."""
    outcomes = list(featurize_all([str(folder)]))
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [Featurized, Failure, Featurized]
    failure = outcomes[1].as_dict()
    assert failure["status"] == "error"
    assert str(folder / "broken.cif") in str(failure["error"])


def test_a_crystal_the_engine_refuses_does_not_take_others_along(
    tmp_path: Path, rock_salt: Crystal
) -> None:
    """Two atoms that are closer than a milliångström only across the boundary."""
    lines = [
        "2",
        'Lattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3 pbc="T T T"',
    ]
    good = [*lines, "Na 0 0 0", "Cl 2 2 2"]
    bad = [*lines, "Na 0 0 0", "Cl 0 0 3.9995"]
    text = "\n".join([*good, *bad, *good]) + "\n"
    (tmp_path / "some.extxyz").write_text(text)
    outcomes = list(featurize_all([str(tmp_path / "some.extxyz")]))
    assert [isinstance(outcome, Featurized) for outcome in outcomes] == [
        True, False, True,
    ]  # fmt: skip
    assert outcomes[1].source.endswith("some.extxyz#1")


def test_batches_do_not_change_the_sums(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the error bounds."""
    together = [o for o in featurize_all([str(folder)]) if isinstance(o, Featurized)]
    monkeypatch.setattr(structure_files, "_BATCH_CRYSTALS", 1)
    alone = [o for o in featurize_all([str(folder)]) if isinstance(o, Featurized)]
    for first, second in zip(together, alone, strict=True):
        bound = (first.error_bounds + second.error_bounds)[:, None, None]
        assert (np.abs(first.matrices - second.matrices) <= bound).all()


def test_crystals_that_do_not_fit_into_memory_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name, before anything is computed."""
    monkeypatch.setattr(workflow, "MAX_BYTES", 1000)
    with pytest.raises(ResourceError, match="all pairs of 9 atoms need"):
        featurize(str(folder / "deep" / "a.xyz"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"potentials": "coulomb,coulomb"}, "named twice"),
        ({"potentials": ","}, "no potential"),
        ({"potentials": "gravity"}, "unknown potential 'gravity'"),
        ({"tolerance": 0.0}, "tolerance must lie between"),
    ],
)
def test_bad_settings_are_refused(
    folder: Path, settings: dict[str, object], message: str
) -> None:
    """Before any file is read."""
    with pytest.raises(ConfigError, match=message):
        featurize(str(folder / "POSCAR.b"), **settings)  # type: ignore[arg-type]
