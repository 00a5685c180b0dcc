"""CIF: the right number of atoms, every digit, and pymatgen's frame."""

import re
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core.lattice import Lattice

from crystaltensor.crystals.cif import parse_cif
from crystaltensor.crystals.cif_syntax import parse_blocks
from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.parsing import Parsed
from crystaltensor.errors import (
    CrystalTensorError,
    ElementError,
    FormatError,
    StructureError,
)

HEXAGONAL = """
data_{name}
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {c}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma {gamma}
{symmetry}
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{sites}
"""
P63MC = """loop_
_space_group_symop_operation_xyz
'x, y, z'
'-y, x-y, z'
'-x+y, -x, z'
'-x, -y, z+1/2'
'y, -x+y, z+1/2'
'x-y, x, z+1/2'
'-y, -x, z'
'-x+y, y, z'
'x, x-y, z'
'y, x, z+1/2'
'x-y, -y, z+1/2'
'-x, -x+y, z+1/2'"""


def wurtzite_cif(digits: int, symmetry: str = P63MC, u: float = 0.3821) -> str:
    """Write AlN with so many decimals, cut off as careless programs do."""
    third, more = f"{1 / 3:.17f}"[: digits + 2], f"{2 / 3:.17f}"[: digits + 2]
    sites = f"Al1 {third} {more} 0\nN1 {third} {more} {u}"
    return HEXAGONAL.format(
        name="AlN", a=3.128, c=5.017, gamma=120, symmetry=symmetry, sites=sites
    )


def parsed(text: str) -> list[Parsed | CrystalTensorError]:
    """Read all data blocks."""
    return list(parse_cif(text))


def only(text: str) -> Parsed:
    """Read one data block, or raise its error."""
    (found,) = parsed(text)
    if isinstance(found, CrystalTensorError):
        raise found
    return found


def distance(first: Crystal, second: Crystal) -> float:
    """Largest distance from an atom to its like in the other crystal, in Å."""
    apart = first.frac[:, None] - second.frac
    apart = np.linalg.norm((apart - np.round(apart)) @ first.cell, axis=-1)
    apart[first.numbers[:, None] != second.numbers] = np.inf
    assert first.n_atoms == second.n_atoms
    assert len(set(apart.argmin(axis=1))) == first.n_atoms
    return float(apart.min(axis=1).max())


@pytest.mark.parametrize("digits", [2, 3, 4, 6, 8, 15])
def test_wurtzite_of_few_digits_has_four_atoms(digits: int, wurtzite: Crystal) -> None:
    """P6_3mc, site 2b: 0.3333 stands for 1/3, and is put there exactly."""
    crystal, warnings = only(wurtzite_cif(digits))
    assert crystal.symbols == ["Al", "Al", "N", "N"]
    np.testing.assert_allclose(crystal.cell, wurtzite.cell, rtol=0, atol=1e-15)
    assert distance(crystal, wurtzite) < 1e-14
    assert bool(warnings) == (digits <= 6)
    if warnings:
        assert "onto the special positions" in warnings[0]


@pytest.mark.parametrize("digits", [3, 4, 8])
def test_quartz_of_few_digits_has_nine_atoms(
    digits: int, quartz: Crystal, examples: Path
) -> None:
    """P3_121: silicon on the twofold axes at z = 1/3, oxygen in general."""
    text = (examples / "quartz.cif").read_text()
    text = text.replace("0.333333333", f"{1 / 3:.{digits}f}")
    crystal, _ = only(text)
    assert crystal.symbols == ["Si"] * 3 + ["O"] * 6
    assert distance(crystal, quartz) < 1e-7


def test_diamond_needs_all_192_operations() -> None:
    """Fd-3m, origin 2: eight atoms from one site; the operations come by name."""
    text = HEXAGONAL.format(
        name="C", a=3.567, c=3.567, gamma=90, symmetry="", sites="C1 0.125 0.125 0.125"
    )
    named = text.replace("loop_", "_space_group_name_H-M_alt 'F d -3 m :2'\nloop_")
    crystal, warnings = only(named)
    assert crystal.n_atoms == 8
    assert warnings == (
        "no symmetry operations are listed: those of 'F d -3 m :2' are used",
    )
    apart = crystal.frac - crystal.frac[0]
    apart = np.linalg.norm((apart - np.round(apart)) @ crystal.cell, axis=1)
    bond = 3.567 * np.sqrt(3) / 4
    assert np.isclose(sorted(apart)[1:5], bond, rtol=1e-12).all()
    with pytest.raises(FormatError, match="'F d -3 m' has several settings or origins"):
        only(named.replace(" :2", ""))


