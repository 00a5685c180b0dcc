"""CIF: crystals as crystallographers publish them."""

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crystaltensor.crystals.cif_syntax import parse_blocks
from crystaltensor.crystals.crystal import SYMBOLS, Crystal, atomic_number
from crystaltensor.crystals.parsing import MAX_ATOMS, Parsed, shown, to_float
from crystaltensor.crystals.spacegroups import (
    keep_metric,
    operations_of,
    parse_operations,
)
from crystaltensor.errors import (
    CrystalTensorError,
    ElementError,
    FormatError,
    StructureError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from crystaltensor.crystals.cif_syntax import Block, Token
    from crystaltensor.crystals.spacegroups import Operations

SPECIAL = 0.2
"""Images of one site closer than this, in Å, are one atom on a special position.

No two nuclei come that close, and coordinates of two digits miss a special position
by less."""

_ELEMENTS = frozenset(SYMBOLS[1:])
_OPERATIONS = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
)
_NAMES = (
    "_space_group_name_hall",
    "_symmetry_space_group_name_hall",
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_it_number",
    "_symmetry_int_tables_number",
)


class _Sites(NamedTuple):
    """The sites that a file lists, before symmetry."""

    symbols: list[str]
    labels: list[str]
    frac: "NDArray[np.float64]"  # (n_sites, 3)


def parse_cif(text: str) -> "Iterator[Parsed | CrystalTensorError]":
    """Parse the structures of a CIF, and complete them by their symmetry.

    Atoms stand in the order of the file, the images of a site behind it. The cell
    is the file's, never the primitive one. The axes are pymatgen's: c along z, a in
    the xz plane. Coordinates keep their digits, with one exception: a site that the
    operations map to within `SPECIAL` of itself is on a special position, and is put
    there exactly (the mean over its site symmetry), because 0.3333 for 1/3 would
    otherwise become several atoms. What moved is reported.

    Parameters
    ----------
    text : str
        The whole file.

    Yields
    ------
    Parsed or CrystalTensorError
        One per data block that has atoms; the error of a block does not end it.

    Raises
    ------
    FormatError
        If the text is not a CIF, or no block has atoms.
    """
    blocks = parse_blocks(text)
    found = [block for block in blocks if block.find("_atom_site_label")]
    found = found or [block for block in blocks if block.find("_atom_site_type_symbol")]
    if not found:
        raise FormatError(
            "no atoms: there is no loop over _atom_site_label with coordinates"
        )
    for block in found:
        try:
            yield _crystal(block)
        except CrystalTensorError as error:
            if len(found) == 1:
                yield error
            else:
                yield type(error)(f"data block {shown(block.name)}: {error}")


def _crystal(block: "Block") -> Parsed:
    """Turn one data block into a crystal."""
    cell = _cell(block)
    operations, warnings = _operations(block, cell)
    sites = _sites(block)
    n_ops = len(operations.translations)
    if len(sites.labels) * n_ops > 100 * MAX_ATOMS:
        raise StructureError(
            f"{len(sites.labels)} sites times {n_ops} operations are too many to treat"
        )
    frac, owners, moved = _expand(sites, operations, cell)
    if moved > 1e-6:
        warnings.append(
            f"sites were moved by up to {moved:.1g} Å onto the special positions that "
            "the symmetry operations imply"
        )
    if any(tag.startswith("_atom_site_moment") for tag in block.columns):
        warnings.append("magnetic moments are ignored")
    attached = block.find("_atom_site_attached_hydrogens")
    if any(token.text not in {"0", ".", "?"} for token in attached):
        warnings.append("hydrogen atoms are implied that have no coordinates")
    symbols = [sites.symbols[owner] for owner in owners]
    return Parsed(Crystal.from_symbols(cell, frac, symbols), tuple(warnings))


def _number(token: "Token") -> float:
    """Read a number; the uncertainty in brackets is left out."""
    return to_float(re.sub(r"\(\d*\)?$", "", token.text), f"line {token.line}")


