"""Tests of crystaltensor.workflows.sharding."""

import pytest

from crystaltensor.errors import ConfigError
from crystaltensor.workflows.blocks import Block
from crystaltensor.workflows.sharding import Shard, parse_shard


def test_every_block_is_in_one_shard() -> None:
    """Whatever the number of shards is."""
    for count in (1, 2, 7):
        for number in range(20):
            owners = [
                Shard(i, count).has(Block(number, ())) for i in range(1, count + 1)
            ]
            assert sum(owners) == 1


def test_a_shard_has_a_name_of_its_own() -> None:
    """In front of all suffixes."""
    shard = parse_shard("3/16")
    assert shard == Shard(3, 16)
    assert shard.name("a.b/out.jsonl.gz") == "a.b/out.shard-0003-of-0016.jsonl.gz"
    assert shard.name("folder") == "folder.shard-0003-of-0016"
    assert parse_shard(None).name("out.jsonl") == "out.jsonl"


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "-1/3", "1/0", ""])
def test_what_is_no_shard_is_refused(text: str) -> None:
    """With an example."""
    with pytest.raises(ConfigError, match="3/16"):
        parse_shard(text)


def test_slurm_says_which_shard_it_is() -> None:
    """Numbers of tasks may begin anywhere, and have steps."""
    names = [
        f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "MAX", "COUNT", "STEP")
    ]
    for values, shard in (
        ((1, 1, 16, 16, 1), Shard(1, 16)),
        ((15, 0, 15, 16, 1), Shard(16, 16)),
        ((30, 10, 50, 5, 10), Shard(3, 5)),
    ):
        environment = dict(zip(names, map(str, values), strict=True))
        assert parse_shard("auto", environment) == shard
        del environment["SLURM_ARRAY_TASK_COUNT"]
        assert parse_shard("auto", environment) == shard
    with pytest.raises(ConfigError, match="without gaps"):
        parse_shard("auto", dict(zip(names, "1 1 9 4 1".split(), strict=True)))
    with pytest.raises(ConfigError, match="job array of Slurm"):
        parse_shard("auto", {})
