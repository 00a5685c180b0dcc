"""Networks by name: from the settings of a configuration file to a module."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crystaltensor.errors import ConfigError
from crystaltensor.nn.batch import Neighbourhood
from crystaltensor.nn.gmtnet import GMTNet, GMTNetConfig
from crystaltensor.nn.paper import PaperConfig, PaperGMTNet
from crystaltensor.settings import check_fields

if TYPE_CHECKING:
    from torch import Tensor

    from crystaltensor.properties import TensorProperty

TensorNetwork = GMTNet | PaperGMTNet

CONFIGS: dict[str, type[GMTNetConfig] | type[PaperConfig]] = {
    "gmtnet": GMTNetConfig,
    "paper": PaperConfig,
}


def network_config(
    settings: Mapping[str, Any], row: "TensorProperty"
) -> GMTNetConfig | PaperConfig:
    """Turn the table ``[network]`` of a configuration into the shape of a network.

    Parameters
    ----------
    settings : mapping
        ``preset`` (``"gmtnet"`` if left out, or ``"paper"``) and fields of its
        configuration; the index symmetry and the lower bound are the property's.
    row : TensorProperty
        What the network predicts.

    Returns
    -------
    GMTNetConfig or PaperConfig
        For GMTNet with ``l_max`` equal to the rank of the tensor unless the settings
        say more.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is out of range.
    """
    given = dict(settings)
    preset = given.pop("preset", "gmtnet")
    if preset not in CONFIGS:
        raise ConfigError(f"[network]: unknown preset {preset!r}; known: {[*CONFIGS]}")
    kind = CONFIGS[preset]
    if kind is PaperConfig and row.per_atom:
        raise ConfigError(f"[network]: the published network has no {row.name}")
    fixed: dict[str, Any] = {"index_symmetry": row.index_symmetry}
    if kind is GMTNetConfig:
        given = {"l_max": row.rank, **given}
        fixed |= {"lower_bound": row.lower_bound, "per_atom": row.per_atom}
    check_fields(given, kind, source="[network]", fixed=fixed)
    try:
        return kind(**fixed, **given)
    except ConfigError as error:
        raise ConfigError(f"[network]: {error}") from error


def neighbourhood(config: GMTNetConfig | PaperConfig) -> Neighbourhood:
    """Say which neighbours a network sees; the published one takes the 16 nearest."""
    if isinstance(config, GMTNetConfig):
        return Neighbourhood(config.cutoff)
    return Neighbourhood(4.0, n_nearest=16)


def build_network(
    config: GMTNetConfig | PaperConfig, element_features: "Tensor"
) -> TensorNetwork:
    """Make a network with fresh weights.

    Parameters
    ----------
    config : GMTNetConfig or PaperConfig
        From `network_config`.
    element_features : Tensor, shape (n_elements, n_features)
        A description of each element, row Z - 1.

    Returns
    -------
    GMTNet or PaperGMTNet
        Maps a `GraphBatch` to tensors.
    """
    if isinstance(config, GMTNetConfig):
        return GMTNet(config, element_features)
    return PaperGMTNet(config, element_features)
