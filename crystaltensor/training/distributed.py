"""Several processes that train one network, on one node or many.

``torchrun`` starts the processes and says who is who in the environment. Each takes its
share of every batch; gradients are summed, so that the result is that of one process up
to rounding. No wrapper around the network is needed.
"""

import os
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


def join(device: str) -> str:
    """Join the other processes if there are any, and choose a device.

    Parameters
    ----------
    device : str
        ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    str
        With the index of the GPU of this process, if it is one of several.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return device
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device == "cuda" else "gloo")
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    return device


def is_first() -> bool:
    """Whether this is the process that writes and speaks."""
    return not dist.is_initialized() or dist.get_rank() == 0


def share(chosen: "NDArray[np.int64]") -> "NDArray[np.int64]":
    """Take this process's share of a batch; it may be empty."""
    if not dist.is_initialized():
        return chosen
    return chosen[dist.get_rank() :: dist.get_world_size()]


def sum_gradients(parameters: "Iterable[Tensor]") -> None:
    """Add up the gradients of all processes; one that saw no crystal gives zeros."""
    if not dist.is_initialized():
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        dist.all_reduce(parameter.grad)


def total(value: float) -> float:
    """Add up a number over all processes."""
    if not dist.is_initialized():
        return value
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    summed = torch.tensor(value, dtype=torch.float64, device=device)
    dist.all_reduce(summed)
    return float(summed)


def wait() -> None:
    """Wait for all processes."""
    if dist.is_initialized():
        dist.barrier()


def leave() -> None:
    """Part from the other processes."""
    if dist.is_initialized():
        dist.destroy_process_group()
