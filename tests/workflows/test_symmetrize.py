"""From a crystal and the numbers of a tensor to a verdict."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.io import ReadCrystal
from crystaltensor.crystals.tensor_files import GivenTensor, read_tensor
from crystaltensor.errors import ConfigError, ShapeError
from crystaltensor.symmetry.anchored import AnchoredSymmetry
from crystaltensor.symmetry.frames import frame_rotation
from crystaltensor.symmetry.interpretation import as_matrix
from crystaltensor.symmetry.notation import rotate, to_voigt
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.symmetry.projection import project
from crystaltensor.workflows.scan import TOLERANCES, scan
from crystaltensor.workflows.symmetrize import symmetrize
from crystaltensor.workflows.symmetrize_many import of_many_crystals, of_one_crystal
from crystaltensor.workflows.symmetrized import Symmetrized
from crystaltensor.workflows.targets import Options, choose_target
from crystaltensor.workflows.tensor_output import write_tensor

ELASTIC, PIEZO = "ijkl=jikl=ijlk=klij", "ijk=ikj"


def allowed(crystal: Crystal, index_symmetry: str, seed: int = 0) -> np.ndarray:
    """Draw a tensor that a crystal allows."""
    rank = len(index_symmetry.split("=", maxsplit=1)[0])
    given = np.random.default_rng(seed).normal(size=(3,) * rank)
    rotations = find_symmetry(crystal).rotations
    return project(given, rotations, index_symmetry=index_symmetry)


def run(crystal: Crystal, values: Any, name: str, **options: Any) -> Symmetrized:
    """Symmetrize with the source names that messages show."""
    given = GivenTensor(np.asarray(values, dtype=float), "T.json")
    return symmetrize(
        choose_target(name),
        read=ReadCrystal(crystal, "POSCAR"),
        given=given,
        options=Options(**options),
    )


def test_a_symmetric_tensor_stays_and_a_disturbed_one_is_told_apart(
    wurtzite: Crystal,
) -> None:
    """The residual is the share of what was added; the entries are named."""
    tensor = allowed(wurtzite, PIEZO)
    clean = run(wurtzite, tensor, "piezo")
    assert clean.symmetry_residual is not None
    assert clean.symmetry_residual < 1e-14
    assert clean.violations == clean.suspicions == ()
    assert set(clean.components) == {"e15", "e31", "e33"}
    disturbed = tensor.copy()
    disturbed[0, 0, 0] += 0.01
    found = run(wurtzite, disturbed, "piezo")
    assert found.symmetry_residual == pytest.approx(0.01 / np.linalg.norm(disturbed))
    assert [one.name for one in found.violations] == ["e11"]
    assert found.violations[0].rule == "0"
    np.testing.assert_allclose(found.tensor, tensor, atol=1e-14)


@pytest.mark.parametrize("frame", ["ieee", "standard"])
@pytest.mark.parametrize("name", ["piezo", "elastic"])
def test_a_tensor_in_another_frame_is_found_out(
    quartz: Crystal, name: str, frame: str
) -> None:
    """The suggestion removes the residual, and the option it names does too."""
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    moved = Crystal(quartz.cell @ turn.T, quartz.frac, quartz.numbers)
    tensor = allowed(moved, PIEZO if name == "piezo" else ELASTIC)
    other = rotate(tensor, frame_rotation(find_symmetry(moved), frame))
    found = run(moved, other, name)
    assert found.symmetry_residual is not None
    assert found.symmetry_residual > 0.05
    assert found.suspicions
    assert found.suspicions[0].residual < 1e-12
    assert any(f"--tensor-frame {frame}" in one.hint for one in found.suspicions)
    right = run(moved, other, name, tensor_frame=frame)
    np.testing.assert_allclose(right.tensor, tensor, atol=1e-13)


def test_the_order_of_vasp_is_found_out(wurtzite: Crystal) -> None:
    """The commonest mistake of all."""
    tensor = allowed(wurtzite, ELASTIC)
    wrong = to_voigt(tensor, 4, order="vasp")
    found = run(wurtzite, wrong, "elastic")
    assert [one.hint for one in found.suspicions] == ["--voigt-order vasp"]
    right = run(wurtzite, wrong, "elastic", order="vasp")
    assert right.symmetry_residual is not None
    assert right.symmetry_residual < 1e-14


def test_exchanged_axes_are_found_out(wurtzite: Crystal) -> None:
    """A tensor whose z is the file's x."""
    cyclic = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
    found = run(wurtzite, rotate(allowed(wurtzite, PIEZO), cyclic), "piezo")
    assert "its axes x, y, z are the file's" in found.suspicions[0].what
    assert found.suspicions[0].residual < 1e-14


