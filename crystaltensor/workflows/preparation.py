"""From data sets to what a training run learns from: read, audit, drop, prepare."""

import contextlib
import csv
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from crystaltensor.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crystaltensor.data.audit import Audit
    from crystaltensor.data.datasets import (
        Dropped,
        LabelledCrystal,
        PreparedData,
        Reading,
    )
    from crystaltensor.properties import TensorProperty
    from crystaltensor.training.config import TrainingConfig
    from crystaltensor.workflows.together import Job

PREPARED = "prepared.npz"
DROPPED = "dropped.csv"
AUDIT = "audit.csv"
MODULI = "moduli.npz"
DROPPED_MODULI = "dropped_moduli.csv"
DESCRIPTORS = "descriptors.npz"
DROPPED_DESCRIPTORS = "dropped_descriptors.csv"


@dataclass(frozen=True)
class Audited:
    """What the audit of the data of a run has found.

    Parameters
    ----------
    audit : Audit
        One row for each that could be read.
    unread : tuple of Dropped
        Rows that are left out before, because the table or a setting says so.
    file : Path
        Where all of it is written.
    """

    audit: "Audit"
    unread: "tuple[Dropped, ...]"
    file: Path


@dataclass(frozen=True)
class Prepared:
    """The data of a run.

    Parameters
    ----------
    counts : dict
        Split to the number of its crystals.
    dropped : tuple of Dropped
        Rows that are not used.
    cached : bool
        Whether it was prepared before.
    audited : Audited, optional
        What was found; not where it was prepared before.
    n_moduli : int
        Further training crystals, with moduli alone.
    n_described : int
        Crystals with descriptors, to pretrain on.
    """

    counts: dict[str, int]
    dropped: "tuple[Dropped, ...]"
    cached: bool
    audited: Audited | None = field(default=None, repr=False)
    n_moduli: int = 0
    n_described: int = 0


def audit_data(config: "TrainingConfig", out: Path, *, base: Path) -> Audited:
    """Audit the data of a run, and write what is found.

    Parameters
    ----------
    config : TrainingConfig
        The settings.
    out : Path
        Folder of the run.
    base : Path
        Folder that the names of the data sets are relative to.

    Returns
    -------
    Audited
        What was found.

    Raises
    ------
    DataError
        If a data set is missing or damaged.
    ConfigError
        If a setting is wrong.
    """
    from crystaltensor.properties import find_property

    row = find_property(config.property)
    rows, dropped = _read(config, base, row)
    out.mkdir(parents=True, exist_ok=True)
    return _audit(rows, dropped, row, config, out)


def prepare_data(
    config: "TrainingConfig", out: Path, *, base: Path
) -> "tuple[PreparedData, Prepared]":
    """Read, check and prepare the data of a run, or take it from the cache.

    Parameters
    ----------
    config : TrainingConfig
        The settings.
    out : Path
        Folder of the run; the prepared data are kept there, under the hash of all they
        depend on.
    base : Path
        Folder that the names of the data sets are relative to.

    Returns
    -------
    data : PreparedData
        Crystals and labels.
    prepared : Prepared
        What was read.

    Raises
    ------
    DataError
        If a data set is missing or damaged.
    ConfigError
        If a setting of the network is wrong.
    """
    from crystaltensor.data import datasets
    from crystaltensor.data.hypotheses import symmetry_of
    from crystaltensor.nn.presets import neighbourhood, network_config
    from crystaltensor.properties import find_property

    row = find_property(config.property)
    if config.up_to_axes and (row.per_atom or not row.rank):
        raise ConfigError(f"up_to_axes is for tensors of crystals, not for {row.name}")
    around = neighbourhood(network_config(config.network, row))
    cache = out / PREPARED
    if cache.is_file() and not _tables_there(config, base):
        data = datasets.load_prepared(cache)  # a node that has the prepared data only
        return data, Prepared(count_splits(data), (), cached=True)
    paths = _find(config, base)
    key = _key(config, paths, base, property=row.name, around=around)
    found = _cached(cache, key)
    if found is not None:
        return found, Prepared(count_splits(found), (), cached=True)
    rows, unread = _read(config, base, row)
    audited = _audit(rows, unread, row, config, out)
    rows, wrong = _drop(rows, audited.audit, config)
    data, misfits = datasets.prepare(
        rows,
        row,
        around=around,
        symprec=config.symprec,
        max_residual=config.max_residual,
        key=key,
        up_to_axes=config.up_to_axes,
    )
    symmetry_of.cache_clear()
    dropped = (*unread, *wrong, *misfits)
    _write_dropped(dropped, out / DROPPED)
    datasets.save_prepared(data, cache)
    return data, Prepared(count_splits(data), dropped, cached=False, audited=audited)


