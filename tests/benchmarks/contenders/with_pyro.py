"""Pyro's SVI and NUTS, as its documentation advises: vectorised particles, validation off for a model that works."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pyro
import torch
from pyro.infer import MCMC, NUTS, SVI, JitTrace_ELBO, Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from pyro.infer.mcmc import nuts as pyro_nuts
from pyro.optim import Adam

import pyro_vae as pv
from tests.benchmarks.contenders.clock import per_step, sampled

Measure = Callable[[], dict[str, float]]


def steps(program: str, particles: int, steps: int, jit: bool, validation: bool) -> Measure:
    """Time per ``SVI.step`` of a mean-field fit of a program of the catalogue."""
    loaded = pv.load_program(program)
    pyro.enable_validation(validation)
    options: dict[str, Any] = {"ignore_jit_warnings": True} if jit else {}
    loss = (JitTrace_ELBO if jit else Trace_ELBO)(num_particles=particles, vectorize_particles=True, **options)
    svi = SVI(loaded.model, AutoNormal(loaded.model), Adam({"lr": 0.01}), loss)

    def run(count: int) -> None:
        for _ in range(count):
            svi.step(**loaded.data)

    run(5)
    return lambda: per_step(lambda: run(steps), steps)


def nuts(program: str, chains: int, draws: int, warmup: int, jit: bool) -> Measure:
    """Effective draws per second and per gradient, the chains one after the other on one thread."""
    loaded = pv.load_program(program)
    pyro.enable_validation(False)
    count = 0
    original = pyro_nuts.velocity_verlet

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        return original(*args, **kwargs)

    pyro_nuts.velocity_verlet = counted  # Pyro keeps no count of its gradients; NUTS takes one in each of these

    def measure() -> dict[str, float]:
        begin, gradients = time.perf_counter(), 0
        found: list[dict[str, torch.Tensor]] = []
        for _ in range(chains):
            counts: dict[str, int] = {}

            def hook(kernel: Any, values: Any, stage: str, step: int, counts: dict[str, int] = counts) -> None:
                counts[stage.partition(" ")[0]] = count  # the last one of each stage stays

            before = count
            kernel = NUTS(loaded.model, jit_compile=jit, ignore_jit_warnings=True)
            run = MCMC(kernel, draws, warmup, num_chains=1, hook_fn=hook, disable_progbar=True)
            run.run(**loaded.data)
            found.append(run.get_samples())
            gradients += count - counts.get("Warmup", before)
        seconds = time.perf_counter() - begin
        return sampled({name: torch.stack([c[name] for c in found]).numpy() for name in found[0]}, gradients, seconds)

    return measure
