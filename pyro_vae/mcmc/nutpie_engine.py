"""NUTS by nutpie, written in Rust: the default engine. It calls the compiled gradient from its own threads."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from pyro_vae.compiling.tape import Pool
from pyro_vae.errors import PyroVaeError, SamplerError
from pyro_vae.mcmc.chains import Chains, Settings, even
from pyro_vae.mcmc.threads import one_thread
from pyro_vae.potential import Potential

# nutpie's name of a statistic -> ArviZ's.
_STATS = {
    "logp": "lp",
    "diverging": "diverging",
    "energy": "energy",
    "depth": "tree_depth",
    "maxdepth_reached": "reached_max_treedepth",
    "n_steps": "n_steps",
    "step_size": "step_size",
    "mean_tree_accept": "acceptance_rate",
}
# Below this many seconds per gradient, threads spend more time waiting for Python's lock than they gain.
_WORTH_A_THREAD = 60e-6


def sample(potential: Potential, settings: Settings) -> Chains:
    """Sample chains of NUTS with a diagonal mass matrix adapted from draws and gradients.

    Same seed, same draws, whatever the number of cores. After Ctrl-C, the draws so far are given back.

    Raises: :class:`~pyro_vae.errors.SamplerError` when nutpie cannot run the model; ``KeyboardInterrupt`` when there
    is no draw after warm-up to keep.
    """
    nutpie = _import()
    failures: list[BaseException] = []
    with one_thread():
        cores = _cores(potential, settings.chains)
        model = _as_nutpie_model(potential, settings, cores, failures)
        begin = time.perf_counter()
        try:
            trace = nutpie.sample(
                model,
                draws=settings.draws,
                tune=settings.warmup,
                chains=settings.chains,
                cores=cores,
                seed=settings.seed,
                target_accept=settings.target_accept,
                progress_bar=settings.progress,
                return_raw_trace=True,
            )
        except RuntimeError as error:
            cause = failures[0] if failures else error
            if isinstance(cause, PyroVaeError):
                raise cause from error
            first = str(cause).strip().splitlines()[0]
            raise SamplerError(f"nutpie cannot sample the model: {first}. Try engine='pyro', or other init.") from cause
    draws, stats = trace.get_arrow_trace()
    return _chains(draws, stats, settings, time.perf_counter() - begin)


def _import() -> Any:
    with warnings.catch_warnings():  # it imports arviz, which announces its next version
        warnings.simplefilter("ignore")
        import nutpie
    return nutpie


def _as_nutpie_model(potential: Potential, settings: Settings, cores: int, failures: list[BaseException]) -> Any:
    """The potential in nutpie's terms; what its callbacks raise is kept in ``failures``, which nutpie would shorten."""

    def kept(function: Callable) -> Callable:
        def call(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except BaseException as error:
                failures.append(error)
                raise

        return call

    start = kept(lambda seed: potential.start(np.random.default_rng(seed), settings.init))
    native = potential.gradient.native
    if native is not None:
        return _native_model(potential.size, native(cores), start)
    from nutpie.compiled_pyfunc import from_pyfunc

    evaluate = kept(potential.gradient.evaluate)
    return from_pyfunc(
        potential.size,
        make_logp_fn=lambda: evaluate,
        make_expand_fn=lambda seed1, seed2, chain: lambda flat: {"flat": flat},
        expanded_dtypes=[np.dtype(np.float64)],
        expanded_shapes=[(potential.size,)],
        expanded_names=["flat"],
        make_initial_point_fn=start,
    )


def _native_model(size: int, pool: Pool, start: Callable) -> Any:
    """A C function in nutpie's terms: those in which it takes PyMC's models, and no Python in a leapfrog step."""
    from nutpie import _lib  # pyright: ignore[reportAttributeAccessIssue]
    from nutpie.sample import CompiledModel

    class Native(CompiledModel):
        n_dim = size  # pyright: ignore[reportAssignmentType]
        shapes = {"flat": (size,)}  # pyright: ignore[reportAssignmentType]
        coords: dict = {}  # pyright: ignore

        def _make_model(self, init_mean: Any) -> Any:
            sizes: dict[str, int] = {}  # filled by the next line
            variables = _lib.PyVariable.new_variables(["flat"], ["float64"], [(size,)], sizes, {})
            density = _lib.LogpFunc(pool.function, pool.user, pool)
            expand = _lib.ExpandFunc(size, size, pool.unchanged, pool.user, pool)
            return _lib.PyMcModel(density, expand, variables, size, sizes, {}, start, None)

        def _make_sampler(self, settings: Any, init_mean: Any, cores: int, progress: Any, store: Any) -> Any:
            return _lib.PySampler.from_pymc(settings, cores, self._make_model(init_mean), progress, store)

    return Native(dims={})


def _cores(potential: Potential, chains: int) -> int:
    """As many threads as there are cores; one for a function that is quicker than handing Python's lock over."""
    if potential.gradient.backend == "eager":
        return 1  # Pyro's handlers allow one model at a time
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if potential.gradient.native is not None:
        return min(chains, available)
    point = np.zeros(potential.size)
    seconds = []
    for _ in range(20):
        begin = time.perf_counter()
        potential.value_and_grad(point)
        seconds.append(time.perf_counter() - begin)
    return min(chains, available) if np.median(seconds) > _WORTH_A_THREAD else 1


def _chains(draws: list, stats: list, settings: Settings, seconds: float) -> Chains:
    """nutpie's Arrow tables, one per chain, without warm-up, cut to equal length."""
    sampled = [~_column(table, "tuning").astype(bool) for table in stats]
    kept, length = even([int(rows.sum()) for rows in sampled])
    if length == 0:
        raise KeyboardInterrupt("NUTS was stopped during warm-up: there are no draws to keep.")

    def stack(tables: list, name: str) -> np.ndarray:
        return np.stack([_column(tables[chain], name)[sampled[chain]][:length] for chain in kept])

    table = {ours: stack(stats, theirs) for theirs, ours in _STATS.items()}
    return Chains(stack(draws, "flat"), table, seconds, len(kept) < settings.chains or length < settings.draws)


def _column(table: Any, name: str) -> np.ndarray:
    """A column of an Arrow table, ``[rows]`` or, of lists of one length, ``[rows, length]``."""
    import pyarrow

    column = pyarrow.array(table.column(name))
    if hasattr(column, "flatten") and pyarrow.types.is_nested(column.type):
        return column.flatten().to_numpy(False).reshape(table.num_rows, -1)
    return column.to_numpy(False)
