"""Many particles of a program that cannot share one run: by ``torch.func.vmap``, else one after the other."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pyro
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pyro_vae.particles.data import Factor, Particles, Site
from pyro_vae.particles.table import stack_particles

RunOne = Callable[[Mapping[str, Tensor]], Particles]


def repeat(run_one: RunOne, count: int, values: Mapping[str, Tensor] | None = None) -> Particles:
    """``count`` particles from a function that makes one, given that one's row ``{site: [1, ...]}`` of ``values``.

    A program that adds up over a particle axis (``X @ w``) is batched from outside by ``vmap``; where that fails, or
    gives other log-probabilities than the program run alone, the runs are made one by one.
    """
    rows = dict(values or {})
    if count > 2:
        batched = _batched(run_one, count, rows)
        if batched is not None and _agrees(run_one, batched, count):
            return batched
    return stack_particles([run_one({name: value[k : k + 1] for name, value in rows.items()}) for k in range(count)])


class _FreshNoise(TorchFunctionMode):
    """Noise as a new tensor where torch's distributions fill an empty one in place, which ``vmap`` cannot batch."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        function: Any = _NOISE.get(func, func)
        return function(*args, **(kwargs or {}))


def _uniform(empty: Tensor) -> Tensor:
    return torch.rand(empty.shape, dtype=empty.dtype, device=empty.device)


def _normal(empty: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    return mean + std * torch.randn(empty.shape, dtype=empty.dtype, device=empty.device)


_NOISE: dict[Any, Any] = {
    Tensor.normal_: _normal,
    Tensor.uniform_: lambda empty, low=0.0, high=1.0: low + (high - low) * _uniform(empty),
    Tensor.exponential_: lambda empty, rate=1.0: -torch.log1p(-_uniform(empty)) / rate,
    Tensor.cauchy_: lambda empty, median=0.0, scale=1.0: median + scale * torch.tan(torch.pi * (_uniform(empty) - 0.5)),
}


def _batched(run_one: RunOne, count: int, rows: Mapping[str, Tensor]) -> Particles | None:
    seen: list[Particles] = []

    def one(index: Tensor, row: Mapping[str, Tensor]) -> dict[str, Tensor]:
        particles = run_one({name: value.unsqueeze(0) for name, value in row.items()})
        seen.append(particles)
        return _numbers(particles)

    try:
        with warnings.catch_warnings(), pyro.validation_enabled(False), _FreshNoise():
            warnings.simplefilter("ignore")  # vmap says where it loops inside
            numbers = torch.func.vmap(one, randomness="different")(torch.arange(count), dict(rows))
    except Exception:  # whatever a person's code does that vmap cannot follow, it can be run as it is
        return None
    template = seen[0]
    if template.subsamples or any(isinstance(factor.scale, Tensor) for factor in _factors(template)):
        return None
    numbers = {key: value.squeeze(1) for key, value in numbers.items()}
    sites = {name: _filled(site, numbers) for name, site in template.sites.items()}
    deterministic = {name: numbers[f"deterministic {name}"] for name in template.deterministic}
    return Particles(sites, count, deterministic, {})


def _numbers(particles: Particles) -> dict[str, Tensor]:
    """All tensors of a table that differ between particles, ``[1, ...]`` each, named after where they belong."""
    numbers = {f"deterministic {name}": value for name, value in particles.deterministic.items()}
    for site in particles.sites.values():
        if not site.observed or site.predicted:
            numbers[f"value {site.name}"] = site.value
        for part, factor in (("log_p", site.log_p), ("log_q", site.log_q)):
            if factor is not None:
                numbers[f"{part} {site.name}"] = factor.log_prob
    return numbers


def _factors(particles: Particles) -> list[Factor]:
    return [factor for site in particles.sites.values() for factor in (site.log_p, site.log_q) if factor is not None]


def _filled(site: Site, numbers: Mapping[str, Tensor]) -> Site:
    def factor(part: str, old: Factor | None) -> Factor | None:
        return None if old is None else replace(old, log_prob=numbers[f"{part} {site.name}"])

    value = numbers.get(f"value {site.name}", site.value)
    return replace(site, value=value, log_p=factor("log_p", site.log_p), log_q=factor("log_q", site.log_q))


def _agrees(run_one: RunOne, batched: Particles, count: int) -> bool:
    """Whether the first and last particle have the log-probabilities of the program run alone at their values."""
    for k in (0, count - 1):
        values = {site.name: site.value[k : k + 1] for site in batched.latent}
        alone = run_one(values)
        for name, site in alone.sites.items():
            other = batched.sites.get(name)
            if other is None:
                return False
            for a, b in ((site.log_p, other.log_p), (site.log_q, other.log_q)):
                if a is None or b is None or site.predicted:
                    continue
                if not torch.allclose(a.log_prob, b.log_prob[k : k + 1], rtol=1e-5, atol=1e-6, equal_nan=True):
                    return False
    return True
