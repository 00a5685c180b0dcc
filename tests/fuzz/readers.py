"""Every reader of the package, and the sound files that its damage starts from."""

import gzip
import io
import json
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from crystaltensor.errors import CrystalTensorError

ROOT = Path(__file__).parents[2]
SAMPLES = Path(__file__).with_name("samples")
EXAMPLES = ROOT / "docs" / "examples"


@dataclass(frozen=True)
class Reader:
    """One way into the package.

    Parameters
    ----------
    name : str
        In the table.
    file : str
        Name of the damaged file, which may say the format.
    kind : str
        As for `tests.fuzz.mutation.mutate`.
    samples : callable
        Gives sound files.
    read : callable
        Takes the path; returns anything, or raises a CrystalTensorError.
    beside : callable, optional
        Gives names and contents of sound files that lie beside the damaged one.
    share : float
        Of the inputs, relative to the other readers.
    """

    name: str
    file: str
    kind: str
    samples: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    beside: Callable[[], dict[str, bytes]] = field(default=dict)
    share: float = 1.0


def read_structures(path: Path) -> None:
    """Read all structures as scripts do, and the one as commands do."""
    from crystaltensor.crystals.io import read_crystals, read_single

    failures: list[CrystalTensorError] = []
    found = list(read_crystals(path, on_error=lambda _, error: failures.append(error)))
    for one in found:
        if not np.isfinite(one.crystal.positions).all() or one.crystal.volume <= 0:
            raise AssertionError(f"a crystal that is none: {one.crystal.cell}")
        one.crystal.formula.encode("ascii")
    if len(found) != 1 or failures:
        read_single(path)


def read_pieces(path: Path) -> None:
    """Cut a long file into records, and read those."""
    from crystaltensor.crystals.io import read_records
    from crystaltensor.crystals.splitting import open_records

    cut = open_records(str(path), None)
    if cut is None:
        read_structures(path)
        return
    failures: list[CrystalTensorError] = []
    for record in cut:
        list(
            read_records(
                [record],
                str(path),
                file_format=cut.file_format,
                first=0,
                on_error=lambda _, error: failures.append(error),
            )
        )
    if failures:
        raise failures[0]


def read_lines(path: Path) -> None:
    """Project the tensor of each line, as ``symmetrize --batch`` does."""
    from crystaltensor.errors import DataError
    from crystaltensor.workflows.symmetrize_many import of_many_crystals
    from crystaltensor.workflows.targets import Options, choose_target

    target = choose_target("piezo")
    bad = None
    for one in of_many_crystals(str(path), target, options=Options()):
        json.dumps(one)
        bad = one if one["status"] == "error" else bad
    if bad is not None:
        raise DataError(f"{path}: {bad['error']['message']}")


def read_tensor_of(name: str) -> Callable[[Path], object]:
    """Read a tensor of a property."""

    def read(path: Path) -> object:
        from crystaltensor.crystals.tensor_files import read_tensor
        from crystaltensor.properties import tensor_property

        row = tensor_property(name)
        keys = (row.label, *row.aliases)
        return read_tensor(path, property_name=name, keys=keys)

    return read


def read_any_tensor(path: Path) -> None:
    """Read each tensor that a calculation may hold; refuse if there is none."""
    problems = []
    for name in ("piezo", "elastic", "dielectric", "dielectric-total", "born-charges"):
        try:
            read_tensor_of(name)(path)
        except CrystalTensorError as error:
            problems.append(error)
    if len(problems) == 5:
        raise problems[0]


def read_table(path: Path) -> object:
    """Read a data set."""
    from crystaltensor.data.rows import Reading
    from crystaltensor.data.tables import read_table as read
    from crystaltensor.data.tables import structure_files
    from crystaltensor.properties import PIEZO

    structure_files(path, Reading())
    return read(path, PIEZO)


