"""Tensors from JSON, text, .npy and calculations: what they say, and what is refused."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crystaltensor.crystals.calculations import read_outcar, read_vasprun
from crystaltensor.crystals.tensor_files import read_tensor, tensor_from_json
from crystaltensor.errors import FormatError

MATRIX = np.arange(18.0).reshape(3, 6) / 7

OUTCAR = """\
 vasp.6.3.0 20Jan22 complex
      direct lattice vectors                 reciprocal lattice vectors
     3.128000000  0.000000000  0.000000000     0.319693095  0.184574894 -0.000000000
    -1.564000000  2.708927462  0.000000000     0.000000000  0.369149788 -0.000000000
     0.000000000  0.000000000  5.017000000     0.000000000  0.000000000  0.199322304

 MACROSCOPIC STATIC DIELECTRIC TENSOR (including local field effects in DFT)
 ------------------------------------------------------
           4.439     0.000    -0.000
           0.000     4.439     0.000
          -0.000     0.000     4.676
 ------------------------------------------------------
 PIEZOELECTRIC TENSOR (including local field effects)  for field in x, y, z        (C/m^2)
        XX          YY          ZZ          XY          YZ          ZX
  --------------------------------------------------------------------------------
   x    -0.00000     0.00000     0.00000    -0.00000     0.00000     0.31000
   y     0.00000     0.00000     0.00000     0.00000     0.31000     0.00000
   z     0.26000     0.26000    -0.43000     0.00000     0.00000     0.00000
  --------------------------------------------------------------------------------
 BORN EFFECTIVE CHARGES (including local field effects) (in |e|, cummulative output)
 ---------------------------------------------------------------------------------
  ion    1
    1     2.53000    -0.00000     0.00000
    2     0.00000     2.53000     0.00000
    3     0.00000     0.00000     2.69000
  ion    2
    1    -2.53000    -0.00000     0.00000
    2     0.00000    -2.53000     0.00000
    3     0.00000     0.00000    -2.69000

 MACROSCOPIC STATIC DIELECTRIC TENSOR IONIC CONTRIBUTION
 ------------------------------------------------------
           4.000     0.000     0.000
           0.000     4.000     0.000
           0.000     0.000     6.000
 ------------------------------------------------------
 PIEZOELECTRIC TENSOR IONIC CONTR  for field in x, y, z        (C/m^2)
        XX          YY          ZZ          XY          YZ          ZX
  --------------------------------------------------------------------------------
   x     0.00000     0.00000     0.00000     0.00000     0.00000    -0.60000
   y     0.00000     0.00000     0.00000     0.00000    -0.60000     0.00000
   z    -0.84000    -0.84000     1.89000     0.00000     0.00000     0.00000
  --------------------------------------------------------------------------------
 SYMMETRIZED ELASTIC MODULI (kBar)
 Direction    XX          YY          ZZ          XY          YZ          ZX
 --------------------------------------------------------------------------------
 XX        4100.0000   1300.0000   1000.0000      0.0000      0.0000      0.0000
 YY        1300.0000   4100.0000   1000.0000      0.0000      0.0000      0.0000
 ZZ        1000.0000   1000.0000   3900.0000      0.0000      0.0000      0.0000
 XY           0.0000      0.0000      0.0000   1400.0000      0.0000      0.0000
 YZ           0.0000      0.0000      0.0000      0.0000   1240.0000      0.0000
 ZX           0.0000      0.0000      0.0000      0.0000      0.0000   1240.0000
 --------------------------------------------------------------------------------
 TOTAL ELASTIC MODULI (kBar)
 Direction    XX          YY          ZZ          XY          YZ          ZX
 --------------------------------------------------------------------------------
 XX        3760.0000   1290.0000    990.0000      0.0000      0.0000      0.0000
 YY        1290.0000   3760.0000    990.0000      0.0000      0.0000      0.0000
 ZZ         990.0000    990.0000   3530.0000      0.0000      0.0000      0.0000
 XY           0.0000      0.0000      0.0000   1235.0000      0.0000      0.0000
 YZ           0.0000      0.0000      0.0000      0.0000   1120.0000      0.0000
 ZX           0.0000      0.0000      0.0000      0.0000      0.0000   1120.0000
 --------------------------------------------------------------------------------
