"""Sum pair potentials over the crystals of files: features for models of their own."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.crystals.io import ReadCrystal, read_single
from crystaltensor.crystals.writing import replacing
from crystaltensor.errors import ConfigError, CrystalTensorError, ResourceError
from crystaltensor.workflows.structure_files import (
    Failure,
    in_batches,
    structure_files,
    structures_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crystaltensor.lattice.potentials import Potential
    from crystaltensor.lattice.sums import LatticeSums

DEFAULT_POTENTIALS = "coulomb,london,pauli:3.0"
"""The three sums of PotNet (Lin et al., arXiv:2306.10045)."""

MAX_BYTES = 2**32
"""Memory that the sums of one crystal may take, with room to work in."""

_COPIES = 6


@dataclass(frozen=True, eq=False)
class Featurized:
    """The sums of one crystal.

    Parameters
    ----------
    source : str
        The path as given, with ``#index`` if the file holds several.
    formula : str
        Reduced formula.
    numbers : ndarray of int, shape (n_atoms,)
        Atomic numbers.
    symbols : list of str
        Chemical symbols.
    lattice : ndarray, shape (3, 3)
        Lattice vectors as rows, in Å, as in the file.
    potentials : sequence of Potential
        What was summed.
    matrices : ndarray, shape (n_potentials, n_atoms, n_atoms)
        S(a, b) in the unit of each potential.
    error_bounds : ndarray, shape (n_potentials,)
        Upper bounds of the error of every entry.
    seconds : float
        What the sums took; in a batch, the share of one crystal.
    warnings : tuple of str
        What the reader remarked.
    """

    source: str
    formula: str
    numbers: "NDArray[np.int64]"
    symbols: list[str]
    lattice: "NDArray[np.float64]"
    potentials: "Sequence[Potential]"
    matrices: "NDArray[np.float64]"
    error_bounds: "NDArray[np.float64]"
    seconds: float
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return what ``--json`` prints."""
        return {
            "schema": 1,
            "source": self.source,
            "formula": self.formula,
            "n_atoms": len(self.numbers),
            "lattice": self.lattice.tolist(),
            "potentials": {
                potential.name: {
                    "matrix": matrix.tolist(),
                    "error_bound": float(bound),
                    "unit": potential.unit,
                }
                for potential, matrix, bound in zip(
                    self.potentials, self.matrices, self.error_bounds, strict=True
                )
            },
            "seconds": self.seconds,
        }

    def write_npz(self, path: Path) -> None:
        """Write one array per potential, and the crystal, as a numpy archive."""
        names = [potential.name for potential in self.potentials]
        arrays = dict(zip(names, self.matrices, strict=True))
        with replacing(path) as partial, partial.open("wb") as stream:
            np.savez(
                stream,
                allow_pickle=False,
                potentials=np.array(names),
                units=np.array([potential.unit for potential in self.potentials]),
                error_bounds=self.error_bounds,
                lattice=self.lattice,
                numbers=self.numbers,
                **arrays,
            )


Outcome = Featurized | Failure


def featurize(
    source: str,
    *,
    potentials: str = DEFAULT_POTENTIALS,
    tolerance: float = 1e-10,
    file_format: str | None = None,
    device: str = "auto",
) -> Featurized:
    """Sum potentials over the crystal in a file.

    Parameters
    ----------
    source : str
        Path of a structure file, or ``-`` for standard input.
    potentials : str
        Names and parameters, joined by commas.
    tolerance : float
        Largest truncation error of an entry.
    file_format : str, optional
        Guessed from the name, then from the content, if left out.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    Featurized
        In float64.

    Raises
    ------
    CrystalTensorError
        Whatever is wrong with the file, the crystal or the settings.
    """
    engine = Summation(potentials, tolerance, device)
    read = read_single(source, file_format=file_format)
    (outcome,) = engine.outcomes([read])
    if isinstance(outcome, Failure):
        raise outcome.error
    return outcome


def featurize_all(
    paths: Sequence[str],
    *,
    potentials: str = DEFAULT_POTENTIALS,
    tolerance: float = 1e-10,
    file_format: str | None = None,
    device: str = "auto",
) -> Iterator[Outcome]:
    """Sum potentials over all crystals of files and folders, in order.

    Parameters
    ----------
    paths : sequence of str
        Structure files, and folders to search for them.
    potentials, tolerance, file_format, device
        As for `featurize`.

    Yields
    ------
    Featurized or Failure
        One per structure; a failure stops nothing.

    Raises
    ------
    CrystalTensorError
        If a setting makes no sense, or a folder holds no structure file.
    """
    engine = Summation(potentials, tolerance, device)
    items = (
        item
        for path in structure_files(paths)
        for item in structures_of(path, file_format)
    )
    for batch in in_batches(items):
        yield from engine.outcomes(batch)


