"""The cache: the same numbers, for the same crystal and potential alone."""

from pathlib import Path

import numpy as np

from crystaltensor.response import cache
from crystaltensor.response.potentials import AsePotential
from crystaltensor.response.responder import Responder
from crystaltensor.symmetry.operations import Symmetry
from tests.response.conftest import Springs


def test_several_properties_share_one_calculation(
    zincblende: Symmetry, nearest: AsePotential, tmp_path: Path
) -> None:
    """The second time nothing is computed."""
    responder = Responder(nearest, folder=tmp_path)
    first = responder.respond(zincblende)
    second = responder.respond(zincblende)
    assert first.n_calls == first.constants.n_calls > 0
    assert second.n_calls == 0
    np.testing.assert_array_equal(first.constants.phi, second.constants.phi)
    assert second.constants.clamped is None


def test_stresses_are_computed_where_they_are_missing(
    zincblende: Symmetry, nearest: AsePotential, tmp_path: Path
) -> None:
    """What is stored without them does not serve elastic constants."""
    responder = Responder(nearest, folder=tmp_path)
    responder.respond(zincblende)
    found = responder.respond(zincblende, elastic=True)
    assert found.n_calls > 0
    assert found.constants.clamped is not None
    assert responder.respond(zincblende, elastic=True).n_calls == 0


def test_another_potential_has_another_key(
    zincblende: Symmetry, nearest: AsePotential
) -> None:
    """Even if it has the same name."""
    other = AsePotential("springs", Springs(), identity="springs of another kind")
    crystal = zincblende.crystal
    assert cache.cache_key(crystal, nearest) != cache.cache_key(crystal, other)


def test_a_damaged_file_is_computed_again(
    zincblende: Symmetry, nearest: AsePotential, tmp_path: Path
) -> None:
    """A cache is never an error."""
    responder = Responder(nearest, folder=tmp_path)
    responder.respond(zincblende)
    (path,) = tmp_path.glob("*.npz")
    path.write_bytes(b"PK\x03\x04 not an archive")
    assert responder.respond(zincblende).n_calls > 0