def test_digits_of_a_general_position_stay_as_written(quartz: Crystal) -> None:
    """No rounding: 0.33334 near 1/3 is what it is, without symmetry."""
    crystal, warnings = only(wurtzite_cif(4, "_space_group_IT_number 1", 0.33334))
    assert crystal.n_atoms == 2
    assert crystal.frac.tolist() == [[0.3333, 0.6666, 0], [0.3333, 0.6666, 0.33334]]
    assert warnings == ()
    del quartz


@pytest.mark.parametrize(
    "angles", [(90, 90, 90), (90, 90, 120), (60, 60, 60), (81.3, 97.1, 103.9)]
)
def test_the_frame_is_that_of_pymatgen(angles: tuple[float, float, float]) -> None:
    """CIF has no orientation: c along z, a in the xz plane."""
    text = wurtzite_cif(9, "")
    for name, angle, old in zip(
        ("alpha", "beta", "gamma"), angles, (90, 90, 120), strict=True
    ):
        text = text.replace(f"angle_{name} {old}", f"angle_{name} {angle}")
    text = text.replace("length_b 3.128", "length_b 4.2")
    crystal, warnings = only(text)
    expected = Lattice.from_parameters(3.128, 4.2, 5.017, *angles).matrix
    np.testing.assert_allclose(crystal.cell, expected, rtol=0, atol=1e-14)
    assert warnings == ("no symmetry is given: taken for P 1",)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("3.128\n", "3.128(2)\n"),
        ("data_AlN", "# a comment\ndata_AlN\n_publ_title 'it's AlN'"),
        ("data_AlN", "data_AlN\n_publ_text\n;\nloop_ _atom_site_label\n;\n"),
        ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz"),
        ("_space_group_symop_operation_xyz", "_space_group_symop.operation_xyz"),
        ("_cell_length_a", "_CELL_LENGTH_A"),
        ("'x, y, z'\n", ""),
        ("'-x, -y, z+1/2'", '"-X,-Y,1/2+Z"'),
        ("'-x, -y, z+1/2'", "-x,-y,0.5+z"),
    ],
)
def test_dialects_give_the_same_crystal(old: str, new: str) -> None:
    """Uncertainties, comments, quotes, old and new tags, upper case."""
    text = wurtzite_cif(9)
    assert old in text
    crystal = only(text.replace(old, new)).crystal
    assert distance(crystal, only(text).crystal) < 1e-12


def test_several_blocks_are_several_crystals() -> None:
    """A bad block does not stop the next; one without atoms is left out."""
    good = wurtzite_cif(9)
    bad = good.replace("data_AlN", "data_bad").replace("N1 ", "D1 ")
    found = parsed(good + "data_empty\n_cell_length_a 3\n" + bad + good)
    assert [isinstance(one, Parsed) for one in found] == [True, False, True]
    assert str(found[1]).startswith("data block 'bad': line ")


@pytest.mark.parametrize(
    ("kind", "symbol"),
    [
        ("Al3+", "Al"),
        ("AL", "Al"),
        ("O2-", "O"),
        ("Fe+3", "Fe"),
        ("SI", "Si"),
        ("Si0+", "Si"),
    ],
)
def test_types_of_atoms_are_elements(kind: str, symbol: str) -> None:
    """Charges and capitals do not hide an element."""
    text = wurtzite_cif(9).replace("_atom_site_label", "_atom_site_type_symbol")
    assert only(text.replace("N1 ", f"{kind} ")).crystal.symbols[2] == symbol


@pytest.mark.parametrize(
    ("label", "symbol"), [("Nb2", "Nb"), ("OW1", "O"), ("N1A", "N"), ("AL1", "Al")]
)
def test_labels_of_atoms_are_elements(label: str, symbol: str) -> None:
    """Without a type, the label names the element where it is not ambiguous."""
    text = wurtzite_cif(9).replace("N1 ", f"{label} ")
    assert only(text).crystal.symbols[2] == symbol


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("HO1", "label 'HO1' may be H or Ho; add a column _atom_site_type_symbol"),
        ("SI1", "may be S or Si"),
        ("D1", "isotope"),
        ("Zz1", "'Zz' is not a chemical element"),
        ("1", "'1' is not an element"),
    ],
)
def test_labels_that_name_no_element_are_refused(label: str, message: str) -> None:
    """HO1 is hydrogen more often than holmium: no guess."""
    with pytest.raises(ElementError, match=message):
        only(wurtzite_cif(9).replace("N1 ", f"{label} "))


def with_column(tag: str, first: str, second: str) -> str:
    """Add a column to the sites."""
    text = wurtzite_cif(9).replace("fract_z\n", f"fract_z\n{tag}\n")
    return re.sub(r"(Al1 .*)\n(N1 .*)", rf"\1 {first}\n\2 {second}", text)


