"""``open_run``: a run folder as an object, with the trained VAE and its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyro
from torch import Tensor
from torch.utils.data import DataLoader

from pyro_vae.catalogue import Program, load_program
from pyro_vae.datasets import Rows, load_data
from pyro_vae.datasets.for_programs import check_rows_of, part_of
from pyro_vae.errors import DataError, OutputError, ProgramError
from pyro_vae.studies.run_record import FILE, RunRecord, fingerprint
from pyro_vae.studies.run_rows import batches_of, split
from pyro_vae.training import Fit, load_fit
from pyro_vae.training.checkpoints import Checkpoints, is_there

CHECKPOINT, BEST, FIT = "checkpoint.safetensors", "best.safetensors", "fit.safetensors"


@dataclass(frozen=True, repr=False)
class Run:
    """A VAE that was trained by ``pyro-vae fit`` or :func:`~pyro_vae.train_run`.

    ``vae`` has the fitted values, ``fit`` the history and the bound. ``data`` are the arguments of the model for the
    rows that were trained on, ``x`` among them, and ``validation`` those for the rows that were held out, or None.
    ``rows`` and ``validation_rows`` are the same rows as :class:`~pyro_vae.datasets.Rows`: they say how to show them.
    """

    folder: Path
    program: Program
    fit: Fit
    data: Mapping[str, Any]
    rows: Rows
    record: RunRecord
    validation: Mapping[str, Any] | None = None
    validation_rows: Rows | None = None

    def __repr__(self) -> str:
        return f"Run({self.program.name}, {len(self.rows)} {self.kind}: {self.fit!r})"

    @property
    def vae(self) -> Any:
        """The VAE, with the fitted values."""
        return self.program.vae

    @property
    def x(self) -> Tensor:
        """The rows that were trained on, ``[N, *event]``."""
        return self.data["x"]

    @property
    def kind(self) -> str:
        """What the rows are: ``"images"``, ``"sentences"`` or ``"arrays"``."""
        return self.rows.kind

    @property
    def image(self) -> tuple[int, int, int] | None:
        """Channels, height and width of images; None of other rows."""
        return self.rows.image

    @property
    def vocabulary(self) -> Any:
        """The :class:`~pyro_vae.vae.Vocabulary` of sentences; None of other rows."""
        return self.rows.vocabulary

    @property
    def labels(self) -> Tensor | None:
        """The label of each row that was trained on, ``[N]``: whole numbers, which ``label_names`` explains."""
        return self.rows.labels

    @property
    def label_names(self) -> tuple[str, ...]:
        """What each label is called."""
        return self.rows.label_names

    @property
    def finished(self) -> bool:
        """Whether the run has come to its end."""
        return not self.fit.reason.startswith("a checkpoint")


@dataclass(frozen=True)
class Prepared:
    """A run's program and rows, before anything is fitted or read."""

    program: Program
    data: Mapping[str, Any]
    rows: Rows
    validation: Mapping[str, Any] | None
    validation_rows: Rows | None
    batch_size: int = field(default=128)

    def batches(self, *, held_out: bool = False) -> DataLoader:
        """Minibatches of the rows that are trained on, in another order every epoch; or of those that are held out."""
        if not held_out:
            return batches_of(self.data, len(self.rows), self.batch_size, shuffle=True)
        assert self.validation is not None
        return batches_of(self.validation, len(self.validation["x"]), self.batch_size)


def prepared_run(record: RunRecord, data: str | Path | None = None) -> Prepared:
    """The program of a record with its rows, which are those that it was written for.

    ``data`` says where a person's own rows are now. Raises :class:`~pyro_vae.errors.DataError` when they are others.
    """
    program = loaded(record, data)
    assert program.rows is not None
    if record.rows["sha256"] != fingerprint(program.data):
        raise DataError(
            f"{program.rows.source}: the data are not those that the run was made with: they have changed since "
            f"({len(program.rows)} rows now, {record.rows['rows']} then). Give the same, or start a new run."
        )
    return divided(program, record.options.validation, record.options.seed, record.options.batch_size)