def prepare_extra_moduli(
    config: "TrainingConfig", out: Path, *, base: Path
) -> "PreparedData | None":
    """Prepare the crystals of a run that have moduli alone, or take them from the cache.

    Parameters
    ----------
    config, out, base
        As in `prepare_data`.

    Returns
    -------
    PreparedData or None
        Training crystals; none of them is of a formula and space group that the data of
        the run have. None if the settings name no such data.

    Raises
    ------
    ConfigError
        If the property has no moduli.
    DataError
        If a data set is missing or damaged, or leaves no crystal.
    """
    from crystaltensor.data import datasets, moduli
    from crystaltensor.data.splits import group_of
    from crystaltensor.nn.presets import neighbourhood, network_config
    from crystaltensor.properties import ELASTIC, find_property

    if not config.moduli:
        return None
    row = find_property(config.property)
    if row is not ELASTIC:
        raise ConfigError(f"moduli are labels of {ELASTIC.name}, not of {row.name}")
    around = neighbourhood(network_config(config.network, row))
    cache, extra = out / MODULI, replace(config, data=config.moduli)
    if cache.is_file() and not (
        _tables_there(config, base) and _tables_there(extra, base)
    ):
        return datasets.load_prepared(cache)
    paths = _find(extra, base)
    tables = [*_find(config, base), *paths]
    key = _key(config, tables, base, moduli=len(paths), around=around)
    found = _cached(cache, key)
    if found is not None:
        return found
    own, _ = _read(config, base, row)
    tolerance = config.symprec[0]
    taken = {group_of(each.crystal, symprec=tolerance) for each in own}
    read = [moduli.read_moduli(path, _reading(config)) for path in paths]
    data, dropped = moduli.prepare_moduli(
        [known for rows, _ in read for known in rows],
        taken=taken,
        around=around,
        symprec=tolerance,
        key=key,
    )
    unread = [each for _, lost in read for each in lost]
    _write_dropped([*unread, *dropped], out / DROPPED_MODULI)
    datasets.save_prepared(data, cache)
    return data


def prepare_run_descriptors(jobs: "Sequence[Job]") -> "PreparedData | None":
    """Prepare the crystals with descriptors of atoms, or take them from the cache.

    Parameters
    ----------
    jobs : sequence of Job
        All of a run; the first one says which tables, and has the folder.

    Returns
    -------
    PreparedData or None
        None of its crystals is of a formula and space group that are in val or test of
        a job. None if the settings name no table.

    Raises
    ------
    ConfigError
        If the network is none that can begin from them.
    DataError
        If a table is missing or damaged, or leaves no crystal.
    """
    from crystaltensor.data import datasets
    from crystaltensor.data.descriptors import prepare_descriptors, read_descriptors
    from crystaltensor.data.splits import group_of
    from crystaltensor.nn.gmtnet import GMTNetConfig
    from crystaltensor.nn.presets import neighbourhood, network_config
    from crystaltensor.properties import find_property

    first = jobs[0]
    config = first.config
    if not config.descriptors:
        return None
    row = find_property(config.property)
    shape = network_config(config.network, row)
    if not isinstance(shape, GMTNetConfig):
        raise ConfigError(
            "only the network 'gmtnet' of tensors begins from descriptors"
        )
    cache, extra = first.out / DESCRIPTORS, replace(config, data=config.descriptors)
    there = [_tables_there(job.config, job.base) for job in jobs]
    if cache.is_file() and not (all(there) and _tables_there(extra, first.base)):
        return datasets.load_prepared(cache)
    paths = _find(extra, first.base)
    around = neighbourhood(shape)
    known = [path for job in jobs for path in _find(job.config, job.base)]
    key = _key(config, known, first.base, beside=paths, described=True, around=around)
    found = _cached(cache, key)
    if found is not None:
        return found
    tolerance = config.symprec[0]
    taken = {
        group_of(each.crystal, symprec=tolerance)
        for job in jobs
        for each in _read(job.config, job.base, find_property(job.config.property))[0]
        if each.split in {"val", "test"}
    }
    data, dropped = prepare_descriptors(
        [each for path in paths for each in read_descriptors(path)],
        taken=taken,
        around=around,
        symprec=tolerance,
        key=key,
    )
    _write_dropped(dropped, first.out / DROPPED_DESCRIPTORS)
    datasets.save_prepared(data, cache)
    return data


