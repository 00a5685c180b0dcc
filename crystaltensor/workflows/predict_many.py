"""Predict for any number of structures: a stream in, a stream out, nothing lost."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import crystaltensor
from crystaltensor.errors import ConfigError, FormatError
from crystaltensor.workflows import blocks as layout
from crystaltensor.workflows import inputs as cutting
from crystaltensor.workflows.blocks import Block, Treated, Treatment, in_blocks
from crystaltensor.workflows.engines import Engine, Processes, ThisProcess, n_cores
from crystaltensor.workflows.journal import Journal, opened_journal
from crystaltensor.workflows.output_formats import OutputFormat, output_format
from crystaltensor.workflows.predict_work import PredictWork, Settings, make_work
from crystaltensor.workflows.run_files import Counts
from crystaltensor.workflows.sharding import Shard

if TYPE_CHECKING:
    from collections.abc import Generator

    from crystaltensor.workflows.inputs import Inputs
    from crystaltensor.workflows.structure_files import Failure


@dataclass(frozen=True)
class Options:
    """How a run is carried out; the records do not depend on it.

    Parameters
    ----------
    n_workers : int, optional
        Processes; the cores that there are if left out.
    engine : str
        ``"local"`` or ``"ray"``.
    address : str, optional
        Of a Ray cluster.
    resume, overwrite : bool
        What to do with an output that is there.
    strict : bool
        Whether to stop at the first failure.
    stop : callable
        Asked after each block whether to end early.
    """

    n_workers: int | None = None
    engine: str = "local"
    address: str | None = None
    resume: bool = False
    overwrite: bool = False
    strict: bool = False
    stop: Callable[[], bool] = bool


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Parameters
    ----------
    n_files : int
        Files in all.
    files_done : float
        Files that are finished, parts of a long one as a fraction.
    counts : Counts
        Structures that are finished, those of an earlier run among them.
    before : Counts
        Those of an earlier run.
    n_skipped : int
        Entries of folders that are no structure files by their names.
    failures : tuple of Failure
        Those since the last report.
    output : bytes
        Records since the last report, if there is no file for them.
    ended : str
        Empty on the way, then ``"complete"`` or ``"stopped"``.
    """

    n_files: int
    files_done: float
    counts: Counts
    before: Counts = field(default_factory=Counts)
    n_skipped: int = 0
    failures: "tuple[Failure, ...]" = ()
    output: bytes = b""
    ended: str = ""


def own_files(output: str) -> Callable[[str], bool]:
    """Tell the files of a run, which are no input of it even if they lie among them.

    Parameters
    ----------
    output : str
        Its output.

    Returns
    -------
    callable
        Takes a path.
    """
    target = Path(output).absolute()
    stem, _, suffixes = target.name.partition(".")
    shards = re.compile(
        rf"{re.escape(stem)}(\.shard-\d{{4}}-of-\d{{4}})?\.?{re.escape(suffixes)}(\..*)?"
    )

    def is_own(path: str) -> bool:
        given = Path(path).absolute()
        if given.is_relative_to(target):
            return True
        return given.parent == target.parent and bool(shards.fullmatch(given.name))

    return is_own


def predict_into(
    output: str,
    inputs: "Inputs",
    settings: Settings,
    *,
    options: Options,
    shard: Shard,
) -> Iterator[Progress]:
    """Predict for all structures of the inputs, into a file that nothing can damage.

    Parameters
    ----------
    output : str
        Its suffix says the form, see `output_format`.
    inputs : Inputs
        The structures.
    settings : Settings
        What is predicted.
    options : Options
        How the run is carried out.
    shard : Shard
        Which part of the inputs.

    Yields
    ------
    Progress
        At the start, after each block, and at the end.

    Raises
    ------
    CrystalTensorError
        If a setting makes no sense, an output is not to be touched or cannot be
        written, or `options.strict` and a structure fails.
    FormatError
        If there is no structure file.
    """
    work, rows = make_work(settings)
    form = output_format(output, rows)
    survey = inputs.survey()
    if not survey.n_files:
        raise FormatError("there is no structure file among the inputs")
    header = _header(work, form, inputs, survey.digest, survey.n_files, shard)
    opened = opened_journal(
        Path(shard.name(output)),
        form,
        header,
        resume=options.resume,
        overwrite=options.overwrite,
    )
    with opened as journal:
        start = Progress(survey.n_files, 0.0, Counts(), n_skipped=survey.n_skipped)
        if isinstance(journal, Counts):
            done = replace(start, files_done=survey.n_files, counts=journal)
            yield replace(done, before=journal, ended="complete")
            return
        todo = _remaining(journal, inputs, shard)
        treatment = Treatment(work, form)
        yield from _fill(journal, treatment, todo, start, options, work.device)


