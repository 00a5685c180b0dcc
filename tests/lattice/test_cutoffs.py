"""Tests of crystaltensor.lattice.cutoffs."""

import numpy as np
import pytest

from crystaltensor.lattice.bounds import direct_bounds, real_bounds, reciprocal_bounds
from crystaltensor.lattice.cells import Geometry
from crystaltensor.lattice.cutoffs import (
    DIRECT_SHARE,
    SPLIT_SHARE,
    direct_cutoff,
    split_cutoffs,
)
from crystaltensor.lattice.kernels import InversePower, Kernel, Pauli, ScreenedCoulomb

LATTICES = Geometry(np.array([np.diag([4.0, 5, 6]), np.diag([3.0, 3, 60])]))
KERNELS: list[Kernel] = [InversePower(1), InversePower(6), ScreenedCoulomb(0.2)]
ETA = np.array([0.5, 0.4])


@pytest.mark.parametrize("tolerance", [1e-1, 1e-6, 1e-10, 1e-15])
def test_split_sums_leave_out_no_more_than_their_share(tolerance: float) -> None:
    """And not much less: the cutoffs are no larger than needed."""
    tolerances = [tolerance, 10 * tolerance, tolerance]
    reach, wave_reach, bounds = split_cutoffs(KERNELS, tolerances, LATTICES, ETA)
    assert (bounds <= 2 * SPLIT_SHARE * np.array(tolerances)).all()
    for i in range(2):
        one = Geometry(LATTICES.cells[i : i + 1])
        eta = ETA[i : i + 1, None]
        near = real_bounds(KERNELS, one, reach[i : i + 1] * ETA[i], eta)
        far = reciprocal_bounds(KERNELS, one, wave_reach[i : i + 1] / 2 / ETA[i], eta)
        np.testing.assert_allclose((near + far)[:, 0, 0], bounds[i])
        if tolerance < 1e-3:
            shares = near[:, 0, 0] / (SPLIT_SHARE * np.array(tolerances))
            assert shares.max() > 0.5


@pytest.mark.parametrize("tolerance", [1e-1, 1e-6, 1e-15, 1e-40])
def test_unsplit_sums_leave_out_no_more_than_their_share(tolerance: float) -> None:
    """However small it is: weights of a potential may ask for very little."""
    kernel = Pauli(2.0)
    reach = direct_cutoff(kernel, tolerance, LATTICES)
    for i in range(2):
        one = Geometry(LATTICES.cells[i : i + 1])
        bound = direct_bounds(kernel, one, reach[i : i + 1] * 2.0).item()
        assert bound <= DIRECT_SHARE * tolerance
        assert tolerance > 1e-3 or bound > 0.5 * DIRECT_SHARE * tolerance
