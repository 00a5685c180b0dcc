"""Pictures of tensors: surfaces, sections, and a page to turn them in."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.crystals.writing import replacing
from crystaltensor.errors import ConfigError
from crystaltensor.symmetry.surfaces import Surface, surfaces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crystaltensor.workflows.symmetrized import Symmetrized

    Floats = NDArray[np.float64]

SUFFIXES = (".png", ".svg", ".html")
"""What the name of a picture may end in."""

_PLANES = (("x", "y", 0, 1), ("x", "z", 0, 2), ("y", "z", 1, 2))
_RED, _BLUE, _INK, _PALE = "#b2182b", "#2166ac", "#222222", "#dddddd"


def draw(found: "Symmetrized", path: str | Path) -> None:
    """Draw the directional surfaces of a tensor.

    Parameters
    ----------
    found : Symmetrized
        With a tensor; others that were given with it are drawn too.
    path : path
        ``.png`` or ``.svg`` for surfaces with three sections each, ``.html`` for one
        page that needs no connection.

    Raises
    ------
    ConfigError
        If the name ends in something else, or nothing can be drawn.
    FormatError
        If the file cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(
            f"{target}: the name must end in one of {', '.join(SUFFIXES)}"
        )
    drawn = [one for one in surfaces(found.tensors) if _visible(one)]
    if not drawn:
        raise ConfigError(
            f"{target}: there is nothing to draw of a {found.target.row.title} here; "
            "pictures are for tensors that are not zero: dielectric, piezo and elastic"
        )
    title = _title(found)
    with replacing(target) as partial:
        if suffix == ".html":
            partial.write_text(_page(drawn, title), encoding="utf-8")
        else:
            _figure(drawn, title).savefig(partial, format=suffix[1:])


def _visible(surface: Surface) -> bool:
    """Say whether a surface has any extent."""
    values = surface.function(_sphere(8))
    return bool(np.isfinite(values).all() and np.abs(values).max() > 1e-12)


def _title(found: "Symmetrized") -> str:
    """Say which crystal, and which axes."""
    axes = {
        "input": "axes of the file",
        "ieee": "IEEE axes",
        "standard": "standardised axes",
    }[found.frame]
    if found.read is None or found.symmetry is None:
        return f"class {found.point_group}, {axes}"
    return f"{found.read.crystal.formula}, {found.symmetry.symbol}, {axes}"


def _sphere(n_rows: int) -> "Floats":
    """Give unit vectors over a sphere, (n_rows, 2 n_rows, 3)."""
    polar = np.linspace(0, np.pi, n_rows)[:, None]
    azimuth = np.linspace(0, 2 * np.pi, 2 * n_rows)[None, :]
    x, y = np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth)
    z = np.cos(polar) * np.ones_like(azimuth)
    return np.stack([x, y, z], axis=-1)


def _figure(drawn: list[Surface], title: str) -> Any:  # noqa: ANN401 - imported late
    """One row per surface: the surface and its sections."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = 3.5 * len(drawn) + 0.6
    figure = Figure(figsize=(15, height), dpi=120)
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=13, y=1 - 0.2 / height)
    figure.subplots_adjust(
        left=0.01,
        right=0.985,
        bottom=0.55 / height,
        top=1 - 0.85 / height,
        wspace=0.28,
        hspace=0.38,
    )
    for row, surface in enumerate(drawn):
        place = (len(drawn), 4, 4 * row + 1)
        axes: Any = figure.add_subplot(*place, projection="3d")
        _draw_surface(figure, axes, surface)
        for column, plane in enumerate(_PLANES):
            section = figure.add_subplot(*place[:2], place[2] + column + 1)
            _draw_section(section, surface, plane)
    return figure


def _draw_surface(figure: Any, axes: Any, surface: Surface) -> None:  # noqa: ANN401
    """Draw a surface, coloured by its values."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    directions = _sphere(61)
    values = surface.function(directions)
    points = np.abs(values)[..., None] * directions
    signed = values.min() < -1e-9 * np.abs(values).max()
    limit = float(np.abs(values).max())
    low = -limit if signed else float(values.min())
    high = limit if signed else float(values.max())
    if high - low < 1e-6 * limit:  # a sphere: rounding has no colours
        low, high = 0.99 * high, 1.01 * high
    colours = ScalarMappable(Normalize(low, high), "RdBu_r" if signed else "viridis")
    axes.plot_surface(
        *np.moveaxis(points, -1, 0),
        facecolors=colours.to_rgba(values),
        rstride=1,
        cstride=1,
        linewidth=0,
        antialiased=False,
        shade=True,
        rasterized=True,  # thousands of patches would make an SVG unreadable
    )
    reach = 1.02 * limit
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach))
    axes.set(xlabel="x", ylabel="y", zlabel="z")
    axes.set_box_aspect((1, 1, 1))
    axes.tick_params(labelsize=6, pad=0)
    axes.set_title(_named(surface), fontsize=10)
    figure.colorbar(colours, ax=axes, shrink=0.7, pad=0.14).ax.tick_params(labelsize=7)


