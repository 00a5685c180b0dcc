"""Tests of crystaltensor.workflows.inputs: what a run is given, in a fixed order."""

import io
import os
import sys
from pathlib import Path

import pytest
import structure_sets
from ase.db import connect

from crystaltensor.crystals.conversion import to_ase
from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.io import ReadCrystal
from crystaltensor.errors import ConfigError, FormatError
from crystaltensor.workflows.inputs import PIECE_RECORDS, SPLIT_BYTES, Inputs, Piece
from crystaltensor.workflows.structure_files import Failure


def sources(inputs: Inputs) -> list[str]:
    """Read everything; failures have an exclamation mark in front."""
    return [
        ("!" if isinstance(item, Failure) else "") + item.source
        for piece, _ in inputs.pieces()
        for item in piece.read()
    ]


@pytest.fixture
def folder(tmp_path: Path, rock_salt: Crystal) -> Path:
    """Files, some hidden, some in a folder of their own, some links that lead nowhere."""
    text = structure_sets.cif_text(rock_salt)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("b.cif", "a.cif", "deep/c.cif", "deep/er/d.cif", ".hidden.cif"):
        (tmp_path / name).write_text(text)
    (tmp_path / "notes.txt").write_text("no structure")
    (tmp_path / "loop.cif").symlink_to("loop.cif")
    (tmp_path / "dangling.cif").symlink_to("nowhere")
    (tmp_path / "deep" / "up").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.cif")
    return tmp_path


def names(inputs: Inputs, folder: Path) -> list[str]:
    """List the files relative to a folder."""
    return [os.path.relpath(path, folder) for path in inputs.files() if path]


def test_folders_patterns_and_lists_are_taken_in_order(folder: Path) -> None:
    """Without what lies in folders unless that is asked for, and without loops."""
    flat = names(Inputs((str(folder),)), folder)
    assert flat == ["a.cif", "b.cif", "dangling.cif", "loop.cif"]
    deep = names(Inputs((str(folder),), recursive=True), folder)
    assert deep == [*flat[:3], "deep/c.cif", "deep/er/d.cif", "loop.cif"]
    pattern = names(
        Inputs((str(folder / "deep" / "*.cif"), str(folder / "a.cif"))), folder
    )
    assert pattern == ["deep/c.cif", "a.cif"]
    with pytest.raises(FormatError, match="fits no file"):
        list(Inputs((str(folder / "*.vasp"),)).files())
    listed = folder / "list.txt"
    for separator in ("\n", "\r\n", "\0"):
        listed.write_text(
            separator.join([str(folder / "b.cif"), str(folder / "no.cif"), ""])
        )
        found = names(Inputs((), files_from=str(listed)), folder)
        assert found == ["b.cif", "no.cif"]
    with pytest.raises(FormatError, match="cannot be read"):
        list(Inputs((), files_from=str(folder / "missing")).files())


def test_a_survey_counts_and_notices_other_names(folder: Path) -> None:
    """The pipe and the text are skipped; one name more is another digest."""
    inputs = Inputs((str(folder),), recursive=True)
    before = inputs.survey()
    assert (before.n_files, before.n_skipped) == (6, 3)
    (folder / "deep" / "new.cif").write_text("")
    after = inputs.survey()
    assert after.n_files == 7
    assert after.digest != before.digest
    left = Inputs((str(folder),), leave_out=lambda path: path.endswith("a.cif"))
    assert names(left, folder) == ["b.cif", "dangling.cif", "loop.cif"]


def test_every_file_gives_a_structure_or_a_failure(folder: Path) -> None:
    """Links that lead nowhere are failures, not gaps."""
    found = sources(Inputs((str(folder),)))
    expected = ["a.cif", "b.cif", "!dangling.cif", "!loop.cif"]
    assert [
        Path(name).name if name[0] != "!" else "!" + Path(name).name for name in found
    ] == (expected)


