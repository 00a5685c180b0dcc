"""Time whole commands: what a user at a shell waits for."""

import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# The peak memory of a child counts from the moment it leaves its parent, which holds
# torch by now; a small process in between keeps that out.
_LAUNCHER = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True)
class WholeRun:
    """How long a process takes.

    Parameters
    ----------
    seconds, cpu_seconds : float
        Smallest wall and processor time.
    peak_mib : float
        Largest memory.
    """

    seconds: float
    cpu_seconds: float
    peak_mib: float


def whole_run(*arguments: str, folder: "Path", rounds: int = 3) -> WholeRun:
    """Run a Python process several times.

    Parameters
    ----------
    arguments : str
        What follows ``python``.
    folder : Path
        Where it runs.
    rounds : int
        How often.

    Returns
    -------
    WholeRun
        Of the fastest round.

    Raises
    ------
    RuntimeError
        If the process fails, which would be a fault of the tool.
    """
    walls, cpus, peaks = [], [], []
    for _ in range(rounds):
        start = time.perf_counter()
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-c", _LAUNCHER, sys.executable, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        walls.append(time.perf_counter() - start)
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)}: {done.stderr.strip()}")
        cpu, peak = map(float, done.stdout.split()[-2:])
        cpus.append(cpu)
        peaks.append(peak)
    return WholeRun(min(walls), min(cpus), max(peaks))
