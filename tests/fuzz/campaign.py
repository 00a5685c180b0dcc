"""A fuzzing campaign: damaged files for every reader, and a table of what came of them.

``python -m tests.fuzz.campaign --inputs 120000`` runs it; each reader has a process of its
own, which may take 2 GiB. ``--only NAME --index I`` examines one input again, and
``--write`` says where to keep its file.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path

from tests.fuzz.examination import LONGEST, Outcome, Watch, examine, place
from tests.fuzz.mutation import inputs
from tests.fuzz.readers import ROOT, Reader

MOST_MEMORY = 2 << 30
"""Bytes that the process of a reader may have in memory."""

_CATALOGUE = "tests.fuzz.readers:READERS"
_PATIENCE = 12 * LONGEST  # by the clock, for what Python's own alarm cannot wake
_FAULTS_KEPT = 5


@dataclass
class Figures:
    """What came of the inputs of one reader.

    Parameters
    ----------
    name : str
        Of the reader.
    verdicts : dict
        ``"read"`` and the kinds of errors, each with its count.
    faults : list of str
        What must not happen, with the index of the input; the first few.
    n_faults : int
        All of them.
    slowest, slowest_index : float, int
        Seconds of processor time, and which input it was.
    memory : int
        Largest resident size of the process, in bytes.
    """

    name: str
    verdicts: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    n_faults: int = 0
    slowest: float = 0.0
    slowest_index: int = -1
    memory: int = 0

    @property
    def n_inputs(self) -> int:
        """Count the inputs."""
        return sum(self.verdicts.values())

    def count(self, index: int, outcome: Outcome) -> None:
        """Add one outcome."""
        verdict = "fault" if outcome.fault else outcome.verdict
        self.verdicts[verdict] = self.verdicts.get(verdict, 0) + 1
        if outcome.fault:
            self.n_faults += 1
            self.faults = [*self.faults, f"#{index}: {outcome.fault}"][:_FAULTS_KEPT]
        if outcome.seconds > self.slowest:
            self.slowest, self.slowest_index = outcome.seconds, index

    def add(self, other: "Figures") -> None:
        """Add what another process of the same reader found."""
        for verdict, count in other.verdicts.items():
            self.verdicts[verdict] = self.verdicts.get(verdict, 0) + count
        self.faults = [*self.faults, *other.faults][:_FAULTS_KEPT]
        self.n_faults += other.n_faults
        if other.slowest > self.slowest:
            self.slowest, self.slowest_index = other.slowest, other.slowest_index
        self.memory = max(self.memory, other.memory)


def catalogue(name: str) -> tuple[Reader, ...]:
    """Import a tuple of readers by the name of its module and its own."""
    module, _, attribute = name.partition(":")
    readers: tuple[Reader, ...] = getattr(import_module(module), attribute)
    return readers


def work(
    reader: Reader, start: int, stop: int, seed: int, report: Path, longest: float
) -> None:
    """Examine inputs in this process, and keep a note of how far it got.

    Parameters
    ----------
    reader : Reader
        Which.
    start, stop : int
        Indices of the inputs.
    seed : int
        Of the campaign.
    report : Path
        Where the figures go; beside it, the index of the input in work.
    longest : float
        Seconds of processor time for an input.
    """
    folder = report.parent / "input"
    folder.mkdir()
    path = place(reader, folder)
    make = inputs(reader.samples(), reader.kind, seed=seed)
    for sample in reader.samples():  # also imports what is imported late
        sound = examine(reader, sample, path, longest=10 * LONGEST)
        if sound.fault:
            raise SystemExit(f"{reader.name}: a sound file is a fault: {sound.fault}")
    watch = Watch(folder)
    _limit_memory()
    figures = Figures(reader.name)
    with report.with_suffix(".at").open("wb", buffering=0) as note:
        for index in range(start, stop):
            note.seek(0)
            note.write(b"%20d" % index)
            outcome = examine(reader, make(index), path, watch, longest=longest)
            figures.count(index, outcome)
            if index % 200 == 0:
                report.write_text(json.dumps(asdict(figures)))
    figures.memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report.write_text(json.dumps(asdict(figures)))


def _limit_memory() -> None:
    """Refuse more address space than there is now and 2 GiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MOST_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def campaign(
    readers: str,
    n_inputs: int,
    *,
    seed: int = 0,
    jobs: int = 1,
    only: str = "",
    longest: float = LONGEST,
) -> list[Figures]:
    """Examine damaged files with every reader, each in a process of its own.

    Parameters
    ----------
    readers : str
        For `catalogue`.
    n_inputs : int
        In all, at least; shared among the readers.
    seed : int
        The same one gives the same inputs.
    jobs : int
        Processes at a time.
    only : str
        Name of the one reader to use, if not all.
    longest : float
        Seconds of processor time for an input.

    Returns
    -------
    list of Figures
        One for each reader, in their order.
    """
    chosen = [each for each in catalogue(readers) if only in {"", each.name}]
    total = sum(each.share for each in chosen)
    counts = [int(n_inputs * each.share / total) + 1 for each in chosen]
    with ThreadPoolExecutor(jobs) as pool:
        return list(
            pool.map(
                lambda pair: _of_reader(readers, *pair, seed, longest),
                zip([each.name for each in chosen], counts, strict=True),
            )
        )


