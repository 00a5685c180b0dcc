"""Tests of crystaltensor.workflows.predict_many: streams give what single files give."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structure_sets

from crystaltensor.errors import ConfigError, CrystalTensorError, FormatError
from crystaltensor.workflows import journal
from crystaltensor.workflows.inputs import Inputs
from crystaltensor.workflows.merge import merge
from crystaltensor.workflows.predict import predict
from crystaltensor.workflows.predict_many import (
    Options,
    Progress,
    own_files,
    predict_into,
)
from crystaltensor.workflows.predict_work import Settings
from crystaltensor.workflows.run_files import Counts
from crystaltensor.workflows.sharding import Shard

PIEZO = Settings(("piezo",), device="cpu")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Thirty files of a few atoms, one broken in each of the ten ways, in small blocks."""
    monkeypatch.setattr("crystaltensor.workflows.blocks.BLOCK_RECORDS", 4)
    monkeypatch.setattr(journal, "COMMIT_SECONDS", -1.0)
    structure_sets.write_set(tmp_path / "in", 30, broken=1 / 3)
    return tmp_path


def run(output: Path, settings: Settings = PIEZO, **how: Any) -> list[Progress]:
    """Predict for all files; all that is asked for goes where it belongs."""
    shard = how.pop("shard", Shard())
    inputs = how.pop("inputs", None) or Inputs(
        (str(output.parent / "in"),), recursive=True
    )
    options = Options(**{"n_workers": 1, **how})
    return list(
        predict_into(str(output), inputs, settings, options=options, shard=shard)
    )


