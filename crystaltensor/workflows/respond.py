"""Predict response properties of the crystal in a file from forces."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from crystaltensor.errors import CrystalTensorError
from crystaltensor.workflows.predict import wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from crystaltensor.response.prediction import ResponsePrediction


def respond(
    source: str,
    properties: "Sequence[str]",
    *,
    potential: str,
    born: str | None = None,
    learned: str | None = None,
    relaxed: bool = False,
    cached: bool = True,
    file_format: str | None = None,
    symprec: float = 0.01,
    frame: str = "input",
    device: str = "auto",
    on_call: "Callable[[int, int], None] | None" = None,
) -> "Iterator[ResponsePrediction]":
    """Read a crystal, differentiate the forces of a potential, compose its properties.

    Parameters
    ----------
    source : str
        Path of a structure file, or ``-`` for standard input.
    properties : sequence of str
        Of ``piezo``, ``dielectric-total`` and ``elastic``.
    potential : str
        Name of the potential, see `find_potential`.
    born : str, optional
        File of Born charges; those of the model that comes along if left out.
    learned : str, optional
        Folder of a learned part; that which comes along, if there is one, if left out.
    relaxed : bool
        Whether to relax the atoms first, in the cell as given.
    cached : bool
        Whether force constants are kept in the user's cache folder, and taken from it.
    file_format : str, optional
        Guessed from the name, then from the content, if left out.
    symprec : float
        Largest distance between equivalent atoms, in Å.
    frame : str
        Frame of the tensors: ``"input"``, ``"ieee"`` or ``"standard"``.
    device : str
        Where the networks run; the potential runs on the CPU.
    on_call : callable, optional
        Told how many force calculations are done, and of how many.

    Yields
    ------
    ResponsePrediction
        One for each property; all share the force constants.

    Raises
    ------
    CrystalTensorError
        Whatever is wrong with the file, the crystal or the potential; the message
        begins with the path where the file is to blame.
    """
    from crystaltensor.crystals.io import read_single
    from crystaltensor.response.cache import cache_folder
    from crystaltensor.response.composition import Composer, refuse_other
    from crystaltensor.response.potentials import find_potential
    from crystaltensor.response.responder import Responder

    rows = wanted(properties)
    for row in rows:
        refuse_other(row)
    read = read_single(source, file_format=file_format)

    from crystaltensor.properties import ELASTIC
    from crystaltensor.symmetry.operations import find_symmetry

    responder = Responder(
        find_potential(potential),
        relaxed=relaxed,
        folder=cache_folder() if cached else None,
    )
    composer = Composer(
        born=None if born is None else Path(born),
        learned=None if learned is None else Path(learned),
        device=device,
    )
    try:
        symmetry = find_symmetry(read.crystal, symprec=symprec)
        response = responder.respond(symmetry, elastic=ELASTIC in rows, on_call=on_call)
        for row in rows:
            found = composer.predict(response, row, frame=frame, source=read.source)
            whole = found.prediction
            warnings = (*read.warnings, *whole.warnings)
            yield replace(found, prediction=replace(whole, warnings=warnings))
    except CrystalTensorError as error:
        raise type(error)(f"{read.source}: {error}") from error
