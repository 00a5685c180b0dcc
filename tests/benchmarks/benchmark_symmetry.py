"""Time the symmetry of small crystals: run with OMP_NUM_THREADS=1.

Prints medians in milliseconds for a warm process.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import statistics
import time
from typing import TYPE_CHECKING

import numpy as np
import spglib
import spglib.error

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.symmetry.forms import allowed_form
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.symmetry.projection import (
    allowed_basis,
    project,
    projector,
)
from crystaltensor.symmetry.sites import project_site_tensors

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = {"dielectric": "ij=ji", "piezo": "ijk=ikj", "elastic": "ijkl=jikl=ijlk=klij"}
FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def milliseconds(function: "Callable[[], object]", repeats: int = 101) -> float:
    """Time a call; the median."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def crystals() -> dict[str, Crystal]:
    """Make crystals of 2 to 10 atoms, of low and high symmetry."""
    rng = np.random.default_rng(0)
    hexagonal = np.array([[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, 1]])
    wurtzite = [[1 / 3, 2 / 3, z] for z in (0, 0.382)]
    wurtzite += [[2 / 3, 1 / 3, z] for z in (0.5, 0.882)]
    anatase = [[0, 0, 0], [0, 0.5, 0.25], [0, 0, 0.208], [0, 0, 0.792]]
    anatase += [[0, 0.5, 0.458], [0, 0.5, 0.042]]
    anatase += [[(x + 0.5) % 1, (y + 0.5) % 1, (z + 0.5) % 1] for x, y, z in anatase]
    perovskite = [
        [0, 0, 0],
        [0.5] * 3,
        [0.5, 0.5, 0.03],
        [0.5, 0, 0.53],
        [0, 0.5, 0.53],
    ]
    doubled = [[x / 2 + half, y, z] for half in (0, 0.5) for x, y, z in perovskite]
    return {
        "P1, 10 atoms": Crystal(
            np.diag([6.0, 7, 8]) + rng.random((3, 3)),
            (
                np.array(list(np.ndindex(2, 2, 3))) / [2, 2, 3]
                + 0.1 * rng.random((12, 3))
            )[:10],
            [22, 8] * 5,
        ),
        "wurtzite, 4 atoms": Crystal(
            hexagonal * [[3.128], [3.128], [5.017]], wurtzite, [13, 7, 13, 7]
        ),
        "tetragonal perovskite, 5 atoms": Crystal(
            np.diag([4, 4, 4.2]), perovskite, [56, 22, 8, 8, 8]
        ),
        "the same, 10 atoms": Crystal(
            np.diag([8, 4, 4.2]), doubled, [56, 22, 8, 8, 8] * 2
        ),
        "anatase, 12 atoms": Crystal(
            np.diag([3.78, 3.78, 9.51]), anatase, [22, 22, 8, 8, 8, 8] * 2
        ),
        "zincblende, 2 atoms": Crystal(5.65 * FCC, [[0] * 3, [0.25] * 3], [31, 33]),
        "silicon, 2 atoms": Crystal(5.43 * FCC, [[0] * 3, [0.25] * 3], [14, 14]),
        "rock salt, 2 atoms": Crystal(5.64 * FCC, [[0] * 3, [0.5] * 3], [11, 17]),
    }


def main() -> None:
    """Print the tables."""
    spglib.error.OLD_ERROR_HANDLING = False
    print(f"{'crystal':32}{'group':>10}{'ops':>5}{'spglib':>9}{'find_symmetry':>15}")
    for name, crystal in crystals().items():
        cell = (crystal.cell, crystal.frac, crystal.numbers)
        alone = milliseconds(lambda: spglib.get_symmetry_dataset(cell, symprec=0.01))  # noqa: B023 - called at once
        whole = milliseconds(lambda: find_symmetry(crystal))  # noqa: B023 - as above
        found = find_symmetry(crystal)
        print(f"{name:32}{found.symbol:>10}{found.n_ops:5d}{alone:9.3f}{whole:15.3f}")
    print(
        f"\n{'48 operations':32}{'projector':>10}{'basis':>10}{'form':>10}{'10,000':>10}"
    )
    group = find_symmetry(crystals()["silicon, 2 atoms"]).rotations
    for name, text in KINDS.items():
        rank = len(text.split("=", maxsplit=1)[0])
        many = np.random.default_rng(0).normal(size=(10_000, *(3,) * rank))
        times = (
            milliseconds(lambda: projector(group, rank)),  # noqa: B023 - as above
            milliseconds(lambda: allowed_basis(group, text)),  # noqa: B023 - as above
            milliseconds(lambda: allowed_form(group, text)),  # noqa: B023 - as above
            milliseconds(lambda: project(many, group, index_symmetry=text), 11),  # noqa: B023 - as above
        )
        print(f"{name:32}" + "".join(f"{value:10.3f}" for value in times))
    crystal = crystals()["anatase, 12 atoms"]
    found = find_symmetry(crystal)
    charges = np.random.default_rng(0).normal(size=(12, 3, 3))
    print(
        f"\nsite tensors, 12 atoms: {milliseconds(lambda: project_site_tensors(charges, found)):.3f}"
    )


if __name__ == "__main__":
    main()
