"""Say in which axes piezoelectric labels are, by the force constants that are shipped.

Run ``python tests/benchmarks/make_piezo_axes.py FILE``. It writes the table
``mp_piezo_axes.jsonl.gz`` that ``crystaltensor/data/tables/README.md`` describes, from
the bundled labels, ``models/response/piezo-sevenn-7net-0/responses.npz`` and the model
for Born charges: of the tensors that a label may be the one that is most like the ionic
part.
"""

import gzip
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.data.prepared import possible_labels
from crystaltensor.data.tables import TABLES
from crystaltensor.inference.predictor import load
from crystaltensor.properties import BORN_CHARGES, PIEZO
from crystaltensor.response.archive import load_responses
from crystaltensor.response.born_charges import to_primitive
from crystaltensor.response.formulas import IonicResponse
from crystaltensor.response.modes import UNSTABLE
from crystaltensor.symmetry.notation import to_voigt
from crystaltensor.symmetry.projection import project
from crystaltensor.workflows.response_labels import match_responses, read_subjects

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crystaltensor.inference.predictor import Predictor
    from crystaltensor.response.archive import StoredResponse
    from crystaltensor.workflows.response_labels import Subject

    Floats = NDArray[np.float64]

RESPONSES = (
    Path(__file__).parents[2] / "models/response/piezo-sevenn-7net-0/responses.npz"
)
ALIKE = 0.5
"""Least cosine of a label with the ionic part."""

LEAST = 1e-3
"""Norm of a label or an ionic part that is more than rounding, in C/m²."""


def oriented(
    subject: "Subject", stored: "StoredResponse", charges: "Predictor"
) -> "Floats | None":
    """Choose what the label is, shape (3, 3, 3); None if the ionic part cannot tell."""
    symmetry = subject.symmetry
    if stored.modes.softest < UNSTABLE or np.linalg.norm(subject.label) < LEAST:
        return None
    zeff = to_primitive(charges.predict_symmetric(symmetry).tensor, stored.index)
    response = IonicResponse(stored.modes, stored.internal_strain, zeff, stored.volume)
    ionic = project(
        response.piezo().sum(axis=0),
        symmetry.rotations,
        index_symmetry=PIEZO.index_symmetry,
    )
    if np.linalg.norm(ionic) < LEAST:
        return None
    labels = possible_labels(subject.row, subject.label, symmetry, PIEZO)
    along = np.einsum("nijk,ijk->n", labels, ionic)
    best: Floats = labels[along.argmax()]
    size = np.linalg.norm(ionic) * np.linalg.norm(best)
    return best if along.max() > ALIKE * size else None


def main() -> None:
    """Write the table."""
    subjects, _ = read_subjects(TABLES / "mp_piezo.jsonl.gz", PIEZO)
    learnt = [each for each in subjects if each.row.split != "test"]
    pairs, _ = match_responses(learnt, load_responses(RESPONSES))
    charges = load(BORN_CHARGES.name, device="cpu")
    lines = []
    for subject, stored in pairs:
        tensor = oriented(subject, stored, charges)
        if tensor is None:
            continue
        record = {
            "id": subject.row.name,
            "piezo_e": (np.round(to_voigt(tensor, 3), 5) + 0.0).tolist(),
            "sign_reliable": True,
            "axes_reliable": True,
        }
        lines.append(json.dumps(record) + "\n")
    with (
        Path(sys.argv[1]).open("wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed,
    ):
        packed.write("".join(lines).encode())
    print(f"{len(lines)} of {len(pairs)} crystals")


if __name__ == "__main__":
    main()
