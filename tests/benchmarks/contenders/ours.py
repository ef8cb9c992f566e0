"""pyro-vae, through its public interface."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pyro
import torch

import pyro_vae as pv
from tests.benchmarks.contenders import given, networks, pyro_models
from tests.benchmarks.contenders.clock import MICRO, Memory, sampled

Measure = Callable[[], dict[str, float]]
_WARM = 5  # the share of the steps that a fit's clock leaves out: compiling, and steps that are checked


def fit(model: Callable, guide: Any, data: Any, steps: int, **options: Any) -> pv.Fit:
    """A fit that does what the peers' loops do: all steps, at one learning rate, and no average."""
    settings: dict[str, Any] = {
        "compile": True, "stop": None, "schedule": "constant", "average": False, "progress": False,
        "learning_rate": 0.01, "seed": 0,
    }  # fmt: skip
    return pv.fit(model, guide, data, steps=steps, **(settings | options))


def per_step(found: pv.Fit) -> dict[str, float]:
    """Microseconds per step, once it runs."""
    seconds, start = found.history.seconds, len(found.history) // _WARM
    return {"step": float(seconds[-1] - seconds[start - 1]) / (len(seconds) - start) * MICRO}


def steps(program: str, particles: int, steps: int) -> Measure:
    """Time per step of a mean-field fit of a program of the catalogue."""
    loaded = pv.load_program(program)
    return lambda: per_step(fit(loaded.model, "auto_normal", loaded.data, steps, num_particles=particles))


def whole_fit(program: str, particles: int, steps: int) -> Measure:
    """Seconds of a whole fit, from the call to the result; how many of them are not the steps themselves."""
    loaded = pv.load_program(program)
    pv.fit  # noqa: B018  importing is not in the clock, for no contender

    def measure() -> dict[str, float]:
        begin = time.perf_counter()
        found = fit(loaded.model, "auto_normal", loaded.data, steps, num_particles=particles)
        seconds = time.perf_counter() - begin
        return {"seconds": seconds, "around": seconds - per_step(found)["step"] * steps / MICRO}

    return measure


def rows(rows: int, particles: int, steps: int, batch: int | None) -> Measure:
    """Time per step and memory of logistic regression on so many rows, all of them or ``batch`` at every step."""
    arrays = {name: torch.from_numpy(value) for name, value in given.regression(rows).items()}
    model = pv.load_program("logistic_regression").model if batch is None else pyro_models.subsampled_regression
    data = arrays if batch is None else {**arrays, "batch": batch}

    def measure() -> dict[str, float]:
        memory = Memory()
        found = fit(model, "auto_normal", data, steps, num_particles=particles)
        return {**per_step(found), "memory": memory.most()}

    return measure


def vae(sizes: tuple[int, int, int], batch: int, steps: int, loader: bool) -> Measure:
    """Time per step of a VAE, with one batch again and again or a ``DataLoader``."""
    torch.manual_seed(0)
    encoder, decoder = networks.Encoder(*sizes), networks.Decoder(*sizes)
    model, guide = pyro_models.vae(encoder, decoder)
    images = torch.from_numpy(given.digits(50 * batch if loader else batch, sizes[0]))
    data: Any = images
    if loader:
        dataset = torch.utils.data.TensorDataset(images)
        data = torch.utils.data.DataLoader(dataset, batch_size=batch, shuffle=True)

    def measure() -> dict[str, float]:
        pyro.clear_param_store()
        options: dict[str, Any] = {"estimator": pv.AnalyticKL(), "num_particles": 1, "learning_rate": 1e-3}
        return per_step(fit(model, guide, data, steps, **options))

    return measure


def nuts(program: str, chains: int, draws: int, warmup: int) -> Measure:
    """Effective draws per second and per gradient of NUTS on a program of the catalogue."""
    import nutpie  # noqa: F401  seconds, most of them ArviZ; not in the clock, as no contender's imports are

    loaded = pv.load_program(program)
    pv.nuts  # noqa: B018
    settings: dict[str, Any] = {"retry": False, "predictive": False, "log_likelihood": False, "prior": 0}

    def measure() -> dict[str, float]:
        begin = time.perf_counter()
        tree = pv.nuts(loaded.model, loaded.data, chains=chains, draws=draws, warmup=warmup, progress=False, **settings)
        seconds = time.perf_counter() - begin
        kept = {str(name): value.values for name, value in tree["posterior"].data_vars.items() if name != "theta"}
        return sampled(kept, float(tree["sample_stats"]["n_steps"].values.sum()), seconds)

    return measure
