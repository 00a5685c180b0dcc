"""``crystaltensor train`` from a data set to a model that predicts."""

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from crystaltensor.cli.main import main
from crystaltensor.crystals.io import read_crystal
from crystaltensor.inference.models import describe_model
from crystaltensor.inference.predictor import load

ALN = Path(__file__).parents[2] / "docs" / "examples" / "POSCAR.AlN"
CONFIG = """
property = "piezo"
data = ["few.jsonl"]
max_component = 20.0
epochs = 2
batch_size = 8
threads = 1

[network]
channels = 4
n_layers = 1
n_radial = 4
cutoff = 4.0
n_pooled = 2
"""

BARE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        gone = {'click', 'rich', 'pymatgen', 'ase', 'spglib', 'safetensors', 'monty'}
        if name.split('.')[0] in gone:
            raise ModuleNotFoundError(f'{name} is not installed', name=name)

sys.meta_path.insert(0, Refuse())
from crystaltensor.cli.plain import main
sys.argv = ['plain', *sys.argv[1:]]
main()
"""


@pytest.fixture
def config(write_sample: Callable[[str, int], Path]) -> Path:
    """Write a configuration and a data set of 40 crystals."""
    return write_sample(CONFIG, 20)


def train(*arguments: object) -> int:
    """Run ``crystaltensor train`` in this process, and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["train", *map(str, arguments)])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_run_makes_a_model_that_predicts(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its record, a line per epoch, and the rows that were left out."""
    out = tmp_path / "out"
    assert train(config, "--out", out) == 0
    err = capsys.readouterr().err
    assert "epoch" in err
    assert "zero tensor" in err
    model = describe_model(out)
    assert model.row.name == "piezo"
    assert {"val", "test", "test, up to sign", "test, sign known"} <= set(model.metrics)
    assert model.metrics["test"]["zero_fnorm"] > 0
    with (out / "metrics.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    with (out / "dropped.csv").open(newline="") as file:
        assert all(row["reason"] for row in csv.DictReader(file))
    predictor = load(out, device="cpu")
    assert predictor.predict(read_crystal(str(ALN))).tensor.any()


def test_an_ensemble_is_trained_member_by_member(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each as it would be alone with its seed, also when taken up between two."""
    out, alone = tmp_path / "out", tmp_path / "alone"
    assert train(config, "--out", out, "--members", "2") == 0
    assert "Member 2 of 2" in capsys.readouterr().err
    assert train(config, "--out", alone, "--seed", "1") == 0
    members, single = describe_model(out).members, describe_model(alone).members
    assert [member["seed"] for member in members] == [0, 1]
    assert members[1]["metrics"] == single[0]["metrics"]
    assert describe_model(out).metrics != members[0]["metrics"]
    before = (out / "weights.safetensors").read_bytes()
    (out / "weights.safetensors").unlink()
    for path in (out / "member-1").iterdir():
        path.unlink()
    assert train(config, "--out", out, "--members", "2") == 1
    assert train(config, "--out", out, "--members", "2", "--resume") == 0
    assert (out / "weights.safetensors").read_bytes() == before


def test_nothing_is_overwritten(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder with a run is refused without --resume; with it the run goes on."""
    out = tmp_path / "out"
    assert train(config, "--out", out) == 0
    capsys.readouterr()
    assert train(config, "--out", out) == 1
    assert "go on with it by --resume" in capsys.readouterr().err
    assert train(config, "--out", out, "--resume") == 0
    assert train(config, "--out", out, "--resume", "--seed", "3") == 1
    assert "holds a run with other settings" in capsys.readouterr().err


def test_prepared_data_are_taken_again(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As long as their content and the settings are the same."""
    out = tmp_path / "out"
    assert train(config, "--out", out, "--prepare-only") == 0
    assert "prepared before" not in capsys.readouterr().err
    assert train(config, "--out", out, "--prepare-only") == 0
    assert "prepared before" in capsys.readouterr().err
    table = tmp_path / "few.jsonl"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-4]))
    assert train(config, "--out", out, "--prepare-only") == 0
    assert "prepared before" not in capsys.readouterr().err


def test_a_bare_node_needs_torch_e3nn_and_numpy_only(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prepared here, trained there, finished here: with the imports really refused."""
    out = tmp_path / "out"
    assert train(config, "--out", out, "--prepare-only") == 0
    (tmp_path / "few.jsonl").unlink()
    done = subprocess.run(
        [sys.executable, "-c", BARE, str(config), "--out", str(out), "--device", "cpu"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (out / "weights.safetensors").exists()
    assert train(config, "--out", out, "--resume") == 0
    assert "Model in" in capsys.readouterr().err
    assert describe_model(out).row.name == "piezo"


def test_the_published_network_can_be_trained(config: Path, tmp_path: Path) -> None:
    """For comparison, on the same data."""
    text = config.read_text().split("[network]")[0]
    config.write_text(f'{text}[network]\npreset = "paper"\nwidth = 8\n')
    assert train(config, "--out", tmp_path / "out", "--epochs", "1") == 0
    assert load(tmp_path / "out", device="cpu").around.n_nearest == 16


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("channels = 4", "chanels = 4", "did you mean 'channels'"),
        ("channels = 4", "channels = 'x'", "channels"),
        ("n_radial", "l_max = 1\nn_radial", "l_max = 1 cannot express a tensor"),
        ("[network]", '[network]\npreset = "big"', "unknown preset 'big'"),
        ('"piezo"', '"pieso"', "did you mean 'piezo'"),
        ("few.jsonl", "none.jsonl", "none.jsonl: no such file"),
        ("epochs", "epoch", "unknown key 'epoch'; did you mean 'epochs'"),
    ],
)
def test_mistakes_are_named_before_anything_is_written(
    old: str,
    new: str,
    message: str,
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line, code 1."""
    config.write_text(config.read_text().replace(old, new))
    assert train(config, "--out", tmp_path / "out") == 1
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "out" / "prepared.npz").exists()


def test_data_without_a_validation_set_are_refused(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing could be selected on it."""
    table = tmp_path / "few.jsonl"
    table.write_text(table.read_text().replace('"split": "val"', '"split": "train"'))
    assert train(config, "--out", tmp_path / "out") == 1
    assert "no crystal in the split 'val'" in capsys.readouterr().err
