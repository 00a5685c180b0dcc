"""Who treats blocks: this process, several on this machine, or a Ray cluster."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, Protocol

from crystaltensor.workflows.blocks import halves, joined, lost

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crystaltensor.workflows.blocks import Block, Treated, Treatment

_PRELOADED = (
    "crystaltensor.inference.predictor",
    "crystaltensor.crystals.io",
    "crystaltensor.workflows.predict_work",
)
_AHEAD = 2  # blocks in flight for each process: one is treated, one waits

DIED = "the process that treated it has died, most likely for want of memory"
"""Why a structure that takes its process with it has no result."""


class Engine(Protocol):
    """Treats blocks, in order."""

    def run(self, blocks: "Iterable[Block]") -> "Iterator[tuple[Block, Treated]]":
        """Treat blocks; they come back in their order."""


def n_cores() -> int:
    """Count the cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


class ThisProcess:
    """Treats one block after another.

    Parameters
    ----------
    treatment : Treatment
        What is done.
    """

    def __init__(self, treatment: "Treatment") -> None:
        self._treatment = treatment

    def run(self, blocks: "Iterable[Block]") -> "Iterator[tuple[Block, Treated]]":
        """Treat blocks in order."""
        for block in blocks:
            yield block, self._treatment.treat(block)


class Processes:
    """Several processes of this machine.

    Parameters
    ----------
    treatment : Treatment
        What is done.
    n_workers : int
        How many.
    networks_here : bool
        Whether the networks run in this process, which is right if they run on a GPU;
        the others then read and prepare.
    """

    def __init__(
        self, treatment: "Treatment", n_workers: int, *, networks_here: bool = False
    ) -> None:
        self._treatment = treatment
        self._n_workers = n_workers
        self._networks_here = networks_here
        self._pool: ProcessPoolExecutor | None = None

    def run(self, blocks: "Iterable[Block]") -> "Iterator[tuple[Block, Treated]]":
        """Treat blocks; they come back in their order."""
        waiting: deque[tuple[Block, Future[Any]]] = deque()
        try:
            for block in blocks:
                waiting.append((block, self._submit(block)))
                while len(waiting) >= _AHEAD * self._n_workers or waiting[0][1].done():
                    yield from self._next(waiting)
                    if not waiting:
                        break
            while waiting:
                yield from self._next(waiting)
        finally:
            self._stop()

    def _next(
        self, waiting: "deque[tuple[Block, Future[Any]]]"
    ) -> "Iterator[tuple[Block, Treated]]":
        """Give the first of those that wait; all of them if a process has died."""
        block, future = waiting.popleft()
        try:
            found = future.result()
        except BrokenProcessPool:
            self._stop()
            again = [block, *(block for block, _ in waiting)]
            waiting.clear()
            # One by one, so that it shows which of them is to blame.
            for one in again:
                yield one, self._alone(one)
        else:
            yield block, self._completed(block, found)

    def _alone(self, block: "Block") -> "Treated":
        """Treat a block while nothing else is treated; cut it in two if that is fatal."""
        try:
            return self._completed(block, self._submit(block).result())
        except BrokenProcessPool:
            self._stop()
        parts = halves(block)
        if parts is None:
            return lost(block, self._treatment.output_format, DIED)
        return joined(block.number, [self._alone(part) for part in parts])

    def _completed(self, block: "Block", found: Any) -> "Treated":  # noqa: ANN401 - of either stage
        """Run the networks here, if they run here."""
        treated: Treated = (
            self._treatment.finish(block, found) if self._networks_here else found
        )
        return treated

    def _submit(self, block: "Block") -> "Future[Any]":
        """Hand a block to a process."""
        if self._pool is None:
            methods = multiprocessing.get_all_start_methods()
            method = "forkserver" if "forkserver" in methods else "spawn"
            context: Any = multiprocessing.get_context(method)
            if method == "forkserver":
                context.set_forkserver_preload([*_PRELOADED])
            self._pool = ProcessPoolExecutor(
                self._n_workers,
                mp_context=context,
                initializer=_start,
                initargs=(self._treatment, self._networks_here),
            )
        try:
            return self._pool.submit(_treat, block)
        except BrokenProcessPool as error:  # one has died since the last was handed out
            failed: Future[Any] = Future()
            failed.set_exception(error)
            return failed

    def _stop(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


_here: dict[str, Any] = {}  # what the worker process was started with


def _start(treatment: "Treatment", prepare_only: bool) -> None:
    """Begin a worker process: Ctrl-C is the parent's, and it ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _here["stage"] = treatment.prepare if prepare_only else treatment.treat
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel
        threading.Thread(target=_end_with, args=(sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """End this process when another does, even if that was killed."""
    connection.wait([sentinel])
    os._exit(1)


def _treat(block: "Block") -> Any:  # noqa: ANN401 - of either stage
    """Treat a block in a worker process."""
    return _here["stage"](block)
