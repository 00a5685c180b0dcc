"""A short campaign in every test run; ``make fuzz`` is the long one."""

import contextlib
import io
import json
import random
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crystaltensor.crystals.io import read_crystals
from crystaltensor.crystals.opening import FORMATS
from crystaltensor.crystals.records import crystal_from_dict
from crystaltensor.crystals.tensor_files import tensor_from_json
from crystaltensor.errors import CrystalTensorError
from crystaltensor.training.config import make_config
from tests.fuzz.campaign import campaign, table
from tests.fuzz.examination import examine, place
from tests.fuzz.mutation import inputs, mutate
from tests.fuzz.readers import READERS, ROOT, Reader

_FEW = 40
_SLOW = ("model", "store", "lines")


@pytest.mark.parametrize("reader", READERS, ids=[each.name for each in READERS])
def test_damage_is_read_or_refused(reader: Reader, tmp_path: Path) -> None:
    """The first inputs of the campaign, and the sound files: no fault."""
    path = place(reader, tmp_path)
    for sample in reader.samples():
        found = examine(reader, sample, path, longest=100)
        assert not found.fault
    make = inputs(reader.samples(), reader.kind, seed=0)
    for index in range(_FEW // 4 if reader.name.startswith(_SLOW) else _FEW):
        found = examine(reader, make(index), path)
        assert not found.fault, f"--only {reader.name!r} --index {index}"


def test_inputs_follow_from_the_seed() -> None:
    """The same file on every machine; another one for another seed or index."""
    samples = [b"3.0 4.0\nAl N\n" * 9]
    first, again, other = (inputs(samples, "text", seed=seed) for seed in (0, 0, 1))
    assert [first(i) for i in range(50)] == [again(i) for i in range(50)]
    assert len({first(i) for i in range(50)}) > 40
    assert [first(i) for i in range(50)] != [other(i) for i in range(50)]


@pytest.mark.parametrize("kind", ["json", "jsonl", "toml", "npz", "npy", "safetensors"])
def test_files_with_a_structure_often_stay_sound_around_the_damage(kind: str) -> None:
    """Otherwise only the first lines of a parser would be tested."""
    reader = next(each for each in READERS if each.kind == kind)
    sample = reader.samples()[0]
    n_sound = 0
    for index in range(60):
        changed = mutate(sample, kind, random.Random(index))  # noqa: S311
        with contextlib.suppress(Exception):
            _OPEN[kind](changed)
            n_sound += changed != sample
    assert n_sound > 20


_OPEN = {
    "json": json.loads,
    "jsonl": lambda data: [json.loads(line) for line in data.splitlines()],
    "toml": lambda data: tomllib.loads(data.decode()),
    "npz": lambda data: np.load(io.BytesIO(data), allow_pickle=False).files,
    "npy": lambda data: np.load(io.BytesIO(data), allow_pickle=True),
    "safetensors": lambda data: json.loads(data[8:].split(b"}}", 1)[0] + b"}}"),
}
"""What tells a file that is sound around the damage."""


def test_a_campaign_notices_whatever_must_not_happen() -> None:
    """Readers with planted faults: each is found, and named for what it is."""
    found = campaign("tests.fuzz.planted:PLANTED", 60, jobs=2, longest=0.3)
    faults = {one.name: " ".join(one.faults) for one in found}
    assert faults["sound"] == ""
    assert (
        "ZeroDivisionError: 'division by zero' from planted.py" in faults["traceback"]
    )
    assert "not printable" in faults["escape sequence"]
    assert "hang" in faults["hang"]
    assert "died: code -" in faults["crash"]
    assert "touched: opened" in faults["write"]
    assert "subprocess.Popen" in faults["process"]
    assert "MemoryError" in faults["memory"]
    text = table(found)
    for one in found:
        assert f"| {one.name} " in text
    assert all(one.n_inputs > 0 for one in found)


def test_the_command_ends_with_code_1_if_there_is_a_fault() -> None:
    """As CI needs it."""
    command = [sys.executable, "-m", "tests.fuzz.campaign", "--inputs", "3"]
    command += ["--readers", "tests.fuzz.planted:PLANTED", "--only"]
    for name, code in (("sound", 0), ("traceback", 1)):
        done = subprocess.run(
            [*command, name], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        assert ("FAULT" in done.stdout) == bool(code)


def _refusal(call: Callable[[], object]) -> str:
    """Call; return the message of our error, if it is one."""
    try:
        call()
    except CrystalTensorError as error:
        return str(error)
    return ""


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["Al", "N", "nan", "1"]),
)
NUMBERS = st.one_of(
    st.floats(-20, 20), st.sampled_from([1e400, float("nan"), 10**30, 0])
)
MATRIX = st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=3, max_size=3)
KEYS = st.sampled_from(
    "lattice matrix pbc sites species element occu abc frac_coords lattice_mat coords "
    "elements cartesian structure atoms tensor voigt tensors piezo frame rotation unit "
    "property input_array data @class status".split()
)
VALUES = st.recursive(
    st.one_of(SCALARS, MATRIX),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=5)
    ),
    max_leaves=12,
)
PLENTY = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@PLENTY
@given(value=st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_json_object_is_a_structure_or_refused(value: dict[str, object]) -> None:
    """Under the keys that count."""
    assert _refusal(lambda: crystal_from_dict(value)).isprintable()


@PLENTY
@given(value=VALUES)
def test_any_json_value_is_a_tensor_or_refused(value: object) -> None:
    """Under the keys that count."""
    assert _refusal(lambda: tensor_from_json(value, "here", ("piezo",))).isprintable()


@PLENTY
@given(
    content=st.one_of(st.binary(max_size=300), st.text(max_size=300)),
    file_format=st.sampled_from([None, "cif", "poscar", "extxyz", "json"]),
)
def test_any_text_or_bytes_are_a_structure_or_refused(
    content: bytes | str, file_format: str | None
) -> None:
    """With nothing in common with a real file."""
    stream = io.BytesIO(content) if isinstance(content, bytes) else io.StringIO(content)
    refusal = _refusal(lambda: list(read_crystals(stream, file_format=file_format)))
    assert refusal.isprintable()


FIELDS = st.sampled_from(
    "property data network column structures split split_fractions drop symprec seed "
    "members epochs batch_size learning_rate warmup_steps ema_decay threads nonsense "
    "max_component max_residual weight_decay label_frame voigt_order".split()
)


@PLENTY
@given(
    given_=st.dictionaries(
        FIELDS, st.one_of(SCALARS, st.lists(SCALARS, max_size=3), VALUES), max_size=5
    )
)
def test_any_table_is_a_configuration_or_refused(given_: dict[str, object]) -> None:
    """Values of each type under each key, beside the two that must be there."""
    whole = {"property": "piezo", "data": ["mp_piezo"], **given_}
    found: list[Any] = []
    refusal = _refusal(lambda: found.append(make_config(whole, source="here")))
    assert refusal.isprintable()
    if found:
        assert found[0].members >= 1
        assert np.isfinite(found[0].learning_rate)
    else:
        assert refusal.startswith("here: ")


def test_every_format_is_fuzzed() -> None:
    """A format that is added must be added there as well."""
    from crystaltensor.crystals.opening import by_name

    fuzzed = {by_name(reader.file) for reader in READERS}
    assert set(FORMATS) <= fuzzed


def test_the_samples_are_read() -> None:
    """Damage to a file that was never read would prove little."""
    for reader in READERS:
        if reader.kind in {"json", "jsonl"}:
            for sample in reader.samples():
                for line in sample.splitlines() if reader.kind == "jsonl" else [sample]:
                    json.loads(line)
