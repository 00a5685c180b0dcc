"""Numbers that follow from many tensors, and how errors reach them."""

import numpy as np
import pytest

from crystaltensor.properties import DIELECTRIC, ELASTIC, PIEZO, TensorProperty
from crystaltensor.symmetry.coordinates import from_components, to_components
from crystaltensor.symmetry.derivation import derive
from crystaltensor.symmetry.notation import rotate
from crystaltensor.symmetry.quantities import propagate, quantities


def sample(row: TensorProperty, n: int = 5) -> np.ndarray:
    """Draw components of tensors: those of ε and C are positive definite."""
    rng = np.random.default_rng(7)
    size = {"dielectric": 6, "piezo": 18, "elastic": 21}[row.name]
    noise = rng.normal(size=(n, size))
    if row is PIEZO:
        return noise
    mean = {
        "dielectric": 5 * np.eye(3),
        "elastic": 60 * np.einsum("ik,jl->ijkl", np.eye(3), np.eye(3)),
    }[row.name]
    whole = mean if row is DIELECTRIC else mean + mean.transpose(1, 0, 2, 3)
    scale = 0.3 if row is DIELECTRIC else 5.0
    return to_components(whole, row.index_symmetry) + scale * noise


def test_they_are_those_that_single_tensors_give() -> None:
    """The same formulas, one crystal at a time."""
    stiff, permittivity = sample(ELASTIC), sample(DIELECTRIC)
    many = quantities(stiff, ELASTIC)
    for place, tensor in enumerate(from_components(stiff, ELASTIC.index_symmetry)):
        one = derive({"elastic": tensor}, own="elastic")[0]
        assert many["norm"][place] == pytest.approx(one["norm"])
        assert many["margin"][place] == pytest.approx(one["stability"]["margin"])
        for name, value in one["moduli"].items():
            if name != "unit":
                assert many[name][place] == pytest.approx(value)
    many = quantities(permittivity, DIELECTRIC)
    for place, tensor in enumerate(
        from_components(permittivity, DIELECTRIC.index_symmetry)
    ):
        one = derive({"dielectric": tensor}, own="dielectric")[0]
        indices = one["refractive_indices"]
        assert many["refractive_mean"][place] == pytest.approx(indices["mean"])
        assert many["birefringence"][place] == pytest.approx(indices["birefringence"])
        values = one["dielectric_principal"]["values"]
        for axis in range(3):
            assert many[f"principal_{axis + 1}"][place] == pytest.approx(values[axis])


@pytest.mark.parametrize("row", [DIELECTRIC, PIEZO, ELASTIC])
def test_first_order_agrees_with_many_draws(row: TensorProperty) -> None:
    """For small errors; the spread of 20,000 draws is known to half a percent."""
    centre = sample(row, 1)
    n = centre.shape[1]
    rng = np.random.default_rng(3)
    factor = 1e-3 * np.linalg.norm(centre) * rng.normal(size=(n, n)) / n
    drawn = centre + rng.normal(size=(20_000, n)) @ factor.T
    spread = {name: each.std() for name, each in quantities(drawn, row).items()}
    found = propagate(centre, factor[None], row)
    assert set(found) == set(spread)
    for name, sigma in found.items():
        assert sigma[0] == pytest.approx(spread[name], rel=0.03), name


def test_they_do_not_depend_on_the_axes() -> None:
    """Turned together, tensor and covariance give the same σ."""
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    symmetry = ELASTIC.index_symmetry
    centre = sample(ELASTIC, 1)
    factor = np.random.default_rng(6).normal(size=(1, 21, 4))

    def turned(components: np.ndarray) -> np.ndarray:
        return to_components(
            rotate(from_components(components, symmetry), turn, rank=4), symmetry
        )

    there = propagate(
        turned(centre), np.swapaxes(turned(np.swapaxes(factor, 1, 2)), 1, 2), ELASTIC
    )
    for name, sigma in propagate(centre, factor, ELASTIC).items():
        np.testing.assert_allclose(there[name], sigma, rtol=1e-5, err_msg=name)


def test_what_does_not_exist_is_no_number() -> None:
    """A singular stiffness has no Reuss mean; a negative ε no refractive index."""
    soft = quantities(np.zeros((1, 21)), ELASTIC)
    assert np.isnan(soft["bulk_reuss"]).all()
    negative = to_components(-np.eye(3)[None], "ij=ji")
    assert np.isnan(quantities(negative, DIELECTRIC)["refractive_mean"]).all()