def test_noise_raises_no_suspicion(wurtzite: Crystal) -> None:
    """No frame explains numbers that are simply wrong."""
    rng = np.random.default_rng(1)
    noise = allowed(wurtzite, ELASTIC) + 0.1 * as_full(rng)
    found = run(wurtzite, noise, "elastic")
    assert found.symmetry_residual is not None
    assert found.symmetry_residual > 0.01
    assert found.suspicions == ()


def as_full(rng: np.random.Generator) -> np.ndarray:
    """Draw a triclinic stiffness."""
    return project(rng.normal(size=(3,) * 4), np.eye(3)[None], index_symmetry=ELASTIC)


def test_voigt_and_mandel_are_told_apart_where_the_crystal_can(
    wurtzite: Crystal, gallium_arsenide: Crystal
) -> None:
    """C66 = (C11 - C12)/2 decides in hexagonal crystals; nothing does in cubic ones."""
    tensor = allowed(wurtzite, ELASTIC)
    for factors, notation in (("stress", "voigt"), ("mandel", "mandel")):
        found = run(wurtzite, to_voigt(tensor, 4, factors=factors), "elastic")
        assert found.reading is not None
        assert found.reading.notation == notation
        assert any("6 × 6 is read as" in note for note in found.notes)
        np.testing.assert_allclose(found.tensor, tensor, atol=1e-13)
    cubic = to_voigt(allowed(gallium_arsenide, ELASTIC), 4)
    found = run(gallium_arsenide, cubic, "elastic")
    assert any(
        "Voigt or Kelvin-Mandel, and the crystal" in one for one in found.warnings
    )
    said = run(gallium_arsenide, cubic, "elastic", notation="mandel")
    assert not any("or Kelvin-Mandel" in one for one in said.warnings)


def test_a_forbidden_tensor_becomes_exactly_zero(silicon: Crystal) -> None:
    """And the reason is given."""
    found = run(silicon, np.ones((3, 6)), "piezo", notation="voigt")
    assert found.tensor is not None
    assert not found.tensor.any()
    assert found.symmetry_residual == 1
    assert found.forbidden is not None
    assert "m-3m contains inversion" in found.forbidden
    assert found.suspicions == ()


def test_the_frame_of_the_result_carries_its_rotation(quartz: Crystal) -> None:
    """Given and projected are both turned; a file of the result comes back whole."""
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    moved = Crystal(quartz.cell @ turn.T, quartz.frac, quartz.numbers)
    tensor = allowed(moved, PIEZO)
    found = run(moved, tensor, "piezo", frame="ieee", positive=True)
    assert found.rotation is not None
    np.testing.assert_allclose(found.tensor, rotate(tensor, found.rotation), atol=1e-14)
    assert found.tensor is not None
    assert found.tensor[0, 0, 0] > 0  # class 32: d11 > 0 in IEEE axes, here e11
    assert set(found.components) == {"e11", "e14"}
    record = json.loads(json.dumps(found.as_dict()))
    assert record["frame"] == "ieee"
    assert record["form"]["rows"] == record["form"]["ieee_rows"]


