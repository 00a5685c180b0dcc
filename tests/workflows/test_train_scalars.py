"""A model for a scalar, from a table to a prediction."""

import json
from pathlib import Path

import numpy as np
import pytest

from crystaltensor.cli.main import main
from crystaltensor.crystals.crystal import Crystal
from crystaltensor.inference.models import describe_model
from crystaltensor.inference.predictor import load

CONFIG = """
property = "bulk-modulus"
data = ["few.jsonl"]
epochs = 8
batch_size = 8
learning_rate = 0.01
warmup_steps = 2
ema_decay = 0.5
loss_floor = 0.1
threads = 1

[network]
channels = 8
n_layers = 1
n_radial = 4
cutoff = 4.0
n_charges = 2
"""
ELEMENTS = ("Na", "K", "Rb", "Ag")
POSCAR = """{first}Cl
1.0
0.0 {half} {half}
{half} 0.0 {half}
{half} {half} 0.0
{first} Cl
1 1
Direct
0.0 0.0 0.0
0.5 0.5 0.5
"""


def modulus(half: float, index: int) -> float:
    """Invent a modulus that falls with the distance and depends on the element."""
    return (30 + 20 * index) * (2.8 / half) ** 4


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write 48 crystals of rock salt whose modulus follows a law, and settings."""
    rows = []
    for number in range(48):
        half, index = 2.6 + 0.02 * (number % 12), number // 12
        cell = (half * (np.ones((3, 3)) - np.eye(3))).tolist()
        rows.append(
            {
                "id": f"crystal-{number}",
                "structure": {
                    "lattice": cell,
                    "species": [ELEMENTS[index], "Cl"],
                    "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
                },
                "scalars": {"K_VRH": modulus(half, index)},
                "split": ("train", "train", "train", "val", "train", "test")[
                    number % 6
                ],
            }
        )
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "few.jsonl").write_text(text)
    path = tmp_path / "run.toml"
    path.write_text(CONFIG)
    return path


def run(*arguments: object) -> int:
    """Run ``crystaltensor`` in this process, and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def poscar(tmp_path: Path) -> Path:
    """Write a crystal that is not in the data."""
    path = tmp_path / "POSCAR"
    path.write_text(POSCAR.format(first="K", half=2.73))
    return path


def test_it_learns_and_predicts(
    config: Path, tmp_path: Path, poscar: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Better than the mean of the training crystals; alike in the shell and in JSON."""
    out = tmp_path / "out"
    assert run("train", config, "--out", out, "--members", 2) == 0
    err = capsys.readouterr().err
    assert "mean absolute error" in err
    assert "training mean" in err
    assert "log10(GPa)" in err
    test = describe_model(out).metrics["test"]
    assert test["fnorm"] < 0.3 * test["zero_fnorm"]
    assert test["n"] == 8
    command = ("predict", poscar, "--property", "bulk-modulus", "--model", out)
    assert run(*command, "--json", "--frame", "ieee") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["value"] == pytest.approx(modulus(2.73, 1), rel=0.3)
    assert record["unit"] == "GPa"
    assert not {"tensor", "voigt"} & set(record)
    assert record["frame"] == "input"
    assert run(*command) == 0
    shown = capsys.readouterr().out
    assert "Bulk modulus K =" in shown
    assert f"{record['value']:#.4g}" in shown


def test_a_prediction_does_not_depend_on_the_cell(config: Path, tmp_path: Path) -> None:
    """From a single cell and from eight of them, in 32 bits, to 1e-5."""
    out = tmp_path / "out"
    assert run("train", config, "--out", out, "--epochs", 1) == 0
    predictor = load(out, device="cpu")
    cell = 2.7 * (np.ones((3, 3)) - np.eye(3))
    frac = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
    small = Crystal(cell, frac, [11, 17])
    shifts = np.stack(np.meshgrid(*[np.arange(2)] * 3), axis=-1).reshape(-1, 3)
    large = Crystal(
        2 * cell,
        ((frac[:, None] + shifts) / 2).reshape(-1, 3),
        np.repeat([11, 17], len(shifts)),
    )
    one, other = (float(predictor.predict(each).tensor) for each in (small, large))
    assert other == pytest.approx(one, rel=1e-5)


def test_an_element_without_a_reference_is_named(config: Path, tmp_path: Path) -> None:
    """No training crystal contains lithium."""
    out = tmp_path / "out"
    assert run("train", config, "--out", out, "--epochs", 1) == 0
    cell = 2.7 * (np.ones((3, 3)) - np.eye(3))
    lithium = Crystal(cell, [[0, 0, 0], [0.5] * 3], [3, 17])
    found = load(out, device="cpu").predict(lithium)
    assert any("contains Li" in each for each in found.warnings)
    assert any("is a guess" in each for each in found.warnings)


def test_a_missing_target_stops_the_run_unless_it_is_skipped(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The row is named, on the screen or in dropped.csv."""
    table, out = tmp_path / "few.jsonl", tmp_path / "out"
    lines = table.read_text().splitlines()
    row = json.loads(lines[4])
    row["scalars"]["K_VRH"] = None
    lines[4] = json.dumps(row)
    table.write_text("\n".join(lines))
    assert run("train", config, "--out", out, "--epochs", 1) == 1
    err = " ".join(capsys.readouterr().err.split())
    assert "few.jsonl, line 5" in err
    assert "--skip-bad-rows" in err
    assert run("train", config, "--out", out, "--epochs", 1, "--skip-bad-rows") == 0
    assert "few.jsonl, line 5" in (out / "dropped.csv").read_text()


def test_the_published_network_can_be_trained(config: Path, tmp_path: Path) -> None:
    """For comparison, on the same data."""
    text = config.read_text().split("[network]")[0]
    config.write_text(f'{text}[network]\npreset = "paper"\nwidth = 8\n')
    assert run("train", config, "--out", tmp_path / "out", "--epochs", 1) == 0
    assert load(tmp_path / "out", device="cpu").around.n_nearest == 16


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("channels = 8", "lower_bound = 8.0", "unknown key 'lower_bound'"),
        ("n_charges = 2", 'potentials = ["colomb"]', "unknown potential 'colomb'"),
        ("[network]", '[network]\npreset = "gmtnet"', "unknown preset 'gmtnet'"),
        ("epochs", 'label_frame = "ieee"\nepochs', "is a scalar, without axes"),
    ],
)
def test_mistakes_are_named(
    old: str,
    new: str,
    message: str,
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before anything is learnt."""
    config.write_text(config.read_text().replace(old, new, 1))
    assert run("train", config, "--out", tmp_path / "out") == 1
    assert message in " ".join(capsys.readouterr().err.split())
