"""Splits that do not leak."""

from dataclasses import replace

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.datasets import LabelledCrystal, assign_splits
from crystaltensor.errors import ConfigError

SETTINGS = {
    "source": "auto",
    "seed": 0,
    "fractions": (0.8, 0.1, 0.1),
    "symprec": 0.01,
}


def rock_salts(count: int, copies: int = 2) -> list[LabelledCrystal]:
    """Make rock salts of many elements, each of them more than once."""
    cell = 2.5 * (np.ones((3, 3)) - np.eye(3))
    return [
        LabelledCrystal(
            name=f"{number} {copy}",
            crystal=Crystal(
                (1 + 0.01 * copy) * cell, [[0, 0, 0], [0.5] * 3], [number, 8]
            ),
            tensor=np.eye(3),
            split="",
            sign_known=True,
            polar=False,
        )
        for number in range(11, 11 + count)
        for copy in range(copies)
    ]


def splits_of(rows: list[LabelledCrystal], **settings: object) -> list[str]:
    """Assign splits."""
    return [each.split for each in assign_splits(rows, **(SETTINGS | settings))]  # type: ignore[arg-type]


def test_a_group_is_in_one_split_and_the_shares_are_right() -> None:
    """Eight, one and one of ten groups of two."""
    found = splits_of(rock_salts(10))
    assert found[::2] == found[1::2]
    assert [found.count(split) for split in ("train", "val", "test")] == [16, 2, 2]


def test_the_seed_decides_and_the_order_of_the_rows_does_not() -> None:
    """The same rows fall into the same splits, in whatever file they come."""
    rows = rock_salts(8, 1)
    found = splits_of(rows)
    assert splits_of(rows) == found
    assert splits_of(rows[::-1])[::-1] == found
    assert splits_of(rows, seed=1) != found


def test_few_groups_leave_no_split_empty() -> None:
    """Three are enough."""
    assert set(splits_of(rock_salts(3, 1))) == {"train", "val", "test"}
    assert "val" not in splits_of(rock_salts(5, 1), fractions=(0.9, 0.0, 0.1))


def test_what_the_file_says_stays_and_draws_its_group_along() -> None:
    """A row without a split follows its like; `group` draws all anew."""
    rows = rock_salts(6)
    rows[6] = replace(rows[6], split="test")
    found = splits_of(rows)
    assert found[6] == found[7] == "test"
    drawn = splits_of(rows, source="group")
    assert drawn == splits_of(rock_salts(6))
    given = [replace(each, split="train") for each in rows]
    assert set(splits_of(given)) == {"train"}


def test_a_file_without_splits_can_be_refused() -> None:
    """If the setting says so."""
    with pytest.raises(ConfigError, match=r"2 rows have no split .*choose split"):
        splits_of(rock_salts(1), source="file")
