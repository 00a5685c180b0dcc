"""Interatomic potentials by name: whatever gives forces behind ASE's interface.

The packages are the user's choice and are imported when a potential of theirs is asked
for: ``chgnet`` (BSD), ``sevenn`` (GPL), ``mace`` (MIT).
"""

import hashlib
import importlib
import inspect
import warnings
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from crystaltensor.crystals.conversion import to_ase, to_pymatgen
from crystaltensor.errors import ConfigError, CrystalTensorError, PotentialError
from crystaltensor.response.units import EV_PER_A3_IN_GPA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from crystaltensor.crystals.crystal import Crystal

    Floats = NDArray[np.float64]

KNOWN = "chgnet, sevenn:NAME, mace:PATH, module:callable"
"""What a user may write."""

_BATCH_ATOMS = (
    40  # of CHGNet: more at once is no faster on a core and takes more memory
)


@dataclass(frozen=True, eq=False)
class Forces:
    """Forces and stress of one crystal.

    Parameters
    ----------
    forces : ndarray, shape (n_atoms, 3)
        In eV/Å.
    stress : ndarray, shape (3, 3), or None
        In eV/Å³, tensile positive; None if it was not asked for.
    """

    forces: "Floats"
    stress: "Floats | None" = None


class Potential(Protocol):
    """What gives forces."""

    name: str
    """As the user wrote it."""
    identity: str
    """Changes whenever its forces may: name, version, hash of the weights."""
    displacement: float
    """Of an atom in a central difference, in Å."""

    def evaluate(
        self, crystals: "Sequence[Crystal]", *, stress: bool = False
    ) -> "Iterator[Forces]":
        """Yield the forces, and the stress if asked for, of crystals in their order."""


class AsePotential:
    """Any calculator of ASE.

    Parameters
    ----------
    name : str
        For messages.
    calculator : ase.calculators.calculator.Calculator
        With forces; with stresses if elastic constants are wanted.
    identity : str
        What tells it from others, for caches.
    """

    displacement = 0.015

    def __init__(self, name: str, calculator: Any, *, identity: str) -> None:  # noqa: ANN401
        self.name, self.identity = name, identity
        self._calculator = calculator

    def evaluate(
        self, crystals: "Sequence[Crystal]", *, stress: bool = False
    ) -> "Iterator[Forces]":
        """Yield the forces, and the stress if asked for, of crystals in their order.

        Parameters
        ----------
        crystals : sequence of Crystal
            With equal atoms.
        stress : bool
            Whether stresses are wanted.

        Yields
        ------
        Forces
            One for each crystal.

        Raises
        ------
        PotentialError
            If the calculator fails, or returns numbers that are not finite.
        """
        for crystal in crystals:
            atoms = to_ase(crystal)
            with _told_of(self.name, crystal):
                atoms.calc = self._calculator
                forces = np.array(atoms.get_forces(), dtype=np.float64)
                tension = np.array(atoms.get_stress(voigt=False)) if stress else None
            yield _finite(Forces(forces, tension), self.name, crystal)