def _cell(block: "Block") -> "NDArray[np.float64]":
    """Make lattice vectors from lengths and angles, in pymatgen's frame."""
    a, b, c = [_one(block, f"_cell_length_{axis}") for axis in "abc"]
    alpha, beta, gamma = [
        _one(block, f"_cell_angle_{angle}") for angle in ("alpha", "beta", "gamma")
    ]
    (cos_a, sin_a), (cos_b, sin_b), (cos_g, _) = map(_cos_sin, (alpha, beta, gamma))
    fits = all(0 < angle < 180 for angle in (alpha, beta, gamma))
    if not fits or not all(0 < length < np.inf for length in (a, b, c)):
        raise StructureError(
            f"the cell has lengths {a:g}, {b:g}, {c:g} and angles {alpha:g}, {beta:g}, "
            f"{gamma:g}; lengths must be positive, angles between 0 and 180"
        )
    cos_star = (cos_a * cos_b - cos_g) / (sin_a * sin_b)
    if abs(cos_star) >= 1:
        raise StructureError(
            f"the cell has no volume: angles {alpha:g}, {beta:g}, {gamma:g}"
        )
    sin_star = np.sqrt((1 - cos_star) * (1 + cos_star))
    return np.array(
        [
            [a * sin_b, 0, a * cos_b],
            [-b * sin_a * cos_star, b * sin_a * sin_star, b * cos_a],
            [0, 0, c],
        ]
    )


def _one(block: "Block", tag: str) -> float:
    """Read the number under a tag that must be there."""
    found = block.find(tag)
    if not found or found[0].text in {"?", "."}:
        raise FormatError(f"there is no {tag}: the cell is not complete")
    return _number(found[0])


def _cos_sin(angle: float) -> tuple[float, float]:
    """Cosine and sine in degrees, exact where symmetry wants it."""
    exact = {60.0: 0.5, 90.0: 0.0, 120.0: -0.5}
    cosine = exact.get(angle, float(np.cos(np.radians(angle))))
    return cosine, float(np.sin(np.radians(angle)))


def _operations(
    block: "Block", cell: "NDArray[np.float64]"
) -> "tuple[Operations, list[str]]":
    """Find the symmetry operations: listed, or those of the space group named."""
    listed = [token.text for token in block.find(*_OPERATIONS)]
    magnetic = block.find("_space_group_symop_magn_operation_xyz")
    if magnetic and not listed:
        listed = _magnetic(block, [token.text for token in magnetic])
    if listed and set(listed) - {"?", "."}:
        if len(listed) > 1000:
            raise FormatError(f"{len(listed)} symmetry operations are too many")
        operations = parse_operations(listed)
        if not keep_metric(operations, cell):
            return operations, [
                "the symmetry operations do not keep the cell's lengths and angles"
            ]
        return operations, []
    for token in (one for tag in _NAMES for one in block.find(tag)[:1]):
        known = None if token.text in {"?", "."} else operations_of(token.text, cell)
        if known is not None:
            if len(known.translations) == 1:
                return known, []
            return known, [
                f"no symmetry operations are listed: those of {shown(token.text)} are used"
            ]
    named = [token.text for tag in _NAMES for token in block.find(tag)]
    if set(named) - {"?", "."}:
        raise FormatError(
            f"there are no symmetry operations, and space group {shown(named[0])} is not "
            "known; add a loop of _space_group_symop_operation_xyz"
        )
    return parse_operations([]), ["no symmetry is given: taken for P 1"]


def _magnetic(block: "Block", listed: list[str]) -> list[str]:
    """Drop time reversal from magnetic operations, and multiply with the centring."""
    centring = [
        token.text for token in block.find("_space_group_symop_magn_centering_xyz")
    ] or ["x,y,z,+1"]
    if len(listed) * len(centring) > 1000:
        raise FormatError(
            f"{len(listed) * len(centring)} symmetry operations: too many"
        )
    products = []
    for shift in centring:
        extra = [part.strip()[1:] for part in shift.lower().split(",")[:3]]
        for operation in listed:
            pairs = zip(operation.split(",")[:3], extra, strict=False)
            products.append(",".join(row + more for row, more in pairs))
    return products


def _sites(block: "Block") -> _Sites:
    """Read the sites that the file lists."""
    labels = block.find("_atom_site_label", "_atom_site_type_symbol")
    types = block.find("_atom_site_type_symbol")
    kinds = types or labels
    columns = [block.find(f"_atom_site_fract_{axis}") for axis in "xyz"]
    if not all(len(column) == len(labels) == len(kinds) for column in columns):
        raise FormatError(
            f"line {labels[0].line}: every atom needs _atom_site_fract_x, _y and _z "
            "(fractional coordinates)"
        )
    if len(labels) > MAX_ATOMS:
        raise StructureError(f"more than the {MAX_ATOMS} atoms that can be treated")
    _refuse_disorder(block, labels)
    dummies = block.find("_atom_site_calc_flag")
    kept = [
        index
        for index in range(len(labels))
        if len(dummies) != len(labels) or dummies[index].text != "dum"
    ]
    if not kept:
        raise StructureError("there is no atom in the cell")
    frac = np.array(
        [
            [_coordinate(column[index], labels[index]) for column in columns]
            for index in kept
        ]
    )
    symbols = [_symbol(kinds[index], is_label=not types) for index in kept]
    return _Sites(symbols, [labels[index].text for index in kept], frac)


