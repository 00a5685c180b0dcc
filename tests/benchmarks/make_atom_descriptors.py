"""Describe atoms by what two universal potentials see of them.

Run ``python tests/benchmarks/make_atom_descriptors.py OUT.npz TABLE.jsonl.gz ...`` where
sevenn and chgnet are installed. The table that it writes is what `descriptors` in the
settings of a training names: of the training crystals of all tables, each formula and
space group with a volume once, the invariant features of 7net-0 after its third, fourth
and fifth convolution and its energies of atoms, and the features, magnetic moments and
energies of atoms of CHGNet; each brought to the mean zero and the variance one over all
atoms, and cut at `CUT`. With ``--components 192`` so many principal components of them are
kept, with 93 % of the variance, which for ε is not enough.

The potentials are tools to make labels with. Nothing of them is in what is trained.
"""

import argparse
import gzip
import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from crystaltensor.crystals.conversion import to_ase, to_pymatgen
from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.descriptors import Described, write_descriptors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Describe = Callable[[Crystal], Floats]

LARGEST = 40
"""Crystals with more atoms are left out."""

CUT = 6.0
"""Standard deviations beyond which a descriptor counts as this many."""

LAYERS = ("2_equivariant_gate", "3_equivariant_gate", "4_equivariant_gate")
INVARIANT = 128
"""Of the features of 7net-0 these are the first."""


def crystals_of(tables: "list[Path]") -> "Iterator[tuple[str, Crystal]]":
    """Take the training crystals of tables, alike ones once, with names."""
    rows = []
    for path in tables:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            rows += [(path, json.loads(line)) for line in file]
    held_out = {row["group"] for _, row in rows if row["split"] != "train"}
    seen = set()
    for path, row in rows:
        structure = row["structure"]
        volume = abs(np.linalg.det(structure["lattice"]))
        kind = row["group"], len(structure["species"]), round(volume, 2)
        if row["group"] in held_out or kind in seen or kind[1] > LARGEST:
            continue
        seen.add(kind)
        crystal = Crystal.from_symbols(
            structure["lattice"], structure["frac_coords"], structure["species"]
        )
        yield f"{path.name.split('.')[0]}/{row['id']}", crystal


def seven_net() -> "Describe":
    """Load 7net-0, of the package sevenn."""
    import sevenn._keys as keys
    from sevenn.atom_graph_data import AtomGraphData
    from sevenn.calculator import SevenNetCalculator
    from sevenn.train.dataload import unlabeled_atoms_to_graph

    calculator = SevenNetCalculator("7net-0", device="cpu")
    model = calculator.model.eval()
    model.set_is_batch_data(False)
    model.delete_module_by_key("force_output")
    caught: dict[str, Floats] = {}

    def catch(name: str) -> "Callable[..., None]":
        def hook(_module: object, _inputs: object, output: Any) -> None:
            caught[name] = output[keys.NODE_FEATURE][:, :INVARIANT].numpy()

        return hook

    for name in LAYERS:
        getattr(model, name).register_forward_hook(catch(name))

    def describe(crystal: Crystal) -> "Floats":
        atoms = to_ase(crystal)
        graph = unlabeled_atoms_to_graph(atoms, calculator.cutoff, with_shift=False)
        with torch.no_grad():
            output = model(AtomGraphData.from_numpy_dict(graph))
        energies = output[keys.ATOMIC_ENERGY].numpy().reshape(-1, 1)
        return np.concatenate([*(caught[name] for name in LAYERS), energies], axis=1)

    return describe


def chgnet() -> "Describe":
    """Load CHGNet, of the package chgnet."""
    from chgnet.model import CHGNet

    model = CHGNet.load(use_device="cpu", verbose=False)

    def describe(crystal: Crystal) -> "Floats":
        with torch.no_grad():
            found = model.predict_graph(
                model.graph_converter(to_pymatgen(crystal)),
                task="em",
                return_site_energies=True,
                return_atom_feas=True,
            )
        columns = [np.reshape(found[name], (-1, 1)) for name in ("m", "site_energies")]
        return np.concatenate([found["atom_fea"], *columns], axis=1)

    return describe


def described(
    many: "Iterator[tuple[str, Crystal]]", models: "list[Describe]"
) -> "Iterator[tuple[str, Crystal, Floats]]":
    """Describe crystals, but for those that a potential does not know or fails for."""
    for count, (name, crystal) in enumerate(many):
        if count % 500 == 0:
            print(count, "crystals", file=sys.stderr)
        try:
            values = np.concatenate([model(crystal) for model in models], axis=1)
        except Exception as error:  # noqa: BLE001 - whatever the packages trip over
            print(f"{name}: {error!r:.200}", file=sys.stderr)
            continue
        if np.isfinite(values).all():
            yield name, crystal, values


def standardised(values: "Floats") -> "Floats":
    """Bring columns to one size, so that all of them count."""
    scaled = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-6)
    return scaled.clip(-CUT, CUT)


def principal(values: "Floats", count: int) -> "Floats":
    """Keep the components of rows that vary most."""
    sizes, axes = np.linalg.eigh(values.T @ values)
    share = sizes[-count:].sum() / sizes.sum()
    print(f"{count} components of {len(sizes)} hold {100 * share:.1f} %")
    return values @ axes[:, -count:]


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--components", type=int, metavar="N")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found = list(described(crystals_of(asked.tables), [seven_net(), chgnet()]))
    values = standardised(np.concatenate([each[2] for each in found]).astype(float))
    if asked.components:
        values = principal(values, asked.components)
    ends = np.cumsum([len(each[2]) for each in found])
    rows = np.split(values, ends[:-1])
    table = [
        Described(name, crystal, part.astype(np.float32))
        for (name, crystal, _), part in zip(found, rows, strict=True)
    ]
    write_descriptors(table, asked.out)
    print(f"{len(table)} crystals in {asked.out}")


if __name__ == "__main__":
    main()
