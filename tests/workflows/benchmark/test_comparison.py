"""Tests of crystaltensor.workflows.benchmark.comparison."""

import json
from pathlib import Path

import pytest

from crystaltensor.errors import DataError
from crystaltensor.workflows.benchmark.comparison import compare, read_baseline
from crystaltensor.workflows.benchmark.report import Estimate, Figure, Report, Table

BEFORE = (
    Figure("fnorm", "error", 2.0),
    Figure("rotation", "error", 1e-7, floor=1e-5),
    Figure("within 10 %", "share", 60.0, "%", floor=1.0),
    Figure("one", "time", 0.01, "s", ratio=4.0),
)


def report(*figures: Figure, **settings: object) -> Report:
    """Make a report of a benchmark that is called ``sums``."""
    table = Table("Times", ("", "ms"), (("one", Estimate(1.0, 0.9, float("inf"))),))
    return Report("sums", {"short": True, **settings}, (table,), figures or BEFORE)


def compared(*figures: Figure, slower: float = 1.3, larger: float = 0.05) -> object:
    """Compare a run with the one before."""
    baseline = json.loads(json.dumps(report().as_dict()))
    return compare(
        report(*figures), baseline, max_slowdown=slower, max_error_increase=larger
    )


def changed(place: int, **values: object) -> tuple[Figure, ...]:
    """Change one figure."""
    figure = Figure(**{**vars(BEFORE[place]), **values})
    return (*BEFORE[:place], figure, *BEFORE[place + 1 :])


def test_a_run_is_no_regression_of_itself() -> None:
    """Nothing is worse, missing or new."""
    found = compared(*BEFORE)
    assert len(found.changes) == 4
    assert not found.failed
    assert not found.new


@pytest.mark.parametrize(
    ("place", "value", "worse"),
    [
        (0, 2.09, False),
        (0, 2.11, True),
        (0, 1.0, False),
        (0, float("nan"), True),
        (1, 9e-6, False),  # a hundred times as large, and still rounding
        (1, 1.1e-5, True),
        (2, 58.1, False),  # 5 % of the 40 % that are missing are 2 %
        (2, 57.9, True),
        (2, 80.0, False),
    ],
)
def test_errors_and_shares_have_a_limit(place: int, value: float, worse: bool) -> None:
    """An increase up to the limit, or below the floor, is none."""
    found = compared(*changed(place, value=value))
    assert [change.name for change in found.regressions] == (
        [BEFORE[place].name] if worse else []
    )


def test_a_share_may_always_lose_one_crystal() -> None:
    """Of a few crystals, one is more than any percentage."""
    found = compared(*changed(2, value=59.2), larger=0.0)
    assert not found.failed
    assert compared(*changed(2, value=58.9), larger=0.0).failed


def test_times_are_compared_by_their_ratios() -> None:
    """A slower machine is no regression, a slower tool is."""
    assert not compared(*changed(3, value=10.0, ratio=5.1)).failed
    assert compared(*changed(3, value=0.001, ratio=5.3)).failed
    assert not compared(*changed(3, ratio=5.3), slower=1.5).failed


def test_a_figure_that_is_gone_is_a_regression() -> None:
    """Or a benchmark that measures less would always pass."""
    found = compared(*BEFORE[1:], Figure("other", "error", 1.0))
    assert found.missing == ("fnorm",)
    assert found.new == ("other",)
    assert found.failed


def test_other_settings_are_refused() -> None:
    """Their figures mean something else."""
    with pytest.raises(DataError, match="short: True here, False there"):
        compare(
            report(),
            report(short=False).as_dict(),
            max_slowdown=1.3,
            max_error_increase=0.05,
        )


def test_a_baseline_is_read_back(tmp_path: Path) -> None:
    """Numbers that are not finite are null: JSON has no others."""
    path = tmp_path / "base.json"
    path.write_text(json.dumps(report().as_dict(), allow_nan=False))
    found = read_baseline(path, "sums")
    assert found["figures"][0] == {**vars(BEFORE[0])}
    assert found["tables"][0]["rows"][0][1]["high"] is None
    with pytest.raises(DataError, match="of benchmark 'sums', not 'speed'"):
        read_baseline(path, "speed")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"benchmark": "sums"}', "\x00"])
def test_anything_else_is_no_baseline(tmp_path: Path, text: str) -> None:
    """The message says how to write one."""
    path = tmp_path / "base.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"not a report of a benchmark.*-o base\.json"):
        read_baseline(path, "sums")
