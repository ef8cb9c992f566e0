"""``train_run`` and ``resume_run``: a VAE trained in a folder, from which it can go on however it was stopped."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyro

from pyro_vae.errors import OptionError, OutputError, PyroVaeError
from pyro_vae.estimators import LinearAnnealing
from pyro_vae.studies.record import versions
from pyro_vae.studies.run_record import FILE as RECORD
from pyro_vae.studies.run_record import RunRecord, TrainingOptions, fingerprint
from pyro_vae.studies.runs import (
    BEST,
    CHECKPOINT,
    FIT,
    Prepared,
    Run,
    divided,
    guide_of,
    is_run,
    loaded,
    prepared_run,
    run_of,
)
from pyro_vae.training import Fit, Validation, fit
from pyro_vae.training.checkpoints import Checkpoints, is_there, previous_of

TABLES = ("history.csv", "validation.csv")
MOST_STEPS = 1000  # between two checkpoints


def train_run(
    program: str | Path,
    folder: str | Path,
    *,
    data: str | Path | None = None,
    label: str | None = None,
    image_size: int | None = None,
    scale: str | None = None,
    sizes: Mapping[str, Any] | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Run:
    """Train the VAE of a program in a new folder: what ``pyro-vae fit`` does.

    The folder has ``run.json`` (what was asked for), ``checkpoint.safetensors`` and the one before it, ``history.csv``
    and ``validation.csv``, the best values on rows that were held out, and in the end ``fit.safetensors``.

    Args:
        program: a name of the catalogue or a path of a file with ``build``.
        folder: a new or empty folder.
        data: a file or folder of rows of one's own; ``label``, ``image_size`` and ``scale`` as for
            :func:`~pyro_vae.load_data`.
        sizes: arguments of the program's ``build``.
        progress: None shows a bar on a terminal or in a notebook.
        **options: ``epochs`` (50) or ``steps``, ``batch_size`` (128), ``learning_rate`` (0.001), ``schedule``
            (``"constant"``), ``estimator`` (a name), ``particles`` (1), ``beta``, ``annealing`` (steps), ``free_bits``,
            ``validation`` (the share of rows that are held out), ``patience`` (checks), ``restarts``, ``seed`` (0).

    Returns:
        the :class:`Run`.

    Raises:
        OutputError: naming the folder that has something in it, or cannot be written.
        DataError: naming file and row.
        OptionError: naming the option.
        FitInterrupted: on Ctrl-C; :func:`resume_run` goes on from the last checkpoint.
    """
    folder = Path(folder).expanduser()
    check_new_run(folder)
    own = None
    if data is not None:
        path = str(Path(data).expanduser().resolve())
        own = {"path": path, "label": label, "image_size": image_size, "scale": scale}
    elif label is not None or image_size is not None or scale is not None:
        raise OptionError("label, image_size and scale say how data are read: give data too.")
    source = str(program) if not _is_file(program) else str(Path(program).expanduser().resolve())
    record = RunRecord(source, dict(sizes or {}), own, {}, TrainingOptions())
    model = loaded(record)
    record = replace(
        record,
        options=TrainingOptions.of(model.training, options),
        rows=_described(model),
        versions=versions(),
    )
    chosen = record.options
    prepared = divided(model, chosen.validation, chosen.seed, chosen.batch_size)
    _make(folder)
    try:
        record.write(folder)
        return _trained(folder, record, prepared, progress, resume=True)
    except PyroVaeError:
        _unmake(folder)
        raise


def resume_run(
    folder: str | Path,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    data: str | Path | None = None,
    progress: bool | None = None,
) -> Run:
    """Go on with a run from its last checkpoint: it ends, to the bit, as one that was never stopped.

    Args:
        folder: the run's.
        epochs: more of them than the run was to have, also where it has come to its end. It becomes the run that it
            would have been with that many from the start.
        steps: the same, of a run that counts steps.
        data: where a person's own data are now, if they were moved since.
        progress: None shows a bar on a terminal or in a notebook.

    Returns:
        the :class:`Run`. There is nothing to do for one that has come to its end: it is opened.

    Raises:
        as :func:`train_run`; :class:`~pyro_vae.errors.OptionError` for fewer epochs than the run has, or where its
        learning rate depends on how many there are.
    """
    folder = Path(folder).expanduser()
    record = RunRecord.read(folder)
    grown = _grown(record, epochs, steps)
    prepared = prepared_run(record, data)
    if grown != record:
        grown.write(folder)
    return _trained(folder, grown, prepared, progress, resume=_from_where(folder, grown.options))


def _grown(record: RunRecord, epochs: int | None, steps: int | None) -> RunRecord:
    """The record with more epochs or steps."""
    options = record.options
    for name, more in (("epochs", epochs), ("steps", steps)):
        before = getattr(options, name)
        if more is None or more == before:
            continue
        if before is None:
            raise OptionError(
                f"{name}={more}: the run counts {'steps' if name == 'epochs' else 'epochs'}. Say how many."
            )
        if more < before:
            raise OptionError(f"{name}={more}: the run has {before}, which can be raised and not lowered.")
        if options.schedule != "constant":
            raise OptionError(
                f"{name}={more}: the learning rate of this run falls over its {before} {name} (schedule "
                f"'{options.schedule}'), so one with more is another run. Start it in another folder."
            )
        options = replace(options, **{name: more})
    return replace(record, options=options)


def _from_where(folder: Path, options: TrainingOptions) -> Path | bool:
    """The checkpoint to go on from. A run that has ended is opened, or goes on from before its end."""
    path = folder / CHECKPOINT
    if not is_there(path):
        return True
    tree = Checkpoints(path).read()
    ended = tree["kind"] == "fit"
    if not ended or (tree["settings"]["epochs"], tree["settings"]["steps"]) == (options.epochs, options.steps):
        return True
    before = previous_of(path)
    return before if before.is_file() else False


def _trained(folder: Path, record: RunRecord, prepared: Prepared, progress: bool | None, resume: Path | bool) -> Run:
    """Train to the end, from wherever the run is."""
    options, batches = record.options, prepared.batches()
    watched = None
    if prepared.validation is not None:
        watched = Validation(prepared.batches(held_out=True), patience=options.patience, best=folder / BEST, terms=True)
    with pyro.get_param_store().scope():
        result: Fit = fit(
            prepared.program.model,
            guide_of(prepared.program),
            batches,
            estimator=options.estimator,
            num_particles=options.particles,
            epochs=options.epochs,
            steps=options.steps,
            learning_rate=options.learning_rate,
            schedule=options.schedule,
            stop=None,
            average=options.schedule != "constant",
            restarts=options.restarts,
            seed=options.seed,
            progress=progress,
            checkpoint=folder / CHECKPOINT,
            checkpoint_every=min(len(batches), MOST_STEPS),
            resume=resume,
            beta=options.beta,
            annealing=None if options.annealing is None else LinearAnnealing(options.annealing),
            free_bits=options.free_bits,
            validation=watched,
            log=folder,
        )
        result.save(folder / FIT)
    return run_of(folder, record, prepared, result)


def check_new_run(folder: Path) -> None:
    """See now whether a run can be made there; raises :class:`~pyro_vae.errors.OutputError` naming the folder."""
    if is_run(folder):
        raise OutputError(
            f"{folder} has a run in it. Go on with it: pyro-vae fit --resume {folder}. Or choose another folder."
        )
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(f"{folder} is there and is not a folder. A run needs one of its own.")
    if folder.is_dir() and any(folder.iterdir()):
        raise OutputError(f"{folder} has files in it that are no run's. Choose a folder that is empty or new.")
    parent = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryDirectory(dir=parent, prefix=".pyro-vae-"):
            pass
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written: {error.strerror or error} ({parent}). Choose a folder that you may write to."
        ) from error


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}. Choose another place.") from error


def _unmake(folder: Path) -> None:
    """Nothing stays of a run that could not begin."""
    if is_there(folder / CHECKPOINT):
        return
    for name in (RECORD, *TABLES):
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # what somebody else has put there stays
        folder.rmdir()


def _is_file(program: str | Path) -> bool:
    return str(program).endswith(".py") or Path(program).is_file()


def _described(program: Any) -> dict[str, Any]:
    """What the rows are, as JSON can have it."""
    rows = program.rows
    described = {
        "rows": len(rows),
        "shape": list(rows.x.shape[1:]),
        "kind": rows.kind,
        "image": None if rows.image is None else list(rows.image),
        "columns": list(rows.columns),
        "label_names": list(rows.label_names),
        "words": None if rows.vocabulary is None else list(rows.vocabulary.words),
        "scaling": None if rows.scaling is None else {"kind": rows.scaling.kind, "shift": list(rows.scaling.shift),
                                                      "size": list(rows.scaling.size)},
        "sha256": fingerprint(program.data),
    }  # fmt: skip
    return described
