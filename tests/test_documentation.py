"""The README and the pages do what they say: blocks run, output is real, links lead on."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import pytest

import crystaltensor

ROOT = Path(__file__).parents[1]


def load_checks() -> ModuleType:
    """Import the script that runs pages."""
    path = ROOT / "docs" / "checks.py"
    sys.path.insert(0, str(path.parent))  # it imports the script beside it
    spec = importlib.util.spec_from_file_location("checks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["checks"] = module
    spec.loader.exec_module(module)
    return module


CHECKS = load_checks()
PAGES = CHECKS.pages()
MARKDOWN = [
    *PAGES,
    ROOT / "CHANGELOG.md",
    ROOT / ".github" / "CONTRIBUTING.md",
    *sorted((ROOT / "models").rglob("CARD.md")),
]


def name_of(page: Path) -> str:
    """Name a page in the list of tests."""
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def server() -> Iterator[Path]:
    """One warm process for all pages."""
    with CHECKS.warm_server() as path:
        yield path


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if CHECKS.blocks(p)], ids=name_of)
def test_a_page_runs_and_shows_what_comes_out(page: Path, server: Path) -> None:
    """Every command and every program on it, in order."""
    CHECKS.check(page, server, long=False)


def test_what_is_not_run_is_said_to_be(tmp_path: Path) -> None:
    """And what does not come out as shown is found."""
    page = tmp_path / "page.md"
    page.write_text("```console\n$ echo 1.001 2 s\n1.0 3 s\n```\n")
    (block,) = CHECKS.blocks(page)
    assert CHECKS.commands(block.text) == [("echo 1.001 2 s", "1.0 3 s")]
    assert CHECKS.same("1.0 3 s", "1.001 2 s")
    assert not CHECKS.same("1.0 3 s", "1.003 2 s")
    assert not CHECKS.same("a\nb", "a\nc\nb")
    assert CHECKS.same("a\n…\nb", "a\nc\nb")
    assert not CHECKS.same("a\n…\nb", "a\nc\nb\nd")
    page.write_text("<!-- later: never -->\n```sh\nfalse\n```\n")
    with pytest.raises(CHECKS.PageError, match="unknown comment 'later'"):
        CHECKS.blocks(page)


@pytest.mark.parametrize("page", MARKDOWN, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Within the repository to files and headings; outside at least to addresses."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"(?<!`)\]\(([^)\s]+)\)", text):
        if "://" in target:
            assert urlsplit(target).scheme in {"http", "https"}, target
            assert "." in urlsplit(target).netloc, target
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        if there.suffix == "" and not there.exists():
            there = there.with_suffix(".md")
        if path.startswith("crystaltensor/") and not Path("crystaltensor").is_dir():
            there = Path(crystaltensor.__file__).parents[1] / path  # it is installed
        assert there.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(there), f"{page.name}: {target}"


def anchors(page: Path) -> set[str]:
    """Name the headings of a page as links do."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in headings
    }


def test_every_page_is_in_the_table_of_contents() -> None:
    """So that none is found by chance only."""
    listed = set()
    for page in (ROOT / "docs").rglob("*.md"):
        for tree in re.findall(
            r"```\{toctree\}\n(.*?)```", page.read_text(), re.DOTALL
        ):
            entries = re.findall(r"^(?:.*<)?([\w/]+)>?$", tree, flags=re.MULTILINE)
            listed |= {(page.parent / entry).with_suffix(".md") for entry in entries}
    pages = {page for page in PAGES if page.parent.name != "_generated"}
    assert pages - listed == {ROOT / "README.md", ROOT / "docs" / "index.md"}


def test_every_command_has_a_page() -> None:
    """Of its name."""
    from crystaltensor.cli.main import COMMANDS

    found = {page.stem for page in (ROOT / "docs" / "commands").glob("*.md")}
    assert found == set(COMMANDS)


def test_published_figures_are_those_of_the_table() -> None:
    """The page that compares repeats them from the data of the package."""
    from crystaltensor.data.tables import TABLES

    page = (ROOT / "docs" / "comparison.md").read_text()
    published = json.loads((TABLES / "published.json").read_text())["other_data"]
    for name in ("dielectric", "piezo", "elastic"):
        for one in published[name]["results"]:
            (row,) = [
                line
                for line in page.splitlines()
                if line.startswith(f"| {one['name']} |")
            ]
            within = "/".join(str(share) for share in one["ewt"])
            assert f"{one['fnorm']} · {within}" in row
            assert one["source"] in row


