"""Tables of descriptors: what is read is what was written, and no more is learnt from."""

from pathlib import Path

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.descriptors import (
    Described,
    prepare_descriptors,
    read_descriptors,
    write_descriptors,
)
from crystaltensor.errors import DataError
from crystaltensor.nn.batch import Neighbourhood

AROUND = Neighbourhood(4.0)


def rock_salts(count: int = 60, n_descriptors: int = 3) -> list[Described]:
    """Make crystals of two atoms, no two of one formula."""
    rng = np.random.default_rng(0)
    fcc = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    pairs = [(a, b) for a in (3, 11, 19, 37, 55, 4, 12) for b in range(30, 54)]
    return [
        Described(
            f"number {place}",
            Crystal(
                (2.5 + 0.01 * place) * fcc,
                np.array([[0.0] * 3, [0.5] * 3]),
                np.array(pair),
            ),
            rng.normal(size=(2, n_descriptors)).astype(np.float32),
        )
        for place, pair in enumerate(pairs[:count])
    ]


def prepare(many: list[Described], taken: tuple[str, ...] = ()):  # noqa: ANN201
    """Prepare them with the settings of these tests."""
    return prepare_descriptors(
        many, taken=taken, around=AROUND, symprec=0.01, key="a test"
    )


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    """Descriptors to half precision, all else exactly."""
    written = rock_salts(5)
    write_descriptors(written, tmp_path / "table.npz")
    read = read_descriptors(tmp_path / "table.npz")
    for one, other in zip(written, read, strict=True):
        assert one.name == other.name
        assert np.array_equal(one.crystal.cell, other.crystal.cell)
        assert np.array_equal(one.crystal.frac, other.crystal.frac)
        assert np.array_equal(one.crystal.numbers, other.crystal.numbers)
        np.testing.assert_allclose(one.values, other.values, rtol=1e-3)


def test_another_file_is_refused_with_its_name(tmp_path: Path) -> None:
    """Whether it is no archive, lacks an array, or has numbers that are none."""
    path = tmp_path / "table.npz"
    path.write_text("no archive")
    with pytest.raises(DataError, match=r"table\.npz"):
        read_descriptors(path)
    np.savez(path, names=np.array(["a"]))
    with pytest.raises(DataError, match="no table of descriptors"):
        read_descriptors(path)
    broken = rock_salts(2)
    broken[1].values[0, 0] = np.nan
    write_descriptors(broken, path)
    with pytest.raises(DataError, match="number 1"):
        read_descriptors(path)
    short = rock_salts(2)
    short[1] = Described("short", short[1].crystal, short[1].values[:1])
    write_descriptors(short, path)
    with pytest.raises(DataError, match="short"):
        read_descriptors(path)


def test_crystals_to_be_judged_by_are_left_out_by_name() -> None:
    """A formula with a space group, whatever its cell."""
    many = rock_salts()
    data, dropped = prepare(many, taken=("LiZn|225", "NaGa|225"))
    gone = {each.name for each in dropped}
    assert gone == {"number 0", "number 25"}
    assert not gone & set(data.names)
    assert len(data.names) == len(many) - 2
    assert all("judged" in each.reason for each in dropped)


def test_the_labels_have_the_size_one_and_the_splits_are_always_the_same() -> None:
    """Whatever the unit of the descriptors and the order of the crystals."""
    many = rock_salts()
    data, _ = prepare(many)
    assert np.square(data.tensors).mean() == pytest.approx(1)
    large = [Described(each.name, each.crystal, 7 * each.values) for each in many]
    again, _ = prepare(large[::-1])
    assert again.tensors[::-1] == pytest.approx(
        data.tensors.reshape(-1, 2, 3)[:, ::-1].reshape(-1, 3), rel=1e-5
    )
    splits = dict(zip(data.names, data.splits, strict=True))
    assert splits == dict(zip(again.names, again.splits, strict=True))
    assert 0 < len(data.part("val")) < len(data.part("train"))


def test_tables_that_do_not_fit_together_are_refused() -> None:
    """Descriptors of different lengths, or nothing left."""
    many = rock_salts()
    with pytest.raises(DataError, match="different lengths"):
        prepare([*many, *rock_salts(1, n_descriptors=4)])
    with pytest.raises(DataError, match="too few"):
        prepare(many[:1], taken=("LiZn|225",))
