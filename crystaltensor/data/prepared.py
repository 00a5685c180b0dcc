"""Graphs and projected labels, made once for a training run and kept on disk."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.data.graphs import CrystalGraph, build_graph
from crystaltensor.data.hypotheses import allowed_part, symmetry_of
from crystaltensor.data.rows import Dropped, LabelledCrystal
from crystaltensor.errors import DataError
from crystaltensor.symmetry.irreps import irrep_projectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from crystaltensor.nn.batch import Neighbourhood
    from crystaltensor.properties import TensorProperty


@dataclass(frozen=True)
class PreparedData:
    """Graphs and labels, ready for batches; needs neither parsers nor spglib.

    Parameters
    ----------
    names : list of str
        One per crystal, as in the other fields.
    graphs : list of CrystalGraph
        The inputs.
    tensors : ndarray, shape (n, 3, ..., 3)
        Labels, projected on what the symmetry of the crystal allows: one for each
        crystal, or, if the property belongs to atoms, for each atom of each crystal.
    splits : ndarray of str
        ``"train"``, ``"val"`` or ``"test"``.
    sign_known, polar : ndarray of bool
        As in `LabelledCrystal`.
    key : str
        Hash of the data and the settings it was prepared with.
    """

    names: list[str]
    graphs: list[CrystalGraph]
    tensors: "NDArray[np.float64]"
    splits: "NDArray[np.str_]"
    sign_known: "NDArray[np.bool_]"
    polar: "NDArray[np.bool_]"
    key: str

    def part(self, split: str) -> "NDArray[np.int64]":
        """Return the indices of the crystals of one split."""
        return np.flatnonzero(self.splits == split)


def prepare(
    rows: "Sequence[LabelledCrystal]",
    row: "TensorProperty",
    *,
    around: "Neighbourhood",
    symprec: "Sequence[float]",
    max_residual: float,
    key: str,
) -> tuple[PreparedData, list[Dropped]]:
    """Find the symmetry and the neighbours of every crystal, and project the labels.

    Parameters
    ----------
    rows : sequence of LabelledCrystal
        What to learn from.
    row : TensorProperty
        The property that the labels are of.
    around : Neighbourhood
        Which neighbours the graphs hold.
    symprec : sequence of float
        Largest distances between equivalent atoms, in Å; the first at which the
        symmetry of a crystal allows its label holds for that crystal.
    max_residual : float
        Largest part of a label, relative to its norm, that the symmetry may forbid.
        Rows with more at every `symprec` do not belong to their structure and are
        dropped, those of the test split excepted.
    key : str
        Kept with the result, see `cache_key`.

    Returns
    -------
    data : PreparedData
        In the order of `rows`.
    dropped : list of Dropped
        What was left out.
    """
    kept, graphs, tensors, dropped = [], [], [], []
    for labelled in rows:
        group, tensor, lost = _fitting_group(labelled, row, symprec, max_residual)
        if lost > max_residual and labelled.split != "test":
            share = f"{100 * lost:.0f} % of its label is forbidden by symmetry"
            dropped.append(Dropped(labelled.name, share))
            continue
        irreps = irrep_projectors(group, row.index_symmetry)
        graphs.append(build_graph(labelled.crystal, around, irreps))
        tensors.append(tensor)
        kept.append(labelled)
    data = PreparedData(
        names=[labelled.name for labelled in kept],
        graphs=graphs,
        tensors=np.concatenate(tensors) if row.per_atom else np.stack(tensors),
        splits=np.array([labelled.split for labelled in kept]),
        sign_known=np.array([labelled.sign_known for labelled in kept]),
        polar=np.array([labelled.polar for labelled in kept]),
        key=key,
    )
    return data, dropped


def _fitting_group(
    labelled: LabelledCrystal,
    row: "TensorProperty",
    symprec: "Sequence[float]",
    max_residual: float,
) -> "tuple[NDArray[np.float64], NDArray[np.float64], float]":
    """Find the point group that allows a label; return the projected label as well."""
    norm = float(np.linalg.norm(labelled.tensor))
    for tolerance in symprec:
        symmetry = symmetry_of(labelled.crystal, tolerance)
        tensor = allowed_part(labelled.tensor, symmetry, row)
        lost = float(np.linalg.norm(labelled.tensor - tensor))
        if lost <= max_residual * norm:
            break
    return symmetry.rotations, tensor, lost / norm if norm else 0.0


def cache_key(paths: "Sequence[Path]", **settings: object) -> str:
    """Hash the content of files together with settings.

    Parameters
    ----------
    paths : sequence of Path
        Files whose bytes count; their names do not.
    settings
        Anything with a stable ``repr``.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256(repr(sorted(settings.items())).encode())
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def save_prepared(data: PreparedData, path: Path) -> None:
    """Write prepared data as one uncompressed ``.npz``; never half of it."""
    graphs = data.graphs
    arrays = {
        "names": np.array(data.names),
        "tensors": data.tensors,
        "splits": data.splits,
        "sign_known": data.sign_known,
        "polar": data.polar,
        "key": np.array(data.key),
        "volumes": np.array([graph.volume for graph in graphs]),
        "n_atoms": np.array([len(graph.numbers) for graph in graphs]),
        "n_edges": np.array([len(graph.targets) for graph in graphs]),
    }
    for name in ("numbers", "targets", "sources", "vectors"):
        arrays[name] = np.concatenate([getattr(graph, name) for graph in graphs])
    for degree, pseudo in graphs[0].projectors:
        stacked = np.stack([graph.projectors[degree, pseudo] for graph in graphs])
        arrays[f"projector_{degree}_{int(pseudo)}"] = stacked
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, allow_pickle=False, **arrays)
    partial.replace(path)


def load_prepared(path: Path) -> PreparedData:
    """Read what `save_prepared` wrote.

    Parameters
    ----------
    path : Path
        An ``.npz`` file.

    Returns
    -------
    PreparedData
        The same.

    Raises
    ------
    DataError
        If the file is something else.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return _unpack(arrays)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: not a prepared data set ({error})") from error


def _unpack(arrays: "dict[str, NDArray[Any]]") -> PreparedData:
    """Cut the flat arrays of a file back into graphs."""
    n_atoms, n_edges = arrays["n_atoms"], arrays["n_edges"]
    cut = {
        name: np.split(arrays[name], np.cumsum(counts)[:-1])
        for name, counts in (
            ("numbers", n_atoms),
            ("targets", n_edges),
            ("sources", n_edges),
            ("vectors", n_edges),
        )
    }
    projectors = {
        (int(name.split("_")[1]), name.endswith("1")): stacked
        for name, stacked in arrays.items()
        if name.startswith("projector_")
    }
    graphs = [
        CrystalGraph(
            cut["numbers"][index],
            float(volume),
            cut["targets"][index],
            cut["sources"][index],
            cut["vectors"][index],
            {kind: stacked[index] for kind, stacked in projectors.items()},
        )
        for index, volume in enumerate(arrays["volumes"])
    ]
    return PreparedData(
        names=arrays["names"].tolist(),
        graphs=graphs,
        tensors=arrays["tensors"],
        splits=arrays["splits"],
        sign_known=arrays["sign_known"],
        polar=arrays["polar"],
        key=str(arrays["key"]),
    )
