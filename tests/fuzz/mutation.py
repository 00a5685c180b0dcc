"""Damage to files: from bytes that flip to values of the wrong kind in sound files.

Everything follows from a seed, so that input number 12345 of a reader is the same file
on every machine. What is cut at random rarely gets past a parser's first lines; for the
formats that have a structure it is therefore the values that are exchanged, and the file
around them stays sound.
"""

import gzip
import io
import json
import random
import re
import struct
import tomllib
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

import numpy as np

NUMBERS: list[str] = (
    "0 -0 -1 1 3 1.5 1e400 -1e400 1e308 1e-320 1e20 nan NaN inf -Infinity 10000000000 "
    "99999999999999999999 2147483648 4294967296 -9223372036854775809 0x10 1_000 1d0 "
    "1.0D+00 1/3 1/0 00012 .5 5. +5 1e 1e+ -- . ٣ ²"
).split()
NUMBERS += ["9" * 400, "0." + "3" * 400]

TEXTS = (
    "",
    " ",
    "\n",
    "\r\n",
    "\t",
    "\0",
    "\x1b[2J\x1b[31m",
    "\x07\x08",
    "\x9b31m",
    "\u2028",
    "\u202e",
    "\ufeff",
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    "é",
    "'",
    '"',
    ";",
    "#",
    "{",
    "}",
    "[",
    "]",
    "]]>",
    "&lol;",
    "<!ENTITY a 'b'>",
    "_atom_site_label",
    "loop_",
    "data_x",
    "../../../../etc/passwd",
    "/dev/zero",
    "$(touch here)",
    "X",
    "D",
    "Uuo",
    "al",
    "Al3+",
    "None",
    "null",
    "true",
    "__import__('os').system('true')",
    "A" * 5000,
)

VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    3,
    10**10,
    10**30,
    1.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "1",
    "nan",
    "Al",
    "\x1b[31m",
    "a\nb",
    "\0",
    [],
    [0],
    [None],
    [[]],
    [1, 2, 3],
    [[1, 2, 3]],
    [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    [["a"]],
    ["Al"],
    [[1, 2], [3]],
    {},
    {"a": 1},
    {"a": {"b": []}},
    "x" * 3000,
)
"""What may stand where something else is expected."""

_NUMBER = re.compile(rb"[-+]?\d+\.?\d*(?:[eEdD][-+]?\d+)?")
_WORD = re.compile(rb"\S+")


def mutate(data: bytes, kind: str, rng: random.Random) -> bytes:
    """Damage a file in one to six ways.

    Parameters
    ----------
    data : bytes
        A sound file.
    kind : str
        What it is: ``"text"``, ``"json"``, ``"jsonl"``, ``"toml"``, ``"npz"``,
        ``"npy"`` or ``"safetensors"``.
    rng : Random
        All chance is from here.

    Returns
    -------
    bytes
        The damaged file, which may by chance be sound.
    """
    aware = _AWARE.get(kind)
    if aware is not None and rng.random() < 0.7:
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            data = aware(data, rng)
        if rng.random() < 0.7:
            return _packed(data, rng)
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        data = rng.choice(_BLIND)(data, rng)
    return _packed(data, rng)


def _packed(data: bytes, rng: random.Random) -> bytes:
    """Now and then pack with gzip, and now and then cut that short or flip a byte."""
    if rng.random() > 0.05:
        return data
    data = gzip.compress(data, 1)
    return rng.choice((_keep, _flip, _cut_short))(data, rng)


def _keep(data: bytes, rng: random.Random) -> bytes:
    """Change nothing."""
    return data


def _flip(data: bytes, rng: random.Random) -> bytes:
    """Change up to four bytes."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4) if changed else 0):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _cut_short(data: bytes, rng: random.Random) -> bytes:
    """Lose the end."""
    return data[: rng.randrange(len(data) + 1)]


def _cut_out(data: bytes, rng: random.Random) -> bytes:
    """Lose a piece."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.choice((1, 2, 5, 20, 100)) :]


def _insert(data: bytes, rng: random.Random) -> bytes:
    """Write something odd in between."""
    at = rng.randrange(len(data) + 1)
    odd = rng.choice(TEXTS).encode("utf-8", "surrogatepass")
    return data[:at] + odd * rng.choice((1, 1, 1, 2, 50)) + data[at:]


