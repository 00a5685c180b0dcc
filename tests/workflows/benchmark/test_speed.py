"""Tests of crystaltensor.workflows.benchmark.speed and processes."""

from pathlib import Path

import pytest

from crystaltensor.inference.predictor import load
from crystaltensor.workflows.benchmark.pictures import draw_stages
from crystaltensor.workflows.benchmark.processes import whole_run
from crystaltensor.workflows.benchmark.speed import (
    STAGES,
    _draw,
    _profile,
    _rate_table,
    _stage_tables,
    typical_crystals,
)


def test_a_whole_process_is_timed_with_its_memory(tmp_path: Path) -> None:
    """That of the process itself, which holds 200 MiB here, and not of this one."""
    work = "import time; x = bytearray(200 * 2**20); time.sleep(0.2)"
    found = whole_run("-c", work, folder=tmp_path, rounds=1)
    assert found.seconds > 0.2
    assert found.cpu_seconds < found.seconds
    assert 200 < found.peak_mib < 300
    small = whole_run("-c", "pass", folder=tmp_path, rounds=2)
    assert small.peak_mib < 100


def test_a_process_that_fails_is_an_error(tmp_path: Path) -> None:
    """Its time would mean nothing."""
    with pytest.raises(RuntimeError, match="ValueError: no"):
        whole_run("-c", "raise ValueError('no')", folder=tmp_path, rounds=1)


def test_every_stage_takes_time(tmp_path: Path) -> None:
    """And the stages of a table add up."""
    crystals = typical_crystals(3)
    assert all(5 <= each.n_atoms <= 16 for each in crystals)
    profile = _profile(load("piezo", device="cpu"), crystals, 0.01)
    for stages in (profile.alone, profile.batch):
        assert list(stages) == list(STAGES)
        assert all(timing.seconds > 0 for timing in stages.values())
    for table in _stage_tables([profile], crystals):
        (row,) = table.rows
        assert sum(row[1:-1]) == pytest.approx(row[-1])
    assert _draw([profile], tmp_path).read_bytes().startswith(b"\x89PNG")


def test_a_folder_is_predicted_to_the_end() -> None:
    """In one process and in more, where there are cores."""
    table, figures = _rate_table(typical_crystals(2), "dielectric", "cpu", n_files=6)
    assert table.rows[0][:2] == (1, 6)
    assert all(rate > 0 for *_, rate in table.rows)
    assert len(figures) == len(table.rows)
    assert all(figure.ratio > 0 for figure in figures)


def test_a_picture_of_stages_is_drawn_where_asked(tmp_path: Path) -> None:
    """In a folder that is made for it."""
    stages = [("one", [("read", 1.0), ("network", 20.0)]), ("two", [("read", 2.0)])]
    path = draw_stages(stages, tmp_path / "new" / "speed.png")
    assert path.stat().st_size > 5000
