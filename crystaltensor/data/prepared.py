"""Graphs and projected labels, made once for a training run and kept on disk."""

import contextlib
import hashlib
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.data.archives import read_arrays
from crystaltensor.data.features import LAST_ELEMENT
from crystaltensor.data.graphs import CrystalGraph, build_graph
from crystaltensor.data.hypotheses import allowed_part, symmetry_of
from crystaltensor.data.potential_sums import potential_sums
from crystaltensor.data.rows import Dropped, LabelledCrystal
from crystaltensor.data.scales import to_learn
from crystaltensor.errors import DataError, SymmetryError
from crystaltensor.symmetry.irreps import irrep_projectors
from crystaltensor.symmetry.normalizer import indistinguishable
from crystaltensor.symmetry.sites import site_projectors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from crystaltensor.crystals.crystal import Crystal
    from crystaltensor.nn.batch import Neighbourhood
    from crystaltensor.properties import TensorProperty
    from crystaltensor.symmetry.operations import Symmetry


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
        Labels, on the scale on which they are learnt, projected on what the symmetry of
        the crystal allows: one for each crystal, or, if the property belongs to atoms,
        for each atom of each crystal.
    splits : ndarray of str
        ``"train"``, ``"val"`` or ``"test"``.
    sign_known, polar : ndarray of bool
        As in `LabelledCrystal`.
    point_groups : ndarray of str
        Symbols of the crystal classes; empty where no symmetry is found.
    n_primitive : ndarray of int
        Atoms of the primitive cells.
    sites : ndarray of float32, shape (n_atoms, n_components, n_components), or None
        If the property belongs to atoms: projectors on what the sites allow, from
        `site_projectors`.
    key : str
        Hash of the data and the settings it was prepared with.
    alternatives : ndarray, shape (n, n_alternatives, 3, ..., 3), or None
        What each label may be, from `possible_labels`: itself first, and again where
        others have more. None where labels are what they say.
    """

    names: list[str]
    graphs: list[CrystalGraph]
    tensors: "NDArray[np.float64]"
    splits: "NDArray[np.str_]"
    sign_known: "NDArray[np.bool_]"
    polar: "NDArray[np.bool_]"
    point_groups: "NDArray[np.str_]"
    n_primitive: "NDArray[np.int64]"
    sites: "NDArray[np.float32] | None"
    key: str
    alternatives: "NDArray[np.float64] | None" = None

    def part(self, split: str) -> "NDArray[np.int64]":
        """Return the indices of the crystals of one split."""
        return np.flatnonzero(self.splits == split)

    def compositions(self, chosen: "NDArray[np.int64]") -> "NDArray[np.float64]":
        """Return the share of each element in the atoms, shape (n, n_elements)."""
        counts = np.stack(
            [
                np.bincount(self.graphs[i].numbers - 1, minlength=LAST_ELEMENT)
                for i in chosen
            ]
        )
        shares: NDArray[np.float64] = counts / counts.sum(axis=1, keepdims=True)
        return shares


def prepare(
    rows: "Sequence[LabelledCrystal]",
    row: "TensorProperty",
    *,
    around: "Neighbourhood",
    symprec: "Sequence[float]",
    max_residual: float,
    key: str,
    up_to_axes: bool = False,
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
    up_to_axes : bool
        Whether the labels are known up to what standardised axes leave open.

    Returns
    -------
    data : PreparedData
        In the order of `rows`.
    dropped : list of Dropped
        What was left out.
    """
    kept, tensors, dropped = [], [], []
    symmetries: list[Symmetry | None] = []
    for labelled in rows:
        if not row.rank:  # every symmetry allows a scalar
            symmetry, tensor = None, to_learn(labelled.tensor, row)
            with contextlib.suppress(SymmetryError):
                symmetry = symmetry_of(labelled.crystal, symprec[0])
        else:
            symmetry, tensor, lost = fitting_symmetry(
                labelled, row, symprec, max_residual
            )
            if lost > max_residual and labelled.split != "test":
                share = f"{100 * lost:.0f} % of its label is forbidden by symmetry"
                dropped.append(Dropped(labelled.name, share))
                continue
        kept.append(labelled)
        symmetries.append(symmetry)
        tensors.append(tensor)
    irreps = [
        irrep_projectors(symmetry.rotations, row.index_symmetry)
        if symmetry is not None and row.rank
        else {}
        for symmetry in symmetries
    ]
    graphs = build_graphs([each.crystal for each in kept], around, irreps)
    choices = (
        [
            possible_labels(*each, row)
            for each in zip(kept, tensors, symmetries, strict=True)
        ]
        if up_to_axes
        else []
    )
    data = PreparedData(
        names=[labelled.name for labelled in kept],
        graphs=graphs,
        tensors=np.concatenate(tensors) if row.per_atom else np.stack(tensors),
        splits=np.array([labelled.split for labelled in kept]),
        sign_known=np.array([labelled.sign_known for labelled in kept]),
        polar=np.array([labelled.polar for labelled in kept]),
        point_groups=np.array(["" if s is None else s.point_group for s in symmetries]),
        n_primitive=np.array(
            [
                each.crystal.n_atoms if s is None else s.n_primitive
                for each, s in zip(kept, symmetries, strict=True)
            ]
        ),
        sites=_sites(symmetries, row) if row.per_atom else None,
        key=key,
        alternatives=_padded(choices) if choices else None,
    )
    return data, dropped


