"""The state of a training run on disk: arrays only, nothing that runs code."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from crystaltensor.data.archives import read_arrays
from crystaltensor.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor


def save_checkpoint(
    path: Path,
    states: "Mapping[str, Mapping[str, Tensor]]",
    optimizer: torch.optim.Optimizer,
    record: "Mapping[str, Any]",
) -> None:
    """Write the state of a run; a crash leaves the old file or the new one.

    Parameters
    ----------
    path : Path
        An ``.npz`` file.
    states : mapping
        Name to the state of a module.
    optimizer : Optimizer
        Its moments are kept.
    record : mapping
        Plain values: numbers, strings, lists.
    """
    arrays = {
        f"{group}/{name}": tensor.detach().cpu().numpy()
        for group, state in states.items()
        for name, tensor in state.items()
    }
    for index, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            arrays[f"optimizer/{index}/{name}"] = torch.as_tensor(value).cpu().numpy()
    arrays["record"] = np.array(json.dumps(dict(record)))
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, allow_pickle=False, **arrays)
    partial.replace(path)


def load_checkpoint(
    path: Path, optimizer: torch.optim.Optimizer
) -> "tuple[dict[str, dict[str, Tensor]], dict[str, Any]]":
    """Read what `save_checkpoint` wrote, and put the moments back.

    Parameters
    ----------
    path : Path
        An ``.npz`` file.
    optimizer : Optimizer
        Over the same parameters; changed in place.

    Returns
    -------
    states : dict
        Name to the state of a module.
    record : dict
        The plain values.

    Raises
    ------
    DataError
        If the file is not a checkpoint.
    """
    try:
        arrays = read_arrays(path)
        record = dict(json.loads(str(arrays.pop("record"))))
        states = _take_apart(arrays, optimizer)
    except (
        *(DataError, AttributeError, LookupError, OverflowError, RecursionError),
        *(RuntimeError, TypeError, ValueError),
    ) as error:
        raise DataError(
            f"{path}: not a checkpoint of this run ({error}); remove it to start again"
        ) from error
    return states, record


def _take_apart(
    arrays: "Mapping[str, NDArray[Any]]", optimizer: torch.optim.Optimizer
) -> "dict[str, dict[str, Tensor]]":
    """Put the moments of the optimiser back; return the states of the modules."""
    states: dict[str, dict[str, Tensor]] = {}
    moments: dict[int, dict[str, Tensor]] = {}
    for key, array in arrays.items():
        group, _, name = key.partition("/")
        tensor = torch.from_numpy(array)
        if group == "optimizer":
            index, _, moment = name.partition("/")
            moments.setdefault(int(index), {})[moment] = tensor
        else:
            states.setdefault(group, {})[name] = tensor
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    for number, found in moments.items():
        for moment in ("exp_avg", "exp_avg_sq"):
            if found[moment].shape != parameters[number].shape:
                raise ValueError(f"{moment} of parameter {number} has another shape")
    optimizer.load_state_dict(
        {
            "state": moments,
            "param_groups": optimizer.state_dict()["param_groups"],
        }
    )
    return states
