"""From a crystal and a potential to force constants that all properties share."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from crystaltensor.response import cache
from crystaltensor.response.force_constants import (
    ForceConstants,
    find_force_constants,
)
from crystaltensor.response.modes import Modes
from crystaltensor.response.relaxation import relax
from crystaltensor.symmetry.primitive import primitive_symmetry

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from crystaltensor.response.potentials import Potential
    from crystaltensor.symmetry.operations import Symmetry

    OnCall = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class CrystalResponse:
    """What a potential says of a crystal, shared by all properties.

    Parameters
    ----------
    symmetry : Symmetry
        Of the crystal as given.
    primitive : Symmetry
        Of its primitive cell, where the force constants belong.
    index : ndarray of int, shape (n_atoms,)
        Atom of the primitive cell that each atom of the crystal is a copy of.
    constants : ForceConstants
        Second derivatives of the energy.
    potential : str
        Its name.
    moved : float or None
        Largest displacement of an atom by the relaxation, in Å; None without one.
    n_calls : int
        Force calculations made for it now: none where it was stored.
    """

    symmetry: "Symmetry"
    primitive: "Symmetry"
    index: "NDArray[np.int64]"
    constants: ForceConstants
    potential: str
    moved: float | None
    n_calls: int

    @cached_property
    def modes(self) -> Modes:
        """Of the force constants."""
        return Modes.of(self.constants.phi)


class Responder:
    """Force constants of crystals from one potential.

    Parameters
    ----------
    potential : Potential
        Whence the forces are.
    relaxed : bool
        Whether to relax the atoms, in the cell as given, before anything else.
    folder : Path, optional
        Where force constants are kept; nowhere if left out.
    """

    def __init__(
        self,
        potential: "Potential",
        *,
        relaxed: bool = False,
        folder: Path | None = None,
    ) -> None:
        self.potential, self.relaxed, self.folder = potential, relaxed, folder

    def respond(
        self,
        symmetry: "Symmetry",
        *,
        elastic: bool = False,
        on_call: "OnCall | None" = None,
    ) -> CrystalResponse:
        """Find the force constants of a crystal, or take them from the cache.

        Parameters
        ----------
        symmetry : Symmetry
            Of the crystal, which it holds.
        elastic : bool
            Whether elastic constants are wanted.
        on_call : callable, optional
            Told how many force calculations are done, and of how many.

        Returns
        -------
        CrystalResponse
            For all properties.

        Raises
        ------
        PotentialError
            If the potential fails, or the atoms cannot be relaxed.
        """
        primitive, index = primitive_symmetry(symmetry)
        n_calls, moved = 0, None
        if self.relaxed:
            start, n_calls = self._constants(primitive, elastic=False, on_call=on_call)
            at_rest = relax(primitive, self.potential, start.phi)
            primitive, moved = at_rest.symmetry, at_rest.largest_move
            n_calls += at_rest.n_calls
        constants, more = self._constants(primitive, elastic=elastic, on_call=on_call)
        return CrystalResponse(
            symmetry=symmetry,
            primitive=primitive,
            index=index,
            constants=constants,
            potential=self.potential.name,
            moved=moved,
            n_calls=n_calls + more,
        )

    def _constants(
        self, primitive: "Symmetry", *, elastic: bool, on_call: "OnCall | None"
    ) -> tuple[ForceConstants, int]:
        """Compute force constants unless they are stored; count the calculations."""
        key = cache.cache_key(primitive.crystal, self.potential)
        if self.folder is not None:
            stored = cache.load(self.folder, key, elastic=elastic)
            if stored is not None:
                return stored, 0
        found = find_force_constants(
            primitive, self.potential, elastic=elastic, on_call=on_call
        )
        if self.folder is not None:
            cache.save(self.folder, key, found)
        return found, found.n_calls