class Loaded(HTMLParser):
    """Collect what a browser loads with a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep sources, and the links of the head."""
        for key, value in attrs:
            loads = key == "src" or (key == "href" and tag == "link")
            if loads and value is not None:
                self.addresses.append(value)


@pytest.mark.slow
def test_the_site_builds_and_needs_no_network(tmp_path: Path) -> None:
    """Without a warning; no page loads anything from elsewhere."""
    pytest.importorskip("furo")
    pytest.importorskip("myst_parser")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q"]
    done = subprocess.run(
        [
            *command,
            "-d",
            str(tmp_path / "cache"),
            str(ROOT / "docs"),
            str(tmp_path / "site"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    site = tmp_path / "site"
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        loaded = Loaded()
        loaded.feed(page.read_text())
        for address in loaded.addresses:
            assert not urlsplit(address).netloc, f"{page.name} loads {address}"
            assert (page.parent / urlsplit(address).path).exists(), address
    for style in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", style.read_text())


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Follow the recipes of ``docs/extend`` in a copy of the package."""
    if not (ROOT / "crystaltensor").is_dir():
        pytest.skip("needs the source of the package")
    folder = tmp_path_factory.mktemp("extended")
    shutil.copytree(ROOT / "crystaltensor", folder / "crystaltensor")
    (folder / "models").symlink_to(ROOT / "models")
    pages = {
        page.stem: page.read_text() for page in (ROOT / "docs/extend").glob("*.md")
    }
    code = {
        name: re.findall(r"```py\n(.*?)```", text, flags=re.DOTALL)
        for name, text in pages.items()
    }
    package = folder / "crystaltensor"

    def insert(name: str, before: str, text: str) -> None:
        path = package / name
        old = path.read_text()
        assert before in old, f"{name} has no {before!r}"
        path.write_text(old.replace(before, text + before, 1))

    row, prefix = code["property"]
    insert("properties.py", "TENSORS = (", row + "\n")
    insert("properties.py", "SCALARS = (", "TENSORS = (*TENSORS, THERMAL_EXPANSION)\n")
    insert("data/columns.py", '    "piezo": "e|', prefix)
    insert(
        "lattice/potentials.py", "def _checked_terms(", code["potential"][0] + "\n\n"
    )
    insert("lattice/potentials.py", '    "morse": ', '    "buckingham": Buckingham,\n')
    insert("lattice/potentials.py", '    "morse:', '    "buckingham:A:RHO:C",\n')
    by_ase, parser, branch = code["file_format"]
    insert("crystals/opening.py", '    "gen": ', by_ase + '    "mine": r".*\\.mine",\n')
    insert("crystals/io.py", '    if chosen == "cif":', branch)
    imports = (
        "from collections.abc import Iterator",
        "from crystaltensor.crystals.crystal import Crystal",
        "from crystaltensor.crystals.parsing import Parsed, three_floats",
        "from crystaltensor.errors import FormatError",
    )
    (package / "crystals/mine.py").write_text("\n".join((*imports, parser)))
    insert(
        "crystals/io.py",
        "from crystaltensor.crystals.opening import",
        "from crystaltensor.crystals.mine import parse_mine\n",
    )
    (folder / "AlN.mine").write_text(
        "AlN\n3.128 0 0\n-1.564 2.709 0\n0 0 5.017\nAl 0.333333 0.666667 0\n"
        "Al 0.666667 0.333333 0.5\nN 0.333333 0.666667 0.3821\n"
        "N 0.666667 0.333333 0.8821\n"
    )
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            "symmetrize --point-group 3m --property thermal-expansion",
            "2 independent components: α11, α33",
        ),
        ("featurize AlN.mine --potential buckingham:1000:0.3:30", "buckingham:1000"),
        ("symmetrize AlN.mine --property alpha", "P6_3mc (186)"),
    ],
)
def test_the_recipes_for_extensions_work(
    arguments: str, expected: str, extended: Path
) -> None:
    """Followed to the letter."""
    done = subprocess.run(
        [sys.executable, "-m", "crystaltensor", *arguments.split()],
        cwd=extended,
        env={**os.environ, "PYTHONPATH": str(extended)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


def test_no_page_names_a_folder_of_one_machine() -> None:
    """Not even in what a command printed there."""
    cards = [*ROOT.glob("models/*/CARD.md"), *ROOT.glob("models/response/*/CARD.md")]
    for page in (ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *cards):
        text = page.read_text(encoding="utf-8")
        found = re.search(r"(?<![\w.~$}])/(?:tmp|home|root|Users)/", text)
        assert found is None, page
