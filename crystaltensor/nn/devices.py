"""Where networks run."""

import torch

from crystaltensor.errors import ResourceError


def choose_device(wanted: str) -> str:
    """Turn ``auto``, ``cpu`` or ``cuda`` into a device that is there.

    Parameters
    ----------
    wanted : str
        What the user said.

    Returns
    -------
    str
        ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    ResourceError
        If a GPU is wanted and none is there.
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ResourceError("no CUDA device is available; use --device cpu")
    return wanted
