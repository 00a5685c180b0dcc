"""The door for files: every format, every kind of broken file."""

import gzip
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crystaltensor.crystals.conversion import to_pymatgen
from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.io import (
    FORMATS,
    read_crystal,
    read_crystals,
    read_single,
)
from crystaltensor.errors import CrystalTensorError, FormatError

Writer = Callable[[Crystal], str]
NAMES = {
    "poscar": "POSCAR.x",
    "extxyz": "x.xyz",
    "json": "x.json",
    "cif": "x.cif",
}
SMALL = Crystal.from_symbols(
    [[3.1, 0, 0.2], [-1.5, 2.7, 0], [0.1, 0.3, 5.0]],
    [[1 / 3, 2 / 3, 0], [-2 / 7, 1.381, 0.5], [0.1, 0.2, 0.7]],
    ["Al", "N", "Al"],
)


@pytest.mark.parametrize("file_format", NAMES)
@pytest.mark.parametrize("packed", [False, True])
def test_round_trips_keep_every_digit(
    file_format: str,
    packed: bool,
    writers: dict[str, Writer],
    tmp_path: Path,
    triclinic: Crystal,
) -> None:
    """Order, cell and coordinates to 1e-15; for CIF up to a rotation."""
    text = writers[file_format](triclinic)
    path = tmp_path / (NAMES[file_format] + (".gz" if packed else ""))
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    found = read_single(path)
    assert found.source == str(path)
    assert found.warnings == ()
    crystal = found.crystal
    assert crystal.symbols == triclinic.symbols
    np.testing.assert_allclose(crystal.frac, triclinic.frac, rtol=0, atol=1e-15)
    metric = crystal.cell @ crystal.cell.T
    np.testing.assert_allclose(metric, triclinic.cell @ triclinic.cell.T, atol=1e-13)
    if file_format != "cif":
        assert np.array_equal(crystal.cell, triclinic.cell)


@pytest.mark.parametrize("file_format", NAMES)
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: gzip.compress(text.encode()),
    ],
    ids=["plain", "CRLF", "CR", "BOM", "UTF-16", "gzip"],
)
def test_content_tells_the_format_in_any_encoding(
    file_format: str,
    change: Callable[[str], bytes],
    writers: dict[str, Writer],
    tmp_path: Path,
) -> None:
    """A name that says nothing, as that of a pipe."""
    path = tmp_path / "structure"
    path.write_bytes(change(writers[file_format](SMALL)))
    assert read_crystal(path).symbols == SMALL.symbols
    with path.open("rb") as stream:
        assert read_crystal(stream).symbols == SMALL.symbols


def test_accents_of_old_files_do_no_harm(
    writers: dict[str, Writer], tmp_path: Path
) -> None:
    """Latin-1 in a comment is common; in a symbol it is refused."""
    path = tmp_path / "POSCAR"
    text = writers["poscar"](SMALL)
    path.write_bytes(text.replace("a comment", "Bragg, Brønsted").encode("latin-1"))
    assert read_crystal(path).symbols == SMALL.symbols
    path.write_bytes(text.replace("Al N", "Ål N").encode("latin-1"))
    with pytest.raises(CrystalTensorError, match="is not a chemical element"):
        read_crystal(path)


@pytest.mark.parametrize(
    "name",
    [
        "POSCAR",
        "POSCAR_relaxed",
        "CONTCAR.gz",
        "x.POSCAR",
        "x_CONTCAR",
        "x.vasp",
        "poscar.5",
        "x.poscar",
    ],
)
def test_names_of_vasp(name: str, writers: dict[str, Writer], tmp_path: Path) -> None:
    """The content is a CIF, so that only the name can say POSCAR."""
    path = tmp_path / name
    path.write_text(writers["cif"](SMALL))
    with pytest.raises(FormatError, match=r"read as poscar; it looks like cif"):
        read_crystal(path)
    assert read_crystal(path, file_format="cif").symbols == SMALL.symbols


