"""What a finished training knows about its own errors and about its training crystals."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from crystaltensor.data.datasets import PreparedData
    from crystaltensor.data.domain import Domain
    from crystaltensor.properties import TensorProperty
    from crystaltensor.training.calibration import LeftOut
    from crystaltensor.training.cases import Cases
    from crystaltensor.workflows.folds import FoldTable

    Floats = NDArray[np.float64]


def calibrate_ensemble(
    data: "PreparedData",
    row: "TensorProperty",
    predicted: "Sequence[Mapping[str, Floats]]",
    table: "FoldTable | None" = None,
) -> "tuple[dict[str, Any], Domain]":
    """Calibrate the uncertainty of an ensemble, and measure it on test.

    Parameters
    ----------
    data : PreparedData
        Its crystals.
    row : TensorProperty
        What it predicts.
    predicted : sequence of mapping
        For each member ``"val"`` and, if there are such crystals, ``"test"`` to its
        tensors.
    table : FoldTable, optional
        What networks say of training crystals that they have not learnt from; without
        it the validation crystals are all that it is calibrated on.

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
    from crystaltensor.symmetry.coordinates import to_components
    from crystaltensor.training.calibration import calibrate, measure_coverage

    known = _Known(data, row)
    domain, left_out = known.domain(data.part("train")), None
    if table is not None:
        left_out, domain = _strangers(known, table)
    cases = {}
    for split in predicted[0]:
        members = [to_components(each[split], row.index_symmetry) for each in predicted]
        cases[split] = known.cases(data.part(split), members, domain)
    record: dict[str, Any] = {
        "symmetry_residual": _usual_residual(
            [each["val"] for each in predicted], cases["val"]
        ),
        "uncertainty": None,
        "domain": None,
    }
    found = calibrate(cases["val"], left_out)
    if found is not None:
        calibration, inside = found
        record["uncertainty"] = {**calibration.as_dict(), "coverage": {"val": inside}}
        if "test" in cases:
            held = measure_coverage(calibration, cases["test"])
            record["uncertainty"]["coverage"]["test"] = held
    if "test" in cases:
        record["domain"] = _warned(known, cases["test"], domain)
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
    from crystaltensor.workflows.folds import read_table
    from crystaltensor.workflows.preparation import PREPARED, prepare_data

    model = describe_model(folder)
    networks = load_network(model).to(device)
    with tempfile.TemporaryDirectory() as scratch:
        place = folder if (folder / PREPARED).is_file() else Path(scratch)
        data, _ = prepare_data(model.config, place, base=base)
    predicted = [predict_splits(network, data, device=device) for network in networks]
    table = read_table(folder, data)
    calibrated, domain = calibrate_ensemble(data, model.row, predicted, table)
    record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    record |= calibrated
    update_record(folder, record, domain)
    return record


