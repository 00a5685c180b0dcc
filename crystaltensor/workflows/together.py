"""Properties that are learnt together: whose settings hold for what."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from crystaltensor.errors import ConfigError
from crystaltensor.properties import find_property
from crystaltensor.training.config import TrainingConfig, read_config

if TYPE_CHECKING:
    from crystaltensor.data.datasets import PreparedData

OWN = (
    *("property", "data", "column", "structures", "voigt_order", "label_frame"),
    *("up_to_axes", "corrections"),
    *("split", "split_seed", "split_fractions", "drop", "skip_bad_rows"),
    *("symprec", "max_component", "max_residual", "max_residual_aniso"),
    *("loss_floor", "loss_softness", "weight", "moduli", "moduli_weight"),
)
"""Settings that each of several properties keeps."""


@dataclass(frozen=True)
class Job:
    """A property of a run.

    Parameters
    ----------
    config : TrainingConfig
        The settings that hold for it.
    base : Path
        Folder that the names of its data sets are relative to.
    out : Path
        Folder of its model.
    """

    config: TrainingConfig
    base: Path
    out: Path


@dataclass(frozen=True)
class PreparedJob:
    """A property of a run with its data.

    Parameters
    ----------
    config, out
        As in `Job`.
    data : PreparedData
        Crystals and labels.
    moduli : PreparedData, optional
        Crystals with moduli alone.
    descriptors : PreparedData, optional
        Crystals with descriptors of atoms; the first job has those of all.
    """

    config: TrainingConfig
    out: Path
    data: "PreparedData"
    moduli: "PreparedData | None" = None
    descriptors: "PreparedData | None" = None


def jobs_of(config: TrainingConfig, out: Path, *, base: Path) -> list[Job]:
    """List what a run learns: the property of its settings, then those together with it.

    Parameters
    ----------
    config : TrainingConfig
        The settings.
    out : Path
        Folder of the run; the models of the other properties get folders in it.
    base : Path
        Folder that the names in the settings are relative to.

    Returns
    -------
    list of Job
        One, or several with networks of one shape.

    Raises
    ------
    ConfigError
        If another configuration is not there or wrong, if a property occurs twice, or
        is none that networks can have features in common for.
    """
    jobs = [Job(config, base, out)]
    seen = {config.property}
    for name in config.together:
        path = base / name
        if not path.is_file():
            raise ConfigError(f"{path}: no such configuration; see 'together'")
        other = read_config(path)
        if other.property == config.property:
            continue
        if other.property in seen:
            raise ConfigError(f"{path}: {other.property} is learnt already")
        seen.add(other.property)
        own = {setting: getattr(other, setting) for setting in OWN}
        jobs.append(Job(replace(config, **own), path.parent, out / other.property))
    if len(jobs) == 1:
        return jobs
    network = _common_network(config, [job.config for job in jobs])
    return [replace(job, config=replace(job.config, network=network)) for job in jobs]


def _common_network(
    config: TrainingConfig, many: list[TrainingConfig]
) -> dict[str, object]:
    """Give all networks the largest degree that one of them needs."""
    rows = [find_property(each.property) for each in many]
    for row in rows:
        if not row.rank or config.network.get("preset", "gmtnet") != "gmtnet":
            raise ConfigError(
                "only tensors, and only by the network 'gmtnet', are learnt together"
                f", not {row.name}"
            )
    return {"l_max": max(row.rank for row in rows), **config.network}
