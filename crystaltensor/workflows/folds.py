"""Networks that are trained without a part of the crystals, and what they say of it."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from crystaltensor.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from crystaltensor.data.datasets import PreparedData
    from crystaltensor.training.loop import Task
    from crystaltensor.workflows.together import PreparedJob

    Floats = NDArray[np.float64]

TABLE = "folds.safetensors"

_FEWEST = 2


@dataclass(frozen=True, eq=False)
class FoldTable:
    """What networks say that were trained without a part of the training crystals.

    Parameters
    ----------
    left_out : ndarray of float32, shape (n_tensors, n_components)
        For every tensor of the training crystals, from the network that has not learnt
        from it: irreducible components, not projected.
    val : ndarray of float32, shape (n_folds, n_val_tensors, n_components)
        For the validation crystals, from each network.
    crystals : str
        Fingerprint of the crystals.
    seed : int
        Of the draw of the parts.
    """

    left_out: "NDArray[np.float32]" = field(repr=False)
    val: "NDArray[np.float32]" = field(repr=False)
    crystals: str
    seed: int

    def save(self, folder: Path) -> None:
        """Write it into the folder of a run or of a model."""
        from safetensors.numpy import save

        plain = {"plain": json.dumps({"crystals": self.crystals, "seed": self.seed})}
        arrays = {"left_out": self.left_out, "val": self.val}
        partial = folder / f"{TABLE}.partial"
        partial.write_bytes(save(arrays, metadata=plain))
        partial.replace(folder / TABLE)


def read_table(folder: Path, data: "PreparedData") -> FoldTable | None:
    """Read what `FoldTable.save` wrote.

    Parameters
    ----------
    folder : Path
        Of a run or of a model.
    data : PreparedData
        What it has to belong to.

    Returns
    -------
    FoldTable or None
        None where there is none.

    Raises
    ------
    DataError
        If it is damaged, or belongs to other data.
    """
    path = folder / TABLE
    if not path.is_file():
        return None
    # Late: a node that only trains need not have it.
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as stored:
            plain = json.loads(stored.metadata()["plain"])
            left_out, val = (stored.get_tensor(name) for name in ("left_out", "val"))
        table = FoldTable(left_out, val, str(plain["crystals"]), int(plain["seed"]))
    except (SafetensorError, OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error!r})") from error
    if table.crystals != _fingerprint(data):
        raise DataError(
            f"{path} belongs to other crystals than those of the run; remove it to train "
            "the networks of the folds again"
        )
    return table


def without_fold(job: "PreparedJob", index: int) -> "PreparedJob":
    """Make the job of training a single network without one part of the crystals."""
    from crystaltensor.data.folds import leave_out
    from crystaltensor.workflows.together import PreparedJob

    config, seed = job.config, job.config.seed
    folder = job.out / f"fold-{index}"
    folder.mkdir(exist_ok=True)
    data, moduli = leave_out(job.data, index, config.folds, seed=seed), job.moduli
    if moduli is not None:
        moduli = leave_out(moduli, index, config.folds, seed=seed)
    if len(data.part("train")) < _FEWEST:
        raise DataError(
            f"{', '.join(config.data)}: without part {index + 1} of {config.folds} fewer "
            f"than {_FEWEST} training crystals are left; choose more folds, or 0"
        )
    alone = replace(config, seed=seed + index, members=1, folds=0)
    return PreparedJob(alone, folder, data, moduli)


def collect_folds(job: "PreparedJob", tasks: "Sequence[Task]") -> FoldTable:
    """Let the networks of the folds predict what they have not learnt from.

    Parameters
    ----------
    job : PreparedJob
        The run.
    tasks : sequence of Task
        One for each fold, finished.

    Returns
    -------
    FoldTable
        The predictions.
    """
    import numpy as np

    from crystaltensor.data.folds import LEFT_OUT
    from crystaltensor.properties import find_property
    from crystaltensor.symmetry.coordinates import to_components
    from crystaltensor.training.loop import label_rows, predict_tensors

    index_symmetry = find_property(job.config.property).index_symmetry

    def predict(task: "Task", part: "NDArray[np.int64]") -> "Floats":
        network = task.best_network()
        found = predict_tensors(network, task.data, part, device=task.device)
        return to_components(found, index_symmetry)

    val = np.stack([predict(task, job.data.part("val")) for task in tasks])
    whole = np.zeros((len(job.data.tensors), val.shape[-1]))
    for task in tasks:
        part = task.data.part(LEFT_OUT)
        if len(part):
            whole[label_rows(job.data, part)] = predict(task, part)
    left_out = whole[label_rows(job.data, job.data.part("train"))]
    return FoldTable(
        left_out.astype(np.float32),
        val.astype(np.float32),
        _fingerprint(job.data),
        job.config.seed,
    )


def _fingerprint(data: "PreparedData") -> str:
    """Hash which crystals are learnt from and validated on, in their order."""
    listed = [
        f"{data.names[i]}|{data.graphs[i].numbers.tolist()}"
        for split in ("train", "val")
        for i in data.part(split)
    ]
    return hashlib.sha256("\n".join(listed).encode()).hexdigest()
