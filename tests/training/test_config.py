"""Settings: read, checked, written."""

from pathlib import Path

import pytest

from crystaltensor.errors import ConfigError
from crystaltensor.training.config import TrainingConfig, read_config, to_toml


def write(path: Path, text: str) -> Path:
    """Write a configuration."""
    file = path / "run.toml"
    file.write_text(text)
    return file


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """All fields, infinity and non-ASCII text included."""
    config = TrainingConfig(
        property="piezo",
        data=("é.jsonl",),
        network={"channels": 8, "preset": "gmtnet"},
        seed=3,
    )
    assert read_config(write(tmp_path, to_toml(config))) == config


def test_options_beat_the_file_and_the_file_the_defaults(tmp_path: Path) -> None:
    """None means that an option was not given."""
    text = 'property = "piezo"\ndata = ["x"]\nepochs = 7\nseed = 5\n'
    config = read_config(write(tmp_path, text), epochs=9, seed=None)
    assert (config.epochs, config.seed) == (9, 5)
    assert config.batch_size == TrainingConfig.batch_size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "learnig_rate = 1",
            "unknown key 'learnig_rate'; did you mean 'learning_rate'",
        ),
        ("xyz = 1", "unknown key 'xyz'; known: "),
        ("epochs = 'many'", "epochs must be int, not 'many'"),
        ("epochs = 0", "epochs must be at least 1"),
        ("epochs = true", "epochs must be int, not True"),
        ("learning_rate = -1.0", "learning_rate must be positive"),
        ("ema_decay = 1.0", "ema_decay must be at least 0 and below 1"),
        ("symprec = 0.1", "symprec must be a list of numbers"),
        ("symprec = [-0.1]", "symprec must be a list of positive distances"),
        ("epochs = ", "not a TOML file"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, message: str) -> None:
    """File, key and the way out."""
    path = write(tmp_path, f'property = "piezo"\ndata = ["x"]\n{text}\n')
    with pytest.raises(ConfigError, match=rf"run\.toml: .*{message}"):
        read_config(path)


def test_missing_settings_are_named(tmp_path: Path) -> None:
    """Property and data have no default."""
    with pytest.raises(ConfigError, match="'property' is missing"):
        read_config(write(tmp_path, 'data = ["x"]'))
    with pytest.raises(ConfigError, match="'data' is missing"):
        read_config(write(tmp_path, 'property = "piezo"'))
    with pytest.raises(ConfigError, match="data must be a list of strings"):
        read_config(write(tmp_path, 'property = "piezo"\ndata = "x"'))