def read_settings(path: Path) -> object:
    """Read a configuration, down to the shape of its network."""
    from crystaltensor.nn.presets import neighbourhood, network_config
    from crystaltensor.properties import find_property
    from crystaltensor.training.config import read_config, to_toml

    config = read_config(path)
    shape = network_config(config.network, find_property(config.property))
    to_toml(config)
    return neighbourhood(shape)


def read_model(path: Path) -> object:
    """Load a model whose folder holds a damaged file."""
    from crystaltensor.inference.predictor import load

    return load(path.parent, device="cpu")


def read_prepared(path: Path) -> object:
    """Read prepared data."""
    from crystaltensor.data.prepared import load_prepared

    return load_prepared(path)


def read_checkpoint(path: Path) -> object:
    """Read the state of a run."""
    import torch

    from crystaltensor.training.checkpoints import load_checkpoint

    network = torch.nn.Linear(3, 2)
    return load_checkpoint(path, torch.optim.AdamW(network.parameters()))


def read_store(path: Path) -> None:
    """Read a store of lattice sums."""
    from crystaltensor.workflows.feature_store import FeatureStore

    store = FeatureStore(path.parent if path.suffix == ".json" else path.parents[1])
    for record in store.records():
        record.get("source")
    for one in store.crystals():
        one.matrices.sum()


def _files(*names: str) -> Callable[[], list[bytes]]:
    """Give files of the samples or the examples."""

    def read() -> list[bytes]:
        places = [SAMPLES / name for name in names]
        places += [EXAMPLES / name for name in names]
        return [path.read_bytes() for path in places if path.is_file()]

    return read


def _example_crystals() -> list[Any]:
    """Read the example files."""
    from crystaltensor.crystals.io import read_crystals

    names = ("POSCAR.AlN", "quartz.cif", "zincblende.extxyz")
    return [one.crystal for name in names for one in read_crystals(EXAMPLES / name)]


def _poscars() -> list[bytes]:
    """Write POSCARs: of VASP 5, VASP 4, Cartesian, with selective dynamics."""
    from crystaltensor.crystals.writing import poscar_text

    first = (EXAMPLES / "POSCAR.AlN").read_text()
    lines = first.rstrip().split("\n")
    selective = [*lines[:7], "Selective dynamics", lines[7]]
    selective += [f"{' '.join(line.split()[:3])} T T F" for line in lines[8:]]
    older = ["Al N", *lines[1:5], *lines[6:]]
    crystals = _example_crystals()[1:3]
    texts = [first, "\n".join(selective), "\n".join(older)]
    texts += ["\n".join([*lines[:7], "Cartesian", *lines[8:]])]
    texts += [poscar_text(crystal) for crystal in crystals]
    return [text.encode() for text in texts]


def _cifs() -> list[bytes]:
    """Give the CIF of the examples, and what pymatgen and ASE write."""
    from ase.io import write

    from crystaltensor.crystals.conversion import to_ase, to_pymatgen

    texts = _files("quartz.cif")()
    for crystal in _example_crystals()[:2]:
        target = io.BytesIO()
        write(target, to_ase(crystal), format="cif")
        texts.append(target.getvalue())
        texts.append(to_pymatgen(crystal).to(fmt="cif").encode())
    return [*texts, texts[1] + texts[-1]]


def _json_structures() -> list[bytes]:
    """Write pymatgen's, JARVIS's and the package's own form."""
    from crystaltensor.crystals.conversion import to_pymatgen

    values: list[Any] = []
    for crystal in _example_crystals()[:2]:
        values.append(to_pymatgen(crystal).as_dict())
        values.append(_plain(crystal))
        values.append(
            {
                "lattice_mat": crystal.cell.tolist(),
                "coords": crystal.positions.tolist(),
                "elements": crystal.symbols,
                "cartesian": True,
            }
        )
    values.append([_plain(crystal) for crystal in _example_crystals()[2:]])
    return [json.dumps(value).encode() for value in values]


