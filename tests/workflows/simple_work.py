"""Work that is real, quick and needs no network: volumes; and files on which it fails."""

import os
import signal
from dataclasses import dataclass
from typing import Any

from crystaltensor.crystals.io import ReadCrystal


@dataclass(frozen=True)
class Volumes:
    """Give the volume of each crystal, and fail where a test wants it.

    Parameters
    ----------
    poison : int
        Atomic number of an element that raises RuntimeError in a batch.
    fatal : int
        Atomic number of an element that kills the process.
    """

    poison: int = 0
    fatal: int = 0
    batch_size: int = 30

    def prepare(self, read: ReadCrystal) -> ReadCrystal:
        """Leave the crystal as it is."""
        if self.fatal in read.crystal.numbers:
            os.kill(os.getpid(), signal.SIGKILL)
        return read

    def gather(self, prepared: list[ReadCrystal]) -> list[ReadCrystal]:
        """Leave them as they are."""
        return prepared

    def source(self, prepared: ReadCrystal) -> str:
        """Tell where it is from."""
        return prepared.source

    def size(self, prepared: ReadCrystal) -> int:
        """Count the atoms."""
        return prepared.crystal.n_atoms

    def finish(self, prepared: list[ReadCrystal]) -> list[list[dict[str, Any]]]:
        """Give one record for each crystal."""
        if any(self.poison in one.crystal.numbers for one in prepared):
            raise RuntimeError("the sum is not a number")
        return [
            [
                {
                    "source": one.source,
                    "formula": one.crystal.formula,
                    "property": "volume",
                    "value": one.crystal.volume,
                    "warnings": list(one.warnings),
                    "status": "ok",
                }
            ]
            for one in prepared
        ]