class ChgnetPotential:
    """CHGNet, several crystals at once.

    Raises
    ------
    PotentialError
        If the package is not installed.
    """

    name = "chgnet"
    # The neighbours within its cutoffs change in steps, which a longer difference
    # averages: see docs/response.md.
    displacement = 0.03

    def __init__(self) -> None:
        module = _import("chgnet.model", "chgnet", "chgnet")
        with _quietly_built(self.name):
            self._model = module.CHGNet.load(use_device="cpu", verbose=False)
        self.identity = f"chgnet {self._model.version}"

    def evaluate(
        self, crystals: "Sequence[Crystal]", *, stress: bool = False
    ) -> "Iterator[Forces]":
        """Yield the forces, and the stress if asked for, of crystals in their order.

        Parameters
        ----------
        crystals : sequence of Crystal
            With equal atoms.
        stress : bool
            Whether stresses are wanted.

        Yields
        ------
        Forces
            One for each crystal.

        Raises
        ------
        PotentialError
            If the model fails, or returns numbers that are not finite.
        """
        size = max(1, _BATCH_ATOMS // crystals[0].n_atoms)
        for first in range(0, len(crystals), size):
            batch = crystals[first : first + size]
            with _told_of(self.name, batch[0]), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = self._model.predict_structure(
                    [to_pymatgen(crystal) for crystal in batch],
                    task="efs" if stress else "ef",
                    batch_size=size,
                )
            for crystal, each in zip(
                batch, found if isinstance(found, list) else [found], strict=True
            ):
                tension = each["s"].astype(float) / EV_PER_A3_IN_GPA if stress else None
                yield _finite(
                    Forces(each["f"].astype(float), tension), self.name, crystal
                )


def find_potential(name: str) -> Potential:
    """Make a potential from its name.

    Parameters
    ----------
    name : str
        ``chgnet``, ``sevenn:7net-0``, ``mace:PATH`` of a model file, or
        ``module:callable`` that returns a calculator of ASE.

    Returns
    -------
    Potential
        Ready to give forces.

    Raises
    ------
    PotentialError
        If its package or its weights are missing.
    ConfigError
        If there is no such name.
    """
    kind, _, rest = name.partition(":")
    if name == "chgnet":
        return ChgnetPotential()
    if kind == "sevenn" and rest:
        return _sevenn(rest)
    if kind == "mace" and rest:
        return _mace(Path(rest))
    if rest and kind not in {"chgnet", "sevenn", "mace"}:
        return _callable(kind, rest)
    raise ConfigError(f"unknown potential {name!r}; known: {KNOWN}")


def _sevenn(model: str) -> Potential:
    """Make a potential of SevenNet from the name of a model, or a checkpoint."""
    module = _import("sevenn.calculator", "sevenn", f"sevenn:{model}")
    version = importlib.import_module("sevenn").__version__
    with _quietly_built(f"sevenn:{model}"):
        calculator = module.SevenNetCalculator(model, device="cpu")
    path = Path(model)
    kept = _digest(path) if path.is_file() else version
    name = f"sevenn:{model}"
    return AsePotential(name, calculator, identity=f"{name} {kept}")


def _mace(path: Path) -> Potential:
    """Make a potential of MACE from a file of weights."""
    name = f"mace:{path}"
    module = _import("mace.calculators", "mace-torch", name)
    if not path.is_file():
        raise PotentialError(
            f"{path}: no such file; mace needs the path of a model file that you have"
        )
    with _quietly_built(name):
        calculator = module.MACECalculator(
            model_paths=str(path), device="cpu", default_dtype="float64"
        )
    return AsePotential(name, calculator, identity=f"mace {_digest(path)}")


def _callable(module_name: str, attribute: str) -> Potential:
    """Make a potential from a function or a class that the user names."""
    name = f"{module_name}:{attribute}"
    try:
        made: Callable[[], Any] = getattr(
            importlib.import_module(module_name), attribute
        )
    except (ImportError, AttributeError) as error:
        raise PotentialError(
            f"{name}: {error}; known: {KNOWN}, and the module must be on PYTHONPATH"
        ) from error
    with _quietly_built(name):
        calculator = made()
    if not hasattr(calculator, "get_forces"):
        raise PotentialError(
            f"{name} returns a {type(calculator).__name__}, not a calculator of ASE"
        )
    return AsePotential(name, calculator, identity=f"{name} {_source_digest(made)}")


def _import(module: str, package: str, name: str) -> Any:  # noqa: ANN401 - a module
    """Import a package that the user has to have installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ImportError as error:
        raise PotentialError(
            f"--potential {name} needs the package {package}, which cannot be imported "
            f"({error}); install it with: pip install {package}"
        ) from error
    except Exception as error:  # whatever a package does when it is imported
        raise PotentialError(
            f"--potential {name}: the package {package} is there, but fails to start: "
            f"{_reason(error)}"
        ) from error


@contextmanager
def _quietly_built(name: str) -> "Iterator[None]":
    """Turn whatever the constructor of a potential raises into one line."""
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        raise PotentialError(f"{name}: cannot be loaded: {_reason(error)}") from error


@contextmanager
def _told_of(name: str, crystal: "Crystal") -> "Iterator[None]":
    """Turn whatever a calculator raises into one line that names the crystal."""
    try:
        yield
    except CrystalTensorError:
        raise
    except Exception as error:
        raise PotentialError(
            f"{name} cannot compute {crystal.formula}: {_reason(error)}; does it know these "
            f"elements ({', '.join(dict.fromkeys(crystal.symbols))})?"
        ) from error


def _reason(error: Exception) -> str:
    """Say in one line what a foreign package complains of."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _finite(found: Forces, name: str, crystal: "Crystal") -> Forces:
    """Refuse numbers that are not finite."""
    arrays = [found.forces] if found.stress is None else [found.forces, found.stress]
    if not all(np.isfinite(array).all() for array in arrays):
        raise PotentialError(
            f"{name} returns forces that are not finite for {crystal.formula}; "
            "atoms may be far too close, or an element unknown to it"
        )
    return found


def _digest(path: Path) -> str:
    """Hash a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _source_digest(made: "Callable[[], Any]") -> str:
    """Hash the file that a function is defined in; its name where there is none."""
    try:
        return _digest(Path(inspect.getfile(made)))
    except (TypeError, OSError):
        return getattr(made, "__qualname__", "unknown")
