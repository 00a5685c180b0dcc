"""How the records of many structures are written: JSON lines, CSV, Parquet, a folder."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from crystaltensor.crystals.writing import replacing
from crystaltensor.errors import ConfigError
from crystaltensor.symmetry.notation import component_names
from crystaltensor.workflows.blocks import json_line
from crystaltensor.workflows.structure_files import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crystaltensor.properties import TensorProperty
    from crystaltensor.workflows.blocks import Outcome

Rendered = tuple[bytes, tuple[tuple[str, bytes], ...]]
"""What is appended to the output, and files of their own with their names."""

_COMMON = ("source", "status", "formula", "n_atoms")
_GROUP = ("number", "symbol", "point_group")
_AXES = [f"{vector}_{axis}" for vector in "abc" for axis in "xyz"]

_DERIVED = {
    "dielectric": ("refractive_indices.mean",),
    "piezo": ("longitudinal_e.value (C/m^2)",),
    "elastic": (
        "moduli.bulk_hill (GPa)",
        "moduli.shear_hill (GPa)",
        "moduli.young (GPa)",
        "moduli.poisson",
        "moduli.universal_anisotropy",
        "stability.margin (GPa)",
    ),
}
# Derived quantities that have a column: by their path in a record, with the unit.

ROW_GROUP = 4096
"""Rows that are written together."""


class OutputFormat(Protocol):
    """A form of output that can be appended to; it travels to other processes."""

    name: str
    in_one_go: bool

    def head(self) -> bytes:
        """Give what stands before all records."""

    def render(self, named: "Sequence[tuple[str, Outcome]]") -> Rendered:
        """Write the outcomes of a block, each with its place among all inputs."""

    def complete(self, lines: Path, output: Path) -> None:
        """Make the output of what was rendered, if it is written in one go."""


def output_format(path: str, rows: "Sequence[TensorProperty]") -> OutputFormat:
    """Choose by the name of the output.

    Parameters
    ----------
    path : str
        ``.jsonl``, ``.jsonl.gz``, ``.csv``, ``.parquet``, or a folder, which is a name
        without suffix or with ``/`` at its end.
    rows : sequence of TensorProperty
        What is predicted: the columns of tables.

    Returns
    -------
    OutputFormat
        Ready to render.

    Raises
    ------
    ConfigError
        If the suffix is none of these, or Parquet cannot be written.
    """
    name = path.lower()
    if name.endswith((".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")):
        return JsonLines(compressed=name.endswith(".gz"))
    if name.endswith(".csv"):
        return Csv(tuple(rows))
    if name.endswith(".parquet"):
        _require_pyarrow()
        return Parquet(tuple(rows))
    if path.endswith("/") or not Path(path).suffix:
        return JsonFolder()
    raise ConfigError(
        f"{path}: the name of the output says its form: .jsonl, .jsonl.gz, .csv, "
        ".parquet, or a folder without suffix"
    )


def _require_pyarrow() -> None:
    """Refuse early what could not be written in the end."""
    try:
        import pyarrow.parquet  # noqa: F401 - only to see whether it is there
    except ImportError:
        raise ConfigError(
            "Parquet needs pyarrow: pip install 'crystaltensor[parquet]', or write .jsonl.gz"
        ) from None


def _lines(outcomes: "Sequence[Outcome]") -> bytes:
    """Write one line of JSON for each record and each failure."""
    return b"".join(
        json_line(record)
        for outcome in outcomes
        for record in ([outcome.as_dict()] if isinstance(outcome, Failure) else outcome)
    )


def _packed(text: bytes) -> bytes:
    """Pack a piece of a gzip file; the bytes depend on nothing but the text."""
    return gzip.compress(text, compresslevel=6, mtime=0) if text else b""


@dataclass(frozen=True)
class JsonLines:
    """One record on each line; packed, each block is a member of the gzip file."""

    compressed: bool = False
    name = "jsonl"
    in_one_go = False

    def head(self) -> bytes:
        """Give nothing: a line is complete in itself."""
        return b""

    def render(self, named: "Sequence[tuple[str, Outcome]]") -> Rendered:
        """Write one line for each record."""
        text = _lines([outcome for _, outcome in named])
        return (_packed(text) if self.compressed else text), ()

    def complete(self, lines: Path, output: Path) -> None:
        """Do nothing: the output is complete."""


@dataclass(frozen=True)
class BriefLines:
    """One line of text for each record, to be read by people."""

    name = "brief"
    in_one_go = False

    def head(self) -> bytes:
        """Give nothing."""
        return b""

    def render(self, named: "Sequence[tuple[str, Outcome]]") -> Rendered:
        """Write one line for each record; failures are shown elsewhere."""
        lines = [
            _brief(record)
            for _, outcome in named
            if not isinstance(outcome, Failure)
            for record in outcome
        ]
        return "".join(lines).encode("utf-8", "replace"), ()

    def complete(self, lines: Path, output: Path) -> None:
        """Do nothing: there is no file."""


def _brief(record: dict[str, Any]) -> str:
    """Write the independent components, or what stands for them, in a line."""
    unit = "" if record["unit"] == "1" else f" {record['unit']}"
    if record.get("forbidden"):
        values = "exactly zero by symmetry"
    elif record.get("components"):
        parts = (
            f"{name} = {value:.4g}" for name, value in record["components"].items()
        )
        values = ", ".join(parts) + unit
    elif record.get("value") is not None:
        values = f"{record['value']:.4g}{unit}"
    else:
        values = f"norm {record['derived']['norm']:.4g}{unit}"
    group = record["space_group"]["symbol"]
    return (
        f"{record['source']}: {record['formula']}, {record['n_atoms']} atoms, {group}; "
        f"{record['property']}: {values}\n"
    )


@dataclass(frozen=True)
class JsonFolder:
    """A file for each record, in folders of ten thousand structures."""

    name = "folder"
    in_one_go = False

    def head(self) -> bytes:
        """Give nothing."""
        return b""

    def render(self, named: "Sequence[tuple[str, Outcome]]") -> Rendered:
        """Name files by the place of the structure, its name and the property."""
        files = []
        for label, outcome in named:
            found = [outcome.as_dict()] if isinstance(outcome, Failure) else outcome
            for record in found:
                stem = _stem(str(record["source"]))
                kind = str(record.get("property") or "error")
                name = f"{label[:4]}/{label}_{stem}.{kind}.json"
                files.append((name, json_line(record)))
        return b"", tuple(files)

    def complete(self, lines: Path, output: Path) -> None:
        """Do nothing: the output is complete."""


def _stem(source: str) -> str:
    """Make a part of a file name of a source."""
    name = Path(source).name.partition("#")[0].removesuffix(".gz")
    stem = name.rpartition(".")[0] or name
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in stem)[:80]


@dataclass(frozen=True)
class Table:
    """The columns of flat tables: one row for each structure.

    Parameters
    ----------
    rows : tuple of TensorProperty
        What is predicted.
    """

    rows: "tuple[TensorProperty, ...]"

    @cached_property
    def columns(self) -> list[str]:
        """Name all columns, with units."""
        names = [*_COMMON, *(f"space_group.{key}" for key in _GROUP)]
        names += [f"lattice.{axis} (Å)" for axis in _AXES]
        for row in self.rows:
            names += self.names(row)
            names += [f"{row.name}.{path}" for path in _DERIVED.get(row.name, ())]
        return [*names, "warnings", "error.type", "error.message"]

    def cells(self, outcome: "Outcome") -> list[Any]:
        """Give the cells of one structure; None where there is nothing."""
        if isinstance(outcome, Failure):
            record = outcome.as_dict()
            empty = [None] * (len(self.columns) - 4)
            error: Any = record["error"]
            return [record["source"], "error", *empty, error["type"], error["message"]]
        first, by_name = outcome[0], {one["property"]: one for one in outcome}
        cells = [first[key] for key in _COMMON]
        cells += [first["space_group"][key] for key in _GROUP]
        cells += [value for vector in first["lattice"] for value in vector]
        for row in self.rows:
            cells += self._values(row, by_name[row.name])
        warnings = dict.fromkeys(text for one in outcome for text in one["warnings"])
        return [*cells, "; ".join(warnings), None, None]

    @staticmethod
    def names(row: "TensorProperty") -> list[str]:
        """Name the columns of a property."""
        unit = "" if row.unit == "1" else f" ({row.unit})"
        if row.rank == 0 or row.per_atom:
            return [f"{row.name}{unit}"]
        names = component_names(row.symbol, row.rank).ravel().tolist()
        return [f"{row.name}.{name}{unit}" for name in names]

    @staticmethod
    def _values(row: "TensorProperty", record: dict[str, Any]) -> list[Any]:
        """Give the cells of a property; tensors of atoms are JSON."""
        if row.rank == 0:
            values = [record["value"]]
        elif row.per_atom:
            values = [json.dumps(record["tensor"])]
        else:
            values = [value for line in record["voigt"] for value in line]
        for path in _DERIVED.get(row.name, ()):
            found: Any = record["derived"]
            for key in path.partition(" ")[0].split("."):
                found = found.get(key) if isinstance(found, dict) else None
            values.append(found)
        return values


@dataclass(frozen=True)
class Csv:
    """One row for each structure, Voigt components with their units in the header."""

    rows: "tuple[TensorProperty, ...]"
    name = "csv"
    in_one_go = False

    def head(self) -> bytes:
        """Give the names of the columns."""
        return self._text([Table(self.rows).columns])

    def render(self, named: "Sequence[tuple[str, Outcome]]") -> Rendered:
        """Write one row for each structure."""
        table = Table(self.rows)
        return self._text([table.cells(outcome) for _, outcome in named]), ()

    def complete(self, lines: Path, output: Path) -> None:
        """Do nothing: the output is complete."""

    @staticmethod
    def _text(rows: list[list[Any]]) -> bytes:
        """Write rows."""
        stream = io.StringIO(newline="")
        csv.writer(stream, lineterminator="\n").writerows(rows)
        return stream.getvalue().encode("utf-8", "replace")


@dataclass(frozen=True)
class Parquet:
    """Nested tensors beside flat columns; packed JSON lines until all is there.

    A Parquet file without its end cannot be read, so that it is written in one go.
    """

    rows: "tuple[TensorProperty, ...]"
    name = "parquet"
    in_one_go = True

    def head(self) -> bytes:
        """Give nothing."""
        return b""

    def render(self, named: "Sequence[tuple[str, Outcome]]") -> Rendered:
        """Write a line with all that one row needs."""
        table = Table(self.rows)
        lines = []
        for _, outcome in named:
            nested = {}
            if not isinstance(outcome, Failure):
                nested = {
                    f"{one['property']}.tensor": one["tensor"]
                    for one in outcome
                    if "tensor" in one
                }
            lines.append(json_line({"cells": table.cells(outcome), "nested": nested}))
        return _packed(b"".join(lines)), ()

    def complete(self, lines: Path, output: Path) -> None:
        """Turn the lines into Parquet."""
        import pyarrow.parquet as pq

        with (
            replacing(output) as partial,
            pq.ParquetWriter(partial, self._schema()) as writer,
        ):
            write_rows(writer, self._schema(), self._read(lines))

    def _schema(self) -> Any:  # noqa: ANN401 - pyarrow has no types
        """Give the columns: texts, whole numbers, numbers, nested lists."""
        import pyarrow as pa

        texts = {"source", "status", "formula", "space_group.symbol", "warnings"}
        texts |= {"space_group.point_group", "error.type", "error.message"}
        texts |= {
            name for row in self.rows if row.per_atom for name in Table.names(row)
        }
        whole = {"n_atoms", "space_group.number"}
        fields = [
            pa.field(
                name,
                pa.string()
                if name in texts
                else (pa.int64() if name in whole else pa.float64()),
            )
            for name in Table(self.rows).columns
        ]
        for row in self.rows:
            nested = pa.float64()
            for _ in range(row.rank + row.per_atom):
                nested = pa.list_(nested)
            if row.rank:
                fields.append(pa.field(f"{row.name}.tensor", nested))
        return pa.schema(fields)

    def _read(self, lines: Path) -> Iterator[dict[str, Any]]:
        """Read the rows back."""
        columns = Table(self.rows).columns
        with gzip.open(lines, "rt", encoding="utf-8") as stream:
            for line in stream:
                one = json.loads(line)
                yield {**dict(zip(columns, one["cells"], strict=True)), **one["nested"]}


def write_rows(writer: Any, schema: Any, rows: Iterator[dict[str, Any]]) -> None:  # noqa: ANN401 - pyarrow has no types
    """Write rows to a Parquet file, some thousand at a time.

    Parameters
    ----------
    writer : ParquetWriter
        Open.
    schema : Schema
        Of the rows.
    rows : iterator of dict
        Column to value.
    """
    import pyarrow as pa

    while group := list(islice(rows, ROW_GROUP)):
        writer.write_table(pa.Table.from_pylist(group, schema=schema))