def _coordinate(token: "Token", label: "Token") -> float:
    """Read a coordinate, which must be there."""
    value = np.nan if token.text in {"?", "."} else _number(token)
    if not np.isfinite(value):
        raise FormatError(
            f"line {token.line}: site {shown(label.text)} has a coordinate "
            f"{shown(token.text)}; complete it, or leave the site out"
        )
    return value


def _refuse_disorder(block: "Block", labels: "list[Token]") -> None:
    """Refuse sites that are occupied in part."""
    for label, token in zip(labels, block.find("_atom_site_occupancy"), strict=False):
        if token.text in {"?", "."}:
            continue
        occupancy = _number(token)
        if not abs(occupancy - 1) <= 1e-3:
            raise StructureError(
                f"line {token.line}: site {shown(label.text)} is occupied to "
                f"{occupancy:g} (disorder); choose an ordered model, for example with "
                "pymatgen's OrderDisorderedStructureTransformation"
            )


def _symbol(token: "Token", *, is_label: bool) -> str:
    """Find the element in a type (Al, AL, Al3+) or in a label (Al1, Al1A)."""
    pattern = r"[A-Z][A-Za-z]?" if is_label else r"([A-Za-z]{1,2})[\d.+-]*$"
    match = re.match(pattern, token.text)
    if match is None:
        raise ElementError(f"line {token.line}: {shown(token.text)} is not an element")
    name = match[0] if is_label else match[1]
    if name in _ELEMENTS:
        return name
    short, long = name[:1] in _ELEMENTS, name.title() in _ELEMENTS
    if is_label and short and long and len(name) == 2:
        raise ElementError(
            f"line {token.line}: label {shown(token.text)} may be {name[:1]} or "
            f"{name.title()}; add a column _atom_site_type_symbol"
        )
    if is_label and short:
        return name[:1]
    try:
        atomic_number(name if name in {"D", "T"} else name.title())
    except ElementError as error:
        raise ElementError(f"line {token.line}: {error}") from None
    return name.title()


def _expand(
    sites: _Sites, operations: "Operations", cell: "NDArray[np.float64]"
) -> "tuple[NDArray[np.float64], list[int], float]":
    """Apply the operations to each site; also return owners and the largest move."""
    if len(operations.translations) == 1:
        return sites.frac, list(range(len(sites.frac))), 0.0
    parts, owners, moved = [], [], 0.0
    for owner, given in enumerate(sites.frac):
        exact, move = _special_position(given, operations, cell)
        if move is None:
            raise StructureError(
                f"site {shown(sites.labels[owner])} is so near a special position that "
                f"its number of images is not clear (closer than {SPECIAL} Å); give "
                "more digits, or put it there"
            )
        images = _distinct(exact, operations, cell)
        parts.append(images)
        owners += [owner] * len(images)
        moved = max(moved, move)
        if len(owners) > MAX_ATOMS:
            raise StructureError(f"more than the {MAX_ATOMS} atoms that can be treated")
    return np.concatenate(parts), owners, moved


def _special_position(
    given: "NDArray[np.float64]", operations: "Operations", cell: "NDArray[np.float64]"
) -> "tuple[NDArray[np.float64], float | None]":
    """Average a site over its site symmetry; also return how far that moves it."""
    apart = operations.rotations @ given + operations.translations - given
    apart -= np.round(apart)  # (n_ops, 3)
    here = np.linalg.norm(apart @ cell, axis=1) < SPECIAL
    shift = apart[here].mean(axis=0)
    exact = given + shift
    left = operations.rotations[here] @ exact + operations.translations[here] - exact
    left -= np.round(left)
    if abs(left @ cell).max() > 1e-6:  # not a group: neither on nor off the position
        return given, None
    move = float(np.linalg.norm(shift @ cell))
    # Below rounding error there is nothing to repair: the digits stay as written.
    return (exact, move) if move > 1e-12 else (given, 0.0)


def _distinct(
    exact: "NDArray[np.float64]", operations: "Operations", cell: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """List the different images of a site, itself first and as it is written."""
    images = operations.rotations @ exact + operations.translations
    images[1:] -= np.floor(images[1:])
    images[0] = exact
    kept = [images[0]]
    rest = images
    while True:
        apart = rest - kept[-1]
        apart -= np.round(apart)
        rest = rest[np.linalg.norm(apart @ cell, axis=1) >= SPECIAL]
        if not len(rest):
            return np.array(kept)
        kept.append(rest[0])
