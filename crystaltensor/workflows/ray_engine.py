"""Blocks on a Ray cluster: one actor with the networks for each core, or each GPU.

An actor that dies, with its machine or alone, costs nothing but its block, which another
one treats again. A block that kills one actor after another is cut in two, until the
structure to blame is alone.
"""

import os
from collections import Counter, deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystaltensor.errors import ConfigError, ResourceError
from crystaltensor.threads import one_thread_each
from crystaltensor.workflows.blocks import halves, joined, lost
from crystaltensor.workflows.engines import DIED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crystaltensor.workflows.blocks import Block, Treated, Treatment

_AHEAD = 3  # blocks for each actor that are treated, or wait for those before them
_DEATHS = 3  # as many actors may die of a block before it is cut in two


class _Actor:
    """The networks, on one core or GPU of some machine."""

    def __init__(self, treatment: "Treatment", folder: str) -> None:
        if Path(folder).is_dir():  # paths are relative to where the run was begun
            os.chdir(folder)
        self._treatment = treatment

    def ready(self) -> bool:
        """Answer as soon as the actor lives."""
        return True

    def treat(self, block: "Block") -> "Treated":
        """Do everything for a block."""
        return self._treatment.treat(block)


class RayEngine:
    """A pool of actors.

    Parameters
    ----------
    treatment : Treatment
        What is done.
    address : str, optional
        Of a cluster that is there; without, Ray is started on this machine.
    n_workers : int, optional
        How many actors; one for each core, or GPU, of the cluster if left out.
    on_gpu : bool
        Whether an actor wants a GPU.

    Raises
    ------
    ConfigError
        If Ray is not installed.
    ResourceError
        If there is no cluster at the address.
    """

    def __init__(
        self,
        treatment: "Treatment",
        *,
        address: str | None = None,
        n_workers: int | None = None,
        on_gpu: bool = False,
    ) -> None:
        try:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            import ray
        except ImportError:
            raise ConfigError(
                "--engine ray needs Ray: pip install 'crystaltensor[ray]'"
            ) from None
        one_thread_each()
        self._ray: Any = ray
        self._treatment = treatment
        self._started = not ray.is_initialized()
        if self._started:
            self._connect(address)
        kind = "GPU" if on_gpu else "CPU"
        self._share = {"num_gpus": 1} if on_gpu else {"num_cpus": 1}
        self._size = n_workers or int(ray.cluster_resources().get(kind, 1)) or 1
        self._shared = ray.put(treatment)
        self._busy: dict[Any, tuple[Any, Block]] = {}
        self._starting: dict[Any, Any] = {}
        self._idle: list[Any] = []

    def _connect(self, address: str | None) -> None:
        """Join a cluster, or start one on this machine."""
        try:
            self._ray.init(
                address=address,
                log_to_driver=False,
                logging_level="ERROR",
                **({} if address else {"include_dashboard": False}),
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ResourceError(
                f"there is no Ray cluster at {address or 'this machine'}: {reason}"
            ) from error

    def run(self, blocks: "Iterable[Block]") -> "Iterator[tuple[Block, Treated]]":
        """Treat blocks; they come back in their order."""
        source = iter(blocks)
        order: deque[Block] = deque()  # handed out, and not given back yet
        todo: deque[Block] = deque()
        done: dict[int, Treated] = {}
        deaths: Counter[int] = Counter()
        try:
            for _ in range(self._size):
                self._start_actor()
            while True:
                while len(order) < _AHEAD * self._size:
                    block = next(source, None)
                    if block is None:
                        break
                    order.append(block)
                    todo.append(block)
                if not order:
                    return
                while todo and self._idle:
                    self._hand_out(todo.popleft())
                self._collect(todo, done, deaths)
                while order and order[0].number in done:
                    block = order.popleft()
                    yield block, done.pop(block.number)
        finally:
            self._end()

    def _start_actor(self) -> None:
        """Ask for an actor; it may take long, or for ever, until there is a place."""
        remote = self._ray.remote(_Actor).options(**self._share, max_restarts=0)
        actor = remote.remote(self._shared, str(Path.cwd()))
        self._starting[actor.ready.remote()] = actor

    def _hand_out(self, block: "Block") -> None:
        """Give a block to an actor that has nothing to do."""
        actor = self._idle.pop()
        self._busy[actor.treat.remote(block)] = (actor, block)

    def _collect(
        self,
        todo: "deque[Block]",
        done: "dict[int, Treated]",
        deaths: Counter[int],
    ) -> None:
        """Wait until something has happened."""
        waiting = [*self._busy, *self._starting]
        ready, _ = self._ray.wait(waiting, num_returns=1, timeout=60)
        for reference in ready:
            actor, block = self._busy.pop(reference, (None, None))
            if block is None:
                actor = self._starting.pop(reference)
            try:
                found = self._ray.get(reference)
            except self._ray.exceptions.RayError as error:
                if isinstance(error, self._ray.exceptions.RayTaskError):
                    raise  # a fault of this tool, and no death
                self._start_actor()
                if block is not None:
                    deaths[block.number] += 1
                    self._again(block, todo, done, deaths)
                continue
            self._idle.append(actor)
            if block is not None:
                done[block.number] = found

    def _again(
        self,
        block: "Block",
        todo: "deque[Block]",
        done: "dict[int, Treated]",
        deaths: Counter[int],
    ) -> None:
        """Try a block again, or look for the structure in it that kills."""
        if deaths[block.number] < _DEATHS:
            todo.appendleft(block)
            return
        done[block.number] = self._alone(block)

    def _alone(self, block: "Block") -> "Treated":
        """Treat a block by an actor of its own; cut it in two if that is fatal."""
        remote = self._ray.remote(_Actor).options(**self._share, max_restarts=0)
        parts = halves(block)
        while self._idle:  # the place of one of them is needed
            self._ray.kill(self._idle.pop())
            self._start_actor()
        actor = remote.remote(self._shared, str(Path.cwd()))
        try:
            treated: Treated = self._ray.get(actor.treat.remote(block))
        except self._ray.exceptions.RayError:
            if parts is None:
                return lost(block, self._treatment.output_format, DIED)
            return joined(block.number, [self._alone(part) for part in parts])
        finally:
            self._ray.kill(actor)
        return treated

    def _end(self) -> None:
        """Let the actors go, and Ray if it was started here."""
        busy = [actor for actor, _ in self._busy.values()]
        for actor in (*busy, *self._starting.values(), *self._idle):
            self._ray.kill(actor)
        if self._started:
            self._ray.shutdown()
