"""From a training to a model that knows its errors."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crystaltensor.cli.main import main
from crystaltensor.crystals.crystal import Crystal
from crystaltensor.inference.models import describe_model
from crystaltensor.inference.predictor import load

CONFIG = """
property = "piezo"
data = ["few.jsonl"]
max_component = 20.0
members = 2
epochs = 1
batch_size = 16
threads = 1

[network]
channels = 4
n_layers = 1
n_radial = 4
cutoff = 4.0
n_pooled = 2
"""

KEPT = (
    *("record.json", "training.safetensors", "folds.safetensors"),
    *("weights.safetensors", "config.toml"),
)


def train(*arguments: object) -> int:
    """Run ``crystaltensor train`` in this process, and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["train", *map(str, arguments)])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_training_ends_with_a_calibration(
    write_sample: Callable[[str, int], Path], tmp_path: Path, wurtzite: Crystal
) -> None:
    """Coverage of both sets is in the record; it can be made again without training."""
    config, out = write_sample(CONFIG, 8), tmp_path / "out"
    assert train(config, "--out", out) == 0
    model = describe_model(out)
    assert model.calibration is not None
    assert model.domain is not None
    record = json.loads((out / "record.json").read_text())
    told = record["uncertainty"]
    assert told["n"] == record["counts"]["val"] >= 20
    held = told["coverage"]["test"]
    assert held["n"] == record["counts"]["test"]
    assert set(held["error"]) == {"50", "80", "90", "95"}
    assert held["two_standard_errors"]["50"] == pytest.approx(held["n"] ** -0.5)
    assert record["domain"]["n"] == held["n"]
    assert record["symmetry_residual"] < 1e-4
    found = load(out, device="cpu").predict(wurtzite)
    assert found.uncertainty is not None
    assert (found.uncertainty.sigma > 0).sum() == 7

    kept = (out / "training.safetensors").read_bytes()
    (out / "training.safetensors").unlink()
    bare = {name: value for name, value in record.items() if name != "uncertainty"}
    (out / "record.json").write_text(json.dumps(bare))
    assert train(config, "--out", out, "--calibrate-only") == 0
    again = json.loads((out / "record.json").read_text())
    assert again["metrics"] == record["metrics"]
    np.testing.assert_allclose(
        again["uncertainty"]["factors"]["error"], told["factors"]["error"], rtol=1e-6
    )
    assert (out / "training.safetensors").read_bytes() == kept


def test_networks_without_a_fold_calibrate_the_model(
    write_sample: Callable[[str, int], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By the errors for what they have not seen; kept, and made again to the bit."""
    config = write_sample(CONFIG.replace("epochs", "folds = 3\nepochs"), 8)
    out, plain = tmp_path / "out", tmp_path / "plain"
    assert train(config, "--out", out) == 0
    assert "Without fold 3 of 3" in capsys.readouterr().err
    record = json.loads((out / "record.json").read_text())
    assert record["uncertainty"]["n"] == record["counts"]["train"]
    assert record["uncertainty"]["coverage"]["val"]["n"] == record["counts"]["val"]
    model = describe_model(out)
    assert model.domain is not None
    assert model.domain.errors is not None
    assert (model.domain.errors > 0).all()

    kept = {name: (out / name).read_bytes() for name in KEPT}
    assert train(config, "--out", out, "--calibrate-only") == 0
    assert "Without fold" not in capsys.readouterr().err
    assert {name: (out / name).read_bytes() for name in KEPT} == kept

    # A model alone gets its folds, and is not trained itself.
    plain.mkdir()
    for name in ("config.toml", "record.json", "weights.safetensors"):
        (plain / name).write_bytes((out / name).read_bytes())
    assert train(config, "--out", plain, "--calibrate-only") == 0
    assert "Without fold 3 of 3" in capsys.readouterr().err
    assert {name: (plain / name).read_bytes() for name in KEPT} == kept
    assert not (plain / "member-0").exists()

    (out / "folds.safetensors").write_bytes(b"nonsense")
    assert train(config, "--out", out, "--calibrate-only") == 1
    assert "folds.safetensors: damaged" in capsys.readouterr().err


def test_folds_of_other_data_are_not_taken(
    write_sample: Callable[[str, int], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The way out is told."""
    text = CONFIG.replace("epochs", "folds = 2\nepochs")
    config, out = write_sample(text, 20), tmp_path / "out"
    assert train(config, "--out", out) == 0
    write_sample(text, 21)
    assert train(config, "--out", out, "--calibrate-only") == 1
    assert "belongs to other crystals" in capsys.readouterr().err


def test_too_few_crystals_give_no_uncertainty(
    write_sample: Callable[[str, int], Path], tmp_path: Path, wurtzite: Crystal
) -> None:
    """The training is not stopped by that."""
    config, out = write_sample(CONFIG, 40), tmp_path / "out"
    assert train(config, "--out", out) == 0
    assert describe_model(out).calibration is None
    assert load(out, device="cpu").predict(wurtzite).uncertainty is None


def test_what_is_no_model_is_not_calibrated(
    write_sample: Callable[[str, int], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An empty folder is named."""
    config = write_sample(CONFIG, 40)
    out = tmp_path / "out"
    out.mkdir()
    assert train(config, "--out", out, "--calibrate-only") == 1
    assert "not a complete model" in capsys.readouterr().err


def test_a_damaged_file_of_training_crystals_is_named(
    write_sample: Callable[[str, int], Path],
    tmp_path: Path,
    wurtzite: Crystal,
) -> None:
    """And not taken for none."""
    from crystaltensor.errors import ModelError

    config, out = write_sample(CONFIG, 40), tmp_path / "out"
    assert train(config, "--out", out) == 0
    (out / "training.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match=r"training.safetensors: damaged"):
        load(out, device="cpu").predict(wurtzite)
