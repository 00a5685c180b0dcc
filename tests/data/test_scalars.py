"""Scalar labels: where they stand, which are refused, and in which order they split."""

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.audit import audit
from crystaltensor.data.datasets import (
    Reading,
    load_prepared,
    prepare,
    read_table,
    save_prepared,
    structure_files,
)
from crystaltensor.data.hypotheses import in_file_axes
from crystaltensor.data.scales import from_learnt, to_learn
from crystaltensor.errors import ConfigError, DataError
from crystaltensor.nn.batch import Neighbourhood
from crystaltensor.properties import (
    BAND_GAP,
    BULK_MODULUS,
    FORMATION_ENERGY,
    SHEAR_MODULUS,
)

SHARED = Path(__file__).parents[3] / "shared" / "data"
STRUCTURE = {
    "lattice": (2.82 * (np.ones((3, 3)) - np.eye(3))).tolist(),
    "species": ["Na", "Cl"],
    "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
}
POSCAR = """NaCl
1.0
0.0 2.82 2.82
2.82 0.0 2.82
2.82 2.82 0.0
Na Cl
1 1
Direct
0.0 0.0 0.0
0.5 0.5 0.5
"""


def write_rows(path: Path, *labels: dict[str, Any]) -> Path:
    """Write JSON lines of one crystal with various labels."""
    rows = [
        {"id": f"row-{i}", "structure": STRUCTURE, **one}
        for i, one in enumerate(labels)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("label", "row", "value"),
    [
        ({"scalars": {"K_VRH_GPa": 25.3}}, BULK_MODULUS, 25.3),
        ({"scalars": {"K_VRH": 25.3, "G_VRH": 15.0}}, SHEAR_MODULUS, 15.0),
        ({"formation_energy_per_atom": -2.1}, FORMATION_ENERGY, -2.1),
        ({"formation_energy_peratom": "-2.1"}, FORMATION_ENERGY, -2.1),
        ({"band-gap": 5.0}, BAND_GAP, 5.0),
    ],
)
def test_a_scalar_is_found(
    label: dict[str, Any], row: Any, value: float, tmp_path: Path
) -> None:
    """Among the scalars of a row, or in a column of the row itself."""
    (found,), dropped = read_table(write_rows(tmp_path / "t.jsonl", label), row)
    assert found.tensor.shape == ()
    assert float(found.tensor) == value
    assert not dropped


def test_a_column_of_the_scalars_can_be_chosen(tmp_path: Path) -> None:
    """By the setting `column`."""
    path = write_rows(
        tmp_path / "t.jsonl", {"scalars": {"K_VRH": 25.3, "K_Voigt": 26.0}}
    )
    (found,), _ = read_table(path, BULK_MODULUS, reading=Reading(column="K_Voigt"))
    assert float(found.tensor) == 26.0


@pytest.mark.parametrize(
    ("label", "row", "message"),
    [
        ({"scalars": {"band_gap_eV": None}}, BAND_GAP, "missing"),
        ({"band_gap": "na"}, BAND_GAP, "missing"),
        ({"band_gap": ""}, BAND_GAP, "missing"),
        ({"scalars": {"band_gap_eV": math.nan}}, BAND_GAP, "finite"),
        ({"band_gap": math.inf}, BAND_GAP, "finite"),
        ({"band_gap": [1.0]}, BAND_GAP, "not a number"),
        ({"K_VRH": 0.0}, BULK_MODULUS, "logarithm"),
        ({"K_VRH": -3.0}, BULK_MODULUS, "logarithm"),
        ({}, BAND_GAP, "no label"),
    ],
)
def test_bad_labels_are_refused_or_skipped(
    label: dict[str, Any], row: Any, message: str, tmp_path: Path
) -> None:
    """With the line, the reason and the way out; skipped rows are named as well."""
    good = {row.label: 1.0}
    path = write_rows(tmp_path / "t.jsonl", good, label, good)
    with pytest.raises(DataError, match=rf"line 2.*{message}.*--skip-bad-rows"):
        read_table(path, row)
    rows, dropped = read_table(path, row, reading=Reading(skip_bad_rows=True))
    assert [each.name for each in rows] == ["row-0", "row-2"]
    assert len(dropped) == 1
    assert dropped[0].name == "t.jsonl, line 2"
    assert message in dropped[0].reason


def leaderboard(folder: Path, counts: dict[str, int] | None = None) -> Path:
    """Write a folder as the JARVIS leaderboard does."""
    total = 10
    for number in range(total):
        (folder / f"JVASP-{number}").write_text(POSCAR)
    text = "".join(f"JVASP-{number},{-0.1 * number}\n" for number in range(total))
    (folder / "id_prop.csv").write_text(text)
    if counts is not None:
        (folder / "dataset_info.json").write_text(json.dumps(counts))
    return folder / "id_prop.csv"


