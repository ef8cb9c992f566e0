"""NUTS in a process of its own, while the guides are fitted in this one: a comparison is mostly waiting for these two.

Only the command line does this. A new process imports the program that started it, and a person's script or notebook
need not be made for that.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from pyro_vae.errors import PyroVaeError, SamplerError

if TYPE_CHECKING:
    import xarray as xr

    from pyro_vae.catalogue import Program


@contextmanager
def nuts_alongside(program: Program, arguments: argparse.Namespace) -> Iterator[Any]:
    """What to give to ``compare``: the baseline that was asked for, or a function that waits for NUTS."""
    from pyro_vae.studies.parameters import look_at_model

    wanted = arguments.baseline or ("reference" if program.has_reference else "nuts")
    # The model's own parameters, if it has any, are known only after the fit; and a bad model is found out here.
    if wanted != "nuts" or _cores() < 2 or look_at_model(program.model, program.data):
        yield arguments.baseline
        return
    names = ("engine", "chains", "draws", "warmup", "target_accept", "seed")
    options = {name: getattr(arguments, name) for name in names}
    ours, theirs = multiprocessing.get_context("spawn").Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(
        target=_sample, args=(arguments.program, arguments.posteriordb, options, theirs), daemon=True
    )
    process.start()
    theirs.close()
    try:
        yield _waiting(process, ours)
    finally:
        process.terminate()
        process.join()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _waiting(process: Any, pipe: Connection) -> Callable[[], xr.DataTree]:
    def wait() -> xr.DataTree:
        try:
            result = pipe.recv()
        except EOFError as error:
            process.join()
            raise SamplerError(
                f"The process that ran NUTS ended without a result (exit code {process.exitcode}); was there too "
                "little memory? pyro-vae nuts runs it alone, and what that writes can be the --baseline."
            ) from error
        if isinstance(result, BaseException):
            raise result
        return result

    return wait


def _sample(source: str, posteriordb: str | None, options: dict[str, Any], pipe: Connection) -> None:
    """In the new process: send the draws, or the error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other process's to answer
    from pyro_vae.catalogue import load_program
    from pyro_vae.mcmc import nuts

    try:
        program = load_program(source, posteriordb=posteriordb)
        pipe.send(
            nuts(
                program.model,
                program.data,
                baseline_model=program.baseline_model,
                progress=False,
                coords=dict(program.coords),
                dims=dict(program.dims),
                **options,
            )
        )
    except PyroVaeError as error:
        pipe.send(error)