@pytest.mark.parametrize("suffix", [".json", ".npy", ".csv", ".txt"])
@pytest.mark.parametrize("notation", ["full", "voigt", "mandel"])
@pytest.mark.parametrize("frame", ["input", "ieee", "standard"])
def test_written_tensors_come_back(
    quartz: Crystal, tmp_path: Path, suffix: str, notation: str, frame: str
) -> None:
    """In every notation, frame and format, to the last bit but rounding."""
    tensor = allowed(quartz, ELASTIC)
    found = run(quartz, tensor, "elastic", frame=frame)
    path = tmp_path / f"C{suffix}"
    write_tensor(found, path, notation=notation)
    again = read_tensor(path, property_name="elastic")
    options = Options()
    if suffix == ".npy":  # holds nothing but numbers
        options = Options(tensor_frame=frame, notation=notation)
    back = symmetrize(
        choose_target("elastic"),
        read=ReadCrystal(quartz, "POSCAR"),
        given=again,
        options=options,
    )
    np.testing.assert_allclose(back.tensor, tensor, atol=1e-13)
    assert back.symmetry_residual is not None
    assert back.symmetry_residual < 1e-13


def test_derived_quantities_use_all_tensors(wurtzite: Crystal) -> None:
    """The moduli d = e·S appear when both are there, and warnings name what cannot be."""
    stiff = np.diag([259.0, 259, 265, 116, 116, 129.5])
    stiff[:2, :2] += 137
    stiff[:2, 2] = stiff[2, :2] = 108
    stiff[2, 2] = 373
    piezo = np.zeros((3, 6))
    piezo[2, :3] = -0.58, -0.58, 1.46
    piezo[0, 4] = piezo[1, 3] = -0.29
    stiff[0, 0] = stiff[1, 1] = 396
    found = symmetrize(
        choose_target("piezo"),
        read=ReadCrystal(wurtzite, "POSCAR"),
        given=GivenTensor(piezo, "e.json", notation="voigt"),
        others={
            "elastic": GivenTensor(stiff, "C.json", notation="voigt"),
            "dielectric": GivenTensor(np.diag([4.4, 4.4, 0.5]), "eps.json"),
        },
    )
    d = np.array(found.derived["d"]["voigt"])
    np.testing.assert_allclose(d, 1000 * piezo @ np.linalg.inv(stiff), atol=1e-11)
    assert found.derived["longitudinal_d"]["unit"] == "pC/N"
    assert found.derived["moduli"]["bulk_hill"] == pytest.approx(207.5, abs=0.1)
    assert any("0.5, less than 1" in one for one in found.warnings)
    assert set(found.tensors) == {"piezo", "elastic", "dielectric", "piezo-strain"}


def test_an_unstable_stiffness_is_flagged(silicon: Crystal) -> None:
    """Its directional extremes would mean nothing."""
    matrix = np.diag([-10.0] * 3 + [50.0] * 3)
    matrix[:3, :3] += 110
    found = run(silicon, matrix, "elastic", notation="voigt")
    assert any(one.startswith("unstable: the smallest") for one in found.warnings)
    assert found.derived["stability"]["stable"] is False
    assert "young" not in found.derived


def test_born_charges_are_projected_atom_by_atom(wurtzite: Crystal) -> None:
    """Equivalent atoms get equal tensors; a broken sum rule is said, not mended."""
    rng = np.random.default_rng(2)
    charges = np.diag([2.5, 2.5, 2.7]) * np.array([1, 1, -1, -1])[:, None, None]
    found = run(wurtzite, charges + 0.01 * rng.normal(size=(4, 3, 3)), "born-charges")
    assert found.tensor is not None
    np.testing.assert_allclose(found.tensor[0], found.tensor[1], atol=1e-14)
    np.testing.assert_array_equal(found.tensor[0, 0, 1:], 0)
    broken = run(wurtzite, charges + 0.1 * np.eye(3), "born-charges")
    assert any("acoustic sum rule" in one for one in broken.warnings)
    with pytest.raises(ShapeError, match=r"T.json: 4 atoms need 4 × 9 = 36 components"):
        run(wurtzite, charges[:2], "born-charges")


