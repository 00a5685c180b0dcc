"""Tests of crystaltensor.workflows.blocks: failures stay alone, order stays."""

import json
from pathlib import Path

import pytest
import structure_sets
from simple_work import Volumes

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.workflows.blocks import (
    BLOCK_RECORDS,
    Block,
    Treatment,
    halves,
    in_blocks,
    joined,
    lost,
)
from crystaltensor.workflows.inputs import Inputs
from crystaltensor.workflows.output_formats import JsonLines


def blocks_of(*paths: Path) -> list[Block]:
    """Cut files into blocks."""
    return list(in_blocks(Inputs(tuple(map(str, paths))).pieces()))


@pytest.fixture
def files(
    tmp_path: Path, rock_salt: Crystal, silicon: Crystal, quartz: Crystal
) -> Path:
    """Nine files: rock salt, silicon, quartz and so on; the fifth is broken."""
    for index in range(9):
        crystal = (rock_salt, silicon, quartz)[index % 3]
        text = structure_sets.cif_text(crystal)
        (tmp_path / f"{index}.cif").write_text("data_x\n" if index == 4 else text)
    return tmp_path


def test_outcomes_come_in_the_order_of_the_inputs(files: Path) -> None:
    """Though batches are made of crystals of like size."""
    (block,) = blocks_of(files)
    treated = Treatment(Volumes(), JsonLines()).treat(block)
    records = [json.loads(line) for line in treated.output.splitlines()]
    assert [Path(record["source"]).stem for record in records] == list("012345678")
    assert [record["status"] for record in records] == ["ok"] * 4 + ["error"] + [
        "ok"
    ] * 4
    assert (treated.n_ok, dict(treated.failed)) == (8, {"FormatError": 1})
    errors = [json.loads(line) for line in treated.errors.splitlines()]
    assert errors == [records[4]]


def test_a_batch_that_fails_is_cut_until_the_culprit_is_alone(files: Path) -> None:
    """All others of the batch are fine; the kind of the error is told."""
    (block,) = blocks_of(files)
    work = Volumes(poison=8, batch_size=1000)  # oxygen
    treated = Treatment(work, JsonLines()).treat(block)
    failed = [Path(failure.source).stem for failure in treated.failures]
    assert failed == ["2", "4", "5", "8"]
    assert treated.n_ok == 5
    kinds = {type(failure.error).__name__ for failure in treated.failures}
    assert kinds == {"FaultError", "FormatError"}
    assert "RuntimeError: the sum is not a number" in str(treated.failures[0].error)


def test_blocks_depend_on_nothing_but_the_inputs(
    tmp_path: Path, silicon: Crystal
) -> None:
    """A full one holds a fixed number; each file is in one of them."""
    for index in range(2 * BLOCK_RECORDS + 1):
        (tmp_path / f"{index:04d}.cif").write_text("x")
    found = blocks_of(tmp_path)
    assert [len(block.pieces) for block in found] == [BLOCK_RECORDS, BLOCK_RECORDS, 1]
    assert [block.number for block in found] == [0, 1, 2]
    assert [block.files_done for block in found] == [128, 256, 257]
    assert blocks_of(tmp_path) == found
    (tmp_path / "0200.cif").write_text("xx")
    again = blocks_of(tmp_path)
    assert [
        one.signature == other.signature
        for one, other in zip(again, found, strict=True)
    ] == [
        True,
        False,
        True,
    ]
    (tmp_path / "0000.cif").write_text("x" * (1 << 20))
    assert [len(block.pieces) for block in blocks_of(tmp_path)][:2] == [
        1,
        BLOCK_RECORDS,
    ]


def test_halves_hold_what_the_block_held(files: Path) -> None:
    """Down to single files, which cannot be cut."""
    (block,) = blocks_of(files)
    waiting, leaves = [block], []
    while waiting:
        one = waiting.pop(0)
        parts = halves(one)
        if parts is None:
            leaves.append(one)
        else:
            waiting = [*parts, *waiting]
    assert [leaf.pieces[0].path for leaf in leaves] == [p.path for p in block.pieces]
    treatment = Treatment(Volumes(), JsonLines())
    parts = joined(block.number, [treatment.treat(leaf) for leaf in leaves])
    whole = treatment.treat(block)
    assert (parts.output, parts.errors) == (whole.output, whole.errors)
    assert (parts.n_ok, parts.failed) == (whole.n_ok, whole.failed)


def test_what_killed_its_process_is_told(files: Path) -> None:
    """As a failure for want of memory."""
    (block,) = blocks_of(files / "1.cif")
    treated = lost(block, JsonLines(), "the process has died")
    assert dict(treated.failed) == {"ResourceError": 1}
    assert json.loads(treated.output)["error"]["message"].endswith(
        "the process has died"
    )