def _draw_section(
    axes: Any,  # noqa: ANN401 - imported late
    surface: Surface,
    plane: tuple[str, str, int, int],
) -> None:
    """Draw the section by a coordinate plane."""
    first, second, i, j = plane
    angle = np.linspace(0, 2 * np.pi, 721)
    directions = np.zeros((len(angle), 3))
    directions[:, i], directions[:, j] = np.cos(angle), np.sin(angle)
    values = surface.function(directions)
    reach = 1.1 * float(np.abs(surface.function(_sphere(41))).max())
    values = np.where(np.abs(values) < 1e-9 * reach, 0, values)
    points = np.abs(values)[:, None] * directions[:, [i, j]]
    for sign, colour in ((1, _RED), (-1, _BLUE)):
        part = np.where((sign * values >= 0)[:, None], points, np.nan)
        axes.plot(*part.T, color=colour, linewidth=1.6)
    axes.axhline(0, color=_PALE, linewidth=0.7, zorder=0)
    axes.axvline(0, color=_PALE, linewidth=0.7, zorder=0)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.set_xlabel(first, fontsize=8)
    axes.set_ylabel(second, fontsize=8)
    axes.tick_params(labelsize=7)
    where = f"{first}{second} plane"
    if not values.any():
        where += ": zero"
    elif values.min() < 0:
        where += " (blue: negative)"
    axes.set_title(where, fontsize=9)


def _named(surface: Surface) -> str:
    """Write the title with the unit."""
    return surface.title + (f", {surface.unit}" if surface.unit else "")


def _page(drawn: list[Surface], title: str) -> str:
    """One page with the surfaces, to be chosen from and turned."""
    from plotly import graph_objects as go  # type: ignore[import-untyped]

    figure = go.Figure()
    directions = _sphere(61)
    buttons = []
    for place, surface in enumerate(drawn):
        values = surface.function(directions)
        signed = values.min() < -1e-9 * np.abs(values).max()
        limit = float(np.abs(values).max())
        # Four bytes are enough for a picture, and halve the page.
        points = np.moveaxis(np.abs(values)[..., None] * directions, -1, 0)
        x, y, z = points.astype(np.float32)
        trace = go.Surface(
            x=x,
            y=y,
            z=z,
            surfacecolor=values.astype(np.float32),
            customdata=directions.astype(np.float32),
            cmin=-limit if signed else None,
            cmax=limit if signed else None,
            colorscale="RdBu_r" if signed else "Viridis",
            colorbar={"title": {"text": surface.unit or "value"}},
            hovertemplate="%{surfacecolor:.4g} " + surface.unit + "<br>along "
            "(%{customdata[0]:.3f} %{customdata[1]:.3f} %{customdata[2]:.3f})"
            "<extra></extra>",
            visible=place == 0,
        )
        figure.add_trace(trace)
        shown = [other == place for other in range(len(drawn))]
        text = f"{_named(surface)} of {title}"
        buttons.append(
            {
                "label": surface.title,
                "method": "update",
                "args": [{"visible": shown}, {"title.text": text}],
            }
        )
    menus = [{"buttons": buttons, "x": 0.02, "y": 1.0, "xanchor": "left"}]
    figure.update_layout(
        title={"text": f"{_named(drawn[0])} of {title}"},
        scene={
            "aspectmode": "data",
            "camera": {"eye": {"x": 1.5, "y": 1.5, "z": 0.9}},
        },
        updatemenus=menus if len(drawn) > 1 else [],
        margin={"l": 0, "r": 0, "b": 0, "t": 60},
        font={"color": _INK},
    )
    page: str = figure.to_html(include_plotlyjs=True, full_html=True)
    return page
