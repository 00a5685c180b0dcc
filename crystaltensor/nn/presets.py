"""Networks by name: from the settings of a configuration file to a module."""

import difflib
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import torch

from crystaltensor.errors import ConfigError
from crystaltensor.nn.gmtnet import GMTNet, GMTNetConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from crystaltensor.properties import TensorProperty

PRESETS = ("gmtnet", "paper")


def network_config(settings: Mapping[str, Any], row: "TensorProperty") -> GMTNetConfig:
    """Turn the table ``[network]`` of a configuration into the shape of a network.

    Parameters
    ----------
    settings : mapping
        Fields of `GMTNetConfig`, the index symmetry left out: the property gives it.
    row : TensorProperty
        What the network predicts.

    Returns
    -------
    GMTNetConfig
        With ``l_max`` equal to the rank of the tensor unless the settings say more.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is out of range.
    """
    given = {"l_max": row.rank, **settings}
    given.pop("preset", None)
    known = [
        each.name for each in fields(GMTNetConfig) if each.name != "index_symmetry"
    ]
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {known}"
            raise ConfigError(f"[network]: unknown key {key!r}; {hint}")
    try:
        return GMTNetConfig(index_symmetry=row.index_symmetry, **given)
    except TypeError as error:
        raise ConfigError(f"[network]: a value has the wrong type ({error})") from error


def build_network(
    settings: Mapping[str, Any], row: "TensorProperty", element_features: "Tensor"
) -> "nn.Module":
    """Make a network with fresh weights.

    Parameters
    ----------
    settings : mapping
        The table ``[network]`` of a configuration.
    row : TensorProperty
        What the network predicts.
    element_features : Tensor, shape (n_elements, n_features)
        A description of each element, row Z - 1.

    Returns
    -------
    Module
        Maps a `GraphBatch` to tensors.

    Raises
    ------
    ConfigError
        If the settings are not those of a network.
    """
    return GMTNet(network_config(settings, row), element_features)
