"""Files made to harm, one by one: refused in one line that names the file and the reason."""

import gzip
import json
import os
import resource
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crystaltensor.cli.main import main
from crystaltensor.crystals.io import read_crystals, read_single
from crystaltensor.crystals.tensor_files import read_tensor
from crystaltensor.data.archives import read_arrays
from crystaltensor.data.tables import read_table
from crystaltensor.errors import CrystalTensorError, DataError, FormatError
from crystaltensor.properties import PIEZO
from crystaltensor.text import json_line, one_line
from tests.fuzz.readers import EXAMPLES, ROOT, by_name

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\nError: not this line"
POSCAR = (EXAMPLES / "POSCAR.AlN").read_text()


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run the command line in this process: exit code, output, errors."""
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in arguments])
    captured = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    assert "a fault of crystaltensor" not in captured.err
    assert "Traceback" not in captured.err
    return ended.value.code, captured.out, captured.err


def refused(
    capsys: pytest.CaptureFixture[str],
    *arguments: object,
    codes: tuple[int, ...] = (1,),
) -> str:
    """Run what must be refused; return the one line that says why."""
    code, out, err = run(capsys, *arguments)
    assert code in codes
    assert out == ""
    assert err.count("\n") == 1, err
    assert err[:-1].isprintable()
    assert err.startswith("Error: ")
    return err


COUNTS = {
    "POSCAR": POSCAR.replace("2 2", "1 10000000000"),
    "POSCAR_9": POSCAR.replace("2 2", "999999999 999999999"),
    "x.xyz": "10000000000\nLattice=\n",
    "y.xyz": "99999999\nLattice=\n",
    "x.gen": "10000000000 F\nAl N\n",
    "x.cif": "data_x\nloop_\n_atom_site_label\n" + "Al1 " * 1_100_000,
    "x.json": '{"lattice": [[1,0,0],[0,1,0],[0,0,1]], "frac_coords": [], "species": ['
    + '"Al",' * 100_001
    + '"Al"]}',
}
"""Files that claim, or have, far more atoms than can be treated."""


@pytest.mark.parametrize("name", COUNTS)
def test_a_header_that_asks_for_billions_of_atoms_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is set aside for them."""
    path = tmp_path / name
    path.write_text(COUNTS[name])
    message = refused(capsys, "symmetrize", path, "--property", "piezo")
    assert f"{path}: " in message


def _bomb(block: bytes, n_blocks: int) -> bytes:
    """Pack a file of gigabytes without ever having it: gzip members add up."""
    return gzip.compress(block) * n_blocks


_BLOCKS = {
    "zeros": b"\0" * (1 << 24),
    "blanks": b" " * (1 << 24),
    "lists": b"[" + b"[]," * (5 << 20),
}
_BOMBS = """
import json, resource, sys
from pathlib import Path
from crystaltensor.errors import CrystalTensorError
from tests.fuzz.readers import by_name
readers = by_name()
for path in sys.argv[1:]:
    for name in sys.stdin.readline().split(","):
        reader = readers[name.strip()]
        try:
            reader.read(Path(path))
            print("read", path)
        except CrystalTensorError as error:
            print(type(error).__name__, str(error)[:200])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("block", _BLOCKS)
def test_a_gzip_bomb_takes_neither_memory_nor_time(block: str, tmp_path: Path) -> None:
    """Four GiB once unpacked, for every reader that unpacks, in 2 GiB."""
    bomb = _bomb(_BLOCKS[block], 256)
    assert len(bomb) < 1 << 25
    readers = {
        "x.cif.gz": "CIF",
        "POSCAR.gz": "POSCAR",
        "x.xyz.gz": "extxyz",
        "x.json.gz": "JSON,tensor: JSON,table: JSON",
        "x.jsonl.gz": "table: JSONL,lines to project,long JSON lines",
        "x.csv.gz": "table: CSV,tensor: text",
        "OUTCAR.gz": "OUTCAR",
        "x.gz": "no name",
    }
    for name in readers:
        (tmp_path / name).write_bytes(bomb)
    done = subprocess.run(
        [sys.executable, "-c", _BOMBS, *(str(tmp_path / name) for name in readers)],
        input="".join(f"{line}\n" for line in readers.values()),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1000:]
    *verdicts, memory = done.stdout.splitlines()
    assert all(each.partition(" ")[0].endswith("Error") for each in verdicts), verdicts
    assert int(memory) < 2 << 20  # KiB


def test_an_outcar_without_an_end_is_read_in_little_memory(tmp_path: Path) -> None:
    """It is read line by line; a line without an end in pieces."""
    path = tmp_path / "OUTCAR"
    path.write_bytes(b" " * (1 << 28))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FormatError, match="holds no piezo tensor"):
        read_tensor(path, property_name="piezo")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200 << 10  # KiB, of 256 MiB


DEEP = {
    "x.json": "[" * 100_000,
    "x.jsonl": '{"a":' * 100_000,
    "y.json": '{"structure":' * 50_000 + "{}" + "}" * 50_000,
}


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("command", ["structure", "tensor", "batch", "table"])
def test_deep_json_is_refused(
    name: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever it is given for."""
    path = tmp_path / name
    path.write_text(DEEP[name])
    poscar = EXAMPLES / "POSCAR.AlN"
    if command == "table":
        with pytest.raises(DataError, match=path.name):
            read_table(path, PIEZO)
    elif command == "batch":
        code, out, _ = run(capsys, "symmetrize", path, "--batch", "--property", "piezo")
        assert code == 1
        assert json.loads(out)["status"] == "error"
    else:
        files = [path] if command == "structure" else [poscar, path]
        message = refused(capsys, "symmetrize", *files, "--property", "piezo")
        assert str(path) in message