class _Known:
    """What is known of the crystals of a data set.

    Parameters
    ----------
    data : PreparedData
        The crystals.
    row : TensorProperty
        What their labels are of.
    """

    def __init__(self, data: "PreparedData", row: "TensorProperty") -> None:
        import numpy as np

        from crystaltensor.data.domain import Traits

        self.data, self.row = data, row
        self.traits = [
            Traits.of(graph, atoms=int(atoms), point_group=str(group))
            for graph, atoms, group in zip(
                data.graphs, data.n_primitive, data.point_groups, strict=True
            )
        ]
        self.counts = np.ones(len(data.graphs), dtype=np.int64)
        if data.sites is not None:
            self.counts = np.array([len(graph.numbers) for graph in data.graphs])

    def domain(
        self, part: "NDArray[np.int64]", errors: "Floats | None" = None
    ) -> "Domain":
        """Collect the training crystals among some."""
        import numpy as np

        from crystaltensor.data.domain import Domain
        from crystaltensor.training.loop import label_rows

        norms = []
        for index in part:
            labels = self.data.tensors[label_rows(self.data, [index])].ravel()
            # That of a tensor of atoms is the root mean square over the atoms; a scalar
            # keeps its sign.
            size = np.linalg.norm(labels) / np.sqrt(len(labels) / 3**self.row.rank)
            norms.append(size if self.row.rank else labels[0])
        return Domain.fit(
            [self.traits[i] for i in part],
            names=[self.data.names[i] for i in part],
            norms=np.array(norms),
            errors=errors,
        )

    def cases(
        self,
        part: "NDArray[np.int64]",
        members: "Sequence[NDArray[np.floating[Any]]]",
        domain: "Domain | None" = None,
    ) -> "Cases":
        """Put together what is known of predictions, given as components.

        Without the training crystals only errors can be asked for.
        """
        import numpy as np

        from crystaltensor.symmetry.coordinates import (
            allowed_components,
            to_components,
        )
        from crystaltensor.training.cases import Cases
        from crystaltensor.training.loop import label_rows
        from crystaltensor.training.metrics import nearest_labels

        data, symmetry = self.data, self.row.index_symmetry
        rows, counts = label_rows(data, part), self.counts[part]
        if data.sites is None:
            projectors = [data.graphs[i].projectors for i in part]
            allowed = np.stack([allowed_components(p, symmetry) for p in projectors])
        else:
            allowed = data.sites[rows].astype(np.float64)
        given = np.einsum("mna,nab->mnb", np.stack(members), allowed)
        label = to_components(data.tensors[rows], symmetry)
        if data.alternatives is not None:
            choices = to_components(data.alternatives[rows], symmetry)
            free = ~data.sign_known[part]
            label = nearest_labels(given.mean(axis=0), choices, up_to_sign=free)
        described = domain.describe([self.traits[i] for i in part]) if domain else {}
        return Cases(
            self.row,
            given,
            allowed,
            {name: np.repeat(each, counts, axis=0) for name, each in described.items()},
            label,
            np.repeat(data.sign_known[part], counts),
            np.repeat(np.arange(len(part)), counts),
        )


def _strangers(known: _Known, table: "FoldTable") -> "tuple[LeftOut, Domain]":
    """Collect what single networks say of crystals that they have not learnt from.

    What is known of these is known of the crystals that each network did learn from;
    the domain returned is that of all, with the errors that were made.
    """
    import numpy as np

    from crystaltensor.data.folds import fold_numbers
    from crystaltensor.training.calibration import LeftOut

    data, n_folds = known.data, len(table.val)
    train, val = data.part("train"), data.part("val")
    folds = fold_numbers(data, n_folds, seed=table.seed)[train]
    bare = known.cases(train, [table.left_out])
    sizes = np.linalg.norm(bare.mean - bare.truth, axis=1)
    place = np.repeat(np.arange(len(train)), known.counts[train])
    errors = np.bincount(place, weights=sizes * bare.weights).astype(np.float64)
    described: list[Mapping[str, Floats]] = []
    twins = []
    for fold in range(n_folds):
        rest = folds != fold
        domain = known.domain(train[rest], errors[rest])
        described.append(domain.describe([known.traits[i] for i in train[~rest]]))
        twins.append(known.cases(val, [table.val[fold]], domain))
    # From the order of the folds to that of the crystals, then to that of the tensors.
    order = np.argsort(np.argsort(folds, kind="stable"), kind="stable")[place]
    strangers = replace(
        bare,
        known={
            name: np.concatenate([each[name] for each in described])[order]
            for name in described[0]
        },
        part=folds[place],
    )
    return LeftOut(strangers, twins), known.domain(train, errors)


def _usual_residual(members: "Sequence[Floats]", cases: "Cases") -> float:
    """Find which part of an output symmetry forbids, at the 99th percentile."""
    import numpy as np

    from crystaltensor.symmetry.coordinates import to_components

    raw = to_components(np.mean(members, axis=0), cases.row.index_symmetry)
    sizes = np.linalg.norm(raw, axis=1)
    lost = np.linalg.norm(raw - cases.mean, axis=1)[sizes > 0] / sizes[sizes > 0]
    return float(np.percentile(lost, 99)) if len(lost) else 0.0


def _warned(known: _Known, cases: "Cases", domain: "Domain") -> dict[str, Any]:
    """Count the test crystals that get a warning, and compare their errors."""
    import numpy as np

    tested = [known.traits[i] for i in known.data.part("test")]
    strange = np.array(
        [bool(domain.reasons(each, domain.distance(each))) for each in tested]
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
