"""Data sets in files: JSON lines, CSV with structure files, data frames as JSON."""

import csv
import io
import json
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from crystaltensor.crystals.io import read_crystal
from crystaltensor.crystals.opening import unpacked
from crystaltensor.crystals.parsing import MAX_TEXT
from crystaltensor.data.choices import SPLITS
from crystaltensor.data.columns import (
    WHOLE,
    Place,
    scalar_column,
    tensor_columns,
    tensor_from_columns,
)
from crystaltensor.data.labels import described
from crystaltensor.data.rows import (
    TEXTS,
    Dropped,
    LabelledCrystal,
    Reading,
    label_crystal,
    labelled_from_record,
)
from crystaltensor.errors import CrystalTensorError, DataError, FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from crystaltensor.properties import TensorProperty

TABLES = Path(__file__).with_name("tables")
"""Data sets that travel with the package; their README gives source and licence."""

_SUFFIXES = ("", ".cif", ".vasp", ".poscar", ".POSCAR", ".json", ".xyz", ".extxyz")
_FOLDERS = ("POSCAR", "CONTCAR")
_PICKLES = (".pkl", ".pickle", ".p", ".pt", ".joblib")
_ROW = "a row with a structure and a label"
_LARGEST_FRAME = 1 << 26  # characters; a data frame is in memory as a whole

Item = tuple[str, "Callable[[], LabelledCrystal | Dropped]"]
"""Where a row stands, and what reads it."""


def find_table(name: str, folder: Path) -> Path:
    """Find a data set by its path, or by the name of one that travels along.

    Parameters
    ----------
    name : str
        A path, relative to `folder`, or a name such as ``"mp_piezo"``.
    folder : Path
        Where the configuration that gives the name lies.

    Returns
    -------
    Path
        An existing file.

    Raises
    ------
    DataError
        If there is no such file.
    """
    bundled = TABLES / f"{name}.jsonl.gz"
    for path in (folder / name, bundled):
        if path.is_file():
            return path
    known = sorted(path.name.removesuffix(".jsonl.gz") for path in TABLES.glob("*.gz"))
    raise DataError(f"{name}: no such file, nor a data set of the package ({known})")


def read_table(
    path: Path,
    row: "TensorProperty",
    *,
    max_component: float = float("inf"),
    reading: Reading | None = None,
) -> tuple[list[LabelledCrystal], list[Dropped]]:
    """Read a data set of crystals with one label each.

    Parameters
    ----------
    path : Path
        JSON lines, CSV, or a data frame as JSON; plain or gzipped.
    row : TensorProperty
        Which label is wanted.
    max_component : float
        Rows with a component as large as this are outliers and are dropped.
    reading : Reading, optional
        How tables are read.

    Returns
    -------
    rows : list of LabelledCrystal
        In the order of the file.
    dropped : list of Dropped
        What was left out.

    Raises
    ------
    DataError
        If the file is none of these, or one of its rows cannot be read.
    """
    rows: list[LabelledCrystal] = []
    dropped: list[Dropped] = []
    reading = reading or Reading()
    for where, read in _items(path, row, reading):
        try:
            found = read()
        except (
            *(ArithmeticError, AttributeError, LookupError, OSError, TypeError),
            *(ValueError, CrystalTensorError),
        ) as error:
            if reading.skip_bad_rows:
                dropped.append(Dropped(where, described(error)))
                continue
            raise DataError(
                f"{where}: not {_ROW} ({described(error)}); rows like it are left out "
                "with --skip-bad-rows (skip_bad_rows = true)"
            ) from error
        if isinstance(found, Dropped):
            dropped.append(found)
        elif (largest := float(np.abs(found.tensor).max())) >= max_component:
            dropped.append(
                Dropped(found.name, f"a component of {largest:.4g} {row.unit}")
            )
        else:
            rows.append(found)
    if not rows:
        raise DataError(f"{path.name}: no row can be used")
    return rows, dropped


def structure_files(path: Path, reading: Reading) -> list[Path]:
    """List the files that a table depends on, so that a cache can follow them.

    Parameters
    ----------
    path : Path
        A table.
    reading : Reading
        How it is read.

    Returns
    -------
    list of Path
        Empty unless it is a CSV table beside structure files.
    """
    if _kind(path) != "csv":
        return []
    with _opened(path) as file:
        lines = list(csv.reader(_bounded(file, path.name)))
    if not lines or _text_columns(lines[0]):
        return []
    folder = path.parent / reading.structures
    found = [_find_structure(line[0].strip(), folder) for line in lines if line]
    if (path.parent / _INFO).is_file():
        found.append(path.parent / _INFO)
    return [each for each in found if each is not None]


