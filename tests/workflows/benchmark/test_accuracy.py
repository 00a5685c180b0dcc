"""Tests of crystaltensor.workflows.benchmark.accuracy."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crystaltensor.data.tables import TABLES
from crystaltensor.errors import ConfigError, DataError, ModelError
from crystaltensor.inference.models import describe_model, installed_models
from crystaltensor.training.config import read_config
from crystaltensor.workflows.benchmark.accuracy import benchmark_accuracy
from crystaltensor.workflows.benchmark.evaluation import TEST_SETS
from crystaltensor.workflows.benchmark.report import Report, Table
from crystaltensor.workflows.train import train

INSTALLED = installed_models()


def table(report: Report, title: str) -> Table:
    """Find a table by the beginning of its title."""
    return next(each for each in report.tables if each.title.startswith(title))


def line(shown: Table, name: str) -> dict[str, object]:
    """Find a line by its name."""
    cells = next(row for row in shown.rows if row[0] == name)
    return dict(zip(shown.columns, cells, strict=True))


def figure(report: Report, name: str) -> float:
    """Find a figure."""
    return next(each.value for each in report.figures if each.name == name)


def few_rows(tmp_path: Path, name: str, **changes: object) -> Path:
    """Copy some test rows of a table of the package."""
    with gzip.open(TABLES / f"{name}.jsonl.gz", "rt") as file:
        rows = [json.loads(text) for text in file]
    chosen = [row for row in rows if row["split"] == "test"][:6]
    path = tmp_path / "few.jsonl"
    path.write_text("".join(json.dumps({**row, **changes}) + "\n" for row in chosen))
    return path


def test_the_figures_of_the_training_are_reproduced() -> None:
    """All test crystals of this model travel with the package."""
    report = benchmark_accuracy(["piezo"], device="cpu")
    known = describe_model(INSTALLED["piezo"]).test_figures
    found = line(table(report, "piezo: "), "… up to axes")
    assert found["n"] == known["n"]
    assert figure(report, "piezo fnorm") == pytest.approx(known["fnorm"], rel=1e-3)
    assert figure(report, "piezo within 25 %") == pytest.approx(known["ewt_25"])
    zero = line(table(report, "piezo: "), "zero")["Fnorm, C/m^2"]
    assert zero.value == pytest.approx(known["zero_fnorm"])
    assert figure(report, "piezo symmetry") == 100
    systems = table(report, "piezo, by crystal system")
    assert sum(row[1] for row in systems.rows) == known["n"]
    mean = sum(row[1] * row[2].value for row in systems.rows) / known["n"]
    assert mean == pytest.approx(figure(report, "piezo fnorm"))


@pytest.mark.parametrize("name", sorted(set(INSTALLED) & set(TEST_SETS)))
def test_every_model_is_better_than_nothing(name: str, tmp_path: Path) -> None:
    """Than zero, and than the mean; with a picture."""
    report = benchmark_accuracy([name], device="cpu", short=True, plots=tmp_path)
    shown = table(report, f"{name}: ")
    column = shown.columns[2]
    own = line(shown, "… up to axes" if name == "piezo" else "this model")[column]
    assert own.low <= own.value <= own.high
    limit = 0.95 if name == "piezo" else 0.8
    assert own.value < limit * line(shown, "zero")[column].value
    means = [row[2].value for row in shown.rows if str(row[0]).startswith("mean")]
    assert all(own.value < 0.8 * mean for mean in means)
    (picture,) = report.pictures
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_published_conventions_flatten_the_tensors(tmp_path: Path) -> None:
    """The Frobenius norm of 6×6 is smaller than that of the full tensor."""
    data = str(few_rows(tmp_path, "mp_elastic_test"))
    full, flat = (
        benchmark_accuracy(["elastic"], data=data, protocol=protocol, device="cpu")
        for protocol in ("full", "gmtnet")
    )
    assert figure(flat, "elastic fnorm") < 0.95 * figure(full, "elastic fnorm")
    assert figure(flat, "elastic bulk modulus mae") == pytest.approx(
        figure(full, "elastic bulk modulus mae")
    )
    published = table(flat, "elastic: published, OTHER DATA")
    assert line(published, "GMTNet")["Fnorm 6×6"] == 67.38
    assert not any("OTHER DATA" in each.title for each in full.tables)


def test_rows_of_a_user_are_all_taken_if_they_have_no_splits(tmp_path: Path) -> None:
    """And the report says so."""
    data = few_rows(tmp_path, "mp_dielectric_test", split="")
    report = benchmark_accuracy(["dielectric"], data=str(data), device="cpu")
    shown = table(report, "dielectric: ")
    assert line(shown, "this model")["n"] == 6
    assert "no splits: all rows" in shown.notes[0]


def test_labels_that_are_predictions_leave_no_error(tmp_path: Path) -> None:
    """Whatever the model, it agrees with itself."""
    from crystaltensor.crystals.records import crystal_from_dict
    from crystaltensor.inference.predictor import load

    path = few_rows(tmp_path, "mp_dielectric_test")
    model = load("dielectric", device="cpu")
    rows = [json.loads(text) for text in path.read_text().splitlines()]
    for row in rows:
        tensor = model.predict(crystal_from_dict(row)).tensor
        row["tensors"]["dielectric_electronic"] = tensor.tolist()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = benchmark_accuracy(["dielectric"], data=str(path), device="cpu")
    assert figure(report, "dielectric fnorm") < 1e-4
    assert figure(report, "dielectric within 5 %") == 100


def test_a_model_without_test_crystals_shows_its_record() -> None:
    """Those of Born charges may not travel with the package."""
    report = benchmark_accuracy(["born-charges"], device="cpu")
    (shown,) = report.tables
    assert line(shown, "record.json")["n"] > 1000
    assert "--data FILE" in shown.notes[0]
    assert not report.figures


def test_atoms_of_a_table_are_counted_by_crystal(tmp_path: Path) -> None:
    """Labels per atom, here of two wurtzites and a rock salt."""
    path = tmp_path / "born.jsonl"
    rows = []
    for name, size in (("one", 3.1), ("two", 3.2)):
        cell = [[size, 0, 0], [-size / 2, size * np.sqrt(0.75), 0], [0, 0, 1.6 * size]]
        frac = [[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5]]
        frac += [[x, y, z + 0.382] for x, y, z in frac]
        charges = [(np.eye(3) * q).tolist() for q in (2.5, 2.5, -2.5, -2.5)]
        structure = {
            "lattice": cell,
            "species": list("Al Al N N".split()),
            "frac_coords": frac,
        }
        rows.append({"id": name, "structure": structure, "born_charges": charges})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = benchmark_accuracy(["born-charges"], data=str(path), device="cpu")
    shown = table(report, "born-charges: ")
    assert line(shown, "this model")["n"] == 2
    assert line(shown, "zero")["Fnorm, e"].value == pytest.approx(2.5 * np.sqrt(3))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"protocol": "best"}, ConfigError, "unknown protocol"),
        ({"properties": ["colour"]}, ConfigError, "unknown property"),
        ({"data": "few.jsonl"}, ConfigError, "one --property"),
        ({"properties": ["piezo"], "data": "none.jsonl"}, DataError, "no such file"),
        (
            {"properties": ["born-charges"], "protocol": "gmtnet"},
            ConfigError,
            "not born",
        ),
        ({"properties": ["piezo"], "model": "elastic"}, ModelError, "not piezo"),
    ],
)
def test_wrong_settings_are_refused(
    options: dict, error: type[Exception], message: str
) -> None:
    """Before anything is computed."""
    with pytest.raises(error, match=message):
        benchmark_accuracy(**options)


def test_a_model_of_ones_own_tells_how_sure_it_is(
    write_sample: Callable[[str, int], Path], tmp_path: Path
) -> None:
    """Two members for two epochs are enough to have intervals; they grow with levels."""
    text = (
        'property = "piezo"\ndata = ["few.jsonl"]\nmembers = 2\nepochs = 2\nthreads = 1\n'
        "[network]\nchannels = 8\nn_layers = 1\ncutoff = 4.0\n"
    )
    config = write_sample(text, 7)
    out = tmp_path / "run"
    for _ in train(read_config(config), out, base=tmp_path):
        pass
    data = str(tmp_path / "few.jsonl")
    report = benchmark_accuracy(model=str(out), data=data, device="cpu")
    known = describe_model(out).metrics["test"]
    found = line(table(report, "piezo: "), "this model")
    assert found["n"] == known["n"]
    assert figure(report, "piezo fnorm") == pytest.approx(known["fnorm"], rel=1e-3)
    shown = table(report, "piezo, uncertainty")
    for row in shown.rows:
        shares = row[2:6]
        assert list(shares) == sorted(shares)
        assert shares[0] < shares[-1]
    assert 0 <= figure(report, "piezo coverage gap") <= 90
