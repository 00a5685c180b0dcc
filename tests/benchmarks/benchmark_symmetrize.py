"""How long ``crystaltensor symmetrize`` takes, and how much memory.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/benchmark_symmetrize.py [rows.jsonl name]

A file of rows, with a structure and a tensor of that property each, is timed in place
of the crystals that are made here.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.writing import poscar_text


def process(*arguments: str) -> tuple[float, float, float]:
    """Run a command; wall and CPU seconds and peak memory in MiB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    command = [sys.executable, "-m", "crystaltensor", "symmetrize", *arguments]
    code = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL,"
        " stderr=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)\n"
        "sys.exit(done.returncode)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        check=True,
        capture_output=True,
        text=True,
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, float(done.stdout)


def made_rows(count: int) -> list[dict[str, object]]:
    """Make crystals of many groups, as common ones as those of a data set."""
    rng = np.random.default_rng(0)
    fcc = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    hexagonal = np.array([[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, 1.6]])
    wurtzite = [[1 / 3, 2 / 3, z] for z in (0, 0.38)]
    wurtzite += [[2 / 3, 1 / 3, z + 0.5] for z in (0, 0.38)]
    perovskite = [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    heusler = [[0] * 3, [0.25] * 3, [0.75] * 3, [0.5] * 3]
    rutile = [[0] * 3, [0.5] * 3, [0.3, 0.3, 0], [0.7, 0.7, 0]]
    rutile += [[0.8, 0.2, 0.5], [0.2, 0.8, 0.5]]
    kinds = [
        (fcc, [[0] * 3, [0.25] * 3], [31, 33]),
        (fcc, [[0] * 3, [0.5] * 3], [11, 17]),
        (fcc, [[0] * 3, [0.25] * 3], [14, 14]),
        (fcc, heusler, [13, 29, 29, 25]),
        (hexagonal * 0.7, wurtzite, [13, 7, 13, 7]),
        (np.diag([0.8, 0.8, 0.83]), perovskite, [56, 22, 8, 8, 8]),
        (np.diag([0.9, 0.9, 0.6]), rutile, [22, 22, 8, 8, 8, 8]),
        (np.diag([0.9, 1.0, 1.1]), rutile, [25, 25, 8, 8, 8, 8]),
        (np.diag([0.9, 1.0, 1.1]) + 0.1, rutile, [3, 25, 8, 9, 8, 8]),
        (np.diag([1.0, 1.1, 1.2]) - 0.1, [*heusler, [0.1, 0.6, 0.8]], [3, 9, 8, 16, 1]),
    ]
    rows = []
    for place in range(count):
        shape, frac, numbers = kinds[place % len(kinds)]
        crystal = Crystal((5 + rng.random()) * shape, frac, numbers)
        tensor = rng.normal(size=(3, 3, 3))
        structure = {
            "lattice": crystal.cell.tolist(),
            "species": crystal.symbols,
            "frac_coords": crystal.frac.tolist(),
        }
        rows.append({"structure": structure, "tensor": tensor.tolist()})
    return rows


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        cell = Crystal(np.diag([4, 4, 4.2]), [[0] * 3, [0.5, 0.5, 0.46]], [56, 22])
        (base / "POSCAR").write_text(poscar_text(cell))
        rng = np.random.default_rng(0)
        np.save(base / "many.npy", rng.normal(size=(10_000, 3, 3, 3, 3)))
        np.savetxt(base / "C.txt", np.diag([300.0, 300, 280, 90, 90, 80]) + 20)
        rows, name = base / "rows.jsonl", "piezo"
        rows.write_text("".join(json.dumps(row) + "\n" for row in made_rows(1000)))
        if len(sys.argv) == 3:
            rows, name = Path(sys.argv[1]), sys.argv[2]
        poscar, many = str(base / "POSCAR"), str(base / "many.npy")
        out = str(base / "out")
        runs = {
            "help": ("--help",),
            "form of a class": ("--point-group", "3m", "--property", "elastic"),
            "form of a crystal": (poscar, "--property", "piezo"),
            "one tensor, all quantities": (
                poscar, str(base / "C.txt"), "--property", "elastic",
            ),
            "10,000 tensors, .npy": (
                poscar, many, "--batch", "--property", "elastic", "-o", out + ".npy",
            ),
            f"{len(rows.read_text().splitlines())} crystals": (
                str(rows), "--batch", "--property", name, "-o", out + ".jsonl",
            ),
            "picture": (
                poscar, str(base / "C.txt"), "--property", "elastic",
                "--plot", out + ".png",
            ),
        }  # fmt: skip
        print(f"{'':30}{'wall, s':>10}{'CPU, s':>10}{'MiB':>8}")
        for title, arguments in runs.items():
            wall, cpu, memory = min(process(*arguments) for _ in range(3))
            print(f"{title:30}{wall:10.2f}{cpu:10.2f}{memory:8.0f}")


if __name__ == "__main__":
    main()