def _plain(crystal: Any) -> dict[str, Any]:
    """Write the form of the package's own data sets."""
    return {
        "lattice": crystal.cell.tolist(),
        "species": crystal.symbols,
        "frac_coords": crystal.frac.tolist(),
    }


@cache
def _rows() -> list[dict[str, Any]]:
    """Take small rows of the bundled data set."""
    from crystaltensor.data.tables import TABLES

    with gzip.open(TABLES / "mp_piezo.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    return [row for row in rows if row["nsites"] < 7][:60:10]


def _row_lines() -> list[bytes]:
    """Write rows as JSON lines."""
    lines = [json.dumps(row).encode() for row in _rows()]
    return [b"\n".join(lines), b"\n".join(lines[:2]), lines[0]]


def _frames() -> list[bytes]:
    """Write rows as data frames: records and split."""
    rows = _rows()[:3]
    flat = [
        {"id": r["id"], "structure": r["structure"], "piezo_e": r["tensors"]["piezo_e"]}
        for r in rows
    ]
    split = {
        "index": [0, 1, 2],
        "columns": list(flat[0]),
        "data": [list(row.values()) for row in flat],
    }
    return [json.dumps(flat).encode(), json.dumps(split).encode()]


def _csvs() -> list[bytes]:
    """Write tables: with a header, without, and with structures in cells."""
    names = [f"e{i}{j}" for i in (1, 2, 3) for j in range(1, 7)]
    numbers = [f"{value / 7:.4f}" for value in range(18)]
    header = ",".join(["name", *names, "split"])
    row = ",".join(["POSCAR.AlN", *numbers])
    poscar = (EXAMPLES / "POSCAR.AlN").read_text()
    tensor = json.dumps(_rows()[0]["tensors"]["piezo_e"])
    cell = f'id,poscar,piezo_e\nx,"{poscar}","{tensor}"\n'
    return [
        f"{header}\n{row},train\n{row},test\n".encode(),
        f"{row}\n{row}\n".encode(),
        cell.encode(),
    ]


def _beside_csv() -> dict[str, bytes]:
    """Give the structure that tables refer to."""
    return {"POSCAR.AlN": (EXAMPLES / "POSCAR.AlN").read_bytes()}


def _configs() -> list[bytes]:
    """Take the configurations of the models, and a few of each setting."""
    found = [path.read_bytes() for path in sorted((ROOT / "models").glob("*/*.toml"))]
    from crystaltensor.training.config import make_config, to_toml

    given = {"property": "piezo", "data": ["mp_piezo"], "drop": ["unstable"]}
    return [*found, to_toml(make_config(given, source="here")).encode()]


_SMALL_MODEL = """\
property = "piezo"
data = ["mp_piezo"]
members = 2

[network]
channels = 4
n_layers = 1
n_radial = 2
n_pooled = 2
"""


@cache
def _model() -> dict[str, bytes]:
    """Make a small model without training."""
    from safetensors.torch import save

    from crystaltensor.data.features import element_features
    from crystaltensor.nn.ensemble import Ensemble
    from crystaltensor.nn.presets import build_network, network_config
    from crystaltensor.properties import PIEZO

    settings = {"channels": 4, "n_layers": 1, "n_radial": 2, "n_pooled": 2}
    shape = network_config(settings, PIEZO)
    elements = element_features()
    network = Ensemble(2, lambda: build_network(shape, elements))
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    record = {
        "version": "0.1.0",
        "name": "small",
        "elements": [1, 7, 13],
        "metrics": {"val": {"n": 3, "fnorm": 1.0}},
        "members": [{"seed": 0, "metrics": {}}, {"seed": 1, "metrics": {}}],
    }
    return {
        "config.toml": _SMALL_MODEL.encode(),
        "record.json": json.dumps(record).encode(),
        "weights.safetensors": save(state),
    }


def _of_model(name: str) -> Reader:
    """Damage one file of a model."""
    kind = {"toml": "toml", "json": "json", "safetensors": "safetensors"}
    return Reader(
        f"model: {name}",
        name,
        kind[name.rpartition(".")[2]],
        lambda: [_model()[name]],
        read_model,
        beside=lambda: {k: v for k, v in _model().items() if k != name},
        share=0.5,
    )


def _prepared_archive() -> list[bytes]:
    """Prepare two rows."""
    import tempfile

    from crystaltensor.data.prepared import prepare, save_prepared
    from crystaltensor.data.rows import Reading, labelled_from_record
    from crystaltensor.nn.batch import Neighbourhood
    from crystaltensor.properties import PIEZO

    rows = [
        labelled_from_record(row, PIEZO, Reading(), name=str(i))
        for i, row in enumerate(_rows()[:2])
    ]
    data, _ = prepare(
        rows,  # type: ignore[arg-type]
        PIEZO,
        around=Neighbourhood(3.0),
        symprec=(0.1,),
        max_residual=1.0,
        key="x",
    )
    with tempfile.TemporaryDirectory() as folder:
        save_prepared(data, Path(folder) / "prepared.npz")
        return [(Path(folder) / "prepared.npz").read_bytes()]


def _checkpoint_archive() -> list[bytes]:
    """Save the state of a small run."""
    import tempfile

    import torch

    from crystaltensor.training.checkpoints import save_checkpoint

    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.npz"
        save_checkpoint(
            path, {"network": network.state_dict()}, optimizer, {"epoch": 1}
        )
        return [path.read_bytes()]


@cache
def _store() -> dict[str, bytes]:
    """Fill a store of lattice sums."""
    import tempfile

    from crystaltensor.workflows.featurize_many import featurize_into

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "store"
        list(featurize_into(folder, [str(EXAMPLES / "zincblende.extxyz")]))
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }


