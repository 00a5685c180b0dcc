"""How quantities that follow from tensors are shown."""

from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from crystaltensor.cli._render import measured, number, unit_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console


def show_derived(
    console: "Console",
    derived: "Mapping[str, Any]",
    uncertain: "Mapping[str, Mapping[str, float]] | None" = None,
) -> None:
    """Show principal values, moduli, stability, and extremes over all directions.

    What they may be off by is known under the names of `quantities`.
    """
    sigmas = {name: each["sigma"] for name, each in (uncertain or {}).items()}
    lines = [*_dielectric_lines(derived, sigmas), *_elastic_lines(derived, sigmas)]
    for line in lines:
        console.print(line, soft_wrap=True)
    extremes = _extremes_table(derived)
    if extremes is not None:
        console.print(extremes)
    if lines:
        console.print()


def _dielectric_lines(
    derived: Any,  # noqa: ANN401 - plain values
    sigmas: "Mapping[str, float]",
) -> "Iterable[str]":
    """Principal values and refractive indices."""
    for name, title in (
        ("dielectric_principal", "Principal ε^∞"),
        ("dielectric_total_principal", "Principal ε⁰"),
    ):
        if name in derived:
            values = _three(derived[name]["values"], "principal", sigmas)
            yield f"{title}: {values}"
    if "refractive_indices" in derived:
        found = derived["refractive_indices"]
        values = _three(found["values"], "refractive", sigmas)
        apart = measured(found["birefringence"], sigmas.get("birefringence"))
        yield f"Refractive indices: {values} (birefringence {apart})"


def _three(values: "Sequence[float]", name: str, sigmas: "Mapping[str, float]") -> str:
    """Write three values in ascending order."""
    return ", ".join(
        measured(value, sigmas.get(f"{name}_{place}"))
        for place, value in enumerate(values, start=1)
    )


def _elastic_lines(
    derived: Any,  # noqa: ANN401 - plain values
    sigmas: "Mapping[str, float]",
) -> "Iterable[str]":
    """Moduli, stability and extremes."""
    if "moduli" in derived:
        m = {
            name: measured(value, sigmas.get(name))
            if isinstance(value, float)
            else value
            for name, value in derived["moduli"].items()
        }
        for name, key in (("Bulk", "bulk"), ("Shear", "shear")):
            voigt, reuss, hill = (
                m[f"{key}_{kind}"] for kind in ("voigt", "reuss", "hill")
            )
            line = (
                f"{name} modulus: {hill} GPa (Hill), {voigt} (Voigt), {reuss} (Reuss)"
            )
            second = m.get(f"{key}_potnet")
            yield line + (f"; PotNet: {second} GPa" if second else "")
        yield (
            f"Young's modulus {m['young']} GPa, Poisson ratio {m['poisson']} (Hill), "
            f"anisotropy A_U {m['universal_anisotropy']}"
        )
    if "stability" in derived:
        born = derived["stability"]
        word = "Born stable" if born["stable"] else "[red]Born unstable[/]"
        yield f"{word}: margin {measured(born['margin'], sigmas.get('margin'))} GPa"


def _extremes_table(derived: Any) -> Table | None:  # noqa: ANN401 - plain values
    """Extremes over all directions."""
    titles = {
        "longitudinal_e": "longitudinal e",
        "longitudinal_d": "longitudinal d",
        "young": "Young's modulus",
        "shear": "shear modulus",
        "poisson": "Poisson ratio",
        "linear_compressibility": "linear compressibility",
    }
    found = [key for key in titles if key in derived]
    if not found:
        return None
    table = Table(box=box.SIMPLE_HEAD)
    for name, justify in (("over all directions", "left"), ("", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("value", justify="right")
    pairs = any("across" in derived[key].get("max", ()) for key in found)
    for name in ("along n", "and m") if pairs else ("along n",):
        table.add_column(name)
    for key in found:
        ends = [name for name in ("min", "max") if name in derived[key]]
        unit = unit_of(derived[key]["unit"])
        rows = [(name, derived[key][name]) for name in ends] or [("max", derived[key])]
        for place, (name, end) in enumerate(rows):
            across = _direction(end["across"]) if "across" in end else ""
            table.add_row(
                titles[key] + (f",{unit}" if unit else "") if place == 0 else "",
                name,
                number(end["value"]),
                _direction(end["direction"]),
                *((across,) if pairs else ()),
            )
    return table


def _direction(vector: "Sequence[float]") -> str:
    """Write a unit vector; brackets would be read as markup."""
    texts = (f"{value + 0.0:.3f}".removesuffix(".000") for value in vector)
    return "(" + " ".join("0" if text == "-0" else text for text in texts) + ")"