def _of_reader(
    readers: str, name: str, n_inputs: int, seed: int, longest: float
) -> Figures:
    """Run the inputs of a reader; a process that dies is replaced by the next one."""
    figures, start = Figures(name), 0
    while start < n_inputs:
        with tempfile.TemporaryDirectory(prefix="crystaltensor-fuzz-") as folder:
            report = Path(folder) / "report.json"
            what = (start, n_inputs, seed)
            died = _process(readers, name, what, report, longest)
            at = _index_in_work(report)
            if report.exists():
                figures.add(Figures(**json.loads(report.read_text())))
        if not died:
            break
        if at < 0:
            raise RuntimeError(f"{name}: {died}")
        # What was counted since the last report is lost with the process.
        figures.count(at, Outcome("", f"the process died: {died}", 0.0))
        start = at + 1
    if figures.memory > MOST_MEMORY:
        figures.n_faults += 1
        figures.faults.append(f"{figures.memory >> 20} MiB in memory")
    return figures


def _process(
    readers: str, name: str, what: tuple[int, int, int], report: Path, longest: float
) -> str:
    """Run a process; say why it died, if it did."""
    temporary = report.parent / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.fuzz.campaign", "--readers", readers]
    command += ["--only", name, "--work", str(report), "--range", *map(str, what)]
    command += ["--longest", str(longest)]
    errors = report.with_suffix(".err")
    with errors.open("wb") as stream:
        child = subprocess.Popen(
            command, cwd=ROOT, env=environment, stderr=stream, stdout=stream
        )
        last, since = -2, time.monotonic()
        while child.poll() is None:
            try:
                child.wait(0.5)
            except subprocess.TimeoutExpired:
                at = _index_in_work(report)
                if at != last:
                    last, since = at, time.monotonic()
                elif at >= 0 and time.monotonic() - since > _PATIENCE:
                    child.kill()
                    child.wait()
                    return f"hang: more than {_PATIENCE:g} s"
    if child.returncode == 0:
        return ""
    tail = errors.read_text(errors="replace").strip().splitlines()[-1:]
    return f"code {child.returncode} {' '.join(tail)[:200]}"


def _index_in_work(report: Path) -> int:
    """Read which input a process has in work; -1 before the first."""
    try:
        return int(report.with_suffix(".at").read_bytes())
    except (OSError, ValueError):
        return -1


def table(found: Sequence[Figures]) -> str:
    """Lay out the figures.

    Parameters
    ----------
    found : sequence of Figures
        One for each reader.

    Returns
    -------
    str
        A table in Markdown.
    """
    head = ("reader", "inputs", "read", "refused", "as", "slowest", "memory", "faults")
    rows = [head, ("---", "---:", "---:", "---:", "---", "---:", "---:", "---:")]
    total: Counter[str] = Counter()
    for one in found:
        rows.append(_row(one))
        total.update(one.verdicts)
    everything = Figures("all", dict(total))
    for one in found:
        everything.n_faults += one.n_faults
        everything.slowest = max(everything.slowest, one.slowest)
        everything.memory = max(everything.memory, one.memory)
    rows.append(_row(everything))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))
        + " |"
        for row in rows
    )


def _row(one: Figures) -> tuple[str, ...]:
    """Write the figures of a reader."""
    kinds = Counter(one.verdicts)
    read, _ = kinds.pop("read", 0), kinds.pop("fault", 0)
    named = [
        f"{name.removesuffix('Error')} {count:,}" for name, count in kinds.most_common()
    ]
    return (
        one.name,
        f"{one.n_inputs:,}",
        f"{read:,}",
        f"{sum(kinds.values()):,}",
        ", ".join(named),
        f"{one.slowest:.2f} s",
        f"{one.memory / 2**20:.0f} MiB",
        str(one.n_faults),
    )


def main() -> int:
    """Run a campaign, or a part of one; 1 if anything happened that must not."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--inputs", type=int, default=120_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="one reader, by its name")
    parser.add_argument("--index", type=int, help="one input of it")
    parser.add_argument("--write", type=Path, help="where to keep that input")
    parser.add_argument("--readers", default=_CATALOGUE, help=argparse.SUPPRESS)
    parser.add_argument("--longest", type=float, default=LONGEST, help="seconds")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--range", type=int, nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        (reader,) = (r for r in catalogue(given.readers) if r.name == given.only)
        work(reader, *given.range, given.work, given.longest)
        return 0
    if given.index is not None:
        return _again(given)
    start = time.monotonic()
    found = campaign(
        given.readers,
        given.inputs,
        seed=given.seed,
        jobs=given.jobs,
        only=given.only,
        longest=given.longest,
    )
    print(table(found))
    print(f"\n{time.monotonic() - start:.0f} s, seed {given.seed}")
    for one in found:
        for fault in one.faults:
            print(f"FAULT {one.name} {fault}")
    return 1 if any(one.n_faults for one in found) else 0


def _again(given: argparse.Namespace) -> int:
    """Examine one input again, with the traceback of whatever goes wrong."""
    (reader,) = (r for r in catalogue(given.readers) if r.name == given.only)
    data = inputs(reader.samples(), reader.kind, seed=given.seed)(given.index)
    if given.write:
        given.write.write_bytes(data)
    with tempfile.TemporaryDirectory() as folder:
        path = place(reader, Path(folder))
        outcome = examine(reader, data, path)
        print(data[:2000])
        print(outcome)
        reader.read(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
