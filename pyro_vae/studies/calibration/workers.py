"""The simulations of a study, in this process or in several, each record handed over as it is ready."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from typing import Any

import cloudpickle
import joblib
from joblib.parallel import get_active_backend

from pyro_vae.errors import OptionError
from pyro_vae.studies.calibration.study import Record, Setup, Study

_ROUND = 4  # simulations per worker at a time, where a backend gives all results at once


def packed(setup: Setup) -> bytes:
    """The setup as bytes that another process can read: functions of a program's file, or of a notebook, by value.

    Raises :class:`~pyro_vae.errors.OptionError` if a part of it cannot be sent.
    """
    with _by_value(setup.model, setup.guide, setup.simulate):
        try:
            return cloudpickle.dumps(setup)
        except Exception as error:  # whatever a person's object does when it is pickled
            raise OptionError(
                f"The model, guide or data cannot be copied for the simulations ({type(error).__name__}: {error}). "
                "Define model and guide at the top of a file, without open files, locks or generators in them."
            ) from error


def prepared(payload: bytes) -> Study:
    """The study, made ready in this process: what is wrong with the pair is found out before any simulation."""
    return _study(payload)


def records(payload: bytes, indices: Sequence[int], jobs: int | None) -> Generator[Record, None, None]:
    """The records of these simulations, in the order in which they are ready.

    ``jobs`` is joblib's ``n_jobs``: None is 1, or what ``joblib.parallel_config`` says, -1 all cores.
    """
    backend: Any
    backend, context_jobs = get_active_backend()
    workers = backend.effective_n_jobs(context_jobs if jobs is None else jobs) if indices else 1
    if workers == 1:
        study = _study(payload)
        yield from (study.run(index) for index in indices)
        return
    if getattr(backend, "uses_threads", False):
        raise OptionError(
            f"jobs={jobs} with joblib's backend {type(backend).__name__}: Pyro's handlers and parameter store are "
            'shared by all threads of a process. Use a backend of processes: "loky", "dask", "ray".'
        )
    alone: Any = {"batch_size": 1}  # a simulation takes seconds
    here = os.getpid()
    calls = [joblib.delayed(_work)(payload, index, here) for index in indices]
    if backend.supports_return_generator:
        results: Any = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", **alone)(calls)
        with closing(results):
            yield from results
        return
    for start in range(0, len(calls), _ROUND * workers):
        batch: Any = joblib.Parallel(n_jobs=jobs, **alone)(calls[start : start + _ROUND * workers])
        yield from batch


def _work(payload: bytes, index: int, parent: int) -> Record:
    if os.getpid() != parent and hasattr(signal, "SIGINT"):
        with suppress(ValueError):  # not the main thread of a worker, as under Dask
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other process's to answer
    return _study(payload).run(index)


@lru_cache(maxsize=1)
def _study(payload: bytes) -> Study:
    """The study in this process, made once: compiled functions and the guide's start serve all its simulations."""
    return Study(cloudpickle.loads(payload))


@contextmanager
def _by_value(*things: Any) -> Iterator[None]:
    """Programs are loaded by path, so that no other process can import them by name."""
    names = {getattr(_function(thing), "__module__", None) for thing in things}
    modules = [sys.modules[name] for name in names if name and name.startswith("pyro_vae_program_")]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _function(thing: Any) -> Any:
    while isinstance(getattr(thing, "func", None), Callable):
        thing = thing.func
    return thing