def _kind(path: Path) -> str:
    """Tell the format of a table by its name."""
    suffixes = [each.lower() for each in path.suffixes]
    last = suffixes[-2:-1] if suffixes[-1:] == [".gz"] else suffixes[-1:]
    if last and last[0] in _PICKLES:
        raise DataError(
            f"{path.name}: pickles are refused, because opening one runs whatever it "
            "holds; convert it to JSON lines where you trust it, with the ten lines of "
            "Python in docs/training.md"
        )
    kinds = {".jsonl": "lines", ".ndjson": "lines", ".csv": "csv", ".json": "json"}
    if last and last[0] in kinds:
        return kinds[last[0]]
    raise DataError(
        f"{path.name}: data sets are .jsonl, .csv or .json files, each also with .gz"
    )


@contextmanager
def _opened(path: Path) -> "Iterator[TextIO]":
    """Open a plain or gzipped text; what is wrong with it becomes an error of ours."""
    packed = path.suffix.lower() == ".gz"
    try:
        with path.open("rb") as binary:
            content = unpacked(binary) if packed else binary
            yield io.TextIOWrapper(content, encoding="utf-8-sig", newline="")
    except FormatError as error:
        raise DataError(f"{path.name}: {error}") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name}: cannot be read ({error})") from error


def _bounded(file: TextIO, name: str) -> "Iterator[str]":
    """Give the lines of a file; refuse one that would fill the memory."""
    number = 1
    while line := file.readline(MAX_TEXT):
        if len(line) == MAX_TEXT:
            raise DataError(
                f"{name}: line {number} is longer than "
                f"{MAX_TEXT >> 20} MiB; write one crystal per line"
            )
        yield line
        number += 1


def read_records(path: Path) -> "Iterator[tuple[str, Any]]":
    """Give the rows of JSON lines, or of a data frame as JSON, as they stand there.

    Parameters
    ----------
    path : Path
        Plain or gzipped.

    Yields
    ------
    where : str
        File and line.
    record : object
        A dictionary, if the table is what it should be.

    Raises
    ------
    DataError
        If the file is something else.
    """
    kind = _kind(path)
    if kind == "csv":
        raise DataError(f"{path.name}: expected JSON lines or a data frame as JSON")
    with _opened(path) as file:
        yield from _lines(file, path) if kind == "lines" else _frame(file, path)


def _items(path: Path, row: "TensorProperty", reading: Reading) -> "Iterator[Item]":
    """Give the rows of a table, none of them read yet."""
    if _kind(path) == "csv":
        with _opened(path) as file:
            yield from _csv_items(file, path, row, reading)
        return
    for number, (where, record) in enumerate(read_records(path), start=1):
        yield where, partial(_from_record, record, row, reading, str(number))


def _from_record(
    record: object, row: "TensorProperty", reading: Reading, name: str
) -> LabelledCrystal | Dropped:
    """Read a row of a table of records; the table itself may say to leave it out."""
    if not isinstance(record, dict):
        raise DataError(f"expected a JSON object, not {str(record)[:40]!r}")
    labelled = labelled_from_record(record, row, reading, name=name)
    if record.get("frame_ok") is False:
        return Dropped(labelled.name, "its frame is not known")
    return labelled


def _lines(file: TextIO, path: Path) -> "Iterator[tuple[str, Any]]":
    """Parse JSON lines."""
    for number, line in enumerate(_bounded(file, path.name), start=1):
        if not line.strip():
            continue
        where = f"{path.name}, line {number}"
        try:
            yield where, json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: not JSON ({error})") from error


def _frame(file: TextIO, path: Path) -> "Iterator[tuple[str, Any]]":
    """Take a data frame apart: split or records, the layouts that matminer writes."""
    text = file.read(_LARGEST_FRAME)
    if len(text) == _LARGEST_FRAME:
        raise DataError(
            f"{path.name}: longer than {_LARGEST_FRAME >> 20} MiB; write it as JSON lines "
            "with DataFrame.to_json(orient='records', lines=True)"
        )
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path.name}: not JSON ({error})") from error
    if isinstance(frame, list):
        yield from (
            (f"{path.name}, row {number}", each)
            for number, each in enumerate(frame, start=1)
        )
        return
    if not (isinstance(frame, dict) and {"columns", "data"} <= set(frame)):
        raise DataError(
            f"{path.name}: not a data frame; write it with "
            "DataFrame.to_json(orient='records') or 'split', or matminer's "
            "store_dataframe_as_json"
        )
    columns, data = frame["columns"], frame["data"]
    named = isinstance(columns, list) and all(isinstance(one, str) for one in columns)
    if not named or not isinstance(data, list):
        raise DataError(f"{path.name}: its columns or its data are not a list")
    index = frame.get("index")
    labels = index if isinstance(index, list) else range(len(data))
    for label, cells in zip(labels, data, strict=False):
        if not isinstance(cells, list) or len(cells) != len(columns):
            raise DataError(f"{path.name}, row {label}: not {len(columns)} cells")
        yield (
            f"{path.name}, row {label}",
            {"name": label, **dict(zip(columns, cells, strict=True))},
        )


@dataclass(frozen=True)
class _Layout:
    """The columns of a CSV table with structure files."""

    folder: Path
    places: dict[int, Place] | None
    split: int | None