def count_splits(data: "PreparedData") -> dict[str, int]:
    """Count the crystals of each split."""
    return {split: len(data.part(split)) for split in ("train", "val", "test")}


def _cached(cache: Path, key: str) -> "PreparedData | None":
    """Load what was prepared from the same; files of older versions are made again."""
    from crystaltensor.data.datasets import load_prepared

    with contextlib.suppress(DataError):
        if cache.is_file():
            data = load_prepared(cache)
            if data.key == key:
                return data
    return None


def _reading(config: "TrainingConfig") -> "Reading":
    """Collect how tables are read."""
    from crystaltensor.data.datasets import Reading

    return Reading(
        config.voigt_order, config.column, config.structures, config.skip_bad_rows
    )


def _find(config: "TrainingConfig", base: Path) -> list[Path]:
    """Find the data sets of a run."""
    from crystaltensor.data.datasets import find_table

    return [find_table(name, base) for name in config.data]


def _tables_there(config: "TrainingConfig", base: Path) -> bool:
    """Whether every data set of a run can be found."""
    try:
        return bool(_find(config, base))
    except DataError:
        return False


def _key(
    config: "TrainingConfig",
    paths: "Sequence[Path]",
    base: Path,
    *,
    beside: "Sequence[Path]" = (),
    **more: object,
) -> str:
    """Hash all that the prepared data depend on: tables, and files beside them."""
    from crystaltensor.data.datasets import cache_key, structure_files

    reading = _reading(config)
    files = [each for path in paths for each in structure_files(path, reading)]
    mended = _find(replace(config, data=config.corrections), base)
    return cache_key(
        [*paths, *files, *mended, *beside],
        reading=reading,
        symprec=config.symprec,
        max_component=config.max_component,
        max_residual=config.max_residual,
        max_residual_aniso=config.max_residual_aniso,
        label_frame=config.label_frame,
        split=(config.split, config.split_seed, config.split_fractions),
        drop=config.drop,
        **({"up_to_axes": True} if config.up_to_axes else {}),
        **({"corrections": len(mended)} if mended else {}),
        **more,
    )


def _read(
    config: "TrainingConfig", base: Path, row: "TensorProperty"
) -> "tuple[list[LabelledCrystal], list[Dropped]]":
    """Read the tables of a run; labels in the axes of the files, every row in a split."""
    from crystaltensor.data import datasets
    from crystaltensor.data.corrections import correct
    from crystaltensor.data.hypotheses import in_file_axes

    rows: list[LabelledCrystal] = []
    dropped: list[Dropped] = []
    for path in _find(config, base):
        found, outliers = datasets.read_table(
            path, row, max_component=config.max_component, reading=_reading(config)
        )
        rows += found
        dropped += outliers
    for path in _find(replace(config, data=config.corrections), base):
        rows = correct(rows, path, row, _reading(config))
    rows = in_file_axes(rows, row, frame=config.label_frame, symprec=config.symprec[0])
    rows = datasets.assign_splits(
        rows,
        source=config.split,
        seed=config.split_seed,
        fractions=config.split_fractions,
        symprec=config.symprec[0],
    )
    return rows, dropped


def _audit(
    rows: "list[LabelledCrystal]",
    unread: "list[Dropped]",
    row: "TensorProperty",
    config: "TrainingConfig",
    out: Path,
) -> Audited:
    """Audit rows, and write what is found."""
    from crystaltensor.data.audit import audit, write_audit

    found = audit(rows, row, symprec=config.symprec)
    write_audit(found, out / AUDIT)
    return Audited(found, tuple(unread), out / AUDIT)


def _drop(
    rows: "list[LabelledCrystal]", audit: "Audit", config: "TrainingConfig"
) -> "tuple[list[LabelledCrystal], list[Dropped]]":
    """Leave out what the settings name of what the audit has found."""
    from crystaltensor.data.audit import left_out
    from crystaltensor.data.datasets import Dropped

    kept: list[LabelledCrystal] = []
    dropped: list[Dropped] = []
    for each, found in zip(rows, audit.rows, strict=True):
        reason = left_out(
            found, drop=config.drop, max_residual_aniso=config.max_residual_aniso
        )
        if reason is None:
            kept.append(each)
        else:
            dropped.append(Dropped(each.name, reason))
    if not kept:
        raise DataError(f"{', '.join(config.data)}: the settings leave no row")
    return kept, dropped


def _write_dropped(dropped: "Sequence[Dropped]", path: Path) -> None:
    """Name the rows that are not used."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("name", "reason"))
        writer.writerows((each.name, each.reason) for each in dropped)