def _of_store(name: str, kind: str) -> Reader:
    """Damage one file of a store."""
    return Reader(
        f"store: {name.rpartition('/')[2]}",
        name,
        kind,
        lambda: [_store()[name]],
        read_store,
        beside=lambda: {k: v for k, v in _store().items() if k != name},
        share=0.3,
    )


def _tensors() -> list[bytes]:
    """Write tensors as JSON."""
    given = [[value / 7 for value in range(6)] for _ in range(3)]
    values: list[Any] = [
        given,
        {"tensor": _rows()[0]["tensors"]["piezo_e"], "frame": "input"},
        {"voigt": given, "lattice": {"matrix": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}},
        {"tensors": {"piezo": {"voigt": given}}, "rotation": [[1, 0, 0]] * 3},
        {"@class": "PiezoTensor", "input_array": _rows()[1]["tensors"]["piezo_e"]},
    ]
    return [json.dumps(value).encode() for value in values]


def _arrays() -> list[bytes]:
    """Write tensors as numpy does."""
    found = []
    for array in (np.arange(18.0).reshape(3, 6), np.zeros((3, 3, 3), dtype=np.float32)):
        target = io.BytesIO()
        np.save(target, array)
        found.append(target.getvalue())
    return found


def _text_tensors() -> list[bytes]:
    """Write tensors as rows of numbers."""
    rows = "\n".join(
        " ".join(f"{7 * i + j / 3:.6f}" for j in range(6)) for i in range(3)
    )
    head = "# property: piezo\n# notation: voigt\n# frame: input\n# unit: C/m^2\n"
    return [
        rows.encode(),
        (head + rows.replace(" ", ",")).encode(),
        (EXAMPLES / "AlN_stiffness_vasp.csv").read_bytes(),
    ]


def _structure(name: str, file: str, kind: str, samples: Any, share: float) -> Reader:
    """Describe a reader of structures."""
    return Reader(name, file, kind, samples, read_structures, share=share)


def _anything() -> list[bytes]:
    """Give one sample of each format whose content tells what it is."""
    return [_poscars()[0], _cifs()[0], _json_structures()[1], *_frames_of_atoms()]


