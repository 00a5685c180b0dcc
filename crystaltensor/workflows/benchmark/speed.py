"""Where the time goes: start, reading, symmetry, graph, network, projection, writing."""

import io
import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.errors import DataError
from crystaltensor.inference.prediction import derive_together
from crystaltensor.workflows.benchmark.processes import whole_run
from crystaltensor.workflows.benchmark.report import Figure, Report, Table
from crystaltensor.workflows.benchmark.timing import Timing, fastest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from crystaltensor.crystals.crystal import Crystal
    from crystaltensor.inference.inputs import NetworkInput
    from crystaltensor.inference.prediction import Prediction
    from crystaltensor.inference.predictor import Predictor
    from crystaltensor.properties import TensorProperty
    from crystaltensor.workflows.benchmark.report import Cell

    Floats = NDArray[np.float64]

N_CRYSTALS = 32
"""Crystals of the tables, of 5 to 16 atoms, that stages are timed on."""

STAGES = (
    "read",
    "symmetry",
    "graph",
    "network",
    "projection",
    "derived",
    "writing",
)
INDEX_SYMMETRIES = ("ij=ji", "ijk=ikj", "ijkl=jikl=ijlk=klij")


@dataclass(frozen=True)
class _Profile:
    """Times of the stages for one property."""

    name: str
    alone: dict[str, Timing]
    batch: dict[str, Timing]


