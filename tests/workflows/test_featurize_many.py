"""Tests of crystaltensor.workflows.featurize_many and of the store it fills."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from crystaltensor.errors import ConfigError, FormatError
from crystaltensor.workflows import featurize_many
from crystaltensor.workflows.feature_store import FeatureStore
from crystaltensor.workflows.featurize import Featurized, featurize_all
from crystaltensor.workflows.featurize_many import Progress, featurize_into


def extxyz(n_crystals: int) -> str:
    """Rock salt of growing edges, as frames of one file; every seventh is broken."""
    frames = []
    for i in range(n_crystals):
        edge = 3 + i / n_crystals
        second = "0 0 0" if i % 7 == 6 else f"{edge / 2} {edge / 2} {edge / 2}"
        frames.append(
            f'2\nLattice="{edge} 0 0 0 {edge} 0 0 0 {edge}" '
            f'Properties=species:S:1:pos:R:3 pbc="T T T"\nNa 0 0 0\nCl {second}\n'
        )
    return "".join(frames)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three files of several structures each, in a folder, and shards of four."""
    monkeypatch.setattr(featurize_many, "_SHARD_STRUCTURES", 4)
    folder = tmp_path / "in"
    folder.mkdir()
    for name, count in (("a.extxyz", 9), ("b.extxyz", 1), ("c.extxyz", 5)):
        (folder / name).write_text(extxyz(count))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Read every file of a store."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run(store: Path, *paths: Path) -> Progress:
    """Fill a store to the end."""
    return list(featurize_into(store, [str(path) for path in paths]))[-1]


def test_a_store_holds_all_sums(files: Path, tmp_path: Path) -> None:
    """In order, as they are computed without a store."""
    report = run(tmp_path / "out", files)
    assert (report.n_files, report.files_done) == (3, 3)
    assert (report.n_summed, report.n_failed, report.n_before) == (14, 1, 0)
    store = FeatureStore(tmp_path / "out")
    assert store.settings["potentials"] == ["coulomb", "london", "pauli:3.0"]
    direct = [o for o in featurize_all([str(files)]) if isinstance(o, Featurized)]
    for stored, found in zip(store.crystals(), direct, strict=True):
        assert stored.record["source"] == found.source
        np.testing.assert_allclose(stored.matrices, found.matrices, atol=2e-10)
        np.testing.assert_array_equal(stored.cell, found.lattice)
        np.testing.assert_array_equal(stored.numbers, found.numbers)
        assert (stored.error_bounds > 0).all()
    lines = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == list(store.records())
    failures = [r for r in store.records() if r["status"] == "error"]
    assert [r["source"] for r in failures] == [f"{files / 'a.extxyz'}#6"]
    assert "at the same place" in failures[0]["error"]["message"]


def test_an_interrupted_run_resumes_to_the_same_bytes(
    files: Path, tmp_path: Path
) -> None:
    """Wherever it stops; the last shard is lost at most."""
    run(tmp_path / "whole", files)
    expected = contents(tmp_path / "whole")
    n_reports = len(list(featurize_into(tmp_path / "count", [str(files)])))
    for stop in range(n_reports):
        store = tmp_path / f"stopped{stop}"
        reports = featurize_into(store, [str(files)])
        for _ in range(stop):
            next(reports)
        reports.close()  # type: ignore[attr-defined]
        # A crash may leave arrays without their lines, or a file half written.
        (store / "shards").mkdir(parents=True, exist_ok=True)
        if (store / "settings.json").exists():
            n_shards = len(list((store / "shards").glob("*.jsonl")))
            (store / "shards" / f"{n_shards:05d}.safetensors").write_bytes(b"torn")
        run(store, files)
        assert contents(store) == expected


def test_a_finished_store_is_left_as_it_is(files: Path, tmp_path: Path) -> None:
    """Nothing is computed twice, and the counts are those of the store."""
    run(tmp_path / "out", files)
    before = contents(tmp_path / "out")
    report = run(tmp_path / "out", files)
    assert (report.n_summed, report.n_failed, report.n_before) == (14, 1, 15)
    assert contents(tmp_path / "out") == before


def test_new_files_are_added(files: Path, tmp_path: Path) -> None:
    """Behind what is there."""
    run(tmp_path / "out", files)
    (files / "aa.extxyz").write_text(extxyz(2))
    report = run(tmp_path / "out", files)
    assert (report.n_summed, report.n_before) == (16, 15)
    sources = [record["source"] for record in FeatureStore(tmp_path / "out").records()]
    assert sources[-1] == f"{files / 'aa.extxyz'}#1"


def test_a_store_inside_of_its_own_input_is_not_read(files: Path) -> None:
    """Its lines would look like structures."""
    for _ in range(2):
        report = run(files / "out", files)
        assert (report.n_files, report.n_summed) == (3, 14)


def test_other_settings_are_refused(files: Path, tmp_path: Path) -> None:
    """Sums of two kinds do not mix."""
    run(tmp_path / "out", files)
    with pytest.raises(ConfigError, match="holds sums with tolerance 1e-10, not 1e-06"):
        list(featurize_into(tmp_path / "out", [str(files)], tolerance=1e-6))
    with pytest.raises(ConfigError, match="holds sums with potentials"):
        list(featurize_into(tmp_path / "out", [str(files)], potentials="coulomb"))


def test_a_folder_of_something_else_is_refused(files: Path, tmp_path: Path) -> None:
    """Nothing in it is touched."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(FormatError, match="is no feature store, and not empty"):
        list(featurize_into(other, [str(files)]))
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]
    with pytest.raises(FormatError, match="cannot be written"):
        list(featurize_into(other / "thesis.txt" / "out", [str(files)]))
    with pytest.raises(FormatError, match="is no feature store"):
        FeatureStore(other)
    (other / "settings.json").write_text("{")
    with pytest.raises(FormatError, match="is damaged"):
        FeatureStore(other)


def test_nothing_but_failures_is_a_store_too(tmp_path: Path) -> None:
    """With empty arrays."""
    (tmp_path / "bad.cif").write_text("data_x\n")
    report = run(tmp_path / "out", tmp_path / "bad.cif")
    assert (report.n_summed, report.n_failed) == (0, 1)
    assert list(FeatureStore(tmp_path / "out").crystals()) == []


def test_a_killed_process_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    """SIGKILL in the middle of a run."""
    (tmp_path / "many.extxyz").write_text(extxyz(900))
    command = [sys.executable, "-m", "crystaltensor", "featurize"]
    command += [str(tmp_path / "many.extxyz"), "-o"]
    killed = tmp_path / "killed"
    with subprocess.Popen([*command, str(killed)]) as process:
        while not (killed / "shards" / "00000.jsonl").exists():
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert not (killed / "manifest.jsonl").exists()
    for store in (killed, tmp_path / "whole"):
        run(store, tmp_path / "many.extxyz")
    assert contents(killed) == contents(tmp_path / "whole")
