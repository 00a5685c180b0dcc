"""From a table of tensors and a potential to a learned part."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from crystaltensor.cli.main import main
from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.writing import write_crystal
from crystaltensor.data.rows import LabelledCrystal
from crystaltensor.errors import ConfigError, DataError
from crystaltensor.properties import DIELECTRIC_TOTAL, ELASTIC, PIEZO
from crystaltensor.response.archive import load_responses, save_responses
from crystaltensor.response.correction import load_correction
from crystaltensor.response.fitting import FitSettings
from crystaltensor.response.potentials import AsePotential
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.workflows.fit_response import (
    RESPONSES,
    Collected,
    Fitted,
    examples,
    fit_response,
)
from crystaltensor.workflows.response_labels import (
    Subject,
    compute_responses,
    match_responses,
    read_subjects,
)
from tests.response.conftest import EDGE, Springs

PAIRS = ("GaAs", "AlAs", "InAs", "ZnSe", "CdSe", "ZnTe", "CdTe", "GaSb", "InSb", "AlSb")
SPLITS = ("train", "train", "train", "val", "test")
SETTINGS = FitSettings(members=2, hidden=4, epochs=500, learning_rate=0.02, dropout=0.0)
SHARE = 0.4  # of the ionic response: what the labels are


def potential() -> Springs:
    """Springs whose rest lengths fit all crystals here: a calculator by its name."""
    return Springs(1.5)


NAME = f"{__name__}:potential"


def crystal(pair: str) -> Crystal:
    """Zincblende, the primitive cell."""
    half = EDGE / 2
    return Crystal.from_symbols(
        [[0, half, half], [half, 0, half], [half, half, 0]],
        [[0, 0, 0], [0.25, 0.25, 0.25]],
        [pair[:2], pair[2:]],
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crystals whose tensors are a share of what the ions give, the sign left open."""
    subjects = []
    for index, pair in enumerate(PAIRS):
        symmetry = find_symmetry(crystal(pair))
        one = LabelledCrystal(
            name=pair,
            crystal=symmetry.crystal,
            tensor=np.zeros((3, 3, 3)),
            split=SPLITS[index % len(SPLITS)],
            sign_known=False,
            polar=False,
        )
        subjects.append(Subject(one, symmetry, one.tensor))
    springs = AsePotential("springs", potential(), identity="springs")
    responses, dropped = compute_responses(subjects, springs, folder=None, max_atoms=2)
    assert not dropped
    found = examples(match_responses(subjects, responses)[0], PIEZO)
    path = tmp_path_factory.mktemp("fit") / "table.jsonl"
    with path.open("w") as file:
        for index, (subject, example) in enumerate(zip(subjects, found, strict=True)):
            label = SHARE * example.case.parts[0] * (-1) ** index
            file.write(json.dumps(record(subject.row, label)) + "\n")
    return path


def record(row: LabelledCrystal, label: np.ndarray) -> dict[str, object]:
    """Write a row of a table."""
    return {
        "id": row.name,
        "structure": {
            "lattice": row.crystal.cell.tolist(),
            "species": list(row.crystal.symbols),
            "frac_coords": row.crystal.frac.tolist(),
        },
        "tensors": {"piezo_e": label.tolist()},
        "split": row.split,
        "sign_reliable": False,
    }


def test_what_forces_do_not_hold_is_learned_from_a_table(
    table: Path, tmp_path: Path
) -> None:
    """And force constants that were kept give the same model, byte by byte."""
    first = list(
        fit_response(
            str(table), PIEZO, tmp_path / "a", SETTINGS, potential=NAME, cached=False
        )
    )
    collected, fitted = first
    assert isinstance(collected, Collected)
    assert collected.counts == {"train": 6, "val": 2, "test": 2}
    assert isinstance(fitted, Fitted)
    assert len(fitted.record["members"]) == SETTINGS.members
    for member in fitted.record["members"]:
        # One by one: no label here says which sign is right, and they need not agree.
        test = member["metrics"]["test, up to axes"]
        assert test["zero_fnorm"] > 0.05
        assert test["fnorm"] < 0.5 * test["zero_fnorm"]  # 1.5 without the learned part
    list(
        fit_response(
            str(table),
            PIEZO,
            tmp_path / "b",
            SETTINGS,
            responses=tmp_path / "a" / RESPONSES,
        )
    )
    for name in ("weights.safetensors", "record.json", RESPONSES):
        assert (tmp_path / "a" / name).read_bytes() == (
            tmp_path / "b" / name
        ).read_bytes()
    correction = load_correction(tmp_path / "b", "piezo")
    assert correction.arrays["out"].shape[:2] == (2, len(correction.dampings))