"""

VASPRUN = """\
<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <structure name="finalpos" >
  <crystal>
   <varray name="basis" >
    <v>       3.12800000       0.00000000       0.00000000 </v>
    <v>      -1.56400000       2.70892746       0.00000000 </v>
    <v>       0.00000000       0.00000000       5.01700000 </v>
   </varray>
  </crystal>
 </structure>
 <calculation>
  <varray name="epsilon" >
   <v>      4.43900000       0.00000000       0.00000000 </v>
   <v>      0.00000000       4.43900000       0.00000000 </v>
   <v>      0.00000000       0.00000000       4.67600000 </v>
  </varray>
  <array name="born_charges" >
   <dimension dim="1">ion</dimension>
   <set>
    <v>       2.53000000       0.00000000       0.00000000 </v>
    <v>       0.00000000       2.53000000       0.00000000 </v>
    <v>       0.00000000       0.00000000       2.69000000 </v>
   </set>
   <set>
    <v>      -2.53000000       0.00000000       0.00000000 </v>
    <v>       0.00000000      -2.53000000       0.00000000 </v>
    <v>       0.00000000       0.00000000      -2.69000000 </v>
   </set>
  </array>
  <varray name="epsilon_ion" >
   <v>      4.00000000       0.00000000       0.00000000 </v>
   <v>      0.00000000       4.00000000       0.00000000 </v>
   <v>      0.00000000       0.00000000       6.00000000 </v>
  </varray>
 </calculation>