def test_disorder_names_the_site() -> None:
    """Half an atom has no place in a graph of atoms."""
    with pytest.raises(
        StructureError, match=r"site 'N1' is occupied to 0\.5"
    ) as caught:
        only(with_column("_atom_site_occupancy", "1.0(1)", "0.5"))
    assert "choose an ordered model" in str(caught.value)
    assert only(with_column("_atom_site_occupancy", "?", "1.")).crystal.n_atoms == 4
    with pytest.raises(StructureError, match="occupied to nan"):
        only(with_column("_atom_site_occupancy", "1", "nan"))


def test_dummies_are_left_out_and_other_remarks_are_warnings() -> None:
    """CIF marks points that are no atoms; hydrogens without a place are missed."""
    assert only(with_column("_atom_site_calc_flag", "d", "dum")).crystal.n_atoms == 2
    with pytest.raises(StructureError, match="no atom in the cell"):
        only(with_column("_atom_site_calc_flag", "dum", "dum"))
    found = only(with_column("_atom_site_attached_hydrogens", "0", "2"))
    assert found.warnings == ("hydrogen atoms are implied that have no coordinates",)


def test_magnetic_operations_are_used_without_their_time_reversal() -> None:
    """MagCIF multiplies operations by centring translations."""
    magnetic = """loop_
_space_group_symop_magn_operation.xyz
x,y,z,+1
-x,-y,z+1/2,-1
loop_
_space_group_symop_magn_centering.xyz
x,y,z,+1
x+1/2,y+1/2,z,-1
_atom_site_moment.label Al1"""
    crystal, warnings = only(wurtzite_cif(9, magnetic))
    assert crystal.n_atoms == 8
    assert warnings == ("magnetic moments are ignored",)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("_cell_length_a 3.128\n", "", "no _cell_length_a: the cell is not complete"),
        ("gamma 120", "gamma ?", "no _cell_angle_gamma"),
        ("gamma 120", "gamma 180", "angles between 0 and 180"),
        ("gamma 120", "gamma nan", "angles between 0 and 180"),
        ("length_c 5.017", "length_c -5", "lengths must be positive"),
        ("length_c 5.017", "length_c five", "'five' is not a number"),
        ("alpha 90", "alpha 20", "no volume"),
        ("fract_z\n", "fract_w\n", "every atom needs _atom_site_fract_x, _y and _z"),
        ("0.3821", "?", "line 29: site 'N1' has a coordinate '.'; complete it"),
        ("length_c 5.017", "length_c 1e400", "lengths must be positive"),
        ("0.3821", "", "loop over '_atom_site_label' has 4 columns, but 7 values"),
        ("0.3821", "nan", "line 29: site 'N1' has a coordinate 'nan'"),
        ("0.3821", "0.000", "at the same place"),
        ("'x, y, z'", "'x, y'", "'x,y' is not a symmetry operation"),
        ("'x, y, z'", "'x, y, w'", "'x,y,w' is not a symmetry operation"),
        ("'x, y, z'", "'x, y, x'", "'x,y,x' is not a symmetry operation"),
        ("'x, y, z'", "'x, y, z/0'", "is not a symmetry operation"),
        ("'x, y, z'", "'x, y, 1/0+z'", "is not a symmetry operation"),
        ("'x, y, z'", "'x, y, z 1/2'", "is not a symmetry operation"),
        ("_atom_site_label", "_atom_site_id", "no atoms: there is no loop"),
    ],
)
def test_errors_say_where_what_and_the_way_out(
    old: str, new: str, message: str
) -> None:
    """Each is one line."""
    text = wurtzite_cif(9)
    assert old in text
    with pytest.raises(CrystalTensorError, match=message) as caught:
        only(text.replace(old, new, 1))
    assert "\n" not in str(caught.value)


def test_unknown_space_groups_are_refused() -> None:
    """To fall back on P1 would lose most atoms in silence."""
    with pytest.raises(FormatError, match="space group 'Q 1' is not known"):
        only(wurtzite_cif(9, "_space_group_name_H-M_alt 'Q 1'"))
    with pytest.raises(FormatError, match="do not fit space group '225'"):
        only(wurtzite_cif(9, "_space_group_IT_number 225"))


def test_operations_that_do_not_fit_the_cell_are_reported() -> None:
    """A threefold axis does not fit a right angle."""
    text = wurtzite_cif(9).replace("gamma 120", "gamma 90")
    assert "do not keep the cell's lengths" in only(text).warnings[0]


def test_a_site_neither_on_nor_off_a_special_position_is_refused() -> None:
    """Three images 0.15 Å apart, and three more a little beyond the tolerance."""
    text = wurtzite_cif(9).replace("N1 0.333333333 0.666666666", "N1 0.325 0.700")
    with pytest.raises(StructureError, match="'N1' is so near a special position"):
        only(text)


def test_text_that_is_no_cif_is_refused() -> None:
    """There must be a data block first."""
    with pytest.raises(FormatError, match="line 2: expected data_"):
        parse_blocks("\nhello world")
    with pytest.raises(FormatError, match="no data block"):
        parse_blocks("# only a comment")
