"""The settings of a training run."""

import json
import tomllib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from crystaltensor.errors import ConfigError
from crystaltensor.settings import check_fields

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that fixes the outcome of a training run.

    Parameters
    ----------
    property
        Name of the property to learn.
    data
        Data sets: names of bundled ones, or files, relative to the configuration.
    network
        Settings of the network, see ``nn.presets``.
    symprec
        Largest distances between equivalent atoms, in Å: a crystal has the symmetry
        that is found at the first one at which it allows the label.
    max_component
        Rows with a larger component are outliers and are left out.
    max_residual
        Largest part of a label, relative to its norm, that the symmetry of the crystal
        may forbid. Rows with more at every `symprec` are left out, those of the test
        split excepted: label and structure do not belong together.
    seed
        Of the weights and of the order of the crystals.
    epochs
        The learning rate falls to zero over this many.
    patience
        Stop after this many epochs without a better validation error.
    batch_size
        Crystals in a step.
    learning_rate, warmup_steps, weight_decay, clip_norm
        Of AdamW: a linear rise, then half a cosine.
    ema_decay
        Of the moving average of the weights, which is what is kept.
    loss_floor
        Labels smaller than this count with their absolute error, in their unit.
    loss_softness
        Scaled errors below this count quadratically, those above linearly.
    mixed_precision
        Whether a GPU computes the network in bfloat16; the loss stays in float32.
    threads
        Of torch on the CPU.
    """

    property: str
    data: tuple[str, ...]
    network: "Mapping[str, Any]" = field(default_factory=dict)
    symprec: tuple[float, ...] = (0.1, 0.01)
    max_component: float = float("inf")
    max_residual: float = 0.2
    seed: int = 0
    epochs: int = 60
    patience: int = 20
    batch_size: int = 32
    learning_rate: float = 3e-3
    warmup_steps: int = 50
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema_decay: float = 0.99
    loss_floor: float = 0.5
    loss_softness: float = 1.0
    mixed_precision: bool = False
    threads: int = 2

    def __post_init__(self) -> None:
        for name in (
            "max_component",
            "max_residual",
            "learning_rate",
            "loss_floor",
            "loss_softness",
        ):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive")
        for name in ("epochs", "patience", "batch_size", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1")
        if not self.symprec or not all(each > 0 for each in self.symprec):
            raise ConfigError("symprec must be a list of positive distances")
        if not 0 <= self.ema_decay < 1:
            raise ConfigError("ema_decay must be at least 0 and below 1")


def read_config(path: "Path", **options: object) -> TrainingConfig:
    """Read a TOML file; options that are not None beat it.

    Parameters
    ----------
    path : Path
        A TOML file with the fields of `TrainingConfig`.
    options
        Values from elsewhere, such as the command line.

    Returns
    -------
    TrainingConfig
        The settings.

    Raises
    ------
    ConfigError
        If the file is not TOML, or a key or value is not one of ours.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file ({error})") from error
    given |= {key: value for key, value in options.items() if value is not None}
    return make_config(given, source=str(path))


def make_config(given: "Mapping[str, Any]", *, source: str) -> TrainingConfig:
    """Check settings and fill in the defaults.

    Parameters
    ----------
    given : mapping
        Fields of `TrainingConfig`.
    source : str
        Where they are from, for the message.

    Returns
    -------
    TrainingConfig
        The settings.

    Raises
    ------
    ConfigError
        If a key is unknown or missing, or a value has the wrong type.
    """
    check_fields(given, TrainingConfig, source=source)
    for required in ("property", "data"):
        if required not in given:
            raise ConfigError(f"{source}: {required!r} is missing")
    values = dict(given)
    for name, kinds, plural in (
        ("data", str, "strings"),
        ("symprec", (int, float), "numbers"),
    ):
        if name in given:
            listed = given[name] if isinstance(given[name], list | tuple) else ()
            if not listed or not all(isinstance(each, kinds) for each in listed):
                raise ConfigError(f"{source}: {name} must be a list of {plural}")
            values[name] = tuple(listed)
    try:
        return TrainingConfig(**values)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error


def to_toml(config: TrainingConfig) -> str:
    """Write settings as TOML; JSON values of these types are TOML values."""
    plain = asdict(config)
    network = plain.pop("network")
    lines = [f"{key} = {_toml_value(value)}" for key, value in plain.items()]
    lines += ["", "[network]"]
    lines += [f"{key} = {_toml_value(value)}" for key, value in network.items()]
    return "\n".join(lines) + "\n"


def _toml_value(value: object) -> str:
    """Write one value."""
    return "inf" if value == float("inf") else json.dumps(value, ensure_ascii=False)
