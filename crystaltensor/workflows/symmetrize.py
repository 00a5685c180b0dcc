"""Say what symmetry allows of a tensor, and project a given one onto it."""

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.errors import ConfigError, CrystalTensorError, SymmetryError
from crystaltensor.symmetry.anchored import AnchoredSymmetry, find_anchored_symmetry
from crystaltensor.symmetry.derivation import derive
from crystaltensor.symmetry.derived import piezo_strain
from crystaltensor.symmetry.forms import AllowedForm, allowed_form
from crystaltensor.symmetry.frames import frame_rotation, positive_senses
from crystaltensor.symmetry.interpretation import interpret, residual
from crystaltensor.symmetry.notation import rotate
from crystaltensor.symmetry.operations import Symmetry, find_symmetry
from crystaltensor.symmetry.point_groups import canonical_symbol, point_group_rotations
from crystaltensor.symmetry.projection import project, why_forbidden
from crystaltensor.symmetry.sites import project_site_tensors
from crystaltensor.workflows.diagnosis import LARGE, suspect
from crystaltensor.workflows.symmetrized import Symmetrized, violations
from crystaltensor.workflows.targets import Options, Target, choose_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from crystaltensor.crystals.io import ReadCrystal
    from crystaltensor.crystals.tensor_files import GivenTensor
    from crystaltensor.symmetry.interpretation import Reading
    from crystaltensor.workflows.diagnosis import Suspicion

    Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Frames:
    """The group of a crystal, and how frames follow from that of its file."""

    symmetry: Symmetry | AnchoredSymmetry | None
    group: "Floats"  # in the frame of the file, (n_ops, 3, 3)
    frame: str  # of the tensor as given
    to_given: "Floats"  # from the frame of the file to that of the tensor as given
    to_result: "Floats"

    @property
    def n_atoms(self) -> int | None:
        """Number of atoms of the crystal, if there is one."""
        return None if self.symmetry is None else self.symmetry.crystal.n_atoms


def symmetrize(
    target: Target,
    *,
    read: "ReadCrystal | None" = None,
    point_group: str | None = None,
    given: "GivenTensor | None" = None,
    others: "Mapping[str, GivenTensor] | None" = None,
    options: Options | None = None,
) -> Symmetrized:
    """Find the allowed form of a tensor in a crystal, and project a given tensor.

    Parameters
    ----------
    target : Target
        What kind of tensor it is.
    read : ReadCrystal, optional
        The crystal.
    point_group : str, optional
        A crystal class in place of a crystal, in its conventional (IEEE) axes.
    given : GivenTensor, optional
        The tensor; without it only the form is found.
    others : mapping, optional
        Name of a property to another tensor of the same crystal and frame, for
        quantities that need several.
    options : Options
        Frames, notations and the tolerance.

    Returns
    -------
    Symmetrized
        In the frame asked for.

    Raises
    ------
    CrystalTensorError
        Whatever is wrong with the crystal, the tensor or the settings; the message
        begins with the source to blame.
    ConfigError
        If there is no crystal, or two.
    """
    options = options or Options()
    if read is None:
        if point_group is None:
            raise ConfigError("give a structure or a point group")
        found = _for_class(target, point_group, options.frame)
    elif point_group is None:
        found = _for_crystal(target, read, options)
    else:
        raise ConfigError("give either a structure or a point group, not both")
    if given is None:
        return found
    try:
        return _with_tensor(found, given, others or {}, options)
    except CrystalTensorError as error:
        if str(error).startswith(given.source):
            raise
        raise type(error)(f"{given.source}: {error}") from error


def _for_class(target: Target, point_group: str, frame: str) -> Symmetrized:
    """Find the form in a crystal class."""
    if frame == "standard":
        raise ConfigError("a point group alone has IEEE axes only; give a structure")
    rotations = point_group_rotations(point_group)
    form = _form(target, rotations)
    return Symmetrized(
        target=target,
        point_group=canonical_symbol(point_group),
        form=form,
        ieee_form=form,
        frame="ieee",
        rotation=None,
        forbidden=_forbidden(target, form, rotations),
    )


