"""Networks by name: from the settings of a configuration file to a module."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crystaltensor.errors import ConfigError
from crystaltensor.nn.batch import Neighbourhood
from crystaltensor.nn.gmtnet import GMTNet, GMTNetConfig
from crystaltensor.nn.paper import PaperConfig, PaperGMTNet
from crystaltensor.nn.paper_potnet import PaperPotNet, PaperPotNetConfig
from crystaltensor.nn.potnet import PotNet, PotNetConfig
from crystaltensor.settings import check_fields, suggestion

if TYPE_CHECKING:
    from torch import Tensor

    from crystaltensor.properties import TensorProperty

TensorNetwork = GMTNet | PaperGMTNet
ScalarNetwork = PotNet | PaperPotNet
ScalarConfig = PotNetConfig | PaperPotNetConfig
NetworkConfig = GMTNetConfig | PaperConfig | ScalarConfig

TENSOR_CONFIGS: dict[str, type[GMTNetConfig] | type[PaperConfig]] = {
    "gmtnet": GMTNetConfig,
    "paper": PaperConfig,
}
SCALAR_CONFIGS: dict[str, type[PotNetConfig] | type[PaperPotNetConfig]] = {
    "potnet": PotNetConfig,
    "paper": PaperPotNetConfig,
}
"""The presets of tensors and of scalars, the default first."""


def network_config(settings: Mapping[str, Any], row: "TensorProperty") -> NetworkConfig:
    """Turn the table ``[network]`` of a configuration into the shape of a network.

    Parameters
    ----------
    settings : mapping
        ``preset`` and fields of its configuration; the index symmetry and the lower
        bound are the property's. A tensor has the presets ``"gmtnet"``, the default,
        and ``"paper"``, a scalar ``"potnet"``, the default, and ``"paper"``.
    row : TensorProperty
        What the network predicts.

    Returns
    -------
    NetworkConfig
        For GMTNet with ``l_max`` equal to the rank of the tensor unless the settings
        say more.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is out of range.
    """
    given = dict(settings)
    known = TENSOR_CONFIGS if row.rank else SCALAR_CONFIGS
    preset = given.pop("preset", next(iter(known)))
    if not isinstance(preset, str) or preset not in known:
        hint = suggestion(str(preset), known)
        raise ConfigError(f"[network]: unknown preset {preset!r}; {hint}")
    kind = known[preset]
    if kind is PaperConfig and row.per_atom:
        raise ConfigError(f"[network]: the published network has no {row.name}")
    fixed: dict[str, Any] = {"index_symmetry": row.index_symmetry} if row.rank else {}
    if kind is GMTNetConfig:
        given = {"l_max": row.rank, **given}
        fixed |= {"lower_bound": row.lower_bound, "per_atom": row.per_atom}
    if kind is PotNetConfig:
        fixed["lower_bound"] = None if row.logarithmic else row.lower_bound
    check_fields(given, kind, source="[network]", fixed=fixed)
    try:
        return kind(**fixed, **given)
    except (ConfigError, TypeError, ValueError) as error:
        raise ConfigError(f"[network]: {error}") from error


def neighbourhood(config: NetworkConfig) -> Neighbourhood:
    """Say what a network sees of a crystal; the published ones take 16 neighbours."""
    if isinstance(config, GMTNetConfig):
        return Neighbourhood(config.cutoff)
    if isinstance(config, PaperConfig):
        return Neighbourhood(4.0, n_nearest=16)
    return config.neighbourhood


def build_network(
    config: NetworkConfig, element_features: "Tensor"
) -> TensorNetwork | ScalarNetwork:
    """Make a network with fresh weights.

    Parameters
    ----------
    config : NetworkConfig
        From `network_config`.
    element_features : Tensor, shape (n_elements, n_features)
        A description of each element, row Z - 1.

    Returns
    -------
    GMTNet, PaperGMTNet, PotNet or PaperPotNet
        Maps a `GraphBatch` to tensors or scalars.
    """
    if isinstance(config, GMTNetConfig):
        return GMTNet(config, element_features)
    if isinstance(config, PaperConfig):
        return PaperGMTNet(config, element_features)
    if isinstance(config, PotNetConfig):
        return PotNet(config, element_features)
    return PaperPotNet(config, element_features)
