"""NumPyro, as its documentation advises: a jitted update in a loop, the loop in ``lax.scan``, ``svi.run``, NUTS."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from jax import lax, random
from numpyro.infer import MCMC, NUTS, SVI, Trace_ELBO
from numpyro.infer.autoguide import AutoNormal

from tests.benchmarks.contenders import given, numpyro_models
from tests.benchmarks.contenders.clock import Memory, per_step, sampled

Measure = Callable[[], dict[str, float]]


def _svi(model: Callable, particles: int) -> SVI:
    loss = Trace_ELBO(num_particles=particles, vectorize_particles=True)
    return SVI(model, AutoNormal(model), numpyro.optim.Adam(0.01), loss)


def _program(program: str, data: str) -> tuple[Callable, dict[str, Any]]:
    return getattr(numpyro_models, program), {name: jnp.asarray(value) for name, value in given.read(data).items()}


def _scanned(svi: SVI, arguments: dict[str, Any], steps: int) -> Callable[[], Any]:
    """All the steps in one ``lax.scan``, compiled; always from the same start."""
    start = svi.init(random.key(0), **arguments)
    run = jax.jit(lambda state: lax.scan(lambda s, _: svi.update(s, **arguments), state, None, length=steps))
    return lambda: jax.block_until_ready(run(start))


def loop(program: str, data: str, particles: int, steps: int) -> Measure:
    """Time per step of the jitted update, called from Python."""
    model, arguments = _program(program, data)
    svi = _svi(model, particles)
    update = jax.jit(svi.update)
    state, _ = update(svi.init(random.key(0), **arguments), **arguments)

    def run() -> None:
        nonlocal state
        for _ in range(steps):
            state, _ = update(state, **arguments)
        jax.block_until_ready(state)

    run()
    return lambda: per_step(run, steps)


def scan(program: str, data: str, particles: int, steps: int) -> Measure:
    """Time per step of the whole loop, compiled."""
    model, arguments = _program(program, data)
    run = _scanned(_svi(model, particles), arguments, steps)
    run()
    return lambda: per_step(run, steps)


def whole_fit(program: str, data: str, particles: int, steps: int) -> Measure:
    """Seconds of ``svi.run``, tracing and compiling included."""
    model, arguments = _program(program, data)

    def measure() -> dict[str, float]:
        begin = time.perf_counter()
        found = _svi(model, particles).run(random.key(0), steps, progress_bar=False, **arguments)
        jax.block_until_ready(found.losses)
        return {"seconds": time.perf_counter() - begin}

    return measure


def rows(rows: int, particles: int, steps: int, batch: int | None) -> Measure:
    """Time per step and memory of logistic regression on so many rows, all of them or ``batch`` at every step."""
    arrays = {name: jnp.asarray(value) for name, value in given.regression(rows).items()}
    model: Callable = numpyro_models.logistic_regression
    if batch is not None:
        model = partial(numpyro_models.subsampled_regression, batch=batch)
    memory = Memory()
    run = _scanned(_svi(model, particles), arrays, steps)
    run()
    return lambda: {**per_step(run, steps), "memory": memory.most()}


def nuts(program: str, data: str, chains: int, draws: int, warmup: int, method: str, x64: bool) -> Measure:
    """Effective draws per second and per gradient. ``method`` is NumPyro's ``chain_method``."""
    if x64:
        numpyro.enable_x64()
    if method == "parallel":
        numpyro.set_host_device_count(chains)
    model, arguments = _program(program, data)
    if x64:
        arguments = {name: value.astype(jnp.float64) for name, value in arguments.items()}
    seeds = iter(range(1000))

    def measure() -> dict[str, float]:
        key = random.key(next(seeds))
        begin = time.perf_counter()
        run = MCMC(NUTS(model), num_warmup=warmup, num_samples=draws, num_chains=chains, chain_method=method,
                   progress_bar=False)  # fmt: skip
        run.run(key, extra_fields=("num_steps",), **arguments)
        found = jax.block_until_ready(run.get_samples(group_by_chain=True))
        seconds = time.perf_counter() - begin
        gradients = float(run.get_extra_fields()["num_steps"].sum())
        return sampled({name: np.asarray(value) for name, value in found.items()}, gradients, seconds)

    return measure