def _for_crystal(target: Target, read: "ReadCrystal", options: Options) -> Symmetrized:
    """Find the form in a crystal."""
    try:
        symmetry = _symmetry(target, read, options)
    except SymmetryError as error:
        raise SymmetryError(f"{read.source}: {error}") from error
    turn = frame_rotation(symmetry, options.frame)
    form = _form(target, turn @ symmetry.rotations @ turn.T)
    return Symmetrized(
        target=target,
        point_group=symmetry.point_group,
        form=form,
        ieee_form=_class_form(target, symmetry.point_group),
        frame=options.frame,
        rotation=None if options.frame == "input" else turn,
        forbidden=_forbidden(target, form, symmetry.rotations),
        read=read,
        symmetry=symmetry,
        warnings=(*read.warnings, *symmetry.warnings),
    )


def _symmetry(
    target: Target, read: "ReadCrystal", options: Options
) -> Symmetry | AnchoredSymmetry:
    """Find the space group, by the quicker way where that is enough."""
    frames = {options.frame, options.tensor_frame or "input"}
    if options.quick and frames == {"input"} and not target.row.per_atom:
        found = find_anchored_symmetry(read.crystal, symprec=options.symprec)
        if found is not None:
            return found
    return find_symmetry(read.crystal, symprec=options.symprec)


@cache
def _class_form(target: Target, point_group: str) -> AllowedForm:
    """Find the form in IEEE axes."""
    return _form(target, point_group_rotations(point_group))


def _form(target: Target, rotations: "Floats") -> AllowedForm:
    """Find the allowed form of a target."""
    return allowed_form(
        rotations,
        target.row.index_symmetry,
        symbol=target.row.symbol,
        factors=target.factors,
        axial=target.axial,
    )


def _forbidden(target: Target, form: AllowedForm, rotations: "Floats") -> str | None:
    """Say why there is no such tensor, if there is none."""
    if form.n_independent or target.row.per_atom:
        return None
    return why_forbidden(rotations, target.row.index_symmetry, axial=target.axial)


def _with_tensor(
    found: Symmetrized,
    given: "GivenTensor",
    others: "Mapping[str, GivenTensor]",
    options: Options,
) -> Symmetrized:
    """Add a tensor to what the crystal allows."""
    target, rank = found.target, found.target.row.rank
    frames = _frames(found, given, options)
    reading = _understand(given, target, frames, options.notation, options.order)
    tensor = _turned(reading.tensor, frames.to_given.T, rank)
    projected = _project(tensor, target, frames)
    stiffness = others.get("elastic")
    found, frames = _with_senses(found, frames, projected, stiffness, options)
    turned = _turned(projected, frames.to_result, rank)
    notes = [*given.notes, *reading.notes]
    if given.frame is not None and options.tensor_frame is None:
        notes.insert(0, f"the frame of the tensor is {given.frame}, as its file says")
    result = replace(
        found,
        given=_turned(tensor, frames.to_result, rank),
        tensor=_clean(turned),
        reading=reading,
        symmetry_residual=residual(tensor, projected),
        notes=(*found.notes, *notes),
        warnings=(
            *found.warnings,
            *given.warnings,
            *reading.warnings,
            *_frame_warnings(given, frames),
        ),
    )
    if not options.explain:
        return result
    return _explained(result, frames, others)


def _frames(found: Symmetrized, given: "GivenTensor", options: Options) -> _Frames:
    """Settle the frames of the tensor and of the result."""
    symmetry = found.symmetry
    to_result = np.eye(3) if found.rotation is None else found.rotation
    if symmetry is None:
        group = point_group_rotations(found.point_group)
        return _Frames(None, group, "ieee", np.eye(3), to_result)
    frame = options.tensor_frame or given.frame or "input"
    if options.tensor_frame is None and given.rotation is not None:
        turn = given.rotation
    else:
        turn = frame_rotation(symmetry, frame)
    return _Frames(symmetry, symmetry.rotations, frame, turn, to_result)


def _understand(
    given: "GivenTensor",
    target: Target,
    frames: _Frames,
    notation: str | None = None,
    order: str | None = None,
) -> "Reading":
    """Read the numbers of a tensor."""
    return interpret(
        given.values,
        target.row.index_symmetry,
        notation=notation or given.notation,
        order=order or given.order or "voigt",
        factors=target.factors,
        n_atoms=frames.n_atoms if target.row.per_atom else None,
        rotations=frames.to_given @ frames.group @ frames.to_given.T,
        axial=target.axial,
    )


def _project(tensor: "Floats", target: Target, frames: _Frames) -> "Floats":
    """Project a tensor, or the tensors of all atoms, in the frame of the file."""
    if target.row.per_atom:
        if not isinstance(frames.symmetry, Symmetry):
            raise ConfigError("tensors of atoms need a structure, not a point group")
        return project_site_tensors(tensor, frames.symmetry, axial=target.axial)
    return project(
        tensor,
        frames.group,
        index_symmetry=target.row.index_symmetry,
        axial=target.axial,
    )