_INFO = "dataset_info.json"


def _splits_in_order(path: Path) -> "Iterator[str]":
    """Give the splits of the rows of a table, empty where nothing says so.

    The JARVIS leaderboard counts in a file beside the table how many rows, from the
    first one on, are for training, validation and test.

    Raises
    ------
    DataError
        If the file is something else.
    """
    try:
        info = json.loads((path.parent / _INFO).read_text(encoding="utf-8"))
        counts = {split: int(info[f"n_{split}"]) for split in SPLITS}
    except FileNotFoundError:
        counts = {}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path.parent / _INFO}: it should count n_train, n_val and n_test "
            f"({described(error)})"
        ) from error
    for split, count in counts.items():
        yield from repeat(split, count)
    yield from repeat("")


def _csv_items(
    file: TextIO, path: Path, row: "TensorProperty", reading: Reading
) -> "Iterator[Item]":
    """Give the rows of a CSV table, whose structures are in it or beside it."""
    csv.field_size_limit(1 << 24)  # a structure may stand in a cell
    lines = csv.reader(_bounded(file, path.name))
    first = next(lines, [])
    if _text_columns(first):
        for cells in lines:
            where = f"{path.name}, line {lines.line_num}"
            if any(cells):
                record = dict(zip(first, cells, strict=False))
                yield where, partial(_from_record, record, row, reading, cells[0])
        return
    folder = path.parent / reading.structures
    header = row.per_atom or _is_header(first)
    layout = _layout(first, row, reading, path) if header else None
    read = partial(_from_csv, row=row, reading=reading)
    rows: Iterable[list[str]] = lines
    if layout is None:
        layout = _Layout(folder, None, None)
        rows = chain([first], lines)
    filled = (cells for cells in rows if any(cell.strip() for cell in cells))
    for cells, split in zip(filled, _splits_in_order(path), strict=False):
        where = f"{path.name}, line {lines.line_num}"
        yield where, partial(read, cells, layout, split=split)


def _text_columns(header: list[str]) -> list[str]:
    """Find columns that hold structures."""
    return [name for name in header if name in TEXTS]


def _is_header(cells: list[str]) -> bool:
    """Whether the first line has names in it: numbers follow the name of a crystal."""
    return len(cells) > 1 and not any(_is_number(cell) for cell in cells[1:])


def _is_number(cell: str) -> bool:
    """Whether a cell holds a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _layout(
    header: list[str], row: "TensorProperty", reading: Reading, path: Path
) -> _Layout:
    """Read the header of a CSV table."""
    if row.per_atom:
        raise DataError(
            f"{path.name}: {row.title} belong to atoms, which a line of CSV cannot hold; "
            "use JSON lines"
        )
    try:
        if row.rank:
            places = tensor_columns(header, row)
        else:
            places = {scalar_column(header, row, reading.column): WHOLE}
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from error
    if not places:
        raise DataError(
            f"{path.name}: no column is named like a component of {row.symbol}, as in "
            f"{_example(row)}"
        )
    names = [name.strip().lower() for name in header]
    split = names.index("split") if "split" in names else None
    return _Layout(path.parent / reading.structures, places, split)


def _example(row: "TensorProperty") -> str:
    """Write some names of components."""
    return {2: "eps_xx,eps_yy,…", 3: "e11,e12,…,e36", 4: "C11,C12,…,C66"}[row.rank]


def _from_csv(
    cells: list[str],
    layout: _Layout,
    *,
    row: "TensorProperty",
    reading: Reading,
    split: str,
) -> LabelledCrystal:
    """Read a row whose structure is a file."""
    name = cells[0].strip()
    found = _find_structure(name, layout.folder)
    if found is None:
        raise DataError(
            f"no structure file {name} in {layout.folder}, nor with one of "
            f"{', '.join(_SUFFIXES[1:])}; set its folder by 'structures'"
        )
    if layout.places is None:
        places, texts = None, cells[1:]
    else:
        places = list(layout.places.values())
        texts = [cells[place] if place < len(cells) else "" for place in layout.places]
    for text in texts:
        if not _is_number(text):
            raise DataError(f"{text!r} is not a number")
    order = "voigt" if reading.voigt_order == "auto" else reading.voigt_order
    tensor = tensor_from_columns([float(text) for text in texts], places, row, order)
    if layout.split is not None:
        split = cells[layout.split].strip()
    record = {"split": split}
    return label_crystal(record, read_crystal(found), tensor, name)


def _find_structure(name: str, folder: Path) -> Path | None:
    """Find the file of a crystal by its name or identifier."""
    if not name:
        return None
    tried = [folder / f"{name}{suffix}" for suffix in _SUFFIXES]
    tried += [folder / f"{each}{mark}{name}" for each in _FOLDERS for mark in "-._"]
    tried += [folder / name / each for each in _FOLDERS]
    try:
        return next((path for path in tried if path.is_file()), None)
    except OSError:  # too long for the name of a file
        return None
