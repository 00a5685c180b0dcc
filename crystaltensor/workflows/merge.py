"""Join the shards of a run to the output of a run that was not cut into shards."""

import os
import shutil
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystaltensor.crystals.writing import replacing
from crystaltensor.errors import ConfigError, FormatError
from crystaltensor.workflows.output_formats import ROW_GROUP, write_rows
from crystaltensor.workflows.run_files import (
    Counts,
    Paths,
    read_header,
    read_journal,
    write_journal,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crystaltensor.workflows.run_files import Line


@dataclass(frozen=True)
class Part:
    """One shard that is complete.

    Parameters
    ----------
    paths : Paths
        Its files.
    header : dict
        What it is.
    lines : list of Line
        Its blocks.
    """

    paths: Paths
    header: dict[str, Any]
    lines: "list[Line]"

    @property
    def index(self) -> int:
        """Its number, from 1."""
        return int(self.header["shard"][0])


def merge(output: str, shards: "Sequence[str]", *, overwrite: bool = False) -> Counts:
    """Join shards.

    Parameters
    ----------
    output : str
        Where to.
    shards : sequence of str
        The outputs of all shards, in any order.
    overwrite : bool
        Whether to replace an output that is there.

    Returns
    -------
    Counts
        Structures in the output.

    Raises
    ------
    ConfigError
        If a shard is missing, not complete, there twice, or of another run; or if the
        output is there already.
    FormatError
        If a file cannot be read or written.
    """
    parts = _checked([_part(shard) for shard in shards])
    target = Paths(Path(output))
    if target.output.exists() and not overwrite:
        raise ConfigError(f"{output}: is there already; replace it with --overwrite")
    form = str(parts[0].header["form"])
    ordered = sorted(
        ((line, part) for part in parts for line in part.lines),
        key=lambda pair: pair[0].block,
    )
    _refuse_gaps([line for line, _ in ordered])
    lines = _joined_lines(ordered, parts)
    try:
        if form == "folder":
            for part in parts:
                shutil.copytree(part.paths.output, target.output, dirs_exist_ok=True)
        elif form == "parquet":
            _join_parquet(target.output, ordered)
        else:
            _join_bytes(target.output, ordered, errors=False)
        _join_bytes(target.errors, ordered, errors=True)
        write_journal(target, {**parts[0].header, "shard": [1, 1]}, lines)
    except OSError as error:
        raise FormatError(f"{output}: cannot be written: {error.strerror}") from error
    return sum((line.counts for line in lines), Counts())


def _part(shard: str) -> Part:
    """Read what a shard is."""
    paths = Paths(Path(shard))
    header = read_header(paths)
    if not isinstance(header.get("shard"), list) or "form" not in header:
        raise FormatError(f"{paths.run}: does not describe a run of predictions")
    lines, complete = read_journal(paths)
    if not complete:
        raise ConfigError(
            f"{shard}: is not complete; go on with its command and --resume"
        )
    if not paths.output.exists():
        raise FormatError(f"{shard}: there is no such file; check the name")
    return Part(paths, header, lines)


def _checked(parts: list[Part]) -> list[Part]:
    """Refuse shards that are missing, double or foreign."""
    if not parts:
        raise ConfigError("name the shards to join")
    first = parts[0]
    count = int(first.header["shard"][1])
    seen: dict[int, Part] = {}
    for part in parts:
        for key in {**first.header, **part.header}:
            if key != "shard" and part.header.get(key) != first.header.get(key):
                raise ConfigError(
                    f"{part.paths.output}: is of another run than {first.paths.output}: "
                    f"their {key} differ"
                )
        if int(part.header["shard"][1]) != count:
            raise ConfigError(
                f"{part.paths.output}: is one of {part.header['shard'][1]} shards, "
                f"{first.paths.output} one of {count}"
            )
        if part.index in seen:
            raise ConfigError(
                f"{part.paths.output}: shard {part.index} of {count} is there twice; the "
                f"other is {seen[part.index].paths.output}"
            )
        seen[part.index] = part
    missing = [str(index) for index in range(1, count + 1) if index not in seen]
    if missing:
        raise ConfigError(f"of {count} shards these are missing: {', '.join(missing)}")
    return [seen[index] for index in sorted(seen)]


def _refuse_gaps(lines: "list[Line]") -> None:
    """Refuse shards that do not add up to all blocks."""
    for place, line in enumerate(lines):
        if line.block != place:
            raise FormatError(
                f"the shards hold no block {place}; were the inputs the same for all?"
            )


def _head_size(part: Part) -> int:
    """Count the bytes before the first block."""
    if part.header["form"] != "csv":
        return 0
    with part.paths.output.open("rb") as stream:
        return len(stream.readline())


def _spans(
    ordered: "list[tuple[Line, Part]]", *, errors: bool
) -> "list[tuple[Part, int, int]]":
    """Say where each block begins and ends in its shard."""
    ends: dict[int, int] = {}
    found = []
    for line, part in ordered:
        start = ends.get(part.index)
        if start is None:
            start = 0 if errors else _head_size(part)
        end = line.errors if errors else line.output
        ends[part.index] = end
        found.append((part, start, end))
    return found


def _joined_lines(
    ordered: "list[tuple[Line, Part]]", parts: list[Part]
) -> "list[Line]":
    """Make the journal of the whole."""
    at, errors_at = _head_size(parts[0]), 0
    lines = []
    sizes = [end - start for _, start, end in _spans(ordered, errors=False)]
    error_sizes = [end - start for _, start, end in _spans(ordered, errors=True)]
    for (line, _), size, error_size in zip(ordered, sizes, error_sizes, strict=True):
        at, errors_at = at + size, errors_at + error_size
        lines.append(replace(line, output=at, errors=errors_at))
    return lines


def _join_bytes(
    path: Path, ordered: "list[tuple[Line, Part]]", *, errors: bool
) -> None:
    """Copy the bytes of all blocks, in their order."""
    spans = _spans(ordered, errors=errors)
    if errors and not any(end - start for _, start, end in spans):
        path.unlink(missing_ok=True)
        return
    with replacing(path) as partial, partial.open("wb") as stream:
        if not errors and spans:
            with spans[0][0].paths.output.open("rb") as source:
                stream.write(source.read(_head_size(spans[0][0])))
        for part, start, end in spans:
            if end > start:
                name = part.paths.errors if errors else part.paths.output
                with name.open("rb") as source:
                    source.seek(start)
                    stream.write(source.read(end - start))
        stream.flush()
        os.fsync(stream.fileno())


def _join_parquet(target: Path, ordered: "list[tuple[Line, Part]]") -> None:
    """Copy the rows of all blocks, in their order."""
    import pyarrow.parquet as pq

    files = {part.index: pq.ParquetFile(part.paths.output) for _, part in ordered}
    rows = {
        index: chain.from_iterable(
            batch.to_pylist() for batch in file.iter_batches(batch_size=ROW_GROUP)
        )
        for index, file in files.items()
    }
    schema = next(iter(files.values())).schema_arrow
    with replacing(target) as partial, pq.ParquetWriter(partial, schema) as writer:
        every = chain.from_iterable(
            islice(rows[part.index], line.counts.n_ok + line.counts.n_failed)
            for line, part in ordered
        )
        write_rows(writer, schema, every)