def _with_senses(
    found: Symmetrized,
    frames: _Frames,
    projected: "Floats",
    stiffness: "GivenTensor | None",
    options: Options,
) -> tuple[Symmetrized, _Frames]:
    """Turn IEEE axes by the signs of the piezoelectric constants, or say it was not."""
    if found.target.row.name != "piezo" or found.frame != "ieee" or found.forbidden:
        return found, frames
    deciding, symbol = projected, "e"
    if stiffness is not None:
        target = choose_target("elastic")
        reading = _understand(stiffness, target, frames)
        stiff = rotate(reading.tensor, frames.to_given.T, rank=4)
        deciding = piezo_strain(projected, _project(stiff, target, frames))
        symbol = "d"
    turn = positive_senses(rotate(deciding, frames.to_result), found.point_group)
    if np.array_equal(turn, np.eye(3)):
        return found, frames
    if not options.positive:
        note = (
            f"the IEEE standard would turn these axes so that the leading {symbol} "
            "constants are positive; --ieee-signs does"
        )
        return replace(found, notes=(*found.notes, note)), frames
    whole = turn @ frames.to_result
    note = f"the senses of the axes make the leading {symbol} constants positive"
    return (
        replace(found, rotation=whole, notes=(*found.notes, note)),
        replace(frames, to_result=whole),
    )


def _turned(tensor: "Floats", turn: "Floats", rank: int) -> "Floats":
    """Rotate properly, unless there is nothing to rotate."""
    if np.array_equal(turn, np.eye(3)):
        return tensor
    return rotate(tensor, turn, rank=rank)


def _clean(turned: "Floats") -> "Floats":
    """Set what a rotation should have left zero to zero."""
    bound = 1e-14 * float(np.abs(turned).max(initial=0.0))
    return np.where(np.abs(turned) < bound, 0.0, turned)


def _frame_warnings(given: "GivenTensor", frames: _Frames) -> list[str]:
    """Compare the lattice that came with a tensor with that of the structure."""
    if given.lattice is None or frames.symmetry is None:
        return []
    own, other = frames.symmetry.crystal.cell, given.lattice
    size = float(np.abs(own).max())
    if np.abs(own - other).max() < 1e-3 * size:
        return []
    turned = np.abs(own @ own.T - other @ other.T).max() < 2e-3 * size**2
    if turned:
        warning = (
            "the lattice beside the tensor is that of the structure in another "
            "orientation: the tensor is in another frame than the structure"
        )
    else:
        warning = (
            "the lattice beside the tensor is not that of the structure: these may be "
            "two cells of a crystal or two frames"
        )
    return [warning]


def _explained(
    result: Symmetrized, frames: _Frames, others: "Mapping[str, GivenTensor]"
) -> Symmetrized:
    """List violations, search for mistakes and derive quantities."""
    target, left = result.target, result.symmetry_residual
    suspicions: tuple[Suspicion, ...] = ()
    if (
        left is not None
        and left > LARGE
        and not result.forbidden
        and isinstance(frames.symmetry, Symmetry)
        and result.reading is not None
    ):
        suspicions = suspect(
            result.reading,
            target.row,
            frames.symmetry,
            left,
            lambda other: residual(other, _project(other, target, frames)),
            frame=frames.frame,
        )
    tensors = {} if result.tensor is None else {target.row.name: result.tensor}
    warnings: list[str] = []
    for name, other in others.items():
        kind = choose_target(name)
        reading = _understand(other, kind, frames)
        tensor = rotate(reading.tensor, frames.to_given.T, rank=kind.row.rank)
        projected = _project(tensor, kind, frames)
        left = residual(tensor, projected)
        if left is not None and left > LARGE:
            warnings.append(f"{other.source}: symmetry residual {left:.3g}")
        warnings += [f"{other.source}: {text}" for text in reading.warnings]
        tensors[kind.row.name] = rotate(projected, frames.to_result, rank=kind.row.rank)
    derived, more = derive(tensors, own=target.row.name)
    if "d" in derived:
        tensors["piezo-strain"] = np.array(derived["d"]["tensor"])
    return replace(
        result,
        violations=tuple(violations(result)),
        suspicions=suspicions,
        derived=derived,
        tensors=tensors,
        warnings=(*result.warnings, *warnings, *more),
    )
