"""The settings of a training run."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from crystaltensor.data.choices import (
    FILE,
    FINDINGS,
    FRAMES,
    SPLIT_SOURCES,
    VOIGT_ORDERS,
)
from crystaltensor.errors import ConfigError
from crystaltensor.settings import (
    check_bounds,
    check_fields,
    read_small_file,
    suggestion,
)
from crystaltensor.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_CHOICES = {
    "voigt_order": VOIGT_ORDERS,
    "label_frame": (FILE, *FRAMES),
    "split": SPLIT_SOURCES,
    "keep": ("best", "last"),
}


_NEVER_EMPTY = ("data", "symprec", "split_fractions")


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that fixes the outcome of a training run.

    Parameters
    ----------
    property
        Name of the property to learn.
    data
        Data sets: names of bundled ones, or files, relative to the configuration.
    corrections
        Tables of labels without structures: they replace those of the crystals with the
        same names in `data`. ``sign_reliable`` and ``axes_reliable`` in them say what is
        known of those labels.
    column
        Column of a table that holds the tensor; empty to look for the known names.
    structures
        Folder of the structure files of a CSV table, relative to the table.
    voigt_order
        Order of Voigt components in the data: "voigt" (xx yy zz yz xz xy), "vasp" (xx
        yy zz xy yz zx), or "auto": the first, but in JARVIS's columns the second.
    label_frame
        Axes that the labels are in: "file", those of their structures; "standard",
        "ieee", "c-along-z" or "a-along-x" are turned into them.
    up_to_axes
        Whether the labels were in standardised axes once and nobody knows which of
        those that the space group cannot tell apart: a polar axis may have pointed up
        or down, a rhombohedral cell may have been obverse or reverse. Loss and
        validation error then take the nearest of what a label may be, rotated or, if
        inversion changes its sign, with the other sign; rows that say
        ``axes_reliable`` are taken as they are.
    split
        Where the splits are from: "file", "group" to draw them by reduced formula and
        space group, or "auto" to draw those that the file does not have.
    split_seed
        Of the splits that are drawn.
    split_fractions
        Shares of train, val and test in those.
    drop
        What the audit finds and is to be left out, such as "unstable"; nothing else of
        it is.
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
    max_residual_aniso
        The same relative to what is not isotropic in the label, from the audit.
    skip_bad_rows
        Whether rows that cannot be read, or have no usable label, are left out and
        named in dropped.csv; without it the first of them stops the run.
    seed
        Of the weights and of the order of the crystals.
    members
        Networks of the ensemble; member i is trained with the seed `seed` + i.
    folds
        Parts of the training crystals. For each a further network is trained without
        it: the errors for what it has not seen calibrate the uncertainty. These
        networks are no part of the model. 0 to calibrate on val alone.
    epochs
        The learning rate falls to zero over this many.
    patience
        Stop after this many epochs without a better validation error.
    keep
        Which average of the weights becomes the model: "best", that of the epoch with
        the smallest validation error, or "last", that of the last epoch, where the
        error is ruled by so few crystals that the smallest is chance; patience then
        does nothing.
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
    together
        Configurations of properties that are learnt at the same time by networks with
        common features, relative to this one. The property's own may be among them. Of
        the others hold what is said of the data, `loss_floor`, `loss_softness` and
        `weight`; the rest is as it is here.
    weight
        Of the property's loss where several are learnt together.
    moduli
        Data sets of crystals with a bulk modulus, a shear modulus or both: C is learnt
        from them too, through Hill's means of the predicted tensor. Crystals that `data`
        have too, or that their own table has in val or test, are left out.
    moduli_weight
        Of their loss, relative to that of a crystal with all of C.
    descriptors
        Tables of descriptors of atoms, see ``data.descriptors``: before anything else the
        features of the network learn to tell them, and the members begin from there.
        Crystals of formulas and space groups that are in val or test are left out.
    pretraining_epochs, pretraining_rate
        Of that; the other settings are those of the run, but for the dropout and the
        weight decay, for there are more descriptors than a network can learn.
    mixed_precision
        Whether a GPU computes the network in bfloat16; the loss stays in float32.
    threads
        Of torch on the CPU.
    """

    property: str
    data: tuple[str, ...]
    network: "Mapping[str, Any]" = field(default_factory=dict)
    corrections: tuple[str, ...] = ()
    column: str = ""
    structures: str = ""
    voigt_order: str = "auto"
    label_frame: str = "file"
    up_to_axes: bool = False
    split: str = "auto"
    split_seed: int = 0
    split_fractions: tuple[float, ...] = (0.8, 0.1, 0.1)
    drop: tuple[str, ...] = ()
    symprec: tuple[float, ...] = (0.1, 0.01)
    max_component: float = float("inf")
    max_residual: float = 0.2
    max_residual_aniso: float = float("inf")
    skip_bad_rows: bool = False
    seed: int = 0
    members: int = 1
    folds: int = 0
    epochs: int = 60
    patience: int = 20
    keep: str = "best"
    batch_size: int = 32
    learning_rate: float = 3e-3
    warmup_steps: int = 50
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema_decay: float = 0.99
    loss_floor: float = 0.5
    loss_softness: float = 1.0
    together: tuple[str, ...] = ()
    weight: float = 1.0
    moduli: tuple[str, ...] = ()
    moduli_weight: float = 1.0
    descriptors: tuple[str, ...] = ()
    pretraining_epochs: int = 12
    pretraining_rate: float = 3e-3
    mixed_precision: bool = False
    threads: int = 2

    def __post_init__(self) -> None:
        for name in (
            "max_component",
            "max_residual",
            "max_residual_aniso",
            "learning_rate",
            "loss_floor",
            "loss_softness",
            "weight",
            "moduli_weight",
            "pretraining_rate",
        ):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive")
        many = (1, 10**9)
        check_bounds(
            self,
            members=(1, 1000),
            folds=(0, 1000),
            epochs=many,
            pretraining_epochs=many,
            patience=many,
            batch_size=many,
            threads=(1, 1024),
            seed=(0, 2**32 - 1),
            split_seed=(0, 2**32 - 1),
            warmup_steps=(0, 10**9),
            learning_rate=(0, 1e6),
            pretraining_rate=(0, 1e6),
            weight_decay=(0, 1e6),
            clip_norm=(0, 1e30),
            loss_floor=(0, 1e30),
            loss_softness=(0, 1e30),
        )
        if self.folds == 1:
            raise ConfigError("folds must be 0, or at least 2")
        if not self.symprec or not all(0 < each <= 10 for each in self.symprec):
            raise ConfigError("symprec must be a list of positive distances, in Å")
        self._check_data()
        if not 0 <= self.ema_decay < 1:
            raise ConfigError("ema_decay must be at least 0 and below 1")

    def _check_data(self) -> None:
        """Check what is said of the data."""
        for name, known in _CHOICES.items():
            _check_choice(name, getattr(self, name), known)
        for name in self.drop:
            _check_choice("drop", name, tuple(FINDINGS))
        shares = self.split_fractions
        right = len(shares) == 3 and all(0 <= share <= 1e6 for share in shares)
        if not right or not shares[0] > 0:
            raise ConfigError(
                "split_fractions must be the shares of train, val and test, as in "
                "[0.8, 0.1, 0.1]"
            )


