"""Whether predictions follow the crystal, however it is written down."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.errors import CrystalTensorError, DataError
from crystaltensor.symmetry.notation import rotate
from crystaltensor.workflows.benchmark.crystals import made_crystals
from crystaltensor.workflows.benchmark.report import Figure, Report, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from crystaltensor.inference.predictor import Predictor
    from crystaltensor.workflows.benchmark.report import Cell

    Floats = NDArray[np.float64]

N_CRYSTALS = 240
N_SHORT = 24
LARGEST = 24
"""Atoms of the largest crystals of the tables that are taken."""

SMALL_STEP, LARGE_STEP = 1e-6, 1e-3
"""How far atoms are moved, in Å: by rounding, and by what a relaxation leaves."""

FLOOR = 2e-5
"""Violations below this are those of 32-bit numbers."""

Moved = tuple[Crystal, "Floats"]


def _rotated(crystal: Crystal, rng: np.random.Generator) -> Moved:
    """Turn the crystal in space."""
    turn, triangle = np.linalg.qr(rng.normal(size=(3, 3)))
    turn *= np.sign(np.diag(triangle))
    turn *= np.sign(np.linalg.det(turn))
    return Crystal(crystal.cell @ turn.T, crystal.frac, crystal.numbers), turn


def _inverted(crystal: Crystal, rng: np.random.Generator) -> Moved:  # noqa: ARG001 - one form for all
    """Invert the crystal through the origin."""
    return Crystal(-crystal.cell, crystal.frac, crystal.numbers), -np.eye(3)


def _supercell(crystal: Crystal, rng: np.random.Generator) -> Moved:
    """Take two cells for one, along a lattice vector by chance."""
    matrix = np.eye(3)
    axis = int(rng.integers(3))
    matrix[axis, axis] = 2
    shifts = np.array([0 * matrix[axis], matrix[axis] / 2])
    frac = np.concatenate([crystal.frac + shift for shift in shifts])
    frac = frac @ np.linalg.inv(matrix)
    return Crystal(matrix @ crystal.cell, frac, np.tile(crystal.numbers, 2)), np.eye(3)


def _rebased(crystal: Crystal, rng: np.random.Generator) -> Moved:
    """Describe the lattice by other vectors, of the other handedness too."""
    matrix = np.eye(3)
    for _ in range(3):
        one, other = rng.permutation(3)[:2]
        matrix[one] += rng.choice([-1, 1]) * matrix[other]
    if rng.random() < 0.5:
        matrix = matrix[[1, 0, 2]]
    frac = crystal.frac @ np.linalg.inv(matrix)
    return Crystal(matrix @ crystal.cell, frac, crystal.numbers), np.eye(3)


def _shifted(crystal: Crystal, rng: np.random.Generator) -> Moved:
    """Put the origin elsewhere."""
    frac = crystal.frac + rng.random(3)
    return Crystal(crystal.cell, frac, crystal.numbers), np.eye(3)


def _reordered(crystal: Crystal, rng: np.random.Generator) -> Moved:
    """List the atoms in another order, some of them in other cells."""
    order = rng.permutation(crystal.n_atoms)
    frac = crystal.frac[order] + rng.integers(-1, 2, size=(crystal.n_atoms, 3))
    return Crystal(crystal.cell, frac, crystal.numbers[order]), np.eye(3)


def _moved(crystal: Crystal, rng: np.random.Generator, step: float) -> Moved:
    """Move every atom by a distance, in a direction by chance."""
    steps = rng.normal(size=(crystal.n_atoms, 3))
    steps *= step / np.linalg.norm(steps, axis=1, keepdims=True)
    frac = crystal.frac + steps @ np.linalg.inv(crystal.cell)
    return Crystal(crystal.cell, frac, crystal.numbers), np.eye(3)


TRANSFORMATIONS: "dict[str, Callable[[Crystal, np.random.Generator], Moved]]" = {
    "rotation": _rotated,
    "inversion": _inverted,
    "supercell": _supercell,
    "basis": _rebased,
    "origin": _shifted,
    "order of atoms": _reordered,
    "atoms moved 1e-6 Å": lambda crystal, rng: _moved(crystal, rng, SMALL_STEP),
    "atoms moved 1e-3 Å": lambda crystal, rng: _moved(crystal, rng, LARGE_STEP),
}
"""Name to what returns another description of the crystal, and how it is turned."""

CONTINUOUS = ("atoms moved 1e-6 Å", "atoms moved 1e-3 Å")
"""Those that change the crystal, so that the tensor may follow."""


@dataclass
class _Tally:
    """What one transformation does to the predictions of one model."""

    violations: list[float] = field(default_factory=list)
    other_class: int = 0
    worst: tuple[float, str] = (0.0, "")

    def add(self, violation: float, name: str, *, same_class: bool) -> None:
        """Count one crystal."""
        self.violations.append(violation)
        self.other_class += not same_class
        self.worst = max(self.worst, (violation, name))


@dataclass
class _Result:
    """One model on all crystals."""

    tallies: dict[str, _Tally]
    residuals: list[float] = field(default_factory=list)
    raw_residuals: list[float] = field(default_factory=list)
    centrosymmetric: int = 0
    nonzero: int = 0
    nonzero_moved: int = 0
    failures: list[str] = field(default_factory=list)


def benchmark_symmetry(
    properties: "Sequence[str]" = (),
    *,
    model: str | None = None,
    n_crystals: int | None = None,
    symprec: float = 0.01,
    device: str = "auto",
    short: bool = False,
) -> Report:
    """Write crystals down in other ways, and see whether the predictions follow.

    Parameters
    ----------
    properties : sequence of str
        Names or aliases of tensors; all that are installed if left out.
    model : str, optional
        Folder of a model, or the name of one that comes along, in place of the property.
    n_crystals : int, optional
        How many crystals; 240, or 24 if `short`.
    symprec : float
        Largest distance between equivalent atoms, in Å.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    short : bool
        Whether to take fewer crystals.

    Returns
    -------
    Report
        The worst violation of each transformation.

    Raises
    ------
    ConfigError
        If a property is unknown.
    ModelError
        If there is no such model.
    DataError
        If no crystal can be predicted.
    """
    from crystaltensor.inference.predictor import load

    names = [model] if model else _names(properties)
    count = n_crystals or (N_SHORT if short else N_CRYSTALS)
    crystals = choose_crystals(count)
    tables: list[Table] = []
    figures: list[Figure] = []
    facts: dict[str, Any] = {}
    for name in names:
        predictor = load(name, device=device)
        facts[predictor.model.row.name] = predictor.model.identity()
        found = _examine(predictor, crystals, symprec)
        tables.append(_table(predictor, found, len(crystals)))
        figures += _figures(predictor.model.row.name, found)
    settings = {
        "properties": sorted(facts),
        "n_crystals": count,
        "symprec": symprec,
        "short": short,
    }
    return Report("symmetry", settings, tuple(tables), tuple(figures), facts=facts)


def _names(properties: "Sequence[str]") -> list[str]:
    """Settle which models are examined: tensors only, for a scalar has no direction."""
    from crystaltensor.inference.models import installed_models
    from crystaltensor.properties import TENSORS, tensor_property

    if properties:
        return list(dict.fromkeys(tensor_property(name).name for name in properties))
    installed = installed_models()
    return [row.name for row in TENSORS if row.name in installed]


def choose_crystals(count: int) -> list[tuple[str, Crystal]]:
    """Choose made crystals and real ones, the same every time.

    Parameters
    ----------
    count : int
        How many.

    Returns
    -------
    list of tuple
        Name and crystal: a quarter made, the rest from the tables of the package.
    """
    made = _spread(made_crystals(), max(1, count // 4))
    real = _spread(_table_crystals(), count - len(made))
    return [*made, *real]


def _spread(many: list[tuple[str, Crystal]], count: int) -> list[tuple[str, Crystal]]:
    """Take some, evenly."""
    places = np.linspace(0, len(many) - 1, min(count, len(many))).round().astype(int)
    return [many[place] for place in places]


def _table_crystals() -> list[tuple[str, Crystal]]:
    """Read the smaller test crystals of the tables that travel with the package."""
    from crystaltensor.data.datasets import TABLES, read_table
    from crystaltensor.properties import DIELECTRIC, ELASTIC, PIEZO

    found = []
    for name, row in (
        ("mp_dielectric_test", DIELECTRIC),
        ("mp_piezo", PIEZO),
        ("mp_elastic_test", ELASTIC),
    ):
        rows, _ = read_table(TABLES / f"{name}.jsonl.gz", row)
        found += [
            (f"{each.name} {each.crystal.formula}", each.crystal)
            for each in rows
            if each.split == "test" and each.crystal.n_atoms <= LARGEST
        ]
    return found


def _examine(
    predictor: "Predictor", crystals: list[tuple[str, Crystal]], symprec: float
) -> _Result:
    """Transform all crystals, and sum up what happens to their tensors."""
    result = _Result({name: _Tally() for name in TRANSFORMATIONS})
    done = 0
    for seed, (name, crystal) in enumerate(crystals):
        try:
            _examine_one(predictor, name, crystal, symprec, seed, result)
            done += 1
        except CrystalTensorError as error:
            result.failures.append(f"{name}: {error}")
    if not done:
        raise DataError(f"no crystal can be predicted ({result.failures[0]})")
    return result


def _examine_one(
    predictor: "Predictor",
    name: str,
    crystal: Crystal,
    symprec: float,
    seed: int,
    result: _Result,
) -> None:
    """Transform one crystal in every way; one pass of the network for all of them."""
    from crystaltensor.symmetry.operations import find_symmetry

    row = predictor.model.row
    predictor.needs.refuse_unfit(crystal)
    rng = np.random.default_rng(seed)
    written = {"": (crystal, np.eye(3))}
    written |= {key: change(crystal, rng) for key, change in TRANSFORMATIONS.items()}
    if row.per_atom:
        for key in ("supercell", "order of atoms"):  # other atoms, so another tensor
            del written[key]
    symmetries = {
        key: find_symmetry(each, symprec=symprec) for key, (each, _) in written.items()
    }
    inputs = [predictor.needs.describe(each) for each in symmetries.values()]
    found = dict(zip(written, predictor.predict_described(inputs), strict=True))
    own, group = found.pop(""), symmetries.pop("")
    size = float(np.linalg.norm(own.tensor))
    scale = max(size, _smallest(predictor))
    for key, each in found.items():
        expected = rotate(own.tensor, written[key][1], rank=row.rank)
        violation = float(np.linalg.norm(each.tensor - expected)) / scale
        same = symmetries[key].point_group == group.point_group
        result.tallies[key].add(violation, name, same_class=same)
    result.raw_residuals.append(own.symmetry_residual or 0.0)
    if row.parity == "odd" and _has_inversion(group.rotations):
        result.centrosymmetric += 1
        result.nonzero += bool(own.tensor.any())
        result.nonzero_moved += bool(found["atoms moved 1e-3 Å"].tensor.any())


def _smallest(predictor: "Predictor") -> float:
    """Give the size below which a tensor counts as one of that size: 1 % of typical."""
    test = predictor.model.metrics.get("test", {})
    return 0.01 * float(test.get("zero_fnorm", 1.0))


def _has_inversion(rotations: "Floats") -> bool:
    """Whether a point group holds the inversion."""
    return bool((np.trace(rotations, axis1=1, axis2=2) < -2.5).any())


def _table(predictor: "Predictor", found: _Result, count: int) -> Table:
    """Show what happened."""
    row = predictor.model.row
    rows: list[tuple[Cell, ...]] = []
    for key, tally in found.tallies.items():
        if not tally.violations:
            continue
        rows.append(
            (
                key,
                len(tally.violations),
                float(np.median(tally.violations)),
                tally.worst[0],
                tally.worst[1],
                tally.other_class,
            )
        )
    first = (
        f"{count} crystals. A change is ‖T′ − RT‖/‖T‖; that of a tensor below 1 % of the "
        "usual size is relative to that 1 %."
    )
    notes = [first]
    if not row.per_atom:
        notes.append(
            "Before the projection, at most the part "
            f"{max(found.raw_residuals):.2g} of the network's output is forbidden."
        )
    if row.parity == "odd":
        notes.append(
            f"Of {found.centrosymmetric} centrosymmetric crystals {found.nonzero} have a "
            f"tensor that is not exactly zero, and {found.nonzero_moved} after their "
            "atoms were moved by 1e-3 Å."
        )
    notes += [f"Left out: {failure}" for failure in found.failures]
    columns = ("", "n", "median change", "worst change", "of", "other class")
    return Table(
        f"{row.name}: the same crystal, written otherwise",
        columns,
        tuple(rows),
        tuple(notes),
    )


def _figures(name: str, found: _Result) -> list[Figure]:
    """List what a later run is compared with."""
    figures = [
        Figure(
            f"{name} {key}",
            "error",
            tally.worst[0],
            floor=FLOOR if key not in CONTINUOUS else 10 * FLOOR,
        )
        for key, tally in found.tallies.items()
        if tally.violations
    ]
    if found.centrosymmetric:
        share = 100 * found.nonzero / found.centrosymmetric
        figures.append(Figure(f"{name} not zero", "error", share, "%"))
    figures.append(Figure(f"{name} failures", "error", float(len(found.failures))))
    return figures
