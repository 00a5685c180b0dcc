"""Make the test sets that travel with the package, from the tables that models learn from.

Run ``python tests/benchmarks/make_test_sets.py FOLDER`` with the folder of the tables
``mp_dielectric``, ``mp_elastic``, ``mp_formation_energy`` and so on, as described in
``crystaltensor/data/tables/README.md``. It writes the test rows of those that came with
matminer, and the means of the training rows beside which a model has to be seen.
"""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from crystaltensor.data.hypotheses import isotropic_part
from crystaltensor.data.rows import Reading
from crystaltensor.data.scales import from_learnt, to_learn
from crystaltensor.data.tables import TABLES, read_table
from crystaltensor.properties import (
    BAND_GAP,
    BULK_MODULUS,
    DIELECTRIC,
    DIELECTRIC_TOTAL,
    ELASTIC,
    FORMATION_ENERGY,
    PIEZO,
    SHEAR_MODULUS,
)

BUNDLED = ("mp_dielectric", "mp_elastic", "mp_formation_energy")
KEPT = (
    "id source formula structure frame tensors units scalars frame_ok voigt_min_eig "
    "sign_reliable polar_class group split"
).split()
TRAINED_ON = {
    DIELECTRIC: (("mp_dielectric", "mp_dielectric_born"), 100.0),
    DIELECTRIC_TOTAL: (("mp_dielectric",), 100.0),
    PIEZO: (("mp_piezo",), 20.0),
    ELASTIC: (("mp_elastic", "mp_elastic_extra"), 1500.0),
    FORMATION_ENERGY: (("mp_formation_energy",), np.inf),
    BULK_MODULUS: (("mp_binary_moduli", "mp_elastic"), np.inf),
    SHEAR_MODULUS: (("mp_binary_moduli", "mp_elastic"), np.inf),
    BAND_GAP: (("mp_dielectric",), np.inf),
}
"""Property to the tables of its model and the largest component of a row."""


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Read a table."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_test_rows(folder: Path, name: str) -> None:
    """Write the rows of the test split, the same bytes every time."""
    rows = [
        row for row in rows_of(folder / f"{name}.jsonl.gz") if row["split"] == "test"
    ]
    lines = [
        json.dumps({key: row[key] for key in KEPT if key in row}, ensure_ascii=False)
        for row in rows
    ]
    path = TABLES / f"{name}_test.jsonl.gz"
    path.write_bytes(
        gzip.compress("".join(f"{one}\n" for one in lines).encode(), mtime=0)
    )
    print(f"{path.name}: {len(rows)} rows, {path.stat().st_size} bytes")


def training_means(folder: Path) -> dict[str, object]:
    """Average the isotropic parts of the labels that the models learn from."""
    found: dict[str, object] = {}
    for row, (names, largest) in TRAINED_ON.items():
        reading = Reading(skip_bad_rows=True)  # moduli without a logarithm
        learnt = [
            each.tensor
            for name in names
            for each in read_table(
                folder / f"{name}.jsonl.gz", row, max_component=largest, reading=reading
            )[0]
            if each.split == "train"
        ]
        if row.rank:
            mean = np.mean([isotropic_part(each, row) for each in learnt], axis=0)
        else:
            mean = from_learnt(np.mean(to_learn(np.array(learnt), row)), row)
        found[row.name] = {
            "tensor": np.round(mean, 6).tolist(),
            "n": len(learnt),
            "rows": "train rows of " + " and ".join(names),
        }
    return found


def main() -> None:
    """Write everything."""
    folder = Path(sys.argv[1])
    for name in BUNDLED:
        write_test_rows(folder, name)
    path = TABLES / "training_means.json"
    path.write_text(json.dumps(training_means(folder), indent=1) + "\n")
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
