"""The properties the tool knows: one row each, and nothing else differs."""

from collections.abc import Iterable
from dataclasses import dataclass

from crystaltensor.errors import ConfigError
from crystaltensor.settings import suggestion


@dataclass(frozen=True)
class TensorProperty:
    """A property of crystals: a tensor, or a scalar, which is one of rank 0.

    Parameters
    ----------
    name, aliases
        What a user may call it; `name` is what files say.
    title
        What a table says.
    symbol
        Of one component, without its indices.
    index_symmetry
        Equal index orders, such as ``"ijk=ikj"``; its first term gives the rank. Empty
        for a scalar.
    parity
        ``"even"`` or ``"odd"`` under inversion.
    unit
        As written in files.
    label
        What data sets call it.
    lower_bound
        All eigenvalues are above this in a stable crystal (of the 6×6 Kelvin-Mandel
        matrix for rank 4); None if they may have any sign.
    per_atom
        Whether there is one tensor for each atom.
    logarithmic
        Whether its decadic logarithm is learnt, so that errors are relative ones; the
        values must be positive.
    caution
        What every reader of a prediction must know.
    """

    name: str
    aliases: tuple[str, ...]
    title: str
    symbol: str
    index_symmetry: str
    parity: str
    unit: str
    label: str
    lower_bound: float | None = None
    per_atom: bool = False
    logarithmic: bool = False
    caution: str = ""

    @property
    def rank(self) -> int:
        """Number of Cartesian indices; 0 for a scalar."""
        return len(self.index_symmetry.split("=", maxsplit=1)[0])

    @property
    def learnt_unit(self) -> str:
        """Unit of what is learnt, and of the figures of a training."""
        return f"log10({self.unit})" if self.logarithmic else self.unit


DIELECTRIC = TensorProperty(
    name="dielectric",
    aliases=("dielectric-electronic", "eps"),
    title="electronic dielectric tensor ε^∞",
    symbol="ε",
    index_symmetry="ij=ji",
    parity="even",
    unit="1",
    label="dielectric_electronic",
    lower_bound=1.0,
)
DIELECTRIC_TOTAL = TensorProperty(
    name="dielectric-total",
    aliases=("eps0",),
    title="static dielectric tensor ε⁰",
    symbol="ε",
    index_symmetry="ij=ji",
    parity="even",
    unit="1",
    label="dielectric_total",
    lower_bound=1.0,
)
PIEZO = TensorProperty(
    name="piezo",
    aliases=("piezoelectric",),
    title="piezoelectric stress tensor e",
    symbol="e",
    index_symmetry="ijk=ikj",
    parity="odd",
    unit="C/m^2",
    label="piezo_e",
)
ELASTIC = TensorProperty(
    name="elastic",
    aliases=("stiffness",),
    title="elastic stiffness tensor C",
    symbol="C",
    index_symmetry="ijkl=jikl=ijlk=klij",
    parity="even",
    unit="GPa",
    label="elastic",
    lower_bound=0.0,
)
BORN_CHARGES = TensorProperty(
    name="born-charges",
    aliases=("born",),
    title="Born effective charges Z*",
    symbol="Z",
    index_symmetry="ij",
    parity="even",
    unit="e",
    label="born_charges",
    per_atom=True,
)

FORMATION_ENERGY = TensorProperty(
    name="formation-energy",
    aliases=("e-form",),
    title="formation energy E_f",
    symbol="E_f",
    index_symmetry="",
    parity="even",
    unit="eV/atom",
    label="formation_energy_per_atom_eV",
)
BULK_MODULUS = TensorProperty(
    name="bulk-modulus",
    aliases=("k-vrh",),
    title="bulk modulus K",
    symbol="K",
    index_symmetry="",
    parity="even",
    unit="GPa",
    label="K_VRH_GPa",
    lower_bound=0.0,
    logarithmic=True,
)
SHEAR_MODULUS = TensorProperty(
    name="shear-modulus",
    aliases=("g-vrh",),
    title="shear modulus G",
    symbol="G",
    index_symmetry="",
    parity="even",
    unit="GPa",
    label="G_VRH_GPa",
    lower_bound=0.0,
    logarithmic=True,
)
BAND_GAP = TensorProperty(
    name="band-gap",
    aliases=("gap",),
    title="band gap E_g",
    symbol="E_g",
    index_symmetry="",
    parity="even",
    unit="eV",
    label="band_gap_eV",
    lower_bound=0.0,
    caution="the model has seen semiconductors and insulators only, and does not tell a "
    "metal; it learnt from PBE, whose gaps are too small",
)

TENSORS = (DIELECTRIC, DIELECTRIC_TOTAL, PIEZO, ELASTIC, BORN_CHARGES)
SCALARS = (FORMATION_ENERGY, BULK_MODULUS, SHEAR_MODULUS, BAND_GAP)
PROPERTIES = (*TENSORS, *SCALARS)


def find_property(name: str) -> TensorProperty:
    """Find a property, a tensor or a scalar, by its name or an alias.

    Parameters
    ----------
    name : str
        Such as ``"piezo"`` or ``"band-gap"``.

    Returns
    -------
    TensorProperty
        The row of that name.

    Raises
    ------
    ConfigError
        If no property is called that.
    """
    return _find(name, PROPERTIES)


def tensor_property(name: str) -> TensorProperty:
    """Find a tensor property by its name or an alias.

    Parameters
    ----------
    name : str
        Such as ``"piezo"``.

    Returns
    -------
    TensorProperty
        The row of that name.

    Raises
    ------
    ConfigError
        If no tensor property is called that.
    """
    if any(name in {row.name, *row.aliases} for row in SCALARS):
        raise ConfigError(
            f"{name} is a scalar: there is no tensor of it that symmetry could restrict"
        )
    return _find(name, TENSORS)


def _find(name: str, rows: Iterable[TensorProperty]) -> TensorProperty:
    """Look up a name among rows."""
    known = {alias: row for row in rows for alias in (row.name, *row.aliases)}
    if name in known:
        return known[name]
    names = list(dict.fromkeys(row.name for row in known.values()))
    raise ConfigError(f"unknown property {name!r}; {suggestion(name, names)}")
