"""Tensors as the objects of pymatgen."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_CLASSES = {
    "elastic": ("pymatgen.analysis.elasticity.elastic", "ElasticTensor"),
    "piezo": ("pymatgen.analysis.piezo", "PiezoTensor"),
}
_ANY = ("pymatgen.core.tensors", "Tensor")


def to_pymatgen_tensor(tensor: "ArrayLike", property_name: str = "") -> Any:  # noqa: ANN401
    """Make the tensor object of pymatgen that fits a property.

    Parameters
    ----------
    tensor : array_like, shape (3, ..., 3)
        Full components; C in GPa, e in C/m².
    property_name : str
        ``"elastic"`` gives an ElasticTensor, ``"piezo"`` a PiezoTensor; anything else
        a Tensor.

    Returns
    -------
    pymatgen Tensor
        With the components as given.
    """
    from importlib import import_module

    module, name = _CLASSES.get(property_name, _ANY)
    made = getattr(import_module(module), name)
    return made(np.asarray(tensor, dtype=np.float64))
