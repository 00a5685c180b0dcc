"""What a crystal allows: groups, projection, forms, notations, frames, derived quantities.

The public names below are imported on first use. They take arrays, and crystals as
`Crystal`, pymatgen ``Structure`` or ASE ``Atoms``; a pymatgen tensor comes back as one.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crystaltensor.symmetry.derived import (
        moduli,
        piezo_strain,
        refractive_indices,
        stability,
    )
    from crystaltensor.symmetry.interface import (
        space_group,
        symmetrize,
        tensor_form,
        to_frame,
    )
    from crystaltensor.symmetry.notation import (
        from_mandel,
        from_voigt,
        rotate,
        to_mandel,
        to_voigt,
    )

__all__ = [
    "from_mandel",
    "from_voigt",
    "moduli",
    "piezo_strain",
    "refractive_indices",
    "rotate",
    "space_group",
    "stability",
    "symmetrize",
    "tensor_form",
    "to_frame",
    "to_mandel",
    "to_voigt",
]

_HOMES = {
    **dict.fromkeys(
        ("space_group", "symmetrize", "tensor_form", "to_frame"), "interface"
    ),
    **dict.fromkeys(
        ("from_mandel", "from_voigt", "rotate", "to_mandel", "to_voigt"), "notation"
    ),
    **dict.fromkeys(
        ("moduli", "piezo_strain", "refractive_indices", "stability"), "derived"
    ),
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    if name in _HOMES:
        module = import_module(f"crystaltensor.symmetry.{_HOMES[name]}")
        found: object = getattr(module, name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
