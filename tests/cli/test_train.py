"""``crystaltensor train``, as a user types it."""

import gzip
import json
from pathlib import Path

import pytest

from crystaltensor.cli.main import main
from crystaltensor.data.datasets import TABLES
from crystaltensor.inference.models import describe_model

TINY = [
    f"--network={key}={value}"
    for key, value in {
        "channels": 4,
        "n_layers": 1,
        "n_radial": 4,
        "cutoff": 3.0,
        "n_pooled": 2,
    }.items()
]


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write two small tables into the folder we are in."""
    with gzip.open(TABLES / "mp_piezo.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    small = [row for row in rows if row["frame_ok"] and row["nsites"] < 4][:16]
    names = ["one.jsonl", "two.jsonl"]
    for name, part in zip(names, (small[:8], small[8:]), strict=True):
        for index, row in enumerate(part):
            row["split"] = ("train", "train", "val", "test")[index % 4]
        text = "".join(json.dumps(row) + "\n" for row in part)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return names


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run ``crystaltensor train``: exit code, output, errors."""
    with pytest.raises(SystemExit) as ended:
        main(["train", *map(str, arguments)])
    captured = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, captured.out, captured.err


def test_help_names_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its default, as the configuration spells it."""
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for option in (
        "--learning-rate",
        "--max-residual-aniso",
        "--voigt-order",
        "--drop",
    ):
        assert option in out
    assert "[0.1,0.01]" in out


def test_a_model_is_trained_without_a_configuration(
    tables: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files follow ``--data``; the settings are kept with the model."""
    options = ("--property", "piezo", "--out", "out", "--epochs", "1", *TINY)
    code, _, err = run(
        capsys,
        "--data",
        *tables,
        *options,
        "--symprec",
        "0.1",
        "--drop",
        "outlier,leak",
    )
    assert code == 0, err
    assert "Audit: 16 rows" in err
    assert "Data: " in err
    model = describe_model(tmp_path / "out")
    assert model.row.name == "piezo"
    text = (tmp_path / "out" / "config.toml").read_text()
    for line in (
        'data = ["one.jsonl", "two.jsonl"]',
        "symprec = [0.1]",
        'drop = ["outlier", "leak"]',
        "channels = 4",
    ):
        assert line in text
    assert (tmp_path / "out" / "audit.csv").is_file()


def test_options_beat_the_configuration(
    tables: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Data of the options are in the folder we are in, those of the file beside it."""
    (tmp_path / "configs").mkdir()
    path = tmp_path / "configs" / "run.toml"
    path.write_text('property = "dielectric"\ndata = ["none"]\n')
    options = ("--data", tables[0], "--property", "piezo", "--audit", "--out", "out")
    code, out, _ = run(capsys, path, *options)
    assert code == 0
    assert "Audit: 8 rows" in out


def test_the_audit_says_what_to_do(
    tables: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the screen in a few lines; nothing is prepared or trained."""
    rows = [json.loads(line) for line in Path(tables[0]).read_text().splitlines()]
    for row in rows:
        row["tensors"] = {"piezo_e": row["tensor_published_voigt"]}
    Path("raw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ("--data", "raw.jsonl", "--property", "piezo", "--audit", "--out", "out")
    code, out, err = run(capsys, *options)
    assert (code, err) == (0, "")
    assert "frame: the label fits its structure in other axes only" in out
    assert "standard 8 (100%)" in out
    assert "Warning: the labels are probably in" in out
    assert "--label-frame" in out
    assert [path.name for path in Path("out").iterdir()] == ["audit.csv"]
    assert run(capsys, *options, "--label-frame", "standard")[1].count("frame:") == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "give a CONFIG.toml, or --data FILE... and --property NAME"),
        (("a.toml", "b.toml"), 2, "a.toml and b.toml cannot both be the configuration"),
        (("--data", "one.jsonl"), 1, "options: 'property' is missing"),
        (("--data", "x", "--property", "piezo"), 1, "x: no such file, nor a data set"),
        (("a.toml", "--symprec", "0.1,b"), 2, "is not a list of numbers with commas"),
        (("a.toml", "--network", "channels"), 2, "'channels' is not KEY=VALUE"),
        (("a.toml", "--drop", "unstabel"), 1, "did you mean 'unstable'"),
        (("a.toml", "--voigt-order", "vasq"), 1, "did you mean 'vasp'"),
        (("a.toml", "--label-frame", "iee"), 1, "did you mean 'ieee'"),
        (("a.toml", "--split-fractions", "1,1"), 1, "shares of train, val and test"),
    ],
)
def test_mistakes_are_named(
    arguments: tuple[str, ...],
    code: int,
    message: str,
    tables: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line each."""
    for name in ("a.toml", "b.toml"):
        Path(name).write_text('property = "piezo"\ndata = ["one.jsonl"]\n')
    found, _, err = run(capsys, *arguments, "--out", "out", "--audit")
    assert found == code, err
    assert message in err
    assert "Traceback" not in err
