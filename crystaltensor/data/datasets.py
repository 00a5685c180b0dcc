"""Labelled crystals: the one door to reading, splitting and preparing them."""

from crystaltensor.data.choices import SPLITS
from crystaltensor.data.prepared import (
    PreparedData,
    cache_key,
    load_prepared,
    prepare,
    save_prepared,
)
from crystaltensor.data.rows import Dropped, LabelledCrystal, Reading
from crystaltensor.data.splits import assign_splits
from crystaltensor.data.tables import (
    TABLES,
    find_table,
    read_table,
    structure_files,
)

__all__ = [
    "SPLITS",
    "TABLES",
    "Dropped",
    "LabelledCrystal",
    "PreparedData",
    "Reading",
    "assign_splits",
    "cache_key",
    "find_table",
    "load_prepared",
    "prepare",
    "read_table",
    "save_prepared",
    "structure_files",
]
