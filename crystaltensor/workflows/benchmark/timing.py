"""Times that can be compared between machines: each beside a fixed piece of work."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

SIZE = 384
"""Of the square matrices whose product is the unit: 113 MFLOP, some milliseconds."""


@dataclass(frozen=True)
class Timing:
    """How long a piece of work takes.

    Parameters
    ----------
    seconds : float
        Smallest wall time of a call: other work on a machine only adds to it.
    cpu_seconds : float
        Smallest processor time of a call.
    ratio : float
        Wall time over that of the unit, a product of two fixed matrices of 32-bit numbers by
        torch, smallest of the same rounds.
    unit : float
        Seconds of the unit.
    """

    seconds: float
    cpu_seconds: float
    ratio: float
    unit: float

    def per(self, count: int) -> "Timing":
        """Share the time among several crystals."""
        return Timing(
            self.seconds / count,
            self.cpu_seconds / count,
            self.ratio / count,
            self.unit,
        )


def fastest(
    run: "Callable[[], object]", *, seconds: float = 1.0, rounds: int = 3
) -> Timing:
    """Time a piece of work, and in turns with it the fixed one.

    Parameters
    ----------
    run : callable
        What to time; it is called once before, so that nothing is set up meanwhile.
    seconds : float
        How long to go on, at least.
    rounds : int
        How often to time it, at least.

    Returns
    -------
    Timing
        The fastest round.
    """
    run()
    left, right = _matrices()
    walls: list[float] = []
    cpus: list[float] = []
    units: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(walls) < rounds:
        units.append(_unit(left, right))
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
        units.append(_unit(left, right))
    return Timing(min(walls), min(cpus), min(walls) / min(units), min(units))


def _matrices() -> "tuple[Tensor, Tensor]":
    """Make the two matrices, the same every time."""
    import torch

    generator = torch.Generator().manual_seed(0)
    left, right = (torch.rand(SIZE, SIZE, generator=generator) for _ in range(2))
    return left, right


def _unit(left: "Tensor", right: "Tensor") -> float:
    """Time the product of the two matrices."""
    start = time.perf_counter()
    left @ right
    return time.perf_counter() - start
