"""Tests of crystaltensor.workflows.journal: nothing is lost, nothing counted twice."""

import errno
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structure_sets
from simple_work import Volumes

from crystaltensor.errors import ConfigError, FormatError, ResourceError
from crystaltensor.workflows import journal as module
from crystaltensor.workflows.blocks import Treatment, in_blocks
from crystaltensor.workflows.inputs import Inputs
from crystaltensor.workflows.journal import Journal, opened_journal
from crystaltensor.workflows.output_formats import (
    JsonFolder,
    JsonLines,
    OutputFormat,
)
from crystaltensor.workflows.run_files import Counts, Paths

HEADER = {"schema": 1, "inputs": ["in"], "symprec": 0.01}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty files, every tenth broken, in blocks of four that are brought to the disk."""
    monkeypatch.setattr("crystaltensor.workflows.blocks.BLOCK_RECORDS", 4)
    monkeypatch.setattr(module, "COMMIT_SECONDS", -1.0)
    structure_sets.write_set(tmp_path / "in", 40)
    for path in sorted((tmp_path / "in" / "0000").iterdir())[::10]:
        path.write_text("data_x\n")
    return tmp_path


def write(
    folder: Path,
    output: Path,
    *,
    form: OutputFormat | None = None,
    stop: int = 1000,
    header: dict[str, Any] | None = None,
    **how: bool,
) -> Counts:
    """Write the volumes of all files; end early after some blocks, without a word."""
    form = form or JsonLines()
    treatment = Treatment(Volumes(), form)
    how = {"resume": False, "overwrite": False, **how}
    with opened_journal(output, form, header or HEADER, **how) as journal:
        if isinstance(journal, Counts):
            return journal
        inputs = Inputs((str(folder / "in"),), recursive=True)
        counts = journal.before
        for number, block in enumerate(in_blocks(inputs.pieces())):
            if block.number in journal.lines:
                continue
            if number == stop:
                return counts
            treated = treatment.treat(block)
            journal.add(block, treated)
            counts += Counts(treated.n_ok, treated.failed)
        journal.complete()
    return counts


def contents(output: Path) -> dict[str, bytes]:
    """Read the output and all that lies beside it."""
    return {
        str(path.relative_to(output.parent)).replace(
            output.name, "out"
        ): path.read_bytes()
        for path in sorted(output.parent.rglob("*"))
        if path.is_file()
        and path.relative_to(output.parent).parts[0].startswith(output.name)
    }


@pytest.mark.parametrize(
    "form", [JsonLines(), JsonLines(compressed=True), JsonFolder()]
)
def test_a_run_that_ended_early_goes_on_to_the_same_bytes(
    folder: Path, form: OutputFormat
) -> None:
    """Whatever stood behind the last line of the journal is cut off."""
    counts = write(folder, folder / "whole", form=form)
    assert counts == Counts(36, Counter({"FormatError": 4}))
    whole = contents(folder / "whole")
    assert "out.errors.jsonl" in whole
    assert "out.lock" not in whole
    assert whole["out.journal"].count(b"\n") == 11
    output = folder / "again"
    noise = np.random.default_rng(1)
    for stop in (2, 3, 7, 1000):
        write(folder, output, form=form, stop=stop, resume=True)
        if stop < 1000:
            for path in Paths(output).all():  # as a crash may leave them
                if path.is_file() and path.suffix != ".json":
                    path.write_bytes(path.read_bytes() + noise.bytes(50))
    assert contents(output) == whole


def test_every_moment_of_a_crash_is_survived(folder: Path) -> None:
    """The files are cut at any byte that the disk may have kept."""
    write(folder, folder / "whole")
    whole = contents(folder / "whole")
    output = folder / "again"
    journal = whole["out.journal"]
    ends = [i + 1 for i, byte in enumerate(journal) if byte == ord("\n")]
    for kept in (
        0,
        1,
        ends[0],
        ends[0] + 5,
        ends[3],
        ends[5] - 1,
        ends[9],
        len(journal),
    ):
        (folder / "again.run.json").write_bytes(whole["out.run.json"])
        (folder / "again.journal").write_bytes(journal[:kept])
        for end in ("", ".errors.jsonl"):  # of the bytes that count none is missing
            (folder / f"again{end}").write_bytes(whole[f"out{end}"] + b"more")
        if kept == len(journal):
            (folder / "again").write_bytes(whole["out"])
            (folder / "again.errors.jsonl").write_bytes(whole["out.errors.jsonl"])
        write(folder, output, resume=True)
        assert contents(output) == whole


def test_an_output_is_neither_replaced_nor_mixed_unasked(folder: Path) -> None:
    """Each refusal names the way out."""
    output = folder / "out.jsonl"
    output.write_text("my thesis")
    with pytest.raises(ConfigError, match="is there already; replace it"):
        write(folder, output)
    write(folder, output, overwrite=True, stop=2)
    with pytest.raises(ConfigError, match="go on with --resume, or begin anew"):
        write(folder, output)
    with pytest.raises(ConfigError, match=r"was begun with symprec 0\.01, not 0\.1"):
        write(folder, output, header={**HEADER, "symprec": 0.1}, resume=True)
    assert write(folder, output, resume=True).n_ok == 36
    assert write(folder, output, resume=True).n_ok == 36  # nothing left to do
    output.write_text("shorter")
    lines = Paths(output).journal.read_text().splitlines(keepends=True)
    Paths(output).journal.write_text("".join(lines[:3]))
    with pytest.raises(FormatError, match="begin anew with --overwrite"):
        write(folder, output, resume=True)
    Paths(output).journal.write_text("nonsense\n")  # nothing counts: all is done anew
    assert write(folder, output, resume=True).n_ok == 36
    Paths(output).run.write_text("[")
    with pytest.raises(FormatError, match="is damaged"):
        write(folder, output, resume=True)


def test_two_writers_exclude_each_other(folder: Path) -> None:
    """The second is told at once; the lock is gone with the first."""
    output = folder / "out.jsonl"
    first = opened_journal(output, JsonLines(), HEADER, resume=False, overwrite=False)
    busy = pytest.raises(ResourceError, match="another process is writing it")
    with first, busy:
        write(folder, output, resume=True)
    assert write(folder, output, resume=True).n_ok == 36
    assert not Paths(output).lock.exists()


def test_a_full_disk_is_told_and_survived(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some space was freed the run goes on to the same bytes."""
    write(folder, folder / "whole")
    real, n_calls = module._to_disk, 0

    def full(stream: Any) -> None:
        nonlocal n_calls
        n_calls += 1
        if n_calls > 7:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(stream)

    monkeypatch.setattr(module, "_to_disk", full)
    output = folder / "again"
    with pytest.raises(
        ResourceError, match=r"No space left.*free some space.*--resume"
    ):
        write(folder, output)
    monkeypatch.setattr(module, "_to_disk", real)
    write(folder, output, resume=True)
    assert contents(output) == contents(folder / "whole")


