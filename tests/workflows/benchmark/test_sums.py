"""Tests of crystaltensor.workflows.benchmark.sums, timing and peers."""

import time

import numpy as np
import pytest
import torch

from crystaltensor.workflows.benchmark import sums
from crystaltensor.workflows.benchmark.crystals import random_crystal
from crystaltensor.workflows.benchmark.peers import installed_peers
from crystaltensor.workflows.benchmark.timing import fastest


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sizes are enough to see that everything is there."""
    monkeypatch.setattr(sums, "SHORT_SIZES", {2: 2, 6: 2})


@pytest.mark.usefixtures("small")
def test_errors_stay_below_their_bounds_and_peers_agree() -> None:
    """Every figure of the report at once: it takes some seconds."""
    report = sums.benchmark_sums(device="cpu", short=True, seconds=0.01)
    figures = {figure.name: figure for figure in report.figures}
    assert figures["bounds broken"].value == 0
    errors = [each for each in report.figures if each.kind == "error"]
    assert all(each.value <= max(each.floor, 0.0) for each in errors)
    known = report.tables[0]
    assert [row[0] for row in known.rows][:2] == ["rock salt", "caesium chloride"]
    assert all(row[3] <= 2 * row[4] for row in known.rows)
    by_tolerance = next(t for t in report.tables if "by tolerance" in t.title)
    worst = [row[1] for row in by_tolerance.rows]
    assert worst == sorted(worst, reverse=True)
    assert worst[-1] < 1e-13 < worst[0]
    times = next(t for t in report.tables if t.title == "Time per crystal")
    assert [row[0] for row in times.rows] == [2, 6]
    assert all(figure.ratio > 0 for figure in report.figures if figure.kind == "time")
    peers = next(t for t in report.tables if t.title.startswith("Other codes"))
    assert {row[1] for row in peers.rows} == {"pymatgen", "torch-pme"}
    assert all(row[-1] < 1e-4 for row in peers.rows)


def test_a_wrong_sum_breaks_its_bound() -> None:
    """References that are off by 1e-9 are more than any bound allows at 1e-10."""
    checked = sums._check(2)
    errors, bounds = sums._errors(checked, 1e-10, "cpu")
    assert (errors <= bounds).all()
    moved = sums._Checked(checked.crystal, checked.references + 1e-9)
    errors, bounds = sums._errors(moved, 1e-10, "cpu")
    assert (errors > bounds).all()


def test_other_codes_have_the_same_energy() -> None:
    """Charges +1 and -1 in turns, in 1/Å."""
    crystal = random_crystal(6, seed=2)
    energy = sums._energy(crystal, "cpu")
    found = {peer.name: peer.energy() for peer in installed_peers(crystal)}
    assert found["pymatgen"] == pytest.approx(energy, rel=1e-9)
    assert found["torch-pme"] == pytest.approx(energy, rel=1e-3)


def test_times_are_those_of_a_call() -> None:
    """Beside that of a product of matrices; sleeping costs no processor time."""
    found = fastest(lambda: time.sleep(0.02), seconds=0.05)
    assert 0.02 <= found.seconds < 0.2
    assert found.cpu_seconds < found.seconds
    assert found.ratio == pytest.approx(found.seconds / found.unit)
    each = found.per(4)
    assert each.seconds == pytest.approx(found.seconds / 4)
    assert each.ratio == pytest.approx(found.ratio / 4)


def test_the_unit_is_one_product_of_matrices() -> None:
    """Timed against itself, the ratio is about one."""
    left, right = torch.rand(384, 384), torch.rand(384, 384)
    ratios = [fastest(lambda: left @ right, seconds=0.1).ratio for _ in range(3)]
    assert np.min(np.abs(np.log(ratios))) < np.log(1.5)
