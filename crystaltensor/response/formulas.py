r"""Response properties from Born charges, force constants and internal strain.

.. math:: e^{ion}_{ijk} &= \frac{1}{\Omega} \sum_m g_m \, z_{m,i} \, l_{m,jk} \\
          \epsilon^{ion}_{ij} &= \frac{1}{\epsilon_0 \Omega} \sum_m g_m z_{m,i} z_{m,j} \\
          C^{ion}_{ijkl} &= -\frac{1}{\Omega} \sum_m g_m l_{m,ij} l_{m,kl}

with the charge :math:`z_{m,i} = \sum_{\kappa b} Z^*_{\kappa, ib} v_{m, \kappa b}` and the
strain coupling :math:`l_{m,jk} = \sum_{\kappa a} v_{m, \kappa a} \Lambda_{\kappa a, jk}` of
each mode, :math:`g_m = 1 / \lambda_m` unless the mode is soft [1]_.

References
----------
.. [1] X. Wu, D. Vanderbilt and D. R. Hamann, Phys. Rev. B 72, 035105 (2005).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.response.modes import DAMPING, Modes
from crystaltensor.response.units import (
    E_PER_A2_IN_C_PER_M2,
    EV_PER_A3_IN_GPA,
    VACUUM_PERMITTIVITY,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class IonicResponse:
    """What the displacement of the ions adds to a property, mode by mode.

    Parameters
    ----------
    modes : Modes
        Of the force constants.
    internal_strain : ndarray, shape (n_atoms, 3, 3, 3)
        Λ in eV/Å.
    charges : ndarray, shape (n_atoms, 3, 3)
        Born charges in e; first index the polarisation, second the displacement.
    volume : float
        Of the primitive cell, in Å³.
    """

    modes: Modes
    internal_strain: "Floats"
    charges: "Floats"
    volume: float

    @cached_property
    def mode_charges(self) -> "Floats":
        """Dipole of each mode in e, shape (n_modes, 3)."""
        return _sum("nib,mnb->mi", self.charges, self.modes.vectors)

    @cached_property
    def mode_couplings(self) -> "Floats":
        """Force of a strain on each mode in eV/Å, shape (n_modes, 3, 3)."""
        return _sum("mna,najk->mjk", self.modes.vectors, self.internal_strain)

    def piezo(self, damping: float = DAMPING) -> "Floats":
        """Contribution of each mode to e in C/m², shape (n_modes, 3, 3, 3)."""
        factor = E_PER_A2_IN_C_PER_M2 / self.volume * self.modes.gain(damping)
        return _sum("m,mi,mjk->mijk", factor, self.mode_charges, self.mode_couplings)

    def dielectric(self, damping: float = DAMPING) -> "Floats":
        """Contribution of each mode to ε, shape (n_modes, 3, 3)."""
        factor = self.modes.gain(damping) / (VACUUM_PERMITTIVITY * self.volume)
        return _sum("m,mi,mj->mij", factor, self.mode_charges, self.mode_charges)

    def elastic(self, damping: float = DAMPING) -> "Floats":
        """Contribution of each mode to C in GPa, shape (n_modes, 3, 3, 3, 3)."""
        factor = -EV_PER_A3_IN_GPA / self.volume * self.modes.gain(damping)
        couplings = self.mode_couplings
        return _sum("m,mij,mkl->mijkl", factor, couplings, couplings)


def _sum(formula: str, *factors: "Floats") -> "Floats":
    """Contract arrays of real numbers."""
    found: Floats = np.einsum(formula, *factors)
    return found
