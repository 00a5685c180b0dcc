"""The properties the tool knows: one row each, and nothing else differs."""

from dataclasses import dataclass

from crystaltensor.errors import ConfigError
from crystaltensor.settings import suggestion


@dataclass(frozen=True)
class TensorProperty:
    """A tensor property of crystals.

    Parameters
    ----------
    name, aliases
        What a user may call it; `name` is what files say.
    title
        What a table says.
    symbol
        Of one component, without its indices.
    index_symmetry
        Equal index orders, such as ``"ijk=ikj"``; its first term gives the rank.
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

    @property
    def rank(self) -> int:
        """Number of Cartesian indices."""
        return len(self.index_symmetry.split("=")[0])


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

TENSORS = (DIELECTRIC, DIELECTRIC_TOTAL, PIEZO, ELASTIC, BORN_CHARGES)


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
        If no property is called that.
    """
    known = {alias: row for row in TENSORS for alias in (row.name, *row.aliases)}
    if name in known:
        return known[name]
    names = [row.name for row in TENSORS]
    raise ConfigError(f"unknown property {name!r}; {suggestion(name, names)}")