def test_large_crystals_and_strange_ones_are_left_out(
    table: Path, tmp_path: Path
) -> None:
    """And what is left must suffice."""
    run = fit_response(
        str(table), PIEZO, tmp_path, SETTINGS, potential=NAME, cached=False, max_atoms=1
    )
    collected = next(run)
    assert isinstance(collected, Collected)
    assert {one.reason for one in collected.dropped} == {
        "2 atoms in its primitive cell are more than 1"
    }
    with pytest.raises(DataError, match="no crystal with force constants in train"):
        next(run)


def test_force_constants_of_other_crystals_are_not_used(
    table: Path, tmp_path: Path
) -> None:
    """A file may be of another table."""
    subjects, _ = read_subjects(table, PIEZO)
    springs = AsePotential("springs", potential(), identity="springs")
    responses, _ = compute_responses(subjects[:2], springs, folder=None, max_atoms=2)
    first, second = responses.crystals.values()
    swapped = {"GaAs": first, "AlAs": first, "nothing": second}
    path = tmp_path / RESPONSES
    save_responses(path, type(responses)("springs", "springs", swapped))
    pairs, dropped = match_responses(subjects[:3], load_responses(path))
    assert [subject.row.name for subject, _ in pairs] == ["GaAs"]
    assert [one.reason for one in dropped] == [
        "the stored force constants are of another structure or setting",
        "its force constants are not in the file",
    ]


def test_of_the_static_dielectric_tensor_the_ionic_part_is_the_label(
    tmp_path: Path,
) -> None:
    """Where it is more than noise."""
    gaas = crystal("GaAs")
    rows = []
    for name, total, electronic in (("big", 13.0, 11.0), ("small", 11.5, 11.0)):
        row = LabelledCrystal(
            name, gaas, np.zeros((3, 3)), "train", sign_known=True, polar=False
        )
        tensors = {
            "dielectric_total": (total * np.eye(3)).tolist(),
            "dielectric_electronic": (electronic * np.eye(3)).tolist(),
        }
        rows.append(record(row, np.zeros((3, 3, 3))) | {"tensors": tensors})
    path = tmp_path / "table.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (subject,), (dropped,) = read_subjects(path, DIELECTRIC_TOTAL)
    np.testing.assert_allclose(subject.label, 2.0 * np.eye(3))
    assert dropped.reason == "its ionic part is below 10 % of ε⁰"


def test_other_properties_have_nothing_to_learn(table: Path) -> None:
    """Stiffness follows from forces and stresses alone."""
    with pytest.raises(ConfigError, match=r"nothing is learned .* for elastic"):
        read_subjects(table, ELASTIC)


def test_the_command_says_what_it_found(
    table: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Crystals, figures and the folder, which a prediction can use."""
    arguments = ["fit", str(table), "--property", "piezo", "--out", str(tmp_path / "x")]
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "either --potential or --responses" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        main([*arguments, "--potential", NAME, "--no-cache", "--epochs", "2"])
    told = capsys.readouterr().err
    assert "Crystals: 6 train, 2 val, 2 test" in told
    assert re.search(r"^test, up to axes +2 +\d\.\d{3} +1\.011 ", told, re.MULTILINE)
    write_crystal(crystal("GaAs"), tmp_path / "POSCAR")
    asked = ["predict", str(tmp_path / "POSCAR"), "--potential", NAME, "--json"]
    learned = ["--learned", str(tmp_path / "x")]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(SystemExit, match="0"):
        main([*asked, "--property", "piezo", *learned])
    parts = json.loads(capsys.readouterr().out)["response"]["parts"]
    assert [*parts] == ["ionic", "electronic"]
    with pytest.raises(SystemExit, match="1"):
        main([*asked, "--property", "dielectric-total", *learned])
    assert "fitted to piezo, not to dielectric-total" in capsys.readouterr().err