def test_another_lattice_beside_the_tensor_is_noticed(wurtzite: Crystal) -> None:
    """A structure whose frame clearly differs from the tensor's."""
    turn = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
    given = GivenTensor(np.eye(3), "eps.json", lattice=wurtzite.cell @ turn)
    read = ReadCrystal(wurtzite, "POSCAR")
    target = choose_target("dielectric")
    found = symmetrize(target, read=read, given=given)
    assert any("in another orientation" in one for one in found.warnings)
    other = symmetrize(target, read=read, given=replace(given, lattice=2 * np.eye(3)))
    assert any("is not that of the structure" in one for one in other.warnings)
    same = symmetrize(target, read=read, given=replace(given, lattice=wurtzite.cell))
    assert same.warnings == ()


def test_a_point_group_needs_no_structure() -> None:
    """Forms and projection in IEEE axes."""
    target = choose_target("piezo")
    form = symmetrize(target, point_group="-43m")
    assert form.form.independent == ("e14",)
    given = GivenTensor(np.ones((3, 3, 3)), "ones.json")
    found = symmetrize(target, point_group="-43m", given=given)
    assert found.components == {"e14": pytest.approx(1)}
    with pytest.raises(ConfigError, match="IEEE axes only"):
        symmetrize(target, point_group="-43m", options=Options(frame="standard"))
    with pytest.raises(ConfigError, match="give a structure or a point group"):
        symmetrize(target)
    born = GivenTensor(np.ones((3, 3)), "Z.json")
    with pytest.raises(ConfigError, match="need a structure"):
        symmetrize(choose_target("born-charges"), point_group="3m", given=born)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "say what the tensor is"),
        (
            {"property_name": "piezo", "parity": "even"},
            "parity of piezo is odd, not even",
        ),
        ({"property_name": "piezo", "rank": 2}, "rank of piezo is 3, not 2"),
        (
            {"property_name": "piezo", "axial": True},
            "axial of piezo is False, not True",
        ),
        ({"property_name": "piezo", "index_symmetry": "ijk"}, "is ijk=ikj"),
        ({"rank": 5}, "rank 1 to 4, not 5"),
        ({"rank": 2, "index_symmetry": "ijk"}, "has rank 3, not 2"),
        (
            {"rank": 2, "axial": True, "parity": "even"},
            "an axial tensor of rank 2 is not",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    """The tensor of the wrong parity among them."""
    with pytest.raises(ConfigError, match=message):
        choose_target(**settings)


def test_parity_and_axial_say_the_same() -> None:
    """An odd tensor of rank two is axial."""
    assert choose_target(rank=2, parity="odd").axial
    assert choose_target(rank=2, axial=True).row.parity == "odd"
    assert not choose_target(rank=3, parity="odd").axial
    assert choose_target(index_symmetry="ijk=ikj").row.rank == 3


def test_a_scan_shows_where_the_group_changes(wurtzite: Crystal) -> None:
    """One atom off by 0.05 Å; the residual appears with the group."""
    frac = wurtzite.frac.copy()
    frac[0, 0] += 0.05 / 3.128
    moved = ReadCrystal(Crystal(wurtzite.cell, frac, wurtzite.numbers), "POSCAR")
    given = GivenTensor(np.random.default_rng(0).normal(size=(3, 6)), "e.json")
    rows = scan(choose_target("piezo"), moved, given)
    assert [row.symprec for row in rows] == list(TOLERANCES)
    assert rows[0].number < 186 == rows[-1].number
    assert rows[0].n_independent > rows[-1].n_independent == 3
    first, last = rows[0].symmetry_residual, rows[-1].symmetry_residual
    assert first is not None
    assert last is not None
    assert first < last


def lines(tmp_path: Path, records: list[Any]) -> str:
    """Write JSON lines."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def as_record(crystal: Crystal) -> dict[str, Any]:
    """Write a crystal as a row of a data set holds it."""
    return {
        "lattice": crystal.cell.tolist(),
        "species": crystal.symbols,
        "frac_coords": crystal.frac.tolist(),
    }


def test_many_crystals_are_treated_line_by_line(
    tmp_path: Path, wurtzite: Crystal, quartz: Crystal, gallium_arsenide: Crystal
) -> None:
    """Each as it would be alone; a bad line stops nothing."""
    crystals = [wurtzite, quartz, gallium_arsenide]
    rng = np.random.default_rng(4)
    given = [rng.normal(size=(3, 3, 3)) for _ in crystals]
    records: list[Any] = [
        {"id": f"n{place}", "structure": as_record(crystal), "tensor": tensor.tolist()}
        for place, (crystal, tensor) in enumerate(zip(crystals, given, strict=True))
    ]
    records += [{"id": "bad", "tensor": [1]}, 7, {**records[0], "tensor": [[1.0]]}]
    source = lines(tmp_path, records)
    found = list(of_many_crystals(source, choose_target("piezo"), options=Options()))
    assert [one["status"] for one in found] == ["ok"] * 3 + ["error"] * 3
    assert [one.get("id") for one in found] == ["n0", "n1", "n2", "bad", None, "n0"]
    for one, crystal, tensor in zip(found, crystals, given, strict=False):
        alone = run(crystal, tensor, "piezo")
        np.testing.assert_allclose(one["tensor"], alone.tensor, atol=1e-13)
        assert one["space_group"]["number"] == find_symmetry(crystal).number
    assert found[3]["error"]["message"] == 'there is no "structure" beside the tensor'
    assert found[5]["error"]["type"] == "ShapeError"


def test_each_line_may_name_its_property(tmp_path: Path, wurtzite: Crystal) -> None:
    """As the predictions of this tool do."""
    record = {
        "structure": as_record(wurtzite),
        "property": "dielectric",
        "tensor": np.eye(3).tolist(),
    }
    source = lines(tmp_path, [record, {**record, "property": None}])
    first, second = of_many_crystals(source, None, options=Options())
    assert first["components"] == pytest.approx({"ε11": 1.0, "ε33": 1.0})
    assert "say what the tensors are" in second["error"]["message"]


def test_many_tensors_of_one_crystal_are_projected_together(
    tmp_path: Path, quartz: Crystal
) -> None:
    """As each would be alone, from full or Voigt components."""
    path = tmp_path / "POSCAR"
    from crystaltensor.crystals.writing import poscar_text

    path.write_text(poscar_text(quartz))
    target = choose_target("elastic")
    rng = np.random.default_rng(8)
    tensors = np.stack([as_full(rng) for _ in range(5)])
    matrices = as_matrix(tensors, ELASTIC)
    for values in (tensors, matrices):
        for frame in ("input", "ieee"):
            projected, residuals = of_one_crystal(
                target,
                str(path),
                GivenTensor(values, "C.npy"),
                options=Options(frame=frame),
            )
            alone = run(quartz, tensors[3], "elastic", frame=frame)
            np.testing.assert_allclose(projected[3], alone.tensor, atol=1e-12)
            assert residuals[3] == pytest.approx(alone.symmetry_residual)
    with pytest.raises(ShapeError, match=r"C.npy: an array of many tensors has shape"):
        of_one_crystal(
            target, str(path), GivenTensor(np.ones((5, 4)), "C.npy"), options=Options()
        )


def test_the_quick_way_is_not_taken_for_other_frames(wurtzite: Crystal) -> None:
    """Frames need the standardised cell."""
    read = ReadCrystal(Crystal(np.eye(3) * 4, [[0, 0, 0], [0.5] * 3], [55, 17]), "x")
    target = choose_target("elastic")
    quick = symmetrize(target, read=read, options=Options(quick=True))
    assert isinstance(quick.symmetry, AnchoredSymmetry)
    whole = symmetrize(target, read=read, options=Options(quick=True, frame="ieee"))
    assert not isinstance(whole.symmetry, AnchoredSymmetry)
    assert whole.form.rows() == quick.form.rows()
    assert frame_rotation(quick.symmetry, "ieee").shape == (3, 3)
