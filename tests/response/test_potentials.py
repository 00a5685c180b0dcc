"""Potentials by name, and what goes wrong with them."""

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.errors import ConfigError, PotentialError
from crystaltensor.response.potentials import AsePotential, find_potential

COPPER = Crystal.from_symbols(
    3.6 * np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]), [[0, 0, 0]], ["Cu"]
)


class Broken(Calculator):
    """Returns what it was told to."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012 - ASE's way

    def __init__(self, force: float) -> None:
        super().__init__()
        self.force = force

    def calculate(self, atoms=None, properties=None, changes=all_changes) -> None:  # noqa: ANN001 - ASE's signature
        """Return one force for all."""
        super().calculate(atoms, properties, changes)
        self.results = {"energy": 0.0, "forces": np.full((len(atoms), 3), self.force)}


def test_a_callable_of_a_module_gives_forces() -> None:
    """EMT comes with ASE: fcc copper has no forces."""
    potential = find_potential("ase.calculators.emt:EMT")
    (found,) = potential.evaluate([COPPER], stress=True)
    assert np.abs(found.forces).max() < 1e-10
    assert found.stress is not None
    assert found.stress.shape == (3, 3)
    assert potential.identity.startswith("ase.calculators.emt:EMT ")


def test_an_element_the_potential_does_not_know_is_one_line() -> None:
    """The message names the potential, the crystal and the elements."""
    potential = find_potential("ase.calculators.emt:EMT")
    iron = Crystal(COPPER.cell, COPPER.frac, [26])
    with pytest.raises(PotentialError, match=r"EMT cannot compute Fe: .*\(Fe\)\?"):
        list(potential.evaluate([iron]))


def test_forces_that_are_not_finite_are_refused() -> None:
    """They would spread to everything."""
    potential = AsePotential("broken", Broken(np.nan), identity="broken")
    with pytest.raises(PotentialError, match="not finite for Cu"):
        list(potential.evaluate([COPPER]))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sevennn", "unknown potential 'sevennn'; known: chgnet, sevenn:NAME"),
        ("chgnet:", "unknown potential"),
        ("sevenn", "unknown potential"),
    ],
)
def test_an_unknown_name_is_told(name: str, message: str) -> None:
    """The message lists what there is."""
    with pytest.raises(ConfigError, match=message):
        find_potential(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:make", "No module named 'no_such_module'; known"),
        ("ase.calculators.emt:Nothing", "has no attribute 'Nothing'; known"),
        ("builtins:dict", "returns a dict, not a calculator of ASE"),
        ("ase.calculators.emt:EMT.nothing", "has no attribute"),
    ],
)
def test_a_callable_that_is_none_is_told(name: str, message: str) -> None:
    """Wherever the way to a calculator ends."""
    with pytest.raises(PotentialError, match=message):
        find_potential(name)


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("chgnet", "chgnet"),
        ("sevenn:7net-0", "sevenn"),
        ("mace:model.pt", "mace-torch"),
    ],
)
def test_a_missing_package_is_named(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the call that installs it."""
    for module in ("chgnet.model", "sevenn.calculator", "mace.calculators"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(PotentialError, match=f"pip install {package}"):
        find_potential(name)