def loaded(record: RunRecord, data: str | Path | None = None) -> Program:
    """The program of a record, built for a person's own rows where there are some."""
    own = None
    if record.data is not None:
        options = {name: record.data[name] for name in ("label", "image_size", "scale")}
        own = load_data(data or record.data["path"], **options)
    program = load_program(record.program, data=own, **record.sizes)
    if program.vae is None:
        raise ProgramError(f"{program.path} has no build(): it makes no VAE, and runs are of VAEs.")
    if program.rows is None:
        raise ProgramError(f"{program.path}: load() must return the rows as x, a tensor, for a run.")
    return program


def divided(program: Program, share: float | None, seed: int, batch_size: int) -> Prepared:
    """The rows of a program, some of them held out; the VAE is told how many are left."""
    assert program.rows is not None
    count = len(program.rows)
    train, held_out = split(count, share, seed)
    if getattr(program.vae, "size", 0) is None:
        program.vae.size = len(train)
    return Prepared(
        program=program,
        data=part_of(program.data, train, count),
        rows=program.rows.at(train),
        validation=None if held_out is None else part_of(program.data, held_out, count),
        validation_rows=None if held_out is None else program.rows.at(held_out),
        batch_size=batch_size,
    )


def open_run(folder: str | Path, *, data: str | Path | None = None) -> Run:
    """A run folder, with the VAE as it was when the run ended or, of a run that did not, at its last checkpoint.

    The program's file is run, as ``load_program`` does; nothing else in the folder can run code.

    Args:
        folder: what ``pyro-vae fit`` wrote.
        data: where a person's own data are now, if they were moved since.

    Returns:
        the :class:`Run`.

    Raises:
        OutputError: naming the folder or file that is missing or damaged.
        DataError: when the data are not those that were trained on.

    >>> import tempfile, pyro_vae as pv
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pv.train_run("categorical_vae", f"{folder}/run", epochs=2, validation=0.1, progress=False)
    ...     run = pv.open_run(f"{folder}/run")
    >>> run.kind, run.x.shape, run.validation["x"].shape, run.finished
    ('arrays', torch.Size([900, 24]), torch.Size([100, 24]), True)
    """
    folder = Path(folder).expanduser()
    record = RunRecord.read(folder)
    prepared = prepared_run(record, data)
    file = next((path for path in (folder / CHECKPOINT, folder / FIT) if is_there(path)), None)
    if file is None:
        raise OutputError(
            f"{folder} has no checkpoint yet: the run was stopped within its first epoch. "
            f"Go on with: pyro-vae fit --resume {folder}"
        )
    with pyro.get_param_store().scope():
        fit = load_fit(
            file, prepared.program.model, guide_of(prepared.program), prepared.batches(),
            estimator=record.options.estimator,
        )  # fmt: skip
    return run_of(folder, record, prepared, fit)


def run_of(folder: Path, record: RunRecord, prepared: Prepared, fit: Fit) -> Run:
    """The run whose values are in place."""
    return Run(
        folder=folder,
        program=prepared.program,
        fit=fit,
        data=prepared.data,
        rows=prepared.rows,
        record=record,
        validation=prepared.validation,
        validation_rows=prepared.validation_rows,
    )


def guide_of(program: Program) -> Any:
    """The guide that came with the VAE."""
    return program.vae.guide


def other_rows(run: Run, path: str | Path, image_size: int | None = None) -> Rows:
    """Rows of a file or folder as the run's VAE takes them, read as its own were.

    Raises :class:`~pyro_vae.errors.DataError` naming file and row.
    """
    read: Mapping[str, Any] = run.record.data or {}
    rows = load_data(
        path, label=read.get("label"), image_size=image_size or _folders(read.get("image_size"), path), like=run.rows
    )
    assert run.program.from_rows is not None
    data = run.program.from_rows(rows)
    check_rows_of(rows, data, run.vae)
    return replace(rows, x=data["x"], kind=run.kind)


def _folders(image_size: int | None, path: str | Path) -> int | None:
    """Only the images of a folder are resized."""
    return image_size if Path(path).is_dir() else None


def steps_kept(folder: Path) -> int:
    """How many steps of a run its checkpoint has; 0 without one."""
    path = folder / CHECKPOINT
    return len(Checkpoints(path).read()["history"]) if is_there(path) else 0


def is_run(folder: Path) -> bool:
    """Whether a folder has a run in it."""
    return (folder / FILE).is_file()