def _frames_of_atoms() -> list[bytes]:
    """Give extended XYZ, with and without the columns that ASE adds."""
    plain = (EXAMPLES / "zincblende.extxyz").read_bytes()
    more = (
        b'2\nLattice="0 2.8 2.8 2.8 0 2.8 2.8 2.8 0" '
        b'Properties=species:S:1:pos:R:3:Z:I:1:forces:R:3 pbc="T T T" energy=-1.5\n'
        b"Ga 0 0 0 31 0 0 0.1\nAs 1.4 1.4 1.4 33 0 0 -0.1\n"
    )
    return [plain, more]


def _ase(name: str, file: str) -> Reader:
    """Describe a format that ASE parses."""
    return Reader(name, file, "text", _files(file), read_structures, share=0.4)


READERS: tuple[Reader, ...] = (
    _structure("CIF", "x.cif", "text", _cifs, 3),
    _structure("POSCAR", "POSCAR", "text", _poscars, 3),
    _structure("extxyz", "x.extxyz", "text", _frames_of_atoms, 3),
    _structure("JSON", "x.json", "json", _json_structures, 2),
    _structure("JSON lines", "x.jsonl", "jsonl", _row_lines, 1),
    _structure("no name", "structure", "text", _anything, 2),
    Reader("long CIF", "x.cif", "text", _cifs, read_pieces),
    Reader("long extxyz", "x.extxyz", "text", _frames_of_atoms, read_pieces),
    Reader("long JSON lines", "x.jsonl", "jsonl", _row_lines, read_pieces),
    Reader("lines to project", "x.jsonl", "jsonl", _row_lines, read_lines, share=0.5),
    _ase("FHI-aims", "geometry.in"),
    _ase("DFTB+ gen", "AlN.gen"),
    _ase("SHELX res", "AlN.res"),
    _ase("WIEN2k struct", "AlN.struct"),
    _ase("XCrySDen", "AlN.xsf"),
    _ase("pw.x input", "AlN.pwi"),
    _ase("pw.x output", "AlN.pwo"),
    _ase("OUTCAR", "OUTCAR"),
    _ase("vasprun.xml", "vasprun.xml"),
    Reader("table: JSONL", "x.jsonl", "jsonl", _row_lines, read_table),
    Reader("table: JSON", "x.json", "json", _frames, read_table),
    Reader("table: CSV", "x.csv", "text", _csvs, read_table, beside=_beside_csv),
    Reader("configuration", "x.toml", "toml", _configs, read_settings, share=2),
    _of_model("config.toml"),
    _of_model("record.json"),
    _of_model("weights.safetensors"),
    Reader("checkpoint", "checkpoint.npz", "npz", _checkpoint_archive, read_checkpoint),
    Reader("prepared data", "prepared.npz", "npz", _prepared_archive, read_prepared),
    _of_store("settings.json", "json"),
    _of_store("shards/00000.jsonl", "jsonl"),
    _of_store("shards/00000.safetensors", "safetensors"),
    Reader("tensor: OUTCAR", "OUTCAR", "text", _files("OUTCAR"), read_any_tensor),
    Reader(
        "tensor: vasprun", "vasprun.xml", "text", _files("vasprun.xml"), read_any_tensor
    ),
    Reader("tensor: JSON", "x.json", "json", _tensors, read_tensor_of("piezo")),
    Reader("tensor: text", "x.csv", "text", _text_tensors, read_tensor_of("elastic")),
    Reader("tensor: npy", "x.npy", "npy", _arrays, read_tensor_of("piezo")),
)
"""Name, file and share of each; the table has them in this order."""


def by_name() -> dict[str, Reader]:
    """Give the readers by name."""
    counts = Counter(reader.name for reader in READERS)
    if max(counts.values()) > 1:
        raise ValueError(f"two readers of one name: {counts.most_common(1)}")
    return {reader.name: reader for reader in READERS}


def read_quietly(reader: Reader, path: Path) -> None:
    """Read with warnings as a script sees them: none is an error, none is shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader.read(path)