def _exchange_number(data: bytes, rng: random.Random) -> bytes:
    """Write an odd number in place of a number."""
    return _exchange(_NUMBER, NUMBERS, data, rng)


def _exchange_word(data: bytes, rng: random.Random) -> bytes:
    """Write something odd in place of a word."""
    return _exchange(_WORD, TEXTS, data, rng)


def _exchange(
    pattern: re.Pattern[bytes], by: tuple[str, ...] | list[str], data: bytes, rng: Any
) -> bytes:
    """Put something else in the place of a match."""
    found = list(pattern.finditer(data[:100_000]))
    if not found:
        return data
    match = rng.choice(found)
    new = rng.choice(by).encode("utf-8", "surrogatepass")
    return data[: match.start()] + new + data[match.end() :]


def _shuffle_lines(data: bytes, rng: random.Random) -> bytes:
    """Lose, double, exchange or repeat a line."""
    lines = data.split(b"\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    way = rng.randrange(4)
    if way == 0:
        del lines[first]
    elif way == 1:
        lines.insert(second, lines[first])
    elif way == 2:
        lines[first], lines[second] = lines[second], lines[first]
    else:
        lines[first:first] = [lines[first]] * rng.choice((3, 30, 300))
    return b"\n".join(lines)


def _nest(data: bytes, rng: random.Random) -> bytes:
    """Open many brackets."""
    at = rng.randrange(len(data) + 1)
    pair = rng.choice((b"[]", b"{}", b"()", b'""', b"''", b"<>"))
    deep = rng.choice((2, 50, 5000))
    return data[:at] + pair[:1] * deep + pair[1:] * rng.choice((0, deep)) + data[at:]


def _encode(data: bytes, rng: random.Random) -> bytes:
    """Write in another encoding, with other line ends, or with a mark in front."""
    text = data.decode("utf-8", "replace")
    way = rng.randrange(6)
    if way == 0:
        return text.encode("utf-16")
    if way == 1:
        return text.encode("utf-32")
    if way == 2:
        return b"\xef\xbb\xbf" + data
    if way == 3:
        return data.replace(b"\n", rng.choice((b"\r", b"\r\n", b"\x0b", b"\x85", b" ")))
    if way == 4:
        return text.encode("latin-1", "replace")
    return (
        rng.choice((b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b", b"\x80\x04", b"PK")) + data
    )


_BLIND: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip,
    _cut_short,
    _cut_out,
    _insert,
    _exchange_number,
    _exchange_number,
    _exchange_number,
    _exchange_word,
    _exchange_word,
    _shuffle_lines,
    _shuffle_lines,
    _nest,
    _encode,
)


def _change_value(value: Any, rng: random.Random) -> Any:
    """Change one node of nested lists and objects."""
    holders = [value] if isinstance(value, dict | list) and value else []
    places: list[tuple[Any, Any]] = []
    while holders:
        holder = holders.pop()
        keys = holder if isinstance(holder, dict) else range(len(holder))
        for key in list(keys)[:200]:
            places.append((holder, key))
            inner = holder[key]
            if isinstance(inner, dict | list) and inner and len(places) < 2000:
                holders.append(inner)
    if not places:
        return rng.choice(VALUES)
    holder, key = rng.choice(places)
    way = rng.randrange(8)
    if way == 0:
        del holder[key]
    elif way == 1 and isinstance(holder, dict):
        holder[rng.choice(("", key + "x", key.upper(), "\x1b[1m", "structure"))] = (
            holder.pop(key)
        )
    elif way == 1:
        holder.insert(key, holder[key])
    elif way == 2:
        inner = holder[key]
        for _ in range(rng.choice((1, 3, 60))):
            inner = [inner]
        holder[key] = inner
    else:
        holder[key] = rng.choice(VALUES)
    return value


def _json(data: bytes, rng: random.Random) -> bytes:
    """Change a value of a JSON file."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return data
    return json.dumps(_change_value(value, rng)).encode()


def _json_lines(data: bytes, rng: random.Random) -> bytes:
    """Change a value in one line."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    lines[at] = _json(lines[at], rng)
    return b"\n".join(lines)


def _toml(data: bytes, rng: random.Random) -> bytes:
    """Change a value of a TOML file."""
    try:
        table = tomllib.loads(data.decode())
    except (ValueError, RecursionError):
        return data
    changed = _change_value(table, rng)
    if not isinstance(changed, dict):
        return data
    lines = [
        f"{json.dumps(key)} = {_toml_value(value)}" for key, value in changed.items()
    ]
    return "\n".join(lines).encode()


def _toml_value(value: Any) -> str:
    """Write a value of TOML; a date in place of nothing, which TOML has not."""
    if value is None or isinstance(value, date):
        return "1979-05-27T07:32:00Z"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {_toml_value(v)}" for key, v in value.items())
        return "{" + ", ".join(pairs) + "}"
    return json.dumps(value)


def _safetensors(data: bytes, rng: random.Random) -> bytes:
    """Change the header of a safetensors file; its length stays true, or lies."""
    if len(data) < 8:
        return data
    (length,) = struct.unpack("<Q", data[:8])
    header = _json(data[8 : 8 + length], rng)
    short = max(len(header) - 1, 0)
    said = rng.choice((len(header),) * 5 + (0, 1, short, 1 << 40, 2**64 - 1))
    return struct.pack("<Q", said) + header + data[8 + length :]


def _change_array(array: Any, rng: random.Random) -> Any:
    """Change shape, kind or values of an array."""
    return rng.choice(_OF_ARRAYS)(array, rng)


def _other_kind(array: Any, rng: random.Random) -> Any:
    """Change the kind of the entries."""
    return array.astype(rng.choice(("f4", "i8", "U8", "c16", "b1", "u1", "S3")))


def _odd_entry(array: Any, rng: random.Random) -> Any:
    """Change one number."""
    changed = np.array(array)
    if array.dtype.kind in "iuf" and array.size:
        odd = rng.choice((0, -1, 10**9, 2**62 if changed.dtype.kind != "u" else 7))
        changed.ravel()[rng.randrange(array.size)] = odd
    return changed


_OF_ARRAYS: tuple[Callable[[Any, random.Random], Any], ...] = (
    _other_kind,
    _odd_entry,
    lambda array, rng: array.ravel()[: rng.randrange(array.size + 1)],
    lambda array, _: array[None],
    lambda _, rng: np.array(rng.choice(VALUES[:13])),
    lambda _, rng: np.array([{"pickled": rng.random()}], dtype=object),
    lambda array, _: np.concatenate([array.ravel(), array.ravel()]),
)


def _npz(data: bytes, rng: random.Random) -> bytes:
    """Change one member of an archive of arrays."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=True) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except Exception:
        return data
    if not arrays:
        return data
    name = rng.choice(sorted(arrays))
    way = rng.randrange(6)
    if way == 0:
        del arrays[name]
    elif way == 1:
        arrays[rng.choice(("x", "optimizer/a/b", "../up", "projector_x"))] = arrays[
            name
        ]
    else:
        arrays[name] = _changed(arrays[name], rng)
    target = io.BytesIO()
    np.savez(target, **arrays)
    return target.getvalue()


def _npy(data: bytes, rng: random.Random) -> bytes:
    """Change the array of a file of one."""
    try:
        array = np.load(io.BytesIO(data), allow_pickle=True)
    except Exception:
        return data
    target = io.BytesIO()
    np.save(target, _changed(array, rng), allow_pickle=True)
    return target.getvalue()


def _changed(array: Any, rng: random.Random) -> Any:
    """Change an array, unless numpy finds that impossible."""
    try:
        with np.errstate(all="ignore"):
            return _change_array(array, rng)
    except (TypeError, ValueError, OverflowError):
        return np.array("odd")


_AWARE: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "json": _json,
    "jsonl": _json_lines,
    "toml": _toml,
    "safetensors": _safetensors,
    "npz": _npz,
    "npy": _npy,
}


def inputs(samples: list[bytes], kind: str, *, seed: int) -> Callable[[int], bytes]:
    """Make the function that gives input number i of a reader.

    Parameters
    ----------
    samples : list of bytes
        Sound files to start from.
    kind : str
        As for `mutate`.
    seed : int
        Of the whole campaign.

    Returns
    -------
    callable
        Index to a damaged file.
    """
    return partial(_input, samples, kind, seed)


def _input(samples: list[bytes], kind: str, seed: int, index: int) -> bytes:
    """Damage a sample, or put two halves together first."""
    rng = random.Random(f"{seed} {kind} {index}")  # noqa: S311 - not for secrets
    data = rng.choice(samples)
    if rng.random() < 0.05:
        other = rng.choice(samples)
        data = data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other)) :]
    return mutate(data, kind, rng)
