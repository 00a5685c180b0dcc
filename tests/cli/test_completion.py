"""Completion by the Tab key, as click makes it for the three shells."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = "from crystaltensor.cli.main import main; main()"


def ask(instruction: str, **variables: str) -> str:
    """Start the tool as a shell does that wants to complete a line."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "_CRYSTALTENSOR_COMPLETE": instruction, **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def complete(line: str) -> list[str]:
    """Complete the last word of a line, as bash does."""
    words = line.split(" ")
    answer = ask("bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1))
    return answer.splitlines()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_script_of_a_shell_names_the_tool(shell: str) -> None:
    """Those of zsh and fish need no such shell to be made."""
    script = ask(f"{shell}_source")
    assert f"_CRYSTALTENSOR_COMPLETE={shell}_complete" in script


def test_commands_and_options_complete() -> None:
    """From their beginnings."""
    assert complete("crystaltensor sym") == ["plain,symmetrize"]
    assert "plain,--symprec" in complete("crystaltensor predict POSCAR --sy")


def test_names_of_properties_complete() -> None:
    """Of tensors and of scalars; predict knows all of them at once."""
    assert complete("crystaltensor symmetrize --property die") == [
        "plain,dielectric",
        "plain,dielectric-total",
    ]
    assert complete("crystaltensor train --property bulk") == ["plain,bulk-modulus"]
    assert "plain,all" in complete("crystaltensor predict POSCAR --property al")


def test_structures_complete_as_files() -> None:
    """By the shell itself."""
    assert complete("crystaltensor symmetrize docs/exam") == ["file,docs/exam"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes(tmp_path: Path) -> None:
    """With the script that the tool prints, in a real bash."""
    tool = tmp_path / "crystaltensor"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{PROGRAM}" "$@"\n')
    tool.chmod(0o755)
    lines = (
        'eval "$(_CRYSTALTENSOR_COMPLETE=bash_source crystaltensor)"',
        "COMP_WORDS=(crystaltensor feat); COMP_CWORD=1",
        "_crystaltensor_completion crystaltensor",
        'echo "${COMPREPLY[@]}"',
    )
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["featurize"]