def test_the_splits_of_the_jarvis_leaderboard_are_kept(tmp_path: Path) -> None:
    """The first rows are for training, the last for the test; the cache follows them."""
    path = leaderboard(tmp_path, {"n_train": 7, "n_val": 2, "n_test": 1})
    rows, _ = read_table(path, FORMATION_ENERGY)
    assert [each.split for each in rows] == ["train"] * 7 + ["val"] * 2 + ["test"]
    np.testing.assert_allclose([each.tensor for each in rows], -0.1 * np.arange(10))
    files = structure_files(path, Reading())
    assert tmp_path / "dataset_info.json" in files
    assert len(files) == 11


def test_without_counts_splits_are_drawn(tmp_path: Path) -> None:
    """And counts that make no sense are refused."""
    rows, _ = read_table(leaderboard(tmp_path), FORMATION_ENERGY)
    assert {each.split for each in rows} == {""}
    with pytest.raises(DataError, match="n_train, n_val and n_test"):
        read_table(leaderboard(tmp_path, {"n_train": 3}), FORMATION_ENERGY)


def test_a_csv_table_with_a_header(tmp_path: Path) -> None:
    """The column by its name, or the only one there is."""
    leaderboard(tmp_path)
    path = tmp_path / "named.csv"
    path.write_text("id,other,band_gap,split\nJVASP-1,7,1.5,val\n")
    (row,), _ = read_table(path, BAND_GAP)
    assert (float(row.tensor), row.split) == (1.5, "val")
    path.write_text("id,value\nJVASP-1,1.5\n")
    (row,), _ = read_table(path, BAND_GAP)
    assert float(row.tensor) == 1.5
    path.write_text("id,one,other\nJVASP-1,1.5,2\n")
    with pytest.raises(DataError, match="'column'"):
        read_table(path, BAND_GAP)
    path.write_text("JVASP-1,1.5,2\n")
    with pytest.raises(DataError, match="one number"):
        read_table(path, BAND_GAP)


def test_scales_are_inverse() -> None:
    """A modulus is learnt by its logarithm, an energy as it is."""
    values = np.array([0.5, 10.0, 400.0])
    for row in (BULK_MODULUS, FORMATION_ENERGY):
        np.testing.assert_allclose(from_learnt(to_learn(values, row), row), values)
    np.testing.assert_allclose(to_learn(values, BULK_MODULUS)[1], 1.0)


def test_prepared_scalars_come_back_from_disk(tmp_path: Path) -> None:
    """With their sums, whatever the numbers of atoms."""
    labels = [{"K_VRH": 10.0, "split": "train"}, {"K_VRH": 100.0, "split": "val"}]
    rows, _ = read_table(write_rows(tmp_path / "t.jsonl", *labels), BULK_MODULUS)
    one_atom = Crystal(2.9 * np.eye(3), [[0, 0, 0]], [26])
    rows[1] = type(rows[1])("iron", one_atom, rows[1].tensor, "val", True, False)
    around = Neighbourhood(4.0, potentials=("coulomb", "pauli:1.0"))
    data, dropped = prepare(
        rows, BULK_MODULUS, around=around, symprec=(0.01,), max_residual=0.2, key="k"
    )
    assert not dropped
    np.testing.assert_allclose(data.tensors, [1.0, 2.0])
    save_prepared(data, tmp_path / "p.npz")
    again = load_prepared(tmp_path / "p.npz")
    np.testing.assert_array_equal(again.tensors, data.tensors)
    for one, other in zip(data.graphs, again.graphs, strict=True):
        assert one.sums.shape == (2, len(one.numbers), len(one.numbers))
        np.testing.assert_array_equal(one.sums, other.sums)
    shares = data.compositions(np.array([0, 1]))
    assert shares[0, 10] == shares[0, 16] == 0.5
    assert shares[1, 25] == 1.0


def test_the_audit_finds_duplicates_and_leaks_but_no_axes(tmp_path: Path) -> None:
    """A scalar fits every symmetry."""
    labels = [{"K_VRH": 20.0 + i, "split": s} for i, s in enumerate(("train", "test"))]
    rows, _ = read_table(write_rows(tmp_path / "t.jsonl", *labels), BULK_MODULUS)
    found = audit(rows, BULK_MODULUS, symprec=(0.1, 0.01))
    assert found.counts == {"duplicate": 1, "leak": 1}
    assert all(row.residual == 0 for row in found.rows)
    with pytest.raises(ConfigError, match="scalar"):
        in_file_axes(rows, BULK_MODULUS, frame="ieee", symprec=0.1)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the data sets")
@pytest.mark.parametrize(
    ("name", "row", "count"),
    [
        ("mp_formation_energy", FORMATION_ENERGY, 3618),
        ("mp_binary_moduli", SHEAR_MODULUS, 3663),
        ("mp_elastic", BULK_MODULUS, 1077),
        ("mp_dielectric", BAND_GAP, 956),
    ],
)
def test_the_data_sets_are_read_whole(name: str, row: Any, count: int) -> None:
    """Every row has a label."""
    path = SHARED / f"{name}.jsonl.gz"
    with gzip.open(path, "rt") as file:
        assert sum(1 for _ in file) == count
    rows, dropped = read_table(path, row)
    assert len(rows) == count
    assert not dropped
