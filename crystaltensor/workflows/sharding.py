"""Parts of a run that machines treat without knowing of each other."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crystaltensor.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crystaltensor.workflows.blocks import Block


@dataclass(frozen=True)
class Shard:
    """One of several parts.

    Parameters
    ----------
    index, count : int
        The first is 1.
    """

    index: int = 1
    count: int = 1

    def has(self, block: "Block") -> bool:
        """Whether a block belongs to this part."""
        return block.number % self.count == self.index - 1

    def name(self, output: str) -> str:
        """Name the output of this part: ``out.shard-0003-of-0016.jsonl``."""
        if self.count == 1:
            return output
        path = Path(output)
        stem, dot, suffixes = path.name.partition(".")
        part = f"shard-{self.index:04d}-of-{self.count:04d}"
        return str(path.with_name(f"{stem}.{part}{dot}{suffixes}"))


def parse_shard(
    text: str | None, environment: "Mapping[str, str] | None" = None
) -> Shard:
    """Read which part of the inputs is wanted.

    Parameters
    ----------
    text : str or None
        Such as ``"3/16"``, or ``"auto"`` for the task of a Slurm array; everything if
        left out.
    environment : mapping, optional
        That of the process if left out.

    Returns
    -------
    Shard
        Counted from 1.

    Raises
    ------
    ConfigError
        If it is neither, or there is no Slurm array.
    """
    if text is None:
        return Shard()
    if text == "auto":
        return _of_slurm(os.environ if environment is None else environment)
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(
            f"a shard is written 3/16, from 1/16 to 16/16, or auto; not {text[:40]!r}"
        )
    return Shard(int(match[1]), int(match[2]))


def _of_slurm(environment: "Mapping[str, str]") -> Shard:
    """Take the shard from the variables that Slurm sets for the tasks of an array."""
    try:
        task, first, last = (
            int(environment[f"SLURM_ARRAY_TASK_{name}"])
            for name in ("ID", "MIN", "MAX")
        )
        step = int(environment.get("SLURM_ARRAY_TASK_STEP", "1"))
        count = int(
            environment.get("SLURM_ARRAY_TASK_COUNT", (last - first) // step + 1)
        )
    except (KeyError, ValueError):
        raise ConfigError(
            "--shard auto is for a job array of Slurm (sbatch --array=1-16), which sets "
            "SLURM_ARRAY_TASK_ID, _MIN and _MAX; elsewhere give --shard 3/16"
        ) from None
    if count != (last - first) // step + 1:
        raise ConfigError(
            f"the Slurm array has {count} tasks from {first} to {last}: number them "
            "without gaps, so that each has its shard"
        )
    return Shard((task - first) // step + 1, count)
