"""Potentials by name, and what goes wrong with them."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT

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
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PotentialError, match=f"pip install {package}"):
        find_potential(name)


class Foreign(EMT):
    """What ``mace.calculators.MACECalculator`` takes, with the forces of EMT."""

    def __init__(self, model_paths: str, device: str, default_dtype: str) -> None:
        if Path(model_paths).read_bytes() != WEIGHTS:
            raise ValueError("not a\nmodel")
        assert (device, default_dtype) == ("cpu", "float64")
        super().__init__()


WEIGHTS = b"weights"


@pytest.fixture
def mace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a calculator where the package of MACE would be."""
    module = ModuleType("mace.calculators")
    module.MACECalculator = Foreign  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mace", ModuleType("mace"))
    monkeypatch.setitem(sys.modules, "mace.calculators", module)


@pytest.mark.usefixtures("mace")
def test_a_file_of_mace_is_known_by_its_content(tmp_path: Path) -> None:
    """Wherever it lies; and it gives forces and stresses as any calculator of ASE."""
    paths = [tmp_path / "one.model", tmp_path / "two.model"]
    for path in paths:
        path.write_bytes(WEIGHTS)
    first, second = (find_potential(f"mace:{path}") for path in paths)
    assert first.identity == second.identity
    assert first.name != second.name
    (found,) = first.evaluate([COPPER], stress=True)
    (expected,) = find_potential("ase.calculators.emt:EMT").evaluate(
        [COPPER], stress=True
    )
    np.testing.assert_array_equal(found.stress, expected.stress)


@pytest.mark.usefixtures("mace")
def test_a_file_of_mace_that_is_none_is_told_in_one_line(tmp_path: Path) -> None:
    """Whether it is missing or not a model."""
    with pytest.raises(
        PotentialError, match=r"nothing\.model: no such file; mace needs"
    ):
        find_potential(f"mace:{tmp_path / 'nothing.model'}")
    (tmp_path / "wrong.model").write_bytes(b"else")
    with pytest.raises(PotentialError, match="cannot be loaded: not a model"):
        find_potential(f"mace:{tmp_path / 'wrong.model'}")


def test_a_package_that_fails_to_start_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it raises, in one line."""
    package = tmp_path / "mace"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "calculators.py").write_text("raise RuntimeError('two\\nlines')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PotentialError, match=r"mace-torch is there, .*: two lines"):
        find_potential("mace:any.model")
