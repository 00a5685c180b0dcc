r"""Modes of the force constants: which are soft or unstable.

The modes diagonalise the force constants, not the dynamical matrix: a static response
knows no masses. Of :math:`\Phi v_m = \lambda_m v_m` the three rigid translations are
left out; the rest has an inverse if no :math:`\lambda_m` vanishes,

.. math:: \Phi^+ = \sum_m g(\lambda_m) \, v_m v_m^T .

A potential knows :math:`\lambda` to some error, so that the inverse of a soft mode is
worth little. Where a mode has :math:`\lambda \le 0` the structure is no minimum and its
response is not defined. The gain is therefore

.. math:: g(\lambda) = \lambda / (\lambda^2 + \delta^2) \; (\lambda > 0), \qquad
          0 \; (\lambda \le 0)

which is the inverse up to :math:`(\delta / \lambda)^2` where the mode is hard, at most
:math:`1 / 2 \delta` where it is soft, and continuous as it softens.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DAMPING = 0.3
"""δ in eV/Å² where none is given: about what potentials differ by in λ."""

UNSTABLE = -0.02
"""Below this λ, in eV/Å², a mode is unstable; above, a negative λ may be noise."""


@dataclass(frozen=True, eq=False)
class Modes:
    """Eigenvectors of force constants, rigid translations left out.

    Parameters
    ----------
    stiffness : ndarray, shape (n_modes,)
        λ in eV/Å², ascending.
    vectors : ndarray, shape (n_modes, n_atoms, 3)
        Orthonormal.
    """

    stiffness: "Floats"
    vectors: "Floats"

    @classmethod
    def of(cls, phi: "Floats") -> "Modes":
        """Diagonalise force constants.

        Parameters
        ----------
        phi : ndarray, shape (n_atoms, 3, n_atoms, 3)
            In eV/Å².

        Returns
        -------
        Modes
            3 n_atoms - 3 of them.
        """
        n = len(phi)
        # Without the translations, not by looking for three zeros: a soft mode is none.
        rigid = np.tile(np.eye(3), (n, 1)) / np.sqrt(n)
        inner = np.linalg.svd(np.eye(3 * n) - rigid @ rigid.T)[0][:, : 3 * n - 3]
        stiffness, mixing = np.linalg.eigh(inner.T @ phi.reshape(3 * n, 3 * n) @ inner)
        return cls(stiffness, (inner @ mixing).T.reshape(-1, n, 3))

    def gain(self, damping: float = DAMPING) -> "Floats":
        """Say how far each mode gives way to a force.

        Parameters
        ----------
        damping : float
            δ in eV/Å².

        Returns
        -------
        ndarray, shape (n_modes,)
            In Å²/eV.
        """
        hard = np.maximum(self.stiffness, 0.0)
        return np.asarray(hard / (hard**2 + damping**2))

    @property
    def softest(self) -> float:
        """The smallest λ in eV/Å²; infinite for a single atom."""
        return float(self.stiffness[0]) if len(self.stiffness) else float("inf")

    @property
    def stable(self) -> bool:
        """Whether the structure is a minimum of the potential, for its primitive cell."""
        return self.softest > UNSTABLE
