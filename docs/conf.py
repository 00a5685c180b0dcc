"""How Sphinx builds these pages: `make docs`."""

from pathlib import Path
from typing import TYPE_CHECKING

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
exclude_patterns = ["_build", "_generated/README.md"]
nitpicky = False
templates_path: list[str] = []

myst_heading_anchors = 4
suppress_warnings = ["myst.xref_missing"] if False else []

autodoc_member_order = "bysource"
autodoc_typehints = (
    "none"  # the sections of the docstrings say them, with shapes and units
)
autodoc_default_options = {"members": True, "inherited-members": False}
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = False

html_theme = "furo"
html_title = f"crystaltensor {release}"
html_math_renderer = "mathml"
html_show_sphinx = False
html_copy_source = False


def write_math(translator: "HTML5Translator", node: "nodes.Element") -> None:
    """Write a formula as MathML, which browsers show without a script."""
    block = node.tagname == "math_block"
    translator.body.append(tex2mathml(node.astext(), as_block=block))


def leave(translator: "HTML5Translator", node: "nodes.Element") -> None:
    """Do nothing: the formula is complete."""


def visit_math(translator: "HTML5Translator", node: "nodes.Element") -> None:
    """Write a formula and nothing else of its node."""
    from docutils.nodes import SkipNode

    write_math(translator, node)
    raise SkipNode


def write_cards(_: "Sphinx") -> None:
    """Make a page of the card of each model that is there."""
    folder = HERE / "_generated"
    folder.mkdir(exist_ok=True)
    cards = {path.parent.name: path for path in MODELS.glob("*/CARD.md")}
    for old in folder.glob("*.md"):
        if old.stem not in cards:
            old.unlink()
    for name in cards:
        text = f"```{{include}} ../../models/{name}/CARD.md\n```\n"
        page = folder / f"{name}.md"
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def setup(app: "Sphinx") -> None:
    """Register what is above."""
    app.add_html_math_renderer(
        "mathml",
        inline_renderers=(visit_math, leave),
        block_renderers=(visit_math, leave),
    )
    app.connect("builder-inited", write_cards)