def test_a_long_file_comes_in_pieces_with_the_names_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same crystals as when it is read at once."""
    crystals = list(structure_sets.crystals(PIECE_RECORDS + 3))
    path = tmp_path / "many.jsonl"
    path.write_text("".join(structure_sets.json_text(one) for one in crystals))
    whole = sources(Inputs((str(path),)))
    monkeypatch.setattr("crystaltensor.workflows.inputs.SPLIT_BYTES", 5_000)
    pieces = [piece for piece, _ in Inputs((str(path),)).pieces()]
    assert len(pieces) > 2
    assert sources(Inputs((str(path),))) == whole
    assert [piece.number for piece in pieces] == [piece.first for piece in pieces]
    assert sum(piece.n_records for piece in pieces) == len(crystals)
    fractions = [done for _, done in Inputs((str(path),)).pieces()]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    halves = pieces[0].halves()
    assert halves is not None
    assert [item.source for half in halves for item in half.read()] == [
        item.source for item in pieces[0].read()
    ]


def test_a_lone_structure_of_a_long_file_has_no_index(
    tmp_path: Path, rock_salt: Crystal
) -> None:
    """As when it is read at once."""
    path = tmp_path / "one.jsonl"
    path.write_text(structure_sets.json_text(rock_salt)[:-1] + " " * SPLIT_BYTES + "\n")
    ((piece, _),) = Inputs((str(path),)).pieces()
    assert piece.records is not None
    assert sources(Inputs((str(path),))) == [str(path)]
    assert piece.halves() is None


def test_databases_of_ase_are_named_by_their_rows(
    tmp_path: Path, rock_salt: Crystal, silicon: Crystal
) -> None:
    """A row that was deleted leaves a gap, a molecule is a failure."""
    path = str(tmp_path / "some.db")
    with connect(path) as database:
        for crystal in (rock_salt, silicon, rock_salt, silicon):
            database.write(to_ase(crystal))
        atoms = to_ase(silicon)
        atoms.pbc = False
        database.write(atoms)
    connect(path).delete([2])
    found = sources(Inputs((path,)))
    assert found == [f"{path}#1", f"{path}#3", f"{path}#4", f"!{path}#5"]
    ((piece, _),) = Inputs((path,)).pieces()
    first, second = piece.halves() or ()
    assert [one.source for half in (first, second) for one in half.read()] == [
        name.removeprefix("!") for name in found
    ]
    (crystal,) = (item.crystal for item in first.read() if item.source.endswith("#1"))
    assert crystal.frac.tolist() == pytest.approx(rock_salt.frac)
    (tmp_path / "broken.db").write_text("no database")
    assert sources(Inputs((str(tmp_path / "broken.db"),))) == [
        f"!{tmp_path / 'broken.db'}"
    ]


def test_standard_input_is_structures_or_a_list(
    folder: Path, rock_salt: Crystal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not both."""

    def given(text: str) -> None:
        stream = io.TextIOWrapper(io.BytesIO(text.encode()))
        monkeypatch.setattr(sys, "stdin", stream)

    given(3 * structure_sets.json_text(rock_salt))
    assert sources(Inputs(("-",))) == ["-#0", "-#1", "-#2"]
    given(structure_sets.cif_text(rock_salt))
    assert sources(Inputs(("-",))) == ["-"]
    given(f"{folder / 'a.cif'}\n")
    listed = Inputs((), files_from="-")
    assert sources(listed) == sources(listed) == [str(folder / "a.cif")]
    with pytest.raises(ConfigError, match="standard input"):
        list(Inputs(("-",), files_from="-").files())


def test_a_signature_changes_with_the_file(folder: Path) -> None:
    """Its size or the time of its last change."""

    def first() -> Piece:
        return next(Inputs((str(folder / "a.cif"),)).pieces())[0]

    before = first()
    assert before == first()
    os.utime(folder / "a.cif", ns=(0, 0))
    assert first().signature != before.signature
    (item,) = before.read()
    assert isinstance(item, ReadCrystal)
