"""Numbers that describe elements."""

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

TABLE = Path(__file__).with_name("tables") / "element_features.json"

LAST_ELEMENT = 100
"""Atomic number of the last element the table describes."""


@cache
def element_features() -> "Tensor":
    """Describe the elements 1 to 100 by group, period, electronegativity and the like.

    Returns
    -------
    Tensor, shape (100, 92)
        The one-hot table of CGCNN [1]_, row Z - 1.

    References
    ----------
    .. [1] T. Xie and J. C. Grossman, Phys. Rev. Lett. 120, 145301 (2018).
    """
    import torch

    table = json.loads(TABLE.read_text(encoding="utf-8"))
    rows = [table[str(number)] for number in range(1, LAST_ELEMENT + 1)]
    return torch.tensor(rows, dtype=torch.float32)