def test_streams_and_standard_input(
    writers: dict[str, Writer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text or bytes, with or without a name."""
    text = writers["poscar"](SMALL)
    assert read_crystal(io.StringIO(text)).symbols == SMALL.symbols
    found = read_single(io.BytesIO(text.encode()))
    assert found.source == "<stream>"
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert read_single("-").source == "-"
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(FormatError, match=r"^standard input: is empty"):
        read_single("-")


def test_several_structures_have_an_index(
    writers: dict[str, Writer], tmp_path: Path
) -> None:
    """``#index`` counts from 0, in sources and in messages."""
    good = writers["extxyz"](SMALL)
    path = tmp_path / "many.extxyz"
    path.write_text(good + good.replace("N", "Q") + good)
    failed: list[tuple[str, str]] = []
    found = list(
        read_crystals(
            path, on_error=lambda name, error: failed.append((name, str(error)))
        )
    )
    assert [one.source for one in found] == [f"{path}#0", f"{path}#2"]
    reason = "'Q' is not a chemical element"
    assert failed == [(f"{path}#1", f"{path}#1: {reason}")]
    with pytest.raises(CrystalTensorError, match=f"#1: {reason}"):
        list(read_crystals(path))
    with pytest.raises(FormatError, match=r"holds 3 structures .*many\.extxyz#1'$"):
        read_crystal(path)
    assert read_single(f"{path}#2").source == f"{path}#2"
    with pytest.raises(CrystalTensorError, match=reason):
        read_crystal(f"{path}#1")
    with pytest.raises(FormatError, match="there is no structure #3"):
        read_crystal(f"{path}#3")
    with path.open("a") as stream:
        stream.write("3\ncut short")
    with pytest.raises(FormatError, match="cut short, or the count"):
        read_crystal(f"{path}#9")
    named = tmp_path / "odd.extxyz#2"
    named.write_text(good)
    assert read_single(str(named), file_format="extxyz").source == str(named)


def test_all_formats_of_the_library_agree(
    writers: dict[str, Writer], examples: Path
) -> None:
    """The example of wurtzite, read as each format, is one crystal."""
    given = read_crystal(examples / "POSCAR.AlN")
    for file_format, writer in writers.items():
        found = read_crystal(io.StringIO(writer(given)), file_format=file_format)
        assert found.symbols == given.symbols
        np.testing.assert_allclose(found.frac, given.frac, rtol=0, atol=1e-15)
        # This cell has c along z and a along x, as pymatgen turns a CIF.
        np.testing.assert_allclose(found.cell, given.cell, rtol=0, atol=2e-6)


def test_examples_are_read_without_warnings(examples: Path) -> None:
    """What the documentation shows must not look odd."""
    expected = {
        "POSCAR.AlN": ["AlN"],
        "quartz.cif": ["SiO2"],
        "zincblende.extxyz": ["GaAs", "AlAs", "ZnS", "CdTe"],
    }
    for name, formulas in expected.items():
        found = list(read_crystals(examples / name))
        assert [one.crystal.formula for one in found] == formulas
        assert not any(one.warnings for one in found)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\x89PNG\r\n\0\0", "is a binary file"),
        (b"\x80\x04\x95pickle\0", "is a pickle, which is never opened"),
        (b"hello\nworld\n", "neither name nor content tells the format"),
        (gzip.compress(b"x" * 999)[:20], "gzip file is damaged or cut short"),
        (b"\x1f\x8bnot gzip", "cannot be read: Unknown compression|damaged"),
        (gzip.compress(b""), "is empty"),
    ],
)
def test_files_that_are_no_structures(
    content: bytes, message: str, tmp_path: Path
) -> None:
    """Each error is one line that starts with the path."""
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message) as caught:
        read_crystal(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, a folder, forbidden, impossible."""
    for path, message in (
        (tmp_path / "missing.cif", "there is no such file"),
        (tmp_path, "is a folder; name a file in it"),
        ("a\0b", "there is no such file"),
        ("x" * 5000, "cannot be read: File name too long"),
    ):
        with pytest.raises(FormatError, match=message):
            read_crystal(path)
    with pytest.raises(FormatError, match=r"unknown format 'traj'; known are cif, "):
        read_crystal(Path(__file__), file_format="traj")


def test_a_forbidden_file_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated, because nothing is forbidden to the superuser."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(FormatError, match="check its permissions"):
        read_crystal(__file__)


def test_no_format_that_runs_or_unpickles_can_be_reached() -> None:
    """ASE has such formats; the list here is all that may be asked for."""
    assert not {"traj", "py", "db", "json-db", "bundletrajectory", "gpw"} & {*FORMATS}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("POSCAR", b"x\n1\n1 0 0\n0 1 0\n0 0 1\nH\n999999999\nDirect\n0 0 0\n"),
        ("POSCAR", b"1 1 1\n" * 2_000_000),
        ("x.xyz", b"100000\n" + b"a b c d\n" * 1_000_000),
        ("x.xyz", b"7" * 10_000_000),
        ("x.cif", b"data_\n" + b"' " * 5_000_000),
        ("x.cif", b"data_\n_a " + b"'x" * 5_000_000),
        ("x.cif", b"data_\n;" + b"\n" * 10_000_000),
        ("x.json", b"[" * 10_000_000),
        ("x.json", b'{"a":' * 2_000_000),
        ("x.json", b"9" * 10_000_000),
        ("x", os.urandom(1000).replace(b"\0", b"") * 10_000),
        ("POSCAR.gz", gzip.compress(b" " * 300_000_000, 1)),
    ],
    ids=range(12),
)
def test_hostile_files_end_soon(name: str, content: bytes, tmp_path: Path) -> None:
    """Ten million bytes of nothing, or three hundred once unpacked."""
    path = tmp_path / name
    path.write_bytes(content)
    start = time.process_time()
    with pytest.raises(CrystalTensorError) as caught:
        list(read_crystals(path))
    assert time.process_time() - start < 10
    assert len(str(caught.value)) < 400 + len(str(path))


def test_a_large_supercell_is_read_in_time(writers: dict[str, Writer]) -> None:
    """5,000 atoms, as text, in each format."""
    axis = np.arange(18) / 18
    frac = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)[:5000]
    crystal = Crystal(50 * np.eye(3), frac, np.full(5000, 14))
    for file_format, writer in writers.items():
        text = writer(crystal)
        start = time.perf_counter()
        assert read_crystal(io.StringIO(text), file_format=file_format).n_atoms == 5000
        assert time.perf_counter() - start < 2


def test_reading_imports_neither_pymatgen_nor_ase(examples: Path) -> None:
    """They take one second; a prediction should not wait for them."""
    code = (
        "import sys; from crystaltensor.crystals.io import read_crystal;"
        f"[read_crystal({str(examples)!r} + name) for name in ('/POSCAR.AlN', "
        "'/quartz.cif', '/zincblende.extxyz#1')];"
        "loaded = {'pymatgen.core', 'ase', 'scipy', 'torch'} & set(sys.modules);"
        "sys.exit(', '.join(loaded) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


WORDS = r"""- . 0 9999999999 nan 1e400 x ' " é ; _ loop_ data_ [ { } , # 1/0 D T Al \
_atom_site_label 2 ( null -1 1_0 2d0"""
PIECES = st.sampled_from([*WORDS.split(), "", " ", "\n", "\0", "\t", "\r", "\x85"])


def outcome(text: str, file_format: str | None) -> str:
    """Read a text; return the message of our error, if it is one."""
    try:
        found = list(read_crystals(io.StringIO(text), file_format=file_format))
    except CrystalTensorError as error:
        return str(error)
    assert all(one.crystal.n_atoms > 0 for one in found)
    return ""


@settings(
    max_examples=250,
    deadline=5000,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    edits=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 8), PIECES), min_size=1, max_size=6
    )
)
@pytest.mark.parametrize("file_format", [*NAMES, "symmetric cif", "pymatgen"])
def test_damaged_files_raise_our_errors_only(
    file_format: str,
    edits: list[tuple[float, int, str]],
    writers: dict[str, Writer],
    examples: Path,
) -> None:
    """Cut and paste at random: a crystal, or a CrystalTensorError of one line."""
    if file_format == "symmetric cif":
        text, file_format = (examples / "quartz.cif").read_text(), "cif"
    elif file_format == "pymatgen":
        text, file_format = json.dumps(to_pymatgen(SMALL).as_dict()), "json"
    else:
        text = writers[file_format](SMALL)
    for place, length, piece in edits:
        at = int(place * len(text))
        text = text[:at] + piece + text[at + length :]
    for forced in (file_format, None):
        message = outcome(text, forced)
        assert "\n" not in message
        assert len(message) < 500