def _check_choice(name: str, value: str, known: "Sequence[str]") -> None:
    """Refuse a name that is none of the known ones."""
    if value not in known:
        shown = one_line(repr(value), 60)
        raise ConfigError(f"unknown {name} {shown}; {suggestion(value, known)}")


def read_config(path: "Path | None", **options: object) -> TrainingConfig:
    """Read a TOML file; options that are not None beat it.

    Parameters
    ----------
    path : Path or None
        A TOML file with the fields of `TrainingConfig`; None if the options are all
        there is.
    options
        Values from elsewhere, such as the command line. Those of the network beat
        those of the file one by one.

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
        given = tomllib.loads(read_small_file(path) if path else "")
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, impossible dates
        raise ConfigError(f"{path}: not a TOML file ({error})") from error
    network = options.pop("network", None)
    if isinstance(network, dict) and isinstance(given.get("network", {}), dict):
        given["network"] = given.get("network", {}) | network
    given |= {key: value for key, value in options.items() if value is not None}
    return make_config(given, source=str(path) if path else "options")


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
        ("split_fractions", (int, float), "numbers"),
        ("drop", str, "strings"),
        ("together", str, "strings"),
        ("moduli", str, "strings"),
        ("descriptors", str, "strings"),
        ("corrections", str, "strings"),
    ):
        if name in given:
            listed = given[name]
            right = isinstance(listed, list | tuple)
            right = right and (listed or name not in _NEVER_EMPTY)
            if not right or not all(_is_one(each, kinds) for each in listed):
                raise ConfigError(f"{source}: {name} must be a list of {plural}")
            values[name] = tuple(listed)
    if not isinstance(values.get("network", {}), Mapping):
        raise ConfigError(f"{source}: network must be a table, [network]")
    try:
        return TrainingConfig(**values)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error


def _is_one(value: object, kinds: "type | tuple[type, ...]") -> bool:
    """Tell whether a value is of a kind; in a configuration True is no number."""
    return isinstance(value, kinds) and not isinstance(value, bool)


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