LAUGHS = (
    '<?xml version="1.0"?>\n<!DOCTYPE lolz [<!ENTITY a0 "lol">'
    + "".join(f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(12))
    + "]>\n<modeling><incar>&a12;</incar></modeling>\n"
)
OUTSIDE = (
    '<?xml version="1.0"?>\n<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>\n'
    "<modeling>&a;</modeling>\n"
)


@pytest.mark.parametrize("text", [LAUGHS, OUTSIDE], ids=["laughs", "outside"])
def test_entities_in_xml_are_refused(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A thousand millions of laughs, and a file from elsewhere."""
    path = tmp_path / "vasprun.xml"
    path.write_text(text)
    message = refused(capsys, "symmetrize", path, "--property", "piezo")
    assert "defines entities of XML" in message
    message = refused(
        capsys, "symmetrize", EXAMPLES / "POSCAR.AlN", path, "--property", "dielectric"
    )
    assert f"{path}: holds no dielectric tensor" in message
    assert "root:" not in message


ODD = "1e400 -1e400 nan inf ٣ １ ² 1_0 0x1 9" + "9" * 400 + " \x1b[31m1 1\u202e"


@pytest.mark.parametrize("odd", ODD.split(" "), ids=ascii)
@pytest.mark.parametrize("place", ["cell", "position", "scale"])
def test_odd_numbers_are_refused_with_their_line(
    odd: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Digits of other scripts are no numbers here; infinity is none anywhere."""
    lines = POSCAR.split("\n")
    row = {"cell": 2, "position": 8, "scale": 1}[place]
    lines[row] = " ".join([odd, *lines[row].split()[1:]])
    path = tmp_path / "POSCAR"
    path.write_text("\n".join(lines))
    message = refused(capsys, "symmetrize", path, "--property", "piezo")
    assert f"{path}: " in message


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"Al", b"A\0l"),
        lambda data: b"\xff\xfe" + data + b"x",
        lambda data: data.decode().encode("utf-32"),
        lambda data: data.decode().encode("utf-16")[:-1],
        lambda data: b"\xef\xbb\xbf" * 3 + data,
        lambda data: b"\x1f\x8b" + data,
    ],
    ids=["NUL", "wrong mark", "UTF-32", "odd UTF-16", "marks", "no gzip"],
)
def test_odd_encodings_are_read_or_refused(
    change: Callable[[bytes], bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two bytes too few, a mark that lies, a zero in the middle."""
    path = tmp_path / "POSCAR"
    path.write_bytes(change(POSCAR.encode()))
    code, _, err = run(capsys, "symmetrize", path, "--property", "piezo")
    assert code in {0, 1}
    assert err.rstrip("\n").isprintable()


def _hostile_names() -> list[str]:
    """Names of files that a terminal would obey."""
    bytes_ = os.fsdecode(b"caf\xe9\xff")
    return [
        "\x1b[31mred",
        "a\nError: b",
        "\x9b2J",
        "\u202etxt",
        "[red",
        "[bold]x",
        bytes_,
    ]


@pytest.mark.parametrize("name", _hostile_names(), ids=ascii)
@pytest.mark.parametrize("suffix", [".cif", ".vasp"], ids=["broken", "sound"])
def test_names_reach_the_terminal_as_text(
    name: str, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As they are if they print, as escapes if not; in messages, tables and JSON."""
    path = tmp_path / (name + suffix)
    path.write_text(POSCAR if suffix == ".vasp" else "no cif")
    for arguments in (
        ("symmetrize", path, "--property", "piezo"),
        ("symmetrize", path, "--property", "piezo", "--json"),
        ("featurize", path, EXAMPLES / "POSCAR.AlN"),
        ("featurize", path, "--json"),
        ("featurize", tmp_path, "--json", "--output", tmp_path / "out"),
    ):
        code, out, err = run(capsys, *arguments)
        assert code in ({0} if suffix == ".vasp" else {1, 3})
        for line in (out + err).split("\n"):
            assert line.isprintable(), line
    assert code or json.loads(out)


def test_names_survive_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is escaped for the terminal is the same name to a program."""
    for name in _hostile_names():
        path = tmp_path / f"{name}.vasp"
        path.write_text(POSCAR)
        _, out, _ = run(capsys, "featurize", path, "--json")
        assert json.loads(out)["source"] == str(path)


def test_contents_reach_the_terminal_as_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever a message may quote a file."""
    quoted = ESCAPES.replace("\n", " ")
    cell = "1 0 0\n0 1 0\n0 0 1"
    texts = {
        "POSCAR": f"{quoted}\n1\n{cell}\n{quoted}\n1\nDirect\n0 0 0\n",
        "POSCAR_2": f"x\n{quoted}\n{cell}\nH\n1\nDirect\n0 0 0\n",
        "x.cif": f"data_{quoted}\n_cell_length_a {quoted}\nloop_\n_atom_site_label\nX\n",
        "x.xyz": f'1\nLattice="{quoted}"\nH 0 0 0\n',
        "x.json": json.dumps(
            {"lattice": quoted, "species": [quoted], "frac_coords": 1}
        ),
        "y.json": json.dumps({quoted: quoted}),
        "vasprun.xml": f"<{quoted}>",
        "x.gen": quoted,
        "x": quoted,
    }
    for name, text in texts.items():
        path = tmp_path / name
        path.write_text(text)
        refused(capsys, "symmetrize", path, "--property", "piezo")
        poscar = EXAMPLES / "POSCAR.AlN"
        refused(capsys, "symmetrize", poscar, path, "--property", "piezo")
    for option in ("--point-group", "--property", "--index-symmetry", "--format"):
        run(capsys, "symmetrize", EXAMPLES / "POSCAR.AlN", option, ESCAPES)
        given = ("symmetrize", EXAMPLES / "POSCAR.AlN", option, ESCAPES)
        refused(capsys, *given, codes=(1, 2))
    refused(capsys, ESCAPES, codes=(2,))


def test_one_line_keeps_what_prints() -> None:
    """And only that."""
    for text in ("AlN, ε = 4 Å⁻³ — 水", "", "a\\x1b"):
        assert one_line(text) == text
    assert one_line("a\nb\tc") == "a b c"
    assert one_line("\x1b[31m\x9b\u202e\udcff\0") == "\\x1b[31m\\x9b\\u202e\\udcff\\x00"
    assert one_line(one_line(ESCAPES)) == one_line(ESCAPES)
    assert len(one_line("x" * 10**6)) <= 1000
    assert one_line("a" * 600 + "b" * 600).startswith("aaa")
    assert one_line("a" * 600 + "b" * 600).endswith("bbb")
    for text in (ESCAPES, "\U000e0001", "é", "\udcff", '"\\\n'):
        line = json_line({text: [text]})
        assert line.isprintable()
        assert json.loads(line) == {text: [text]}


def _special_files(folder: Path) -> dict[str, Path]:
    """Make what has a name but is no file."""
    paths = {
        "loop": folder / "loop.cif",
        "folder": folder / "POSCAR",
        "pipe": folder / "pipe.cif",
        "socket": folder / "s.cif",
        "dangling": folder / "dangling.cif",
        "through a file": folder / "file" / "x.cif",
    }
    (folder / "file").write_text("x")
    paths["loop"].symlink_to(paths["loop"])
    paths["dangling"].symlink_to(folder / "nothing")
    paths["folder"].mkdir()
    os.mkfifo(paths["pipe"])
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(paths["socket"]))
    for name in ("zero", "null", "full", "random"):
        paths[name] = Path("/dev") / name
    return paths


def test_what_is_no_file_is_refused_in_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loops, folders, pipes without a writer, sockets, devices that never end."""
    monkeypatch.setattr("crystaltensor.crystals.opening._PATIENCE", 0.3)
    poscar = EXAMPLES / "POSCAR.AlN"
    for kind, path in _special_files(tmp_path).items():
        for arguments in (
            ("symmetrize", path, "--property", "piezo"),
            ("symmetrize", poscar, path, "--property", "piezo"),
            ("symmetrize", path, "--property", "piezo", "--batch"),
            ("train", path, "--out", tmp_path / "run"),
            ("train", "--data", path, "--property", "piezo", "--out", tmp_path / "run"),
        ):
            message = refused(capsys, *arguments, codes=(1, 2))
            assert path.name in message, kind
        if kind != "folder":
            code, _, err = run(capsys, "featurize", path)
            assert code in {1, 2}
            assert err.count("\n") == 1
        with pytest.raises(CrystalTensorError):
            list(read_crystals(path))
    assert not (tmp_path / "run" / "checkpoint.npz").exists()


def test_a_pipe_with_a_writer_is_read(tmp_path: Path) -> None:
    """As those that a shell makes are, slow ones too."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program = (
        "import sys, time\npath, text = sys.argv[1:]\n"
        "with open(path, 'w') as stream:\n"
        "    for part in (text[:50], text[50:]):\n"
        "        time.sleep(0.2)\n        stream.write(part)\n        stream.flush()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(pipe), POSCAR]):
        found = read_single(pipe)
    assert found.crystal.formula == "AlN"


PICKLE = b"\x80\x04\x95\x15\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93."


def _torch_archive(path: Path) -> None:
    """Write a checkpoint as torch does: a zip with a pickle in it."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", PICKLE)
        archive.writestr("archive/version", b"3\n")


@pytest.mark.parametrize("name", ["x.pkl", "x.pt", "x.ckpt", "x.pth", "pytorch.bin"])
def test_pickles_are_refused_with_the_way_out(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As structures, tensors, data, models, and inside the folder of a model."""
    folder = tmp_path / "model"
    folder.mkdir()
    path = folder / name
    poscar = EXAMPLES / "POSCAR.AlN"
    for write in (lambda: path.write_bytes(PICKLE), lambda: _torch_archive(path)):
        write()
        for files in ([path], [poscar, path]):
            message = refused(capsys, "symmetrize", *files, "--property", "piezo")
            assert "as text" in message
        for model in (path, folder):
            asked = ("predict", poscar, "--property", "piezo", "--model", model)
            message = refused(capsys, *asked)
            assert f"{path}: pickles and torch checkpoints are refused" in message
            assert "safetensors" in message
    asked = ("train", "--data", path, "--property", "piezo", "--out", tmp_path / "run")
    message = refused(capsys, *asked)
    assert name in message
    assert "refused" in message or "data sets are .jsonl" in message


def test_archives_are_neither_unpickled_nor_unpacked(tmp_path: Path) -> None:
    """Checkpoints and prepared data are ours only if they are plain arrays."""
    path = tmp_path / "x.npz"
    np.savez(path, a=np.array([{"b": 1}], dtype=object))
    with pytest.raises(DataError, match=r"x\.npz: not an archive .*allow_pickle=False"):
        read_arrays(path)
    np.savez_compressed(path, a=np.zeros(1 << 20))
    assert path.stat().st_size < 1 << 14
    with pytest.raises(DataError, match="compressed data"):
        read_arrays(path)
    _torch_archive(path)
    with pytest.raises(DataError, match="torch checkpoint"):
        read_arrays(path)
    path.write_bytes(PICKLE)
    with pytest.raises(DataError, match="not an archive"):
        read_arrays(path)
    np.savez(path, a=np.arange(3))
    np.testing.assert_array_equal(read_arrays(path)["a"], np.arange(3))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Write a small model, sound as it is."""
    folder = tmp_path / "model"
    folder.mkdir()
    readers = by_name()
    for name in ("config.toml", "record.json", "weights.safetensors"):
        (folder / name).write_bytes(readers[f"model: {name}"].samples()[0])
    return folder


def _predict(model: Path) -> tuple[object, ...]:
    """Ask for a prediction of a model."""
    poscar = EXAMPLES / "POSCAR.AlN"
    return ("predict", poscar, "--property", "piezo", "--model", model, "--json")


def test_the_small_model_is_sound(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise what follows would prove nothing."""
    code, out, _ = run(capsys, *_predict(model))
    assert code == 0
    assert np.isfinite(json.loads(out)["tensor"]).all()


def _header(weights: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """Change the header of a safetensors file; its length stays true."""
    length = int.from_bytes(weights[:8], "little")
    header = json.loads(weights[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + weights[8 + length :]


def _lie(field: str, value: object) -> Callable[[bytes], bytes]:
    """Say something else of the first array."""

    def change(header: dict[str, Any]) -> None:
        name = min(key for key in header if key != "__metadata__")
        header[name][field] = value

    return lambda weights: _header(weights, change)


LIES: dict[str, Callable[[bytes], bytes]] = {
    "a length beyond the file": lambda w: b"\xff" * 8 + w[8:],
    "a length of 100 MB": lambda w: (10**8).to_bytes(8, "little") + w[8:],
    "a shape of billions": _lie("shape", [10**10, 10**10]),
    "a negative shape": _lie("shape", [-1]),
    "another shape": _lie("shape", [1]),
    "offsets beyond the file": _lie("data_offsets", [0, 10**15]),
    "offsets backwards": _lie("data_offsets", [100, 0]),
    "another kind": _lie("dtype", "F64"),
    "no kind": _lie("dtype", "PICKLE"),
    "no header": lambda _: (2).to_bytes(8, "little") + b"{}",
    "nothing": lambda _: b"",
    "one array less": lambda w: _header(w, lambda h: h.pop(min(h))),
    "cut short": lambda w: w[:-4],
    "a pickle": lambda _: PICKLE,
    "JSON": lambda _: b'{"0.embedding.weight": [[1.0]]}',
}


@pytest.mark.parametrize("lie", LIES)
def test_weights_that_lie_are_refused(
    lie: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the file, and the settings that it does not fit."""
    path = model / "weights.safetensors"
    path.write_bytes(LIES[lie](path.read_bytes()))
    message = refused(capsys, *_predict(model))
    assert f"{path}: these are not the weights of config.toml" in message


SETTINGS = {
    "channels = 4": (
        "channels = 8",
        "channels = 100000000000",
        "channels = '4'",
        "channels = [4]",
        "channels = -1",
        "channels = 1.5",
        "channels = inf",
        "channels = 1024",
    ),
    "n_layers = 1": ("n_layers = 1000000", "n_layers = 2", "n_layers = true"),
    "members = 2": ("members = 1000000000", "members = 1", "members = 0"),
    'property = "piezo"': (
        'property = "elastic"',
        'property = "\\u001b[31m"',
        "property = 1",
        "property = 1979-05-27",
        "",
    ),
    "[network]": ("network = 3", "[[network]]", "[other]", "[network.network]"),
    'data = ["mp_piezo"]': (
        "data = 'mp_piezo'",
        "data = [1]",
        "data = []",
        "data = {}",
    ),
}


@pytest.mark.parametrize(
    ("old", "new"), [(old, new) for old, many in SETTINGS.items() for new in many]
)
def test_settings_of_another_kind_are_refused(
    old: str, new: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By `predict`, whose weights they must fit, and by `train`, if they are wrong."""
    path = model / "config.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    message = refused(capsys, *_predict(model))
    assert str(model) in message or "[network]" in message
    if "channels = 8" not in new and new not in {"channels = 1024", "n_layers = 2"}:
        asked = ("train", path, "--out", tmp_path / "run", "--data", tmp_path / "no")
        refused(capsys, *asked, codes=(1, 2))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b'{"name": 1}',
        b"\xff",
        b"{" * 10**5,
        PICKLE,
        b"9" * 10**5,
        b'{"elements": "x", "metrics": [1], "members": {}, "name": {}, "version": 1}',
        b'{"elements": [1e400], "metrics": {}, "members": [], "name": "", "version": ""}',
    ],
    ids=range(10),
)
def test_records_of_another_kind_are_refused(
    content: bytes, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the folder."""
    (model / "record.json").write_bytes(content)
    message = refused(capsys, *_predict(model))
    assert f"{model}: not a complete model" in message


def test_json_is_no_checkpoint(
    model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Weights written as JSON are not read, and a folder of them is none."""
    path = tmp_path / "model.json"
    path.write_text('{"weights": [1.0]}')
    asked = ("predict", EXAMPLES / "POSCAR.AlN", "--property", "piezo", "--model", path)
    message = refused(capsys, *asked, codes=(1, 2))
    assert str(path) in message
    (model / "weights.safetensors").rename(model / "weights.json")
    message = refused(capsys, *_predict(model))
    assert "weights.safetensors is missing" in message