def records(output: Path) -> list[dict[str, Any]]:
    """Read lines."""
    return [json.loads(line) for line in output.read_text().splitlines()]


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Flatten a record."""
    if isinstance(value, dict):
        return {
            k: v
            for key, one in value.items()
            for k, v in leaves(one, f"{path}.{key}").items()
        }
    if isinstance(value, list):
        return {
            k: v
            for i, one in enumerate(value)
            for k, v in leaves(one, f"{path}.{i}").items()
        }
    return {path: value}


def one_by_one(source: str, properties: tuple[str, ...]) -> list[dict[str, Any]]:
    """Predict for one file, as for a user at a shell; or say what went wrong."""
    try:
        return [one.as_dict() for one in predict(source, properties, device="cpu")]
    except CrystalTensorError as error:
        return [{"error": {"type": type(error).__name__, "message": str(error)}}]


def test_a_stream_gives_what_single_files_give(folder: Path) -> None:
    """The same fields and messages, and numbers to what networks of 32 bits round."""
    settings = Settings(("piezo", "elastic", "born-charges"), device="cpu")
    last = run(folder / "out.jsonl", settings)[-1]
    found: dict[str, list[dict[str, Any]]] = {}
    for record in records(folder / "out.jsonl"):
        found.setdefault(record["source"], []).append(record)
    assert len(found) == last.counts.n_ok + last.counts.n_failed == 30
    for source, several in found.items():
        expected = one_by_one(source, settings.properties)
        for one, other in zip(several, expected, strict=True):
            if "error" in other:
                assert one["error"] == other["error"]
                continue
            assert list(one) == list(other)
            scale = max(1.0, float(np.abs(other["tensor"]).max()))
            # What costs another network each is for single structures.
            hint = "the model for band gaps"
            other["warnings"] = [w for w in other["warnings"] if hint not in w]
            numbers, others = leaves(one), leaves(other)
            others = {k: v for k, v in others.items() if not k.endswith("_potnet")}
            assert numbers.keys() == others.keys()
            for key, value in numbers.items():
                if re.search("direction|across|axes|softest|residual", key):
                    continue  # of equal extremes another may be found
                if isinstance(value, float):
                    assert value == pytest.approx(
                        others[key], abs=1e-5 * scale, rel=1e-5
                    )
                else:
                    assert value == others[key]


def test_every_broken_file_is_accounted_for(folder: Path) -> None:
    """By its kind, in its place, and in the list of failures."""
    last = run(folder / "out.jsonl")[-1]
    found = {record["source"]: record for record in records(folder / "out.jsonl")}
    files = {str(path) for path in (folder / "in").rglob("*.cif")}
    assert set(found) == files
    failed = [record for record in found.values() if record["status"] == "error"]
    errors = records(Path(f"{folder / 'out.jsonl'}.errors.jsonl"))
    assert errors == failed
    # A file with another name than its folder's others is no failure, and root may
    # read what it has no permission for.
    assert len(failed) in {8, 9}
    assert dict(last.counts.failed) == {
        "FormatError": len(failed) - 1,
        "StructureError": 1,
    }


def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(folder: Path) -> None:
    """With all that lies beside the output; whoever does the work."""
    run(folder / "whole.jsonl.gz")
    seen = 0

    def stop() -> bool:
        nonlocal seen
        seen += 1
        return seen % 3 == 0

    reports = [Progress(0, 0.0, Counts())]
    while reports[-1].ended != "complete":
        reports = run(folder / "again.jsonl.gz", stop=stop, resume=True)
    for end in ("", ".errors.jsonl", ".run.json", ".journal"):
        whole = Path(f"{folder / 'whole.jsonl.gz'}{end}").read_bytes()
        assert Path(f"{folder / 'again.jsonl.gz'}{end}").read_bytes() == whole


def test_inputs_that_have_changed_are_noticed(folder: Path) -> None:
    """One more file, one less, or another content."""
    stop = iter([False, True]).__next__
    assert run(folder / "out.jsonl", stop=stop)[-1].ended == "stopped"
    path = sorted((folder / "in").rglob("*.cif"))[1]
    text = path.read_text()
    path.write_text(text + "\n")
    with pytest.raises(ConfigError, match="an input has changed"):
        run(folder / "out.jsonl", resume=True)
    path.unlink()
    with pytest.raises(ConfigError, match="was begun with inputs"):
        run(folder / "out.jsonl", resume=True)
    with pytest.raises(ConfigError, match="was begun with"):
        run(folder / "out.jsonl", Settings(("dielectric",), device="cpu"), resume=True)


def test_strict_stops_at_the_first_failure(folder: Path) -> None:
    """What came before it is safe."""
    with pytest.raises(FormatError, match=r"\.cif: "):
        run(folder / "out.jsonl", strict=True)
    assert {record["status"] for record in records(folder / "out.jsonl")} <= {"ok"}


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".csv", ".parquet", ""])
def test_shards_are_joined_to_what_one_run_writes(folder: Path, suffix: str) -> None:
    """Byte by byte; the numbers of Parquet."""
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    whole, output = folder / f"whole{suffix}", folder / f"out{suffix}"
    shards = [Shard(index, 3) for index in (3, 1, 2)]
    run(whole)
    for shard in shards:
        run(output, shard=shard)
    names = [shard.name(str(output)) for shard in shards]
    counts = merge(str(output), names)
    assert counts.n_ok + counts.n_failed == 30
    if suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        tables = [parquet.read_table(path) for path in (whole, output)]
        assert tables[0].equals(tables[1])
    ends = [".errors.jsonl", ".run.json", ".journal"]
    for end in ends if suffix == ".parquet" else ["", *ends]:
        pair = Path(f"{whole}{end}"), Path(f"{output}{end}")
        contents = [
            {file.relative_to(path): file.read_bytes() for file in path.rglob("*.json")}
            if path.is_dir()
            else path.read_bytes()
            for path in pair
        ]
        assert contents[0] == contents[1]


def test_shards_that_do_not_belong_together_are_refused(folder: Path) -> None:
    """Missing, double, foreign, not complete."""
    output = folder / "out.jsonl"
    shards = [Shard(1, 2), Shard(2, 2)]
    first, second = (shard.name(str(output)) for shard in shards)
    run(output, shard=shards[0])
    with pytest.raises(FormatError, match="cannot be read"):
        merge(str(output), [first, second])
    run(output, shard=shards[1], stop=lambda: True)
    with pytest.raises(ConfigError, match=r"is not complete; go on with .* --resume"):
        merge(str(output), [first, second])
    run(output, shard=shards[1], resume=True)
    with pytest.raises(ConfigError, match="of 2 shards these are missing: 2"):
        merge(str(output), [first])
    with pytest.raises(ConfigError, match="is there twice"):
        merge(str(output), [first, second, first])
    other = folder / "other.jsonl"
    run(other, Settings(("piezo",), symprec=0.1, device="cpu"), shard=shards[1])
    with pytest.raises(ConfigError, match=r"of another run .* their symprec differ"):
        merge(str(output), [first, shards[1].name(str(other))])
    merge(str(output), [first, second])
    with pytest.raises(ConfigError, match="is there already"):
        merge(str(output), [first, second])
    merge(str(output), [first, second], overwrite=True)


def test_an_output_is_no_input_of_its_own_run(tmp_path: Path) -> None:
    """Nor is what lies beside it, nor are its shards."""
    own = own_files(str(tmp_path / "out.jsonl"))
    for name in (
        "out.jsonl",
        "out.jsonl.errors.jsonl",
        "out.shard-0001-of-0002.jsonl",
        "out.shard-0001-of-0002.jsonl.errors.jsonl",
    ):
        assert own(str(tmp_path / name))
    for name in ("out.json", "out2.jsonl", "deep/out.jsonl", "out.extxyz"):
        assert not own(str(tmp_path / name))
    assert own_files(str(tmp_path / "out"))(str(tmp_path / "out" / "0000" / "x.json"))


def test_nothing_to_do_is_told(tmp_path: Path) -> None:
    """A folder without a structure is a mistake."""
    (tmp_path / "in").mkdir()
    with pytest.raises(FormatError, match="no structure file"):
        run(tmp_path / "out.jsonl")
