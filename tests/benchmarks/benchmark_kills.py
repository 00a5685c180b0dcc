"""Kill a run again and again, and compare what it ends with.

Run ``python tests/benchmarks/benchmark_kills.py [N]``: N files, 20 000 if not said, 1 %
of them broken in ten ways, are predicted once without trouble, and once more in a run
that is killed (SIGKILL) at five random moments and resumed. As another user than root,
or files without permission to read them are no failures.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import structure_sets

N_KILLS = 5


def command(folder: Path, output: Path, *more: str) -> list[str]:
    """Give the command line of a run."""
    base = [sys.executable, "-m", "crystaltensor", "predict", str(folder), "-r", "-q"]
    return [*base, "--property", "piezo", "-o", str(output), "--workers", "2", *more]


def n_blocks(output: Path) -> int:
    """Count the blocks that are safe."""
    journal = output.with_name(output.name + ".journal")
    return len(journal.read_bytes().splitlines()) if journal.exists() else 0


def kill_once(folder: Path, output: Path, blocks: int) -> None:
    """Go on with a run until it has so many more blocks, and a moment longer."""
    goal = n_blocks(output) + blocks
    process = subprocess.Popen(command(folder, output, "--resume"))
    while process.poll() is None and n_blocks(output) < goal:
        time.sleep(0.1)
    time.sleep(random.uniform(0, 2))  # noqa: S311 - no secret
    process.kill()
    print(f"killed with {n_blocks(output)} blocks safe: {process.wait()}", flush=True)


def main() -> None:
    """Print how the two runs compare."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    random.seed(7)
    with tempfile.TemporaryDirectory() as name:
        folder, reference = Path(name) / "in", Path(name) / "reference.jsonl"
        structure_sets.write_set(folder, n, broken=0.01)
        began = time.perf_counter()
        code = subprocess.call(command(folder, reference))
        print(f"reference: exit code {code}, {time.perf_counter() - began:.0f} s")
        kinds: Counter[str] = Counter()
        with reference.open() as lines:
            for line in lines:
                record = json.loads(line)
                kinds[record.get("error", {}).get("type", "ok")] += 1
        print(f"{kinds.total()} records: {dict(kinds)}", flush=True)
        output = Path(name) / "killed.jsonl"
        for _ in range(N_KILLS):
            most = max(1, n_blocks(reference) // (N_KILLS + 2))
            kill_once(folder, output, random.randint(1, most))  # noqa: S311
        subprocess.call(command(folder, output, "--resume"))
        for ending in ("", ".errors.jsonl", ".journal"):
            one, two = (
                path.with_name(path.name + ending).read_bytes()
                for path in (reference, output)
            )
            print(f"{ending or 'output'}: {'same' if one == two else 'OTHER'} bytes")


if __name__ == "__main__":
    main()