class Summation:
    """The settings of a run, checked once; sums batches of crystals.

    Parameters
    ----------
    potentials : str
        Names and parameters, joined by commas.
    tolerance : float
        Largest truncation error of an entry.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    ConfigError
        If a potential is unknown, or named twice, or the tolerance makes no sense.
    """

    def __init__(self, potentials: str, tolerance: float, device: str) -> None:
        # Late, because torch takes a second: bad file names are reported at once.
        from crystaltensor.lattice.potentials import parse_potential
        from crystaltensor.lattice.sums import check_tolerance
        from crystaltensor.nn.devices import choose_device

        names = [name for name in potentials.split(",") if name.strip()]
        if not names:
            raise ConfigError("there is no potential to sum")
        self.potentials = [parse_potential(name) for name in names]
        self.names = [potential.name for potential in self.potentials]
        if len(set(self.names)) < len(self.names):
            raise ConfigError(f"a potential is named twice in {potentials!r}")
        check_tolerance(tolerance)
        self.tolerance = tolerance
        self.device = choose_device(device)

    def outcomes(self, items: Sequence[ReadCrystal | Failure]) -> list[Outcome]:
        """Sum a batch; keep what failed, in its place.

        Parameters
        ----------
        items : sequence of ReadCrystal or Failure
            What was read.

        Returns
        -------
        list of Featurized or Failure
            One per item.
        """
        outcomes: dict[int, Outcome] = {}
        crystals: dict[int, ReadCrystal] = {}
        for i, item in enumerate(items):
            if isinstance(item, Failure):
                outcomes[i] = item
            elif error := self._too_large(item):
                outcomes[i] = Failure(item.source, error)
            else:
                crystals[i] = item
        summed = self._sum(list(crystals.values()))
        outcomes.update(zip(crystals, summed, strict=True))
        return [outcomes[i] for i in range(len(items))]

    def _too_large(self, read: ReadCrystal) -> ResourceError | None:
        """Return an error if the sums would not fit."""
        n_atoms = read.crystal.n_atoms
        size = 8 * _COPIES * len(self.potentials) * n_atoms**2
        if size <= MAX_BYTES:
            return None
        return ResourceError(
            f"{read.source}: the sums of all pairs of {n_atoms} atoms need "
            f"{size / 2**30:.1f} GiB; use a smaller cell of the crystal"
        )

    def _sum(self, batch: list[ReadCrystal]) -> list[Outcome]:
        """Sum crystals together; if that fails, one by one, to find the bad one."""
        if not batch:
            return []
        start = time.perf_counter()
        try:
            sums = self._lattice_sums(batch)
        except CrystalTensorError as error:
            if len(batch) == 1:
                named = type(error)(f"{batch[0].source}: {error}")
                return [Failure(batch[0].source, named)]
            return [outcome for read in batch for outcome in self._sum([read])]
        seconds = (time.perf_counter() - start) / len(batch)
        return [
            Featurized(
                source=read.source,
                formula=read.crystal.formula,
                numbers=read.crystal.numbers,
                symbols=read.crystal.symbols,
                lattice=read.crystal.cell,
                potentials=self.potentials,
                matrices=matrices.cpu().numpy(),
                error_bounds=bounds.numpy(),
                seconds=seconds,
                warnings=read.warnings,
            )
            for read, matrices, bounds in zip(
                batch, sums.matrices, sums.error_bounds, strict=True
            )
        ]

    def _lattice_sums(self, batch: list[ReadCrystal]) -> "LatticeSums":
        """Hand the crystals to the engine."""
        import torch

        from crystaltensor.lattice.sums import lattice_sums

        cells = np.stack([read.crystal.cell for read in batch])
        positions = [read.crystal.positions for read in batch]
        with _one_thread():
            return lattice_sums(
                torch.tensor(cells, device=self.device),
                [torch.tensor(x, device=self.device) for x in positions],
                self.potentials,
                self.tolerance,
            )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread: the pieces are small, and on a busy machine threads wait for long."""
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
