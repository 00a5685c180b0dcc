"""The table of properties."""

import pytest

from crystaltensor.errors import ConfigError
from crystaltensor.properties import (
    BORN_CHARGES,
    ELASTIC,
    PIEZO,
    TENSORS,
    tensor_property,
)


def test_names_and_aliases_are_unique() -> None:
    """One name, one property."""
    names = [name for row in TENSORS for name in (row.name, *row.aliases)]
    assert len(names) == len(set(names))
    assert all(tensor_property(row.name) is row for row in TENSORS)
    assert tensor_property("piezoelectric") is PIEZO


def test_rank_and_parity_belong_together() -> None:
    """A polar tensor is odd under inversion if its rank is."""
    for row in TENSORS:
        assert (row.parity == "odd") == (row.rank % 2 == 1)
    assert (ELASTIC.rank, BORN_CHARGES.per_atom) == (4, True)


def test_an_unknown_property_is_refused() -> None:
    """With the one that was probably meant."""
    with pytest.raises(
        ConfigError, match="unknown property 'elastik'; did you mean 'ela"
    ):
        tensor_property("elastik")
