"""A crystal of springs, whose response is known in closed form."""

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.response.potentials import AsePotential
from crystaltensor.symmetry.operations import Symmetry, find_symmetry

EDGE = 5.6  # Å, of the cube
SPRING = 6.0  # eV/Å²


class Springs(Calculator):
    """Harmonic springs to the nearest neighbours, and weaker ones to the next."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012 - ASE's way

    def __init__(self, second: float = 0.0, *, edge: float = EDGE) -> None:
        super().__init__()
        self.shells = (
            (edge * np.sqrt(3) / 4, SPRING),
            (edge / np.sqrt(2), second),
        )

    def calculate(self, atoms=None, properties=None, changes=all_changes) -> None:  # noqa: ANN001 - ASE's signature
        """Sum over bonds."""
        super().calculate(atoms, properties, changes)
        forces = np.zeros((len(atoms), 3))
        virial = np.zeros((3, 3))
        energy = 0.0
        first, apart = neighbor_list("iD", atoms, 1.12 * self.shells[1][0])
        lengths = np.linalg.norm(apart, axis=1)
        for rest, spring in self.shells:
            near = np.abs(lengths - rest) < 0.12 * rest
            stretch = (lengths - rest)[near]
            pulls = spring * stretch[:, None] * apart[near] / lengths[near, None]
            np.add.at(forces, first[near], pulls)
            virial += np.einsum("pi,pj->ij", pulls, apart[near]) / 2
            energy += spring * np.square(stretch).sum() / 4
        stress = virial / atoms.get_volume()
        self.results = {
            "energy": energy,
            "forces": forces,
            "stress": stress.ravel()[[0, 4, 8, 5, 2, 1]],
        }


@pytest.fixture
def zincblende() -> Symmetry:
    """GaAs, the primitive cell."""
    half = EDGE / 2
    crystal = Crystal.from_symbols(
        [[0, half, half], [half, 0, half], [half, half, 0]],
        [[0, 0, 0], [0.25, 0.25, 0.25]],
        ["Ga", "As"],
    )
    return find_symmetry(crystal)


@pytest.fixture
def nearest() -> AsePotential:
    """Springs between nearest neighbours."""
    return AsePotential("springs", Springs(), identity="springs 1")


@pytest.fixture
def stiff() -> AsePotential:
    """Springs to the second neighbours too: shear costs energy."""
    return AsePotential("stiff springs", Springs(1.5), identity="springs 2")
