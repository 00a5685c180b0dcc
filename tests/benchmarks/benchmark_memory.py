"""Memory and time of a long stream, with a network, in one process.

Run ``python tests/benchmarks/benchmark_memory.py [N]``: N structures of two to four
atoms in one file of JSON lines, 100 000 if not said. CPU seconds are those since the
line before, so that what costs more and more would be seen.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from crystaltensor.threads import one_thread_each

one_thread_each()

import structure_sets  # noqa: E402 - threads come first

from crystaltensor.workflows.inputs import Inputs  # noqa: E402
from crystaltensor.workflows.predict_many import Options, predict_into  # noqa: E402
from crystaltensor.workflows.predict_work import Settings  # noqa: E402
from crystaltensor.workflows.sharding import Shard  # noqa: E402

MARKS = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 1_000_000)


def main() -> None:
    """Print a line at each of the marks."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "in.jsonl"
        with source.open("w") as file:
            for crystal in structure_sets.crystals(n, n_atoms=(2, 4)):
                file.write(structure_sets.json_text(crystal))
        reports = predict_into(
            str(Path(name) / "out.jsonl"),
            Inputs((str(source),)),
            Settings(("piezo",), device="cpu"),
            options=Options(n_workers=1),
            shard=Shard(),
        )
        marks, done, spent = list(MARKS), 0, time.process_time()
        for report in reports:
            count = report.counts.n_ok + report.counts.n_failed
            if marks and count >= marks[0]:
                now = time.process_time()
                each = 1e3 * (now - spent) / (count - done)
                print(
                    f"{marks.pop(0):8} structures: {_resident():4.0f} MiB, "
                    f"{each:5.2f} ms CPU for each",
                    flush=True,
                )
                done, spent = count, now
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"at most {peak:.0f} MiB")


def _resident() -> float:
    """Memory that this process holds, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
