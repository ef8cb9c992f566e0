"""Can every entry of a comparison be fitted? Found out by one draw each, before the first of many minutes of work."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pyro
import pyro.infer
from torch import Generator, Tensor
from torch.utils.data import DataLoader

from pyro_vae.catalogue import Program
from pyro_vae.errors import EstimatorError, PyroVaeError
from pyro_vae.estimators.names import BY_NAME
from pyro_vae.studies.entries import Entries, Entry
from pyro_vae.studies.options import Options
from pyro_vae.training.objective import elbo_from
from pyro_vae.training.parameters import assign, copy_of
from pyro_vae.training.prepare import Prepared, on_device, prepare
from pyro_vae.training.randomness import own_randomness


@dataclass(frozen=True)
class Start:
    """Where all fits of a guide begin: its parameters and buffers, live and as they were.

    A guide that is a module, or calls one, is trained in place. Put back after each fit, it begins the next one where
    it began the first.
    """

    live: Mapping[str, Tensor]
    values: Mapping[str, Tensor]
    shuffling: Generator | None = None

    @classmethod
    def of(cls, prepared: Prepared, data: Any) -> Start:
        """The start of a pair that has not been fitted yet; what an estimator learns is each fit's own.

        A ``DataLoader`` that shuffles with a generator of its own is put back too: all fits see the same batches.
        """
        buffers = {f"buffer {name}": value for name, value in prepared.objective.buffers().items()}
        live = {**prepared.params, **{key: buffers[key] for key in buffers if not key.startswith("buffer control.")}}
        return cls(live, copy_of(live), data.generator if isinstance(data, DataLoader) else None)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Whatever a fit does to them in the block, afterwards they are as they were."""
        shuffled = None if self.shuffling is None else self.shuffling.get_state()
        try:
            yield
        finally:
            assign(self.live, self.values)
            if self.shuffling is not None and shuffled is not None:
                self.shuffling.set_state(shuffled)


def starts_of(entries: Entries, program: Program, options: Options) -> dict[str, Start]:
    """Run every entry once, unseen; the start of each guide by its name.

    Raises the error of the first entry that cannot be fitted, naming it and the site; where it is the estimator that
    cannot, :class:`~pyro_vae.errors.EstimatorError` with those that can.
    """
    starts: dict[str, Start] = {}
    for name, entry in entries.by_name.items():
        try:
            prepared = _prepared(entry, program, options)
        except EstimatorError as error:
            raise EstimatorError(
                f"'{name}': {error} {_instead(name, entry, entries, program, options)} Nothing was fitted."
            ) from error
        except PyroVaeError as error:
            error.args = (f"'{name}': {error.args[0] if error.args else error}", *error.args[1:])
            raise
        starts.setdefault(entry.guide_name, Start.of(prepared, program.data))
    return starts


def _prepared(entry: Entry, program: Program, options: Options) -> Prepared:
    device = options.fit.get("device")
    elbo = elbo_from(entry.objective(), options.fit.get("num_particles"), None)
    with (
        pyro.get_param_store().scope(),
        on_device(device),
        own_randomness(options.seed),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # the fit says it again
        return prepare(program.model, entry.guide, program.data, elbo, device=device)


def _instead(name: str, entry: Entry, entries: Entries, program: Program, options: Options) -> str:
    """Which estimators can take this entry's guide: of those that were given, and of the library."""
    given = {
        other: one for other, one in entries.by_name.items() if other != name and one.guide_name == entry.guide_name
    }
    library = {key: replace(entry, estimator=estimator) for key, estimator in BY_NAME.items()}

    def able(candidates: Mapping[str, Entry]) -> str:
        return ", ".join(key for key, one in candidates.items() if _feasible(one, program, options)) or "none"

    return f"Of the estimators given, these can take '{entry.guide_name}': {able(given)}. Of all: {able(library)}."


def _feasible(entry: Entry, program: Program, options: Options) -> bool:
    try:
        _prepared(entry, program, options)
    except PyroVaeError:
        return False
    return True
