"""What a finished training knows about its own errors and about its training crystals."""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from crystaltensor.data.datasets import PreparedData
    from crystaltensor.data.domain import Domain, Traits
    from crystaltensor.properties import TensorProperty
    from crystaltensor.training.calibration import Cases

    Floats = NDArray[np.float64]


def calibrate_ensemble(
    data: "PreparedData",
    row: "TensorProperty",
    predicted: "Sequence[Mapping[str, Floats]]",
) -> "tuple[dict[str, Any], Domain]":
    """Calibrate the uncertainty of an ensemble on val, and measure it on test.

    Parameters
    ----------
    data : PreparedData
        Its crystals.
    row : TensorProperty
        What it predicts.
    predicted : sequence of mapping
        For each member ``"val"`` and, if there are such crystals, ``"test"`` to its
        tensors.

    Returns
    -------
    record : dict
        ``"symmetry_residual"``, the part of the output that symmetry forbids, at the
        99th percentile; ``"uncertainty"``, see `Calibration.as_dict`, with
        ``"coverage"`` of both sets, or None if there are too few validation crystals;
        and ``"domain"``: of the test crystals the number, those unlike the training
        ones, and the mean error of both kinds.
    domain : Domain
        The training crystals.
    """
    from crystaltensor.training.calibration import calibrate, measure_coverage

    traits = [_traits(data, index) for index in range(len(data.graphs))]
    domain = _domain(data, row, traits)
    cases = {
        split: _cases(
            data, row, split, [each[split] for each in predicted], traits, domain
        )
        for split in predicted[0]
    }
    record: dict[str, Any] = {
        "symmetry_residual": _usual_residual(
            [each["val"] for each in predicted], cases["val"]
        ),
        "uncertainty": None,
        "domain": None,
    }
    found = calibrate(cases["val"])
    if found is not None:
        calibration, inside = found
        record["uncertainty"] = {**calibration.as_dict(), "coverage": {"val": inside}}
        if "test" in cases:
            held = measure_coverage(calibration, cases["test"])
            record["uncertainty"]["coverage"]["test"] = held
    if "test" in cases:
        record["domain"] = _strangers(data, cases["test"], traits, domain)
    return record, domain


def calibrate_model(folder: Path, *, base: Path, device: str = "cpu") -> dict[str, Any]:
    """Calibrate a finished model again, without training it.

    Parameters
    ----------
    folder : Path
        The model; what it knows of its errors and of its training crystals is replaced.
    base : Path
        Folder that the names of the data sets in its settings are relative to.
    device : str
        Where the networks run.

    Returns
    -------
    dict
        Its record.

    Raises
    ------
    ModelError
        If the folder holds no model, or a damaged one.
    DataError
        If a data set is missing or damaged.
    """
    from crystaltensor.inference.models import (
        RECORD,
        describe_model,
        load_network,
        update_record,
    )
    from crystaltensor.training.task import predict_splits
    from crystaltensor.workflows.preparation import prepare_data

    model = describe_model(folder)
    networks = load_network(model).to(device)
    with tempfile.TemporaryDirectory() as scratch:
        data, _ = prepare_data(model.config, Path(scratch), base=base)
    predicted = [predict_splits(network, data, device=device) for network in networks]
    calibrated, domain = calibrate_ensemble(data, model.row, predicted)
    record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    record |= calibrated
    update_record(folder, record, domain)
    return record


def _traits(data: "PreparedData", index: int) -> "Traits":
    """Collect what is compared of a crystal."""
    from crystaltensor.data.domain import Traits

    return Traits.of(
        data.graphs[index],
        atoms=int(data.n_primitive[index]),
        point_group=str(data.point_groups[index]),
    )


def _domain(
    data: "PreparedData", row: "TensorProperty", traits: "Sequence[Traits]"
) -> "Domain":
    """Collect the training crystals."""
    import numpy as np

    from crystaltensor.data.domain import Domain
    from crystaltensor.training.loop import label_rows

    train = data.part("train")
    norms = []
    for index in train:
        labels = data.tensors[label_rows(data, [index])].ravel()
        # That of a tensor of atoms is the root mean square over the atoms; a scalar
        # keeps its sign.
        size = np.linalg.norm(labels) / np.sqrt(len(labels) / 3**row.rank)
        norms.append(size if row.rank else labels[0])
    return Domain.fit(
        [traits[i] for i in train],
        names=[data.names[i] for i in train],
        norms=np.array(norms),
    )


def _cases(
    data: "PreparedData",
    row: "TensorProperty",
    split: str,
    members: "Sequence[Floats]",
    traits: "Sequence[Traits]",
    domain: "Domain",
) -> "Cases":
    """Put together what is known of the predictions for one set of crystals."""
    import numpy as np

    from crystaltensor.symmetry.coordinates import allowed_components, to_components
    from crystaltensor.training.calibration import Cases
    from crystaltensor.training.loop import label_rows
    from crystaltensor.training.metrics import nearest_labels

    part = data.part(split)
    rows = label_rows(data, part)
    counts = np.ones(len(part), dtype=np.int64)
    if data.sites is None:
        allowed = np.stack(
            [
                allowed_components(data.graphs[i].projectors, row.index_symmetry)
                for i in part
            ]
        )
    else:
        allowed = data.sites[rows].astype(np.float64)
        counts = np.array([len(data.graphs[i].numbers) for i in part])
    label = data.tensors[rows]
    if data.alternatives is not None:
        mean, choices = np.mean(members, axis=0), data.alternatives[rows]
        label = nearest_labels(mean, choices, up_to_sign=~data.sign_known[part])
    given = to_components(np.stack(members), row.index_symmetry)
    return Cases(
        row,
        np.einsum("mna,nab->mnb", given, allowed),
        allowed,
        np.repeat([domain.distance(traits[i]) for i in part], counts),
        np.repeat([float(domain.rarest(traits[i])) for i in part], counts),
        to_components(label, row.index_symmetry),
        np.repeat(data.sign_known[part], counts),
        np.repeat(np.arange(len(part)), counts),
    )


def _usual_residual(members: "Sequence[Floats]", cases: "Cases") -> float:
    """Find which part of an output symmetry forbids, at the 99th percentile."""
    import numpy as np

    from crystaltensor.symmetry.coordinates import to_components

    raw = to_components(np.mean(members, axis=0), cases.row.index_symmetry)
    sizes = np.linalg.norm(raw, axis=1)
    lost = np.linalg.norm(raw - cases.mean, axis=1)[sizes > 0] / sizes[sizes > 0]
    return float(np.percentile(lost, 99)) if len(lost) else 0.0


def _strangers(
    data: "PreparedData", cases: "Cases", traits: "Sequence[Traits]", domain: "Domain"
) -> dict[str, Any]:
    """Count the test crystals that get a warning, and compare their errors."""
    import numpy as np

    strange = np.array(
        [
            bool(domain.reasons(traits[i], domain.distance(traits[i])))
            for i in data.part("test")
        ]
    )[cases.crystal]
    errors = np.linalg.norm(cases.mean - cases.truth, axis=1)
    kinds = {"warned": strange, "others": ~strange}
    return {
        "n": cases.n_crystals,
        "warned": round(float(cases.weights[strange].sum())),
        "mean_error": {
            name: float(errors[chosen].mean()) if chosen.any() else None
            for name, chosen in kinds.items()
        },
    }
