"""Data sets: reading, refusing, preparing, caching."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data import datasets
from crystaltensor.errors import DataError
from crystaltensor.nn.batch import Neighbourhood
from crystaltensor.properties import PIEZO

AROUND = Neighbourhood(4.0)


def some_lines(count: int = 6) -> list[dict[str, Any]]:
    """Return the first rows of the bundled data set."""
    with gzip.open(datasets.TABLES / "mp_piezo.jsonl.gz", "rt") as file:
        return [json.loads(next(file)) for _ in range(count)]


def write_lines(path: Path, lines: list[dict[str, Any]]) -> Path:
    """Write a JSONL file."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def prepare(path: Path, **options: Any) -> datasets.PreparedData:
    """Read and prepare a file."""
    rows, _ = datasets.read_table(path, PIEZO, max_component=20)
    settings = {
        "around": AROUND,
        "symprec": (0.1, 0.01),
        "max_residual": 0.2,
        "key": "k",
    }
    return datasets.prepare(rows, PIEZO, **(settings | options))[0]


def test_the_bundled_piezoelectric_data_are_complete() -> None:
    """866 rows, of which 27 have no known frame and 3 are outliers; the split."""
    path = datasets.find_table("mp_piezo", Path())
    rows, dropped = datasets.read_table(path, PIEZO, max_component=20)
    reasons = [each.reason for each in dropped]
    assert len(rows) + len(dropped) == 866
    assert sum("frame" in reason for reason in reasons) == 27
    assert sum("a component of" in reason for reason in reasons) == 3
    counts = [sum(row.split == split for row in rows) for split in datasets.SPLITS]
    assert counts == [665, 80, 91]
    assert all(row.sign_known for row in rows if row.polar)


def test_no_formula_and_space_group_is_in_two_splits() -> None:
    """Else a test crystal would have been seen."""
    with gzip.open(datasets.TABLES / "mp_piezo.jsonl.gz", "rt") as file:
        pairs = {(row["group"], row["split"]) for row in map(json.loads, file)}
    groups = [group for group, _ in pairs]
    assert len(groups) == len(set(groups))


def test_labels_become_exactly_symmetric(tmp_path: Path) -> None:
    """A zincblende label has one number in it afterwards, up to rounding of the file."""
    data = prepare(write_lines(tmp_path / "few.jsonl", some_lines(1)))
    tensor, given = data.tensors[0], np.array(some_lines(1)[0]["tensors"]["piezo_e"])
    np.testing.assert_allclose(tensor, given, atol=1e-5)
    np.testing.assert_allclose(tensor, tensor.swapaxes(1, 2), atol=1e-15)


def test_a_label_of_another_crystal_is_left_out_of_training_only(
    tmp_path: Path,
) -> None:
    """Give a zincblende crystal the tensor of a polar one."""
    lines = some_lines(1) * 2
    wrong = np.zeros((3, 3, 3))
    wrong[2, 2, 2] = 1.0
    lines[0] = {**lines[0], "id": "wrong", "tensors": {"piezo_e": wrong.tolist()}}
    path = write_lines(tmp_path / "wrong.jsonl", lines)
    rows, _ = datasets.read_table(path, PIEZO, max_component=20)
    settings = {"around": AROUND, "symprec": (0.1,), "max_residual": 0.2, "key": ""}
    data, dropped = datasets.prepare(rows, PIEZO, **settings)
    assert data.names == ["mp-22925"]
    assert [each.name for each in dropped] == ["wrong"]
    assert "% of its label is forbidden by symmetry" in dropped[0].reason
    as_test = [{**line, "split": "test"} for line in lines]
    rows, _ = datasets.read_table(
        write_lines(tmp_path / "test.jsonl", as_test), PIEZO, max_component=20
    )
    data, dropped = datasets.prepare(rows, PIEZO, **settings)
    assert len(data.names) == 2
    assert not dropped


