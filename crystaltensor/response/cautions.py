"""What is said of force constants that limit what follows from them."""

from typing import TYPE_CHECKING

from crystaltensor.properties import DIELECTRIC_TOTAL, ELASTIC, PIEZO
from crystaltensor.response.modes import DAMPING

if TYPE_CHECKING:
    from crystaltensor.properties import TensorProperty
    from crystaltensor.response.responder import CrystalResponse

LARGE_FORCE = 0.1
"""A residual force in eV/Å from which on the user is warned."""


def cautions(response: "CrystalResponse") -> list[str]:
    """Say what in the force constants limits the result."""
    warnings = []
    force = response.constants.residual_force
    if force > LARGE_FORCE:
        warnings.append(
            f"a force of {force:.2g} eV/Å is left on an atom in {response.potential}; "
            "--relax moves the atoms to where there is none"
        )
    if response.modes.softest < DAMPING:
        warnings.append(
            f"the softest mode has {response.modes.softest:.2g} eV/Å²: the response "
            "depends on what no potential knows that well"
        )
    return warnings


def unstable(response: "CrystalResponse", row: "TensorProperty") -> str:
    """Say that a property is not defined, and what can be done."""
    symbol = {PIEZO.name: "e", DIELECTRIC_TOTAL.name: "ε⁰", ELASTIC.name: "C"}[row.name]
    relaxed = " even after relaxation" if response.moved is not None else ""
    way_out = "take" if relaxed else "try --relax, or take"
    return (
        f"structure unstable in this potential{relaxed}: {symbol} is not defined (a mode "
        f"of {response.primitive.crystal.formula} has {response.modes.softest:.3g} eV/Å² "
        f"in {response.potential}); {way_out} the structure of a stable phase, or "
        "another potential"
    )
