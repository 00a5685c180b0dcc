"""Tests of crystaltensor.crystals.splitting: long files cut into records."""

import gzip
import io
import json
import sys
from pathlib import Path

import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.io import read_crystals, read_records
from crystaltensor.crystals.splitting import RecordFile, open_records
from crystaltensor.crystals.writing import write_crystal


def opened(path: Path, file_format: str | None = None) -> RecordFile:
    """Open a file that can be cut."""
    found = open_records(str(path), file_format)
    assert found is not None
    return found


def as_frame(crystal: Crystal) -> str:
    """Write a frame of extended XYZ."""
    cell = " ".join(map(repr, crystal.cell.ravel().tolist()))
    head = f'{crystal.n_atoms}\nLattice="{cell}" Properties=species:S:1:pos:R:3\n'
    rows = zip(crystal.symbols, crystal.positions.tolist(), strict=True)
    return head + "".join(f"{s} {x!r} {y!r} {z!r}\n" for s, (x, y, z) in rows)


def as_line(crystal: Crystal) -> str:
    """Write a line of JSON."""
    record = {
        "lattice": crystal.cell.tolist(),
        "species": crystal.symbols,
        "frac_coords": crystal.frac.tolist(),
    }
    return json.dumps(record) + "\n"


@pytest.fixture
def long_files(tmp_path: Path, quartz: Crystal, rock_salt: Crystal) -> list[Path]:
    """Files of three structures each, the second of them broken."""
    xyz = tmp_path / "a.extxyz"
    broken = as_frame(rock_salt).replace("Cl", "Xx")
    xyz.write_text(as_frame(quartz) + broken + "\n" + as_frame(rock_salt))
    lines = tmp_path / "b.jsonl"
    lines.write_text(as_line(quartz) + "\n{}\n" + as_line(rock_salt))
    packed = tmp_path / "c.jsonl.gz"
    packed.write_bytes(gzip.compress(lines.read_bytes()))
    blocks = []
    for name, crystal in (("q", quartz), ("r", rock_salt)):
        write_crystal(crystal, tmp_path / f"{name}.cif")
        blocks.append((tmp_path / f"{name}.cif").read_text())
        (tmp_path / f"{name}.cif").unlink()
    cif = tmp_path / "d.cif"
    # A block without atoms does not count; one inside a text is no block.
    text = "data_title\n_note\n;\ndata_no_block\n_atom_site_label\n;\n"
    second = blocks[1].replace("_cell_length_a", "_cell_length_b", 1)
    cif.write_text(text + blocks[0] + second + blocks[1])
    return [xyz, lines, packed, cif]


@pytest.mark.parametrize("index", range(4))
def test_records_are_read_as_the_whole_file_is(
    index: int, long_files: list[Path]
) -> None:
    """The same structures and the same failures, under the same names."""
    path = long_files[index]
    failed: dict[str, type] = {}
    again: dict[str, type] = {}
    whole = list(
        read_crystals(path, on_error=lambda name, e: failed.update({name: type(e)}))
    )
    file = opened(path)
    cut = list(
        read_records(
            list(file),
            str(path),
            file_format=str(file.file_format),
            first=0,
            on_error=lambda name, e: again.update({name: type(e)}),
        )
    )
    assert [read.source for read in cut] == [f"{path}#0", f"{path}#2"]
    assert [read.source for read in whole] == [read.source for read in cut]
    assert again == failed
    assert [*failed] == [f"{path}#1"]
    for one, other in zip(whole, cut, strict=True):
        assert one.crystal.cell.tolist() == other.crystal.cell.tolist()
        assert one.crystal.frac.tolist() == other.crystal.frac.tolist()
    assert (file.fraction, file.trouble) == (1.0, "")


def test_what_holds_one_value_is_left_to_its_reader(
    tmp_path: Path, quartz: Crystal
) -> None:
    """JSON over several lines, lists, formats of one structure, and what is not there."""
    record = json.loads(as_line(quartz))
    for text in (json.dumps(record, indent=1), json.dumps([record]), "", "nonsense\n"):
        (tmp_path / "x.json").write_text(text)
        assert open_records(str(tmp_path / "x.json"), None) is None
    (tmp_path / "POSCAR").write_text("x")
    for name in ("POSCAR", "x.unknown", "missing.jsonl"):
        assert open_records(str(tmp_path / name), None) is None
    (tmp_path / "x.jsonl").write_bytes("{}\n".encode("utf-16"))
    assert open_records(str(tmp_path / "x.jsonl"), None) is None


def test_a_damaged_archive_gives_what_it_has_and_says_so(
    tmp_path: Path, quartz: Crystal
) -> None:
    """The records before the damage are good."""
    lines = "".join(as_line(quartz)[:-1] + " " * i + "\n" for i in range(2000))
    packed = gzip.compress(lines.encode())
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(packed[: len(packed) // 2])
    file = opened(path)
    records = list(file)
    assert 0 < len(records) < 2000
    assert "damaged or cut short" in file.trouble


def test_a_frame_without_a_count_ends_the_file(tmp_path: Path, quartz: Crystal) -> None:
    """Nobody knows where the next one begins."""
    path = tmp_path / "x.extxyz"
    path.write_text(as_frame(quartz) + "nonsense\nmore\n" + as_frame(quartz))
    records = list(opened(path))
    assert len(records) == 2
    assert records[1].startswith(b"nonsense")


def test_standard_input_is_cut_too_or_comes_whole(
    monkeypatch: pytest.MonkeyPatch, quartz: Crystal
) -> None:
    """By its content."""
    for text, n_records, file_format in (
        (2 * as_line(quartz), 2, "json"),
        (2 * as_frame(quartz), 2, "extxyz"),
        ("POSCAR\nis one\n", 1, None),
    ):
        stream = io.TextIOWrapper(io.BytesIO(text.encode()))
        monkeypatch.setattr(sys, "stdin", stream)
        file = open_records("-", None)
        assert file is not None
        assert file.file_format == file_format
        assert len(list(file)) == n_records