def test_prepared_data_survive_the_disk(tmp_path: Path) -> None:
    """Bit by bit."""
    data = prepare(write_lines(tmp_path / "few.jsonl", some_lines()))
    datasets.save_prepared(data, tmp_path / "prepared.npz")
    again = datasets.load_prepared(tmp_path / "prepared.npz")
    assert again.names == data.names
    assert again.key == data.key
    np.testing.assert_array_equal(again.tensors, data.tensors)
    for ours, theirs in zip(again.graphs, data.graphs, strict=True):
        for name in ("numbers", "targets", "sources", "vectors"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
        assert ours.volume == theirs.volume
        for kind, matrix in theirs.projectors.items():
            np.testing.assert_array_equal(ours.projectors[kind], matrix)


def test_labels_keep_what_else_they_may_be(
    tmp_path: Path, wurtzite: Crystal, quartz: Crystal, triclinic: Crystal
) -> None:
    """On disk too; those with fewer choices than others repeat themselves."""
    tensor = np.random.default_rng(0).normal(size=(3, 3, 3))
    rows = [
        datasets.LabelledCrystal(
            str(index), crystal, tensor, "train", sign_known=True, polar=True
        )
        for index, crystal in enumerate((wurtzite, quartz, triclinic))
    ]
    data, _ = datasets.prepare(
        rows,
        PIEZO,
        around=Neighbourhood(4.0),
        symprec=(0.01,),
        max_residual=9.0,
        key="test",
        up_to_axes=True,
    )
    assert data.alternatives is not None
    assert data.alternatives.shape == (3, 4, 3, 3, 3)
    np.testing.assert_array_equal(data.alternatives[:, 0], data.tensors)
    (up, obverse), (down, reverse) = data.tensors[:2], data.alternatives[:2, 1]
    np.testing.assert_allclose(down, -up, atol=1e-12)
    assert reverse[0, 0, 0] == pytest.approx(-obverse[0, 0, 0])
    assert reverse[0, 1, 2] == pytest.approx(obverse[0, 1, 2])
    np.testing.assert_array_equal(data.alternatives[0, 2], up)
    np.testing.assert_array_equal(data.alternatives[2, 1], -data.tensors[2])
    datasets.save_prepared(data, tmp_path / "prepared.npz")
    again = datasets.load_prepared(tmp_path / "prepared.npz")
    np.testing.assert_array_equal(again.alternatives, data.alternatives)


def test_a_damaged_cache_is_named(tmp_path: Path) -> None:
    """It is not taken for data."""
    path = tmp_path / "prepared.npz"
    path.write_bytes(b"PK nonsense")
    with pytest.raises(DataError, match="not an archive of arrays"):
        datasets.load_prepared(path)


def test_the_cache_key_follows_content_not_names(tmp_path: Path) -> None:
    """The same bytes give the same key, other bytes or settings another."""
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("one")
    second.write_text("one")
    key = datasets.cache_key([first], cutoff=4)
    assert datasets.cache_key([second], cutoff=4) == key
    assert datasets.cache_key([second], cutoff=5) != key
    second.write_text("two")
    assert datasets.cache_key([second], cutoff=4) != key


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tensors": {}}, "no label: neither tensors.piezo_e nor a column piezo_e"),
        ({"tensors": {"piezo_e": [[0.0]]}}, r"of shape \(3, 3, 3\)"),
        ({"split": "training"}, "split must be one of"),
        ({"structure": {"lattice": [[1]], "species": [], "frac_coords": []}}, "shape"),
    ],
)
def test_a_bad_row_is_named_by_its_line(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """File, line and what is wrong."""
    first, second = some_lines(2)
    path = write_lines(tmp_path / "bad.jsonl", [first, {**second, **change}])
    with pytest.raises(DataError, match=rf"bad\.jsonl, line 2: .*{message}"):
        datasets.read_table(path, PIEZO, max_component=20)


def test_other_unusable_files_are_named(tmp_path: Path) -> None:
    """Not JSON, nothing usable, not there."""
    path = tmp_path / "text.jsonl"
    path.write_text("not json\n")
    with pytest.raises(DataError, match=r"text\.jsonl, line 1: not JSON"):
        datasets.read_table(path, PIEZO, max_component=20)
    path.write_text("\n")
    with pytest.raises(DataError, match="no row can be used"):
        datasets.read_table(path, PIEZO, max_component=20)
    with pytest.raises(DataError, match=r"nothing: no such file.*mp_piezo"):
        datasets.find_table("nothing", tmp_path)
