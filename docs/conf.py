"""How Sphinx builds these pages: `make docs`."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml

import crystaltensor

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator

HERE = Path(__file__).parent
MODELS = HERE.parent / "models"

project = "crystaltensor"
author = "the crystaltensor developers"
project_copyright = author
version = release = crystaltensor.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
default_role = "py:obj"  # names in single backticks, as numpy writes them

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say the types, with shapes and units
napoleon_google_docstring = False

html_theme = "furo"
html_title = f"crystaltensor {release}"
html_math_renderer = "mathml"
html_show_sphinx = False
html_copy_source = False


def visit_math(translator: "HTML5Translator", node: "nodes.Element") -> None:
    """Write a formula as MathML, which browsers show without a script.

    Raises
    ------
    SkipNode
        Always: the formula is complete.
    """
    formula = node.astext().replace(r"\dots", r"\ldots")
    block = node.tagname == "math_block"
    translator.body.append(tex2mathml(formula, as_block=block))
    raise SkipNode


def number_references(*event: Any) -> None:  # noqa: ANN401 - what Sphinx hands over
    """Write references as text: their numbers start anew in each docstring."""
    lines: list[str] = event[-1]
    plain: list[str] = []
    inside = False
    for line in lines:
        begins = re.match(r"\.\. (\[\d+\]) (.*)", line)
        inside = begins is not None or (inside and line.startswith("   "))
        if begins:
            plain += ["", f"{begins[1]} {begins[2]}"]
        else:
            plain.append(line.strip() if inside else re.sub(r"(\[\d+\])_", r"\1", line))
    lines[:] = plain


def write_cards(_: "Sphinx") -> None:
    """Make a page of the card of each model that is there."""
    folder = HERE / "_generated"
    folder.mkdir(exist_ok=True)
    cards = {
        "-".join(path.parent.relative_to(MODELS).parts): path.relative_to(HERE.parent)
        for path in MODELS.rglob("CARD.md")
    }
    for old in folder.glob("*.md"):
        if old.stem not in cards:
            old.unlink()
    for name, card in cards.items():
        text = f"```{{include}} ../../{card.as_posix()}\n```\n"
        page = folder / f"{name}.md"
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def setup(app: "Sphinx") -> None:
    """Register what is above."""
    app.add_html_math_renderer(
        "mathml",
        inline_renderers=(visit_math, None),
        block_renderers=(visit_math, None),
    )
    app.connect("autodoc-process-docstring", number_references)
    app.connect("builder-inited", write_cards)
