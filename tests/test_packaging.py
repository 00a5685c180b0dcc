"""The wheel: complete, and usable far from the repository."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP_LEVEL = {
    "CHANGELOG.md",
    "CITATION.cff",
    "LICENSE",
    "Makefile",
    "README.md",
    "crystaltensor",
    "docs",
    "models",
    "pyproject.toml",
    "tests",
}


SOURCE = ROOT / "crystaltensor"
"""Not there where the tests run on a wheel that is installed."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and unpack it."""
    if not SOURCE.is_dir():
        pytest.skip("needs the source of the package")
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run(
        [*command, "--quiet", "--wheel-dir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    (wheel,) = folder.glob("crystaltensor-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_models_and_tables_travel_in_the_wheel(installed: Path) -> None:
    """And nothing that belongs to the repository alone."""
    package = installed / "crystaltensor"
    for path in filter(Path.is_file, (ROOT / "models").rglob("*")):
        assert (package / path.relative_to(ROOT)).read_bytes() == path.read_bytes()
    assert (package / "data" / "tables" / "mp_piezo.jsonl.gz").is_file()
    assert (package / "py.typed").is_file()
    assert {path.name.split("-")[0] for path in installed.iterdir()} == {
        "crystaltensor"
    }


def test_predict_works_outside_the_repository(installed: Path, tmp_path: Path) -> None:
    """With the package of the wheel and no other."""
    poscar = tmp_path / "POSCAR"
    poscar.write_bytes((ROOT / "docs" / "examples" / "POSCAR.AlN").read_bytes())
    program = (
        "import crystaltensor\n"
        f"assert crystaltensor.__file__.startswith({str(installed)!r})\n"
        "from crystaltensor.cli.main import main\n"
        "main(['predict', 'POSCAR', '--property', 'piezo', '--json'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["formula"] == "AlN"


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the repository")
def test_the_top_level_is_tidy() -> None:
    """What git tracks there, dot-files apart."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert {name for name in names if not name.startswith(".")} == TOP_LEVEL


def test_the_citation_names_methods_and_data() -> None:
    """In the form that GitHub reads, the version left to the package."""
    from ruamel.yaml import YAML

    cited = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert "version" not in cited
    links = {one.get("url", "") for one in cited["references"]}
    assert "https://arxiv.org/abs/2306.10045" in links
    assert "https://arxiv.org/abs/2406.12888" in links
    assert sum("data of" in one["notes"] for one in cited["references"]) >= 4


def test_the_changelog_knows_this_version() -> None:
    """Or what will become it."""
    from crystaltensor import __version__

    text = (ROOT / "CHANGELOG.md").read_text()
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    released = [line for line in headings if line.startswith(f"[{__version__}] - 20")]
    assert released or headings[0] == "[Unreleased]"


def test_issue_templates_are_forms() -> None:
    """As GitHub reads them."""
    from ruamel.yaml import YAML

    folder = ROOT / ".github" / "ISSUE_TEMPLATE"
    forms = [path for path in folder.glob("*.yml") if path.stem != "config"]
    assert len(forms) >= 2
    for path in forms:
        form = YAML(typ="safe").load(path.read_text())
        assert {"name", "description", "body"} <= set(form)
        assert all({"type", "attributes"} <= set(field) for field in form["body"])
