"""Time predictions for a folder of CIF files of about ten atoms.

Run ``python tests/benchmarks/benchmark_stream.py [N]``. CPU seconds stand beside wall
seconds: on a machine with other work only the former mean something. Rates are without
the start, from the first block that is written.
"""

import os
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from crystaltensor.threads import one_thread_each

one_thread_each()

import structure_sets  # noqa: E402 - threads come first

from crystaltensor.workflows import predict_many  # noqa: E402
from crystaltensor.workflows.blocks import Treatment, in_blocks  # noqa: E402
from crystaltensor.workflows.inputs import Inputs  # noqa: E402
from crystaltensor.workflows.output_formats import JsonLines  # noqa: E402
from crystaltensor.workflows.predict_work import Settings, make_work  # noqa: E402
from crystaltensor.workflows.sharding import Shard  # noqa: E402

ONE = ("piezo",)
TENSORS = ("dielectric", "dielectric-total", "piezo", "elastic", "born-charges")


def stages(folder: Path, properties: tuple[str, ...]) -> None:
    """Print what one process needs for each crystal."""
    settings = Settings(properties, device="cpu")
    work, _ = make_work(settings)
    treatment = Treatment(work, JsonLines())
    first, *blocks = in_blocks(Inputs((str(folder),), recursive=True).pieces())
    treatment.treat(first)
    best = [float("inf")] * 3
    for block in blocks:
        times = [time.process_time()]
        for piece in block.pieces:
            list(piece.read())
        times.append(time.process_time())
        items = treatment.prepare(block)
        times.append(time.process_time())
        treatment.finish(block, items)
        times.append(time.process_time())
        read, prepared, finished = (b - a for a, b in pairwise(times))
        spent = [one / len(block.pieces) for one in (read, prepared - read, finished)]
        best = [min(pair) for pair in zip(best, spent, strict=True)]
    read, prepared, finished = (1e3 * one for one in best)
    print(
        f"{len(properties)} properties: {sum(best) * 1e3:6.2f} ms CPU a crystal: reading "
        f"{read:.2f}, symmetry and graph {prepared:.2f}, networks and records {finished:.2f}"
    )


def whole(folder: Path, n_workers: int) -> None:
    """Print the rate of a whole run."""
    settings = Settings(ONE, device="cpu")
    options = predict_many.Options(n_workers=n_workers, overwrite=True)
    inputs = Inputs((str(folder),), recursive=True)
    output = folder.parent / "out.jsonl"
    began, before, cpu = 0.0, 0, 0.0
    reports = predict_many.predict_into(
        str(output), inputs, settings, options=options, shard=Shard()
    )
    report = None
    for report in reports:
        if not before and report.counts.n_ok:
            began, before, cpu = (
                time.perf_counter(),
                report.counts.n_ok,
                sum(os.times()[:4]),
            )
    if report is not None:
        wall = time.perf_counter() - began
        spent = sum(os.times()[:4]) - cpu  # that of the workers counts when they end
        n = report.counts.n_ok - before
        print(
            f"{n_workers} processes: {n / wall:6.1f} crystals a second ({spent:.0f} s CPU)"
        )


def main() -> None:
    """Print the tables."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "cifs"
        structure_sets.write_set(folder, n)
        stages(folder, ONE)
        stages(folder, TENSORS)
        for n_workers in (1, 2):
            whole(folder, n_workers)


if __name__ == "__main__":
    main()
