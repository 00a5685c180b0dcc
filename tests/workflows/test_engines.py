"""Tests of crystaltensor.workflows.engines: the same results, whoever does the work."""

import os
import signal
import time
from pathlib import Path

import pytest
import structure_sets
from simple_work import Volumes

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.workflows.blocks import Block, Treatment, in_blocks
from crystaltensor.workflows.engines import DIED, Processes, ThisProcess, n_cores
from crystaltensor.workflows.inputs import Inputs
from crystaltensor.workflows.output_formats import JsonLines


@pytest.fixture
def blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quartz: Crystal
) -> list[Block]:
    """Ten blocks of four files; quartz is the only crystal with silicon and oxygen."""
    monkeypatch.setattr("crystaltensor.workflows.blocks.BLOCK_RECORDS", 4)
    for index, crystal in enumerate(structure_sets.crystals(40)):
        chosen = quartz if index in {13, 26} else crystal
        (tmp_path / f"{index:02d}.cif").write_text(structure_sets.cif_text(chosen))
    return list(in_blocks(Inputs((str(tmp_path),)).pieces()))


@pytest.mark.parametrize("networks_here", [False, True])
def test_processes_give_what_this_process_gives(
    blocks: list[Block], networks_here: bool
) -> None:
    """In the same order."""
    treatment = Treatment(Volumes(), JsonLines())
    expected = list(ThisProcess(treatment).run(blocks))
    assert [block.number for block, _ in expected] == list(range(10))
    engine = Processes(treatment, 2, networks_here=networks_here)
    found = list(engine.run(iter(blocks)))
    assert [block for block, _ in found] == [block for block, _ in expected]
    assert [one.output for _, one in found] == [one.output for _, one in expected]


def test_a_structure_that_kills_its_process_is_found(
    blocks: list[Block], quartz: Crystal
) -> None:
    """It is a failure; all others are fine."""
    silicon = int(quartz.numbers[0])
    only = [b for b in blocks if b.number in {2, 3, 4}]
    victims = {
        item.source
        for block in only
        for piece in block.pieces
        for item in piece.read()
        if silicon in item.crystal.numbers
    }
    assert 0 < len(victims) < 12
    treatment = Treatment(Volumes(fatal=silicon), JsonLines())
    found = list(Processes(treatment, 2).run(iter(only)))
    assert [block.number for block, _ in found] == [2, 3, 4]
    failures = [failure for _, one in found for failure in one.failures]
    assert {failure.source for failure in failures} == victims
    assert all(DIED in str(failure.error) for failure in failures)
    assert sum(one.n_ok for _, one in found) == 12 - len(victims)


def test_a_process_that_is_killed_from_outside_costs_nothing(
    blocks: list[Block],
) -> None:
    """Its block is treated again."""
    treatment = Treatment(Volumes(), JsonLines())
    expected = [one.output for _, one in ThisProcess(treatment).run(blocks)]
    engine = Processes(treatment, 2)
    running = engine.run(iter(blocks))
    found = [next(running)[1].output]
    pool = engine._pool
    assert pool is not None
    os.kill(next(iter(pool._processes)), signal.SIGKILL)
    time.sleep(0.2)
    found += [one.output for _, one in running]
    assert found == expected


def test_cores_are_counted() -> None:
    """Those that this process may use."""
    assert 1 <= n_cores() <= (os.cpu_count() or 1)
