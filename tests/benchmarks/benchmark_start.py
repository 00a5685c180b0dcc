"""Time whole commands: start-up is what a user at a shell waits for.

Run ``python tests/benchmarks/benchmark_start.py``. It imports nothing heavy itself: the
peak memory of a child counts from the moment it leaves its parent.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ALN = Path(__file__).parents[2] / "docs" / "examples" / "POSCAR.AlN"
ROUNDS = 7


def whole_process(*arguments: str) -> tuple[float, float, float]:
    """Return median wall and CPU seconds and peak MiB of whole runs of a command."""
    walls, cpus, peaks = [], [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
        walls.append(time.perf_counter() - started)
        cpus.append(usage.ru_utime + usage.ru_stime)
        peaks.append(usage.ru_maxrss / 1024)
    return statistics.median(walls), statistics.median(cpus), max(peaks)


def main() -> None:
    """Print the table."""
    print(f"medians of {ROUNDS} runs")
    for name, arguments in (
        ("crystaltensor --help", ("crystaltensor", "--help")),
        ("import torch", ("timeit", "-n1", "-r1", "import torch")),
        ("import e3nn.o3", ("timeit", "-n1", "-r1", "import e3nn.o3")),
        (
            "predict a POSCAR, cold",
            ("crystaltensor", "predict", str(ALN), "--property", "piezo"),
        ),
    ):
        wall, cpu, peak = whole_process(*arguments)
        print(f"{name:24} {wall:6.2f} s wall {cpu:6.2f} s CPU {peak:6.0f} MiB")


if __name__ == "__main__":
    main()