def possible_labels(
    labelled: LabelledCrystal,
    tensor: "NDArray[np.float64]",
    symmetry: "Symmetry | None",
    row: "TensorProperty",
) -> "NDArray[np.float64]":
    """List what the label of a crystal may be whose standardised axes alone are known.

    Who does not know the axes does not know whether they were right-handed either: a
    tensor of odd parity may be its negative.

    Parameters
    ----------
    labelled : LabelledCrystal
        May say that its axes are known.
    tensor : ndarray, shape (3, ..., 3)
        The part of its label that its symmetry allows.
    symmetry : Symmetry or None
        Of the crystal.
    row : TensorProperty
        What the label is.

    Returns
    -------
    ndarray, shape (n_alternatives, 3, ..., 3)
        The tensor itself first.
    """
    if symmetry is None or labelled.axes_known:
        return tensor[None]
    turned = indistinguishable(tensor, symmetry)
    if row.parity == "even":
        return turned
    size = float(np.abs(tensor).max())
    apart = np.abs(turned[:, None] + turned).max(axis=tuple(range(2, 2 + row.rank)))
    return np.concatenate([turned, -turned[(apart > 1e-6 * size).all(axis=0)]])


def _padded(choices: "Sequence[NDArray[np.float64]]") -> "NDArray[np.float64]":
    """Stack lists of tensors; short ones repeat their first."""
    most = max(len(each) for each in choices)
    return np.stack(
        [np.concatenate([each, *[each[:1]] * (most - len(each))]) for each in choices]
    )


def _sites(
    symmetries: "Sequence[Symmetry | None]", row: "TensorProperty"
) -> "NDArray[np.float32]":
    """Put the projectors of the sites of all crystals below each other."""
    found = [
        site_projectors(symmetry, row.index_symmetry)
        for symmetry in symmetries
        if symmetry is not None
    ]
    return np.concatenate(found).astype(np.float32)


def build_graphs(
    crystals: "Sequence[Crystal]",
    around: "Neighbourhood",
    projectors: "Sequence[Mapping[tuple[int, bool], NDArray[np.float64]]]",
) -> list[CrystalGraph]:
    """Make the graphs of crystals, with the sums that a network sees.

    Parameters
    ----------
    crystals : sequence of Crystal
        Any cells.
    around : Neighbourhood
        Which neighbours and sums there are.
    projectors : sequence of mapping
        One for each crystal, as `build_graph` takes them.

    Returns
    -------
    list of CrystalGraph
        In the same order.

    Raises
    ------
    ResourceError
        If a crystal is too large for the memory.
    """
    without = itertools.repeat(None, len(crystals))
    sums = potential_sums(crystals, around) if around.potentials else without
    return [
        build_graph(crystal, around, irreps, sums=own)
        for crystal, irreps, own in zip(crystals, projectors, sums, strict=True)
    ]


def fitting_symmetry(
    labelled: LabelledCrystal,
    row: "TensorProperty",
    symprec: "Sequence[float]",
    max_residual: float,
) -> "tuple[Symmetry, NDArray[np.float64], float]":
    """Find the symmetry that allows a label, and project the label.

    Parameters
    ----------
    labelled : LabelledCrystal
        A crystal with a tensor.
    row : TensorProperty
        What it is.
    symprec, max_residual
        As in `prepare`.

    Returns
    -------
    symmetry : Symmetry
        Of the crystal.
    tensor : ndarray
        The part of the label that it allows.
    lost : float
        The rest, relative to the norm of the label.
    """
    norm = float(np.linalg.norm(labelled.tensor))
    for tolerance in symprec:
        symmetry = symmetry_of(labelled.crystal, tolerance)
        tensor = allowed_part(labelled.tensor, symmetry, row)
        lost = float(np.linalg.norm(labelled.tensor - tensor))
        if lost <= max_residual * norm:
            break
    return symmetry, tensor, lost / norm if norm else 0.0


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
        "point_groups": data.point_groups,
        "n_primitive": data.n_primitive,
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
    if graphs[0].sums is not None:
        flat = [graph.sums.ravel() for graph in graphs if graph.sums is not None]
        arrays["sums"] = np.concatenate(flat)
    for name in ("sites", "alternatives"):
        if getattr(data, name) is not None:
            arrays[name] = getattr(data, name)
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
    arrays = read_arrays(path)
    try:
        return _unpack(arrays)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: not a prepared data set ({error}); remove it to prepare again"
        ) from error


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
    sums = _unpack_sums(arrays)
    graphs = [
        CrystalGraph(
            cut["numbers"][index],
            float(volume),
            cut["targets"][index],
            cut["sources"][index],
            cut["vectors"][index],
            {kind: stacked[index] for kind, stacked in projectors.items()},
            sums[index],
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
        point_groups=arrays["point_groups"],
        n_primitive=arrays["n_primitive"],
        sites=arrays.get("sites"),
        key=str(arrays["key"]),
        alternatives=arrays.get("alternatives"),
    )


def _unpack_sums(
    arrays: "dict[str, NDArray[Any]]",
) -> "list[NDArray[np.float64]] | list[None]":
    """Cut the sums of a file back into one array for each crystal."""
    n_atoms = arrays["n_atoms"]
    if "sums" not in arrays:
        return [None] * len(n_atoms)
    n_potentials = len(arrays["sums"]) // int(np.square(n_atoms).sum())
    ends = np.cumsum(n_potentials * np.square(n_atoms))
    return [
        flat.reshape(n_potentials, n, n)
        for flat, n in zip(np.split(arrays["sums"], ends[:-1]), n_atoms, strict=True)
    ]