def benchmark_speed(
    properties: "Sequence[str]" = (),
    *,
    device: str = "auto",
    short: bool = False,
    plots: Path | None = None,
) -> Report:
    """Time every stage of a prediction, whole commands and a step of training.

    Parameters
    ----------
    properties : sequence of str
        Names or aliases of tensors; dielectric, piezo and elastic if left out.
    device : str
        Of the networks: ``"auto"``, ``"cpu"`` or ``"cuda"``.
    short : bool
        Whether to time less often, and to leave out training.
    plots : Path, optional
        Folder for a picture of where the time goes.

    Returns
    -------
    Report
        Times per crystal.

    Raises
    ------
    ConfigError
        If a property is unknown.
    ModelError
        If there is no model of it.
    DataError
        If a folder cannot be predicted, which would be a fault of the tool.
    """
    from crystaltensor.inference.predictor import load
    from crystaltensor.nn.devices import choose_device
    from crystaltensor.properties import tensor_property

    where = choose_device(device)
    names = [tensor_property(each).name for each in properties]
    names = names or ["dielectric", "piezo", "elastic"]
    seconds = 0.2 if short else 1.0
    crystals = typical_crystals(N_CRYSTALS // 4 if short else N_CRYSTALS)
    profiles = [_profile(load(name, device=where), crystals, seconds) for name in names]
    starts, start_figures = _start_table(1 if short else 3)
    rates, rate_figures = _rate_table(
        crystals, names[0], where, n_files=40 if short else 400
    )
    tables = [
        starts,
        *_stage_tables(profiles, crystals),
        rates,
        _projection_table(seconds),
    ]
    if not short:
        tables.append(_training_table(where))
    pictures = [_draw(profiles, plots)] if plots is not None else []
    figures = [*start_figures, *_stage_figures(profiles), *rate_figures]
    settings = {"properties": names, "device": where, "short": short}
    return Report("speed", settings, tuple(tables), tuple(figures), tuple(pictures))


def typical_crystals(count: int) -> "list[Crystal]":
    """Choose crystals of 5 to 16 atoms from the tables of the package.

    Parameters
    ----------
    count : int
        How many.

    Returns
    -------
    list of Crystal
        The same every time; without inversion, so that every tensor exists.
    """
    from crystaltensor.data.datasets import TABLES, read_table
    from crystaltensor.properties import PIEZO

    rows, _ = read_table(TABLES / "mp_piezo.jsonl.gz", PIEZO)
    fitting = [row.crystal for row in rows if 5 <= row.crystal.n_atoms <= 16]
    places = np.linspace(0, len(fitting) - 1, count).round().astype(int)
    return [fitting[place] for place in places]


def _profile(
    predictor: "Predictor", crystals: "list[Crystal]", seconds: float
) -> _Profile:
    """Time the stages of one property, crystal by crystal and all at once."""
    return _Profile(
        predictor.model.row.name,
        _stages(predictor, crystals, 1, seconds),
        _stages(predictor, crystals, len(crystals), seconds),
    )


def _stages(
    predictor: "Predictor", crystals: "list[Crystal]", size: int, seconds: float
) -> dict[str, Timing]:
    """Time each stage over all crystals, the network in batches of a size."""
    from crystaltensor.crystals.io import read_crystal
    from crystaltensor.crystals.writing import poscar_text
    from crystaltensor.inference.finishing import Outline
    from crystaltensor.symmetry.operations import find_symmetry

    texts = [poscar_text(each) for each in crystals]
    symmetries = [find_symmetry(each) for each in crystals]
    inputs = [predictor.needs.describe(each) for each in symmetries]
    raw = _forward(predictor, inputs, size)

    def finish() -> "list[Prediction]":
        outlines = [Outline.of(predictor.model, each, "input") for each in symmetries]
        pairs = zip(outlines, raw, strict=True)
        return [
            outline.finish(None if outline.forbidden else found, None)
            for outline, found in pairs
        ]

    predictions = finish()
    runs: dict[str, Callable[[], object]] = {
        "read": lambda: [read_crystal(io.StringIO(text)) for text in texts],
        "symmetry": lambda: [find_symmetry(each) for each in crystals],
        "graph": lambda: [predictor.needs.describe(each) for each in symmetries],
        "network": lambda: _forward(predictor, inputs, size),
        "projection": finish,
        "derived": lambda: _derive(predictions, together=size > 1),
        "writing": lambda: [json.dumps(each.as_dict()) for each in predictions],
    }
    return {
        stage: fastest(runs[stage], seconds=seconds).per(len(crystals))
        for stage in STAGES
    }


def _derive(predictions: "list[Prediction]", *, together: bool) -> None:
    """Compute what follows from tensors; on copies, for it is remembered."""
    fresh = [replace(each) for each in predictions]
    if together:
        derive_together(fresh)
    for each in fresh:
        _ = each.derived


def _forward(
    predictor: "Predictor", inputs: "list[NetworkInput]", size: int
) -> "list[Floats]":
    """Run the network over all crystals, so many at once."""
    return [
        found
        for first in range(0, len(inputs), size)
        for found in predictor.run_networks(inputs[first : first + size])
    ]


def _stage_tables(profiles: list[_Profile], crystals: "list[Crystal]") -> list[Table]:
    """Show the stages, first crystal by crystal, then for all crystals at once."""
    atoms = np.mean([each.n_atoms for each in crystals])
    note = (
        f"Per crystal, {len(crystals)} crystals of {atoms:.1f} atoms on the mean, from "
        "the text of a POSCAR to a line of JSON. Smallest of several rounds."
    )
    return [
        Table(
            f"Stages of a prediction, {title}, ms",
            ("", *STAGES, "all"),
            tuple(
                (each.name, *times, sum(times))
                for each in profiles
                for times in [
                    [1e3 * getattr(each, kind)[stage].seconds for stage in STAGES]
                ]
            ),
            (note,) if kind == "batch" else (),
        )
        for kind, title in (("alone", "one by one"), ("batch", "all at once"))
    ]


def _stage_figures(profiles: list[_Profile]) -> list[Figure]:
    """List the times that a later run is compared with."""
    return [
        Figure.of_time(f"{each.name} {stage}, {name}", timing)
        for each in profiles
        for name, stages in (("one by one", each.alone), ("at once", each.batch))
        for stage, timing in stages.items()
    ]


def _start_table(rounds: int) -> tuple[Table, list[Figure]]:
    """Time whole commands."""
    from crystaltensor.crystals.writing import poscar_text
    from crystaltensor.workflows.benchmark.crystals import made_crystals

    crystal = dict(made_crystals())["zincblende GaAs"]
    tool = ("-m", "crystaltensor")
    commands = {
        "import torch": ("-c", "import torch"),
        "crystaltensor --help": (*tool, "--help"),
        "symmetrize": (*tool, "symmetrize", "POSCAR", "--property", "elastic"),
        "featurize": (*tool, "featurize", "POSCAR"),
        "predict": (*tool, "predict", "POSCAR", "--property", "dielectric"),
        "predict, all properties": (*tool, "predict", "POSCAR", "--property", "all"),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "POSCAR").write_text(poscar_text(crystal))
        found = {
            what: whole_run(*command, folder=folder, rounds=rounds)
            for what, command in commands.items()
        }
    unit = found["import torch"].seconds
    rows = tuple(
        (what, run.seconds, run.cpu_seconds, run.peak_mib)
        for what, run in found.items()
    )
    figures = [
        Figure(f"start: {what}", "time", run.seconds, "s", ratio=run.seconds / unit)
        for what, run in found.items()
        if what != "import torch"
    ]
    note = (
        f"Whole processes for a POSCAR with two atoms, fastest of {rounds}; compared by "
        "their ratio to import torch."
    )
    columns = ("", "wall, s", "processor, s", "peak, MiB")
    return Table("From the prompt to the answer", columns, rows, (note,)), figures


def _rate_table(
    crystals: "list[Crystal]", name: str, device: str, *, n_files: int
) -> tuple[Table, list[Figure]]:
    """Time a folder of files, end to end, in one process and in all."""
    from crystaltensor.crystals.writing import write_crystal
    from crystaltensor.workflows.engines import n_cores

    rows: list[tuple[Cell, ...]] = []
    figures = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "cifs").mkdir()
        for index in range(n_files):
            crystal = crystals[index % len(crystals)]
            write_crystal(crystal, folder / "cifs" / f"{index:04d}.cif")
        unit = fastest(lambda: None, seconds=0.2).unit
        for workers in sorted({1, n_cores()}):
            seconds, each = _whole_folder(folder, name, device, workers)
            rows.append((workers, n_files, seconds, 1 / each))
            what = f"{name} folder, {workers} processes"
            figures.append(Figure(what, "time", each, "s", ratio=each / unit))
    note = (
        f"predict --property {name} for a folder of CIF files into JSON lines, once; "
        "the rate is that after the first block."
    )
    columns = ("processes", "files", "s", "crystals/s")
    return Table("A folder, end to end", columns, tuple(rows), (note,)), figures