</modeling>
"""


def write(path: Path, name: str) -> Path:
    """Write the same matrix in a format."""
    target = path / name
    if name.endswith(".npy"):
        np.save(target, MATRIX)
    elif name.endswith(".json"):
        target.write_text(json.dumps(MATRIX.tolist()))
    elif name.endswith(".csv"):
        np.savetxt(target, MATRIX, delimiter=",", fmt="%.17g")
    else:
        np.savetxt(target, MATRIX, header="a comment", fmt="%.17g")
    return target


@pytest.mark.parametrize("name", ["e.npy", "e.json", "e.csv", "e.txt", "e.dat", "e"])
def test_every_format_gives_the_same_numbers(tmp_path: Path, name: str) -> None:
    """Whatever the name says, the content decides."""
    found = read_tensor(write(tmp_path, name))
    np.testing.assert_array_equal(found.values, MATRIX)
    assert found.notation is None
    assert found.source == str(tmp_path / name)


def test_what_this_tool_writes_says_what_it_is(tmp_path: Path) -> None:
    """Notation, frame, property and unit stand in comments."""
    path = tmp_path / "e.txt"
    path.write_text("# notation: mandel\n# frame: ieee\n# property: piezo\n1 2 3\n")
    found = read_tensor(path)
    assert (found.notation, found.frame, found.property_name) == (
        "mandel",
        "ieee",
        "piezo",
    )


@pytest.mark.parametrize(
    ("value", "notation"),
    [
        ({"voigt": MATRIX.tolist()}, "voigt"),
        ({"mandel": MATRIX.tolist()}, "mandel"),
        ({"tensor": MATRIX.tolist(), "voigt": [[0]]}, "full"),
        ({"piezo": MATRIX.tolist()}, None),
        ({"piezo": {"voigt": MATRIX.tolist()}}, "voigt"),
        ({"tensors": {"piezo_e": MATRIX.tolist(), "elastic": [[1]]}}, None),
        ({"input_array": MATRIX.tolist(), "@class": "PiezoTensor"}, "full"),
        ({"@module": "numpy", "@class": "array", "data": MATRIX.tolist()}, None),
    ],
)
def test_objects_hold_tensors_under_many_names(
    value: dict[str, Any], notation: str | None
) -> None:
    """Predictions, rows of data sets, objects of pymatgen and numpy."""
    found = tensor_from_json(value, "x.json", ("piezo", "piezo_e"))
    np.testing.assert_array_equal(found.values, MATRIX)
    assert found.notation == notation


def test_a_prediction_brings_frame_rotation_and_lattice() -> None:
    """What a prediction of this tool says is kept."""
    turn = [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    record = {
        "property": "piezo",
        "tensor": np.zeros((3, 3, 3)).tolist(),
        "unit": "C/m^2",
        "frame": "ieee",
        "rotation": turn,
        "lattice": np.eye(3).tolist(),
    }
    found = tensor_from_json(record, "x.json")
    assert (found.property_name, found.frame, found.unit) == ("piezo", "ieee", "C/m^2")
    np.testing.assert_array_equal(found.rotation, turn)
    np.testing.assert_array_equal(found.lattice, np.eye(3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 2 3\n4 5\n", "its rows have 2, 3 numbers"),
        ("one two\n", "line 1: 'one'… is not a row of numbers"),
        ("# nothing\n", "holds no numbers"),
        ("[[1, 2], [3]]", "rows of one length"),
        ('[["a", "b"]]', "is no array of numbers"),
        (
            "[[1, NaN], [3, 4]]",
            r"1 entries are not finite numbers, the first at \(1, 2\)",
        ),
        ("[1e999]", "not finite"),
        ('{"a": 1}', "its keys are a"),
        ('{"status": "error"}', "this prediction failed"),
        ('{"a": 1}\n{"b": 2}\n', "need --batch"),
        ("[1, 2", "is not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("", "is empty"),
    ],
)
def test_bad_files_are_named_with_the_reason(
    tmp_path: Path, content: str, message: str
) -> None:
    """One line that begins with the path."""
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(FormatError, match=message) as caught:
        read_tensor(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_arrays_of_objects_are_never_unpickled(tmp_path: Path) -> None:
    """A .npy file can hold code."""
    path = tmp_path / "bad.npy"
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(FormatError, match="is no array of numbers"):
        read_tensor(path)
    np.save(path, np.ones((3, 3)) * 1j)
    with pytest.raises(FormatError, match="complex numbers; give the real part"):
        read_tensor(path)


def test_an_outcar_gives_totals_in_the_order_of_vasp() -> None:
    """Electronic and ionic parts are added; kBar become GPa; the lattice comes along."""
    piezo = read_outcar(io.StringIO(OUTCAR), "piezo")
    assert (piezo.notation, piezo.order) == ("voigt", "vasp")
    assert piezo.values[2, 2] == pytest.approx(1.46)
    assert piezo.values[0, 5] == pytest.approx(-0.29)
    elastic = read_outcar(io.StringIO(OUTCAR), "elastic")
    np.testing.assert_allclose(
        np.diag(elastic.values), [376, 376, 353, 123.5, 112, 112]
    )
    assert "kBar are converted to GPa" in elastic.notes
    electronic = read_outcar(io.StringIO(OUTCAR), "dielectric")
    np.testing.assert_allclose(np.diag(electronic.values), [4.439, 4.439, 4.676])
    static = read_outcar(io.StringIO(OUTCAR), "dielectric-total")
    np.testing.assert_allclose(np.diag(static.values), [8.439, 8.439, 10.676])
    born = read_outcar(io.StringIO(OUTCAR), "born-charges")
    assert born.values.shape == (2, 3, 3)
    np.testing.assert_allclose(born.values.sum(axis=0), 0, atol=1e-12)
    assert born.lattice is not None
    np.testing.assert_allclose(born.lattice[1], [-1.564, 2.708927462, 0])


def test_an_outcar_without_ionic_parts_says_so() -> None:
    """Clamped-ion numbers are not what an experiment measures."""
    short = OUTCAR.split(" PIEZOELECTRIC TENSOR IONIC", maxsplit=1)[0]
    found = read_outcar(io.StringIO(short), "piezo")
    assert found.warnings == ("only the clamped-ion part of e is in the file",)
    with pytest.raises(FormatError, match=r"holds no elastic tensor \(there is: born"):
        read_outcar(io.StringIO(short), "elastic")


def test_a_vasprun_gives_dielectric_tensors_and_charges() -> None:
    """It holds no others, and the message says where to look."""
    static = read_vasprun(io.StringIO(VASPRUN), "dielectric-total")
    np.testing.assert_allclose(np.diag(static.values), [8.439, 8.439, 10.676])
    born = read_vasprun(io.StringIO(VASPRUN), "born-charges")
    np.testing.assert_allclose(born.values[1], -born.values[0])
    assert born.lattice is not None
    with pytest.raises(FormatError, match="look in the OUTCAR"):
        read_vasprun(io.StringIO(VASPRUN), "elastic")


def test_pymatgen_reads_the_same_from_an_outcar(tmp_path: Path) -> None:
    """A second reader, for the blocks that it knows."""
    outputs = pytest.importorskip("pymatgen.io.vasp.outputs")
    path = tmp_path / "OUTCAR"
    path.write_text(OUTCAR)
    reader = outputs.Outcar.__new__(outputs.Outcar)
    reader.filename, reader.data = str(path), {}
    reader.read_elastic_tensor()
    ours = read_tensor(path, property_name="elastic")
    np.testing.assert_allclose(
        np.array(reader.data["elastic_tensor"]) / 10, ours.values
    )
    assert ours.order == "vasp"


def test_older_headings_of_an_outcar_are_known() -> None:
    """Before version 5.4 the heading was shorter."""
    older = OUTCAR.replace("TENSOR (including local field effects)  for", "TENSOR  for")
    assert older != OUTCAR
    again = read_outcar(io.StringIO(older), "piezo").values
    np.testing.assert_array_equal(
        again, read_outcar(io.StringIO(OUTCAR), "piezo").values
    )


def test_a_calculation_needs_the_name_of_a_property(tmp_path: Path) -> None:
    """It holds several tensors."""
    path = tmp_path / "OUTCAR"
    path.write_text(OUTCAR)
    with pytest.raises(FormatError, match="say which with --property"):
        read_tensor(path)
    path = tmp_path / "vasprun.xml"
    path.write_text(VASPRUN)
    found = read_tensor(path, property_name="dielectric")
    np.testing.assert_allclose(np.diag(found.values), [4.439, 4.439, 4.676])