def _fill(
    journal: Journal,
    treatment: Treatment,
    todo: Iterator[Block],
    start: Progress,
    options: Options,
    device: str,
) -> Iterator[Progress]:
    """Treat what the journal does not have yet."""
    now = replace(start, counts=journal.before, before=journal.before)
    yield now
    stopped = False
    with closing(_run(treatment, device, todo, options)) as results:
        try:
            for block, treated in results:
                _refuse_failure(treated, options)
                journal.add(block, treated)
                now = _after(now, block, treated)
                yield now
                stopped = options.stop()
                if stopped:
                    break
        finally:
            journal.commit()
    if stopped:
        yield replace(now, failures=(), ended="stopped")
        return
    journal.complete()
    yield replace(now, failures=(), files_done=now.n_files, ended="complete")


def predict_lines(
    inputs: "Inputs", settings: Settings, *, form: OutputFormat, options: Options
) -> Iterator[Progress]:
    """Predict for all structures of the inputs, without a file.

    Parameters
    ----------
    inputs : Inputs
        The structures.
    settings : Settings
        What is predicted.
    form : OutputFormat
        Of the bytes in ``Progress.output``.
    options : Options
        How the run is carried out.

    Yields
    ------
    Progress
        As `predict_into` does, with the records.

    Raises
    ------
    CrystalTensorError
        If a setting makes no sense, or `options.strict` and a structure fails.
    """
    work, _ = make_work(settings)
    survey = inputs.survey()
    now = Progress(survey.n_files, 0.0, Counts(), n_skipped=survey.n_skipped)
    found = in_blocks(inputs.pieces())
    running = _run(Treatment(work, form), work.device, found, options)
    with closing(running) as results:
        for block, treated in results:
            _refuse_failure(treated, options)
            now = replace(_after(now, block, treated), output=treated.output)
            yield now
            if options.stop():
                yield replace(now, failures=(), output=b"", ended="stopped")
                return
    yield replace(now, failures=(), output=b"", ended="complete")


def _after(now: Progress, block: Block, treated: Treated) -> Progress:
    """Count a block."""
    return replace(
        now,
        files_done=block.files_done,
        counts=now.counts + Counts(treated.n_ok, treated.failed),
        failures=treated.failures,
    )


def _refuse_failure(treated: Treated, options: Options) -> None:
    """Stop at a failure, if that is wanted."""
    if options.strict and treated.failures:
        raise treated.failures[0].error


def _remaining(journal: Journal, inputs: "Inputs", shard: Shard) -> Iterator[Block]:
    """Give the blocks that the journal does not have; those it has must be the same."""
    seen = 0
    for block in in_blocks(inputs.pieces()):
        if not shard.has(block):
            continue
        line = journal.lines.get(block.number)
        if line is None:
            yield block
            continue
        seen += 1
        if line.inputs != block.signature:
            first, last = block.pieces[0].path, block.pieces[-1].path
            raise ConfigError(
                f"an input has changed since the run was begun, among {first} to {last}; "
                "begin anew with --overwrite"
            )
    if seen < len(journal.lines):
        raise ConfigError(
            "the inputs are fewer than when the run was begun; begin anew with --overwrite"
        )


def _run(
    treatment: Treatment, device: str, found: Iterator[Block], options: Options
) -> "Generator[tuple[Block, Treated], None, None]":
    """Choose the engine, and let it run."""
    yield from _engine(treatment, device, options).run(found)


def _engine(treatment: Treatment, device: str, options: Options) -> Engine:
    """Choose the engine."""
    if options.engine == "ray":
        from crystaltensor.workflows.ray_engine import RayEngine

        return RayEngine(
            treatment,
            address=options.address,
            n_workers=options.n_workers,
            on_gpu=device != "cpu",
        )
    n_workers = options.n_workers or n_cores()
    if device != "cpu":
        return Processes(treatment, n_workers, networks_here=True)
    if n_workers == 1:
        return ThisProcess(treatment)
    return Processes(treatment, n_workers)


def _header(
    work: PredictWork,
    form: OutputFormat,
    inputs: "Inputs",
    digest: str,
    n_files: int,
    shard: Shard,
) -> dict[str, Any]:
    """Collect everything that the bytes of the output depend on."""
    return {
        "schema": 1,
        "crystaltensor": crystaltensor.__version__,
        "form": form.name,
        "properties": [model.row.name for model in work.models],
        "models": [model.identity() for model in work.models],
        "symprec": work.symprec,
        "frame": work.frame,
        "device": work.device,
        "inputs": {
            "paths": list(inputs.paths),
            "recursive": inputs.recursive,
            "files_from": inputs.files_from,
            "format": inputs.file_format,
            "n_files": n_files,
            "names": digest,
        },
        "shard": [shard.index, shard.count],
        "blocks": [
            layout.BLOCK_RECORDS,
            layout.BLOCK_BYTES,
            cutting.PIECE_RECORDS,
            cutting.SPLIT_BYTES,
            work.batch_size,
        ],
    }