def _whole_folder(
    folder: Path, name: str, device: str, workers: int
) -> tuple[float, float]:
    """Predict a folder; return the seconds of all, and per crystal after the first block."""
    from crystaltensor.workflows.inputs import Inputs
    from crystaltensor.workflows.predict_many import Options, predict_into
    from crystaltensor.workflows.predict_work import Settings
    from crystaltensor.workflows.sharding import Shard

    start = time.perf_counter()
    reached = [
        (time.perf_counter(), now.counts.n_ok)
        for now in predict_into(
            str(folder / f"out-{workers}.jsonl"),
            Inputs((str(folder / "cifs"),)),
            Settings((name,), device=device),
            options=Options(n_workers=workers),
            shard=Shard(),
        )
    ]
    end, total = reached[-1]
    if not total:
        raise DataError(f"none of the crystals in {folder / 'cifs'} could be predicted")
    first, done = next(each for each in reached if each[1])
    if done == total:  # one block
        first, done = start, 0
    return end - start, (end - first) / (total - done)


def _projection_table(seconds: float) -> Table:
    """Time the projection of many tensors."""
    from crystaltensor.symmetry.point_groups import point_group_rotations

    group = point_group_rotations("m-3m")
    rows = tuple(_project(group, kind, seconds) for kind in INDEX_SYMMETRIES)
    columns = ("rank", "form of one class, ms", "10,000 tensors, ms")
    note = "For the 48 operations of m-3m."
    return Table("Projection", columns, rows, (note,))


def _project(group: "Floats", kind: str, seconds: float) -> "tuple[Cell, ...]":
    """Time the projection of tensors of one kind."""
    from crystaltensor.symmetry.forms import allowed_form
    from crystaltensor.symmetry.projection import project

    rank = len(kind.split("=", maxsplit=1)[0])
    many = np.random.default_rng(0).normal(size=(10_000, *(3,) * rank))
    form = fastest(lambda: allowed_form(group, kind), seconds=seconds / 4)
    batch = fastest(lambda: project(many, group, index_symmetry=kind), seconds=seconds)
    return rank, 1e3 * form.seconds, 1e3 * batch.seconds


def _training_table(device: str) -> Table:
    """Time a step of training, beside the published architecture."""
    import torch

    from crystaltensor.properties import PIEZO
    from crystaltensor.workflows.benchmark.crystals import random_crystal

    crystals = [random_crystal(10, seed=seed) for seed in range(64)]
    rows: list[tuple[Cell, ...]] = []
    for where in dict.fromkeys(("cpu", device)):
        steps = {
            preset: fastest(_step(preset, crystals, PIEZO, where), seconds=2, rounds=2)
            for preset in ("gmtnet", "paper")
        }
        for preset, timing in steps.items():
            share = timing.seconds / steps["paper"].seconds
            rows.append((preset, where, timing.seconds, timing.cpu_seconds, share))
    columns = ("network", "on", "wall, s", "processor, s", "of the published")
    note = (
        "Forward, backward and optimiser for 64 random crystals of 10 atoms, piezo, "
        f"{torch.get_num_threads()} thread(s); paper: the published architecture, in our "
        "own words."
    )
    return Table("A step of training", columns, tuple(rows), (note,))


def _step(
    preset: str, crystals: "list[Crystal]", row: "TensorProperty", device: str
) -> "Callable[[], object]":
    """Prepare a step of the optimiser over a batch."""
    import torch

    from crystaltensor.data.features import element_features
    from crystaltensor.data.graphs import build_graph, collate
    from crystaltensor.nn.presets import build_network, neighbourhood, network_config
    from crystaltensor.symmetry.irreps import irrep_projectors

    config = network_config({"preset": preset}, row)
    around = neighbourhood(config)
    torch.manual_seed(0)
    network = build_network(config, element_features()).to(device)
    kinds = irrep_projectors(np.eye(3)[None], row.index_symmetry)
    graphs = [build_graph(each, around, kinds) for each in crystals]
    batch = collate(graphs, device=device)
    label = torch.randn(len(crystals), *(3,) * row.rank, device=device)
    optimizer = torch.optim.AdamW(network.parameters())

    def step() -> float:
        loss = (network(batch) - label).flatten(1).norm(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.detach())  # waits for a GPU

    return step


def _draw(profiles: list[_Profile], folder: Path) -> Path:
    """Draw where the time goes."""
    from crystaltensor.workflows.benchmark.pictures import draw_stages

    bars = [
        (f"{profile.name}\n{name}", [(s, 1e3 * stages[s].seconds) for s in STAGES])
        for profile in profiles
        for name, stages in (("one by one", profile.alone), ("at once", profile.batch))
    ]
    return draw_stages(bars, folder / "speed.png")
