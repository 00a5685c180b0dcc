"""Other codes for lattice sums, where they are installed."""

import itertools
import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from crystaltensor.crystals.crystal import Crystal

REDUCED_CUTOFF = 5.3
"""Of torch-pme's sums, so that their terms fall to about 1e-12."""

MOST_ATOMS = {"torch_pme": 200}
"""Largest crystals by code: with a channel for each atom, 500 would take 8 GiB."""


@dataclass(frozen=True)
class Peer:
    """Another code, ready to sum over one crystal.

    Parameters
    ----------
    name : str
        Of the code.
    version : str
        That is installed.
    what : str
        What it sums.
    run : callable
        Sums for all pairs of atoms.
    energy : callable
        Coulomb energy of charges +1 and -1 in turns, ½ Σ q_a q_b S(a, b), in 1/Å.
    """

    name: str
    version: str
    what: str
    run: "Callable[[], object]"
    energy: "Callable[[], float]"


def alternating(n_atoms: int) -> list[int]:
    """Give the charges that energies are compared for.

    Parameters
    ----------
    n_atoms : int
        An even number.

    Returns
    -------
    list of int
        Neutral together.
    """
    return [(-1) ** place for place in range(n_atoms)]


def pymatgen(crystal: "Crystal") -> Peer:
    """Prepare pymatgen's Ewald summation: Coulomb only, at its default accuracy.

    Parameters
    ----------
    crystal : Crystal
        With an even number of atoms.

    Returns
    -------
    Peer
        Ready.
    """
    from importlib.metadata import version

    from pymatgen.analysis.ewald import EwaldSummation
    from pymatgen.core import Structure

    structure = Structure(crystal.cell, ["Na"] * crystal.n_atoms, crystal.frac)
    structure.add_oxidation_state_by_site(alternating(crystal.n_atoms))
    return Peer(
        "pymatgen",
        version("pymatgen"),
        "Coulomb",
        lambda: EwaldSummation(structure).total_energy_matrix,
        lambda: EwaldSummation(structure).total_energy / EwaldSummation.CONV_FACT,
    )


def torch_pme(crystal: "Crystal") -> Peer:
    """Prepare torch-pme's Ewald sums: Coulomb and London, neighbours given.

    Parameters
    ----------
    crystal : Crystal
        With an even number of atoms.

    Returns
    -------
    Peer
        Ready.
    """
    from importlib.metadata import version

    import torch
    import torchpme  # type: ignore[import-untyped]

    cell, x = (torch.tensor(array) for array in (crystal.cell, crystal.positions))
    n_atoms = crystal.n_atoms
    eta = math.sqrt(math.pi) * (n_atoms / crystal.volume**2) ** (1 / 6)
    pairs, near = _neighbours(cell, x, REDUCED_CUTOFF / eta)
    calculators = [
        torchpme.EwaldCalculator(
            torchpme.InversePowerLawPotential(p, smearing=math.sqrt(0.5) / eta),
            lr_wavelength=math.pi / (REDUCED_CUTOFF * eta),
            full_neighbor_list=True,
        ).to(torch.float64)
        for p in (1, 6)
    ]
    # One unit charge per channel gives all pairs at once.
    units = torch.eye(n_atoms, dtype=torch.float64)
    charges = torch.tensor(alternating(n_atoms), dtype=torch.float64)[:, None]

    def energy() -> float:
        potential = calculators[0](charges, cell, x, pairs, near)
        return float((charges * potential).sum())

    return Peer(
        "torch-pme",
        version("torch-pme"),
        "Coulomb and London",
        lambda: [sums(units, cell, x, pairs, near) for sums in calculators],
        energy,
    )


def _neighbours(cell: Any, x: Any, reach: float) -> "tuple[Any, Any]":  # noqa: ANN401 - tensors
    """List the pairs within a reach, both ways, and their distances."""
    import torch

    heights = 1 / torch.linalg.inv(cell).norm(dim=0)
    most = math.ceil(reach / float(heights.min())) + 1
    images = torch.tensor(list(itertools.product(range(-most, most + 1), repeat=3)))
    shifts = images.double() @ cell
    first, second, distances = [], [], []
    for atom in range(len(x)):  # one at a time, for the memory
        apart = (x - x[atom] + shifts[:, None]).norm(dim=-1)
        found = (apart > 0) & (apart < reach)
        others = torch.nonzero(found)[:, 1]
        first.append(torch.full_like(others, atom))
        second.append(others)
        distances.append(apart[found])
    pairs = torch.stack([torch.cat(first), torch.cat(second)], dim=1)
    return pairs, torch.cat(distances)


PEERS = (pymatgen, torch_pme)


def installed_peers(crystal: "Crystal") -> list[Peer]:
    """Prepare the other codes that are installed.

    Parameters
    ----------
    crystal : Crystal
        With an even number of atoms.

    Returns
    -------
    list of Peer
        Those that can be imported, and can treat as many atoms.
    """
    found = []
    for prepare in PEERS:
        if crystal.n_atoms > MOST_ATOMS.get(prepare.__name__, crystal.n_atoms):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found.append(prepare(crystal))
            except ImportError:
                continue
    return found