def test_a_real_disk_that_is_full(folder: Path) -> None:
    """What is written to /dev/full never arrives."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    output = folder / "out.jsonl"
    with opened_journal(
        output, JsonLines(), HEADER, resume=False, overwrite=False
    ) as one:
        assert isinstance(one, Journal)
        one._output = Path("/dev/full").open("ab")  # noqa: SIM115 - closed below
        inputs = Inputs((str(folder / "in"),), recursive=True)
        block = next(in_blocks(inputs.pieces()))
        treated = Treatment(Volumes(), JsonLines()).treat(block)
        with pytest.raises(ResourceError, match="No space left on device"):
            one.add(block, treated)
        with pytest.raises(OSError, match="No space left"):
            one._output.close()
    assert Paths(output).journal.read_text() == ""


def test_a_folder_that_cannot_be_made_is_told(folder: Path) -> None:
    """In one line."""
    (folder / "file").write_text("")
    with pytest.raises(FormatError, match="cannot be written"):
        write(folder, folder / "file" / "out.jsonl")


def test_overwriting_a_folder_removes_what_a_run_has_written(folder: Path) -> None:
    """And nothing else."""
    output = folder / "out"
    write(folder, output, form=JsonFolder())
    (output / "0000" / "99999999_old.volume.json").write_text("{}")
    (output / "notes.txt").write_text("mine")
    write(folder, output, form=JsonFolder(), overwrite=True)
    names = sorted(path.name for path in output.rglob("*") if path.is_file())
    assert len(names) == 41
    assert "notes.txt" in names
    record = json.loads((output / "0000" / names[1]).read_text())
    assert record["property"] == "volume"
