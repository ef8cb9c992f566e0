"""Runs of a model, chunk after chunk, gathered into the groups of a ``DataTree``. Used by ``draws``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from pyro.distributions import ImproperUniform
from torch import Tensor

from pyro_vae.particles.data import Particles, Site
from pyro_vae.particles.plan import Plan, plan_pair
from pyro_vae.particles.tracing import run_model
from pyro_vae.posterior.datatree import build
from pyro_vae.posterior.repeating import repeat

Groups = dict[str, dict[str, np.ndarray]]

_CHUNK_NUMBERS = 2_000_000  # numbers that one vectorised run may hold at a time
_GROUP_NUMBERS = 25_000_000  # numbers that one group per observation may hold: 100 MB in 32 bits
_BY_OBSERVATION = ("log_likelihood", "posterior_predictive")


@dataclass(frozen=True)
class Program:
    """A model with its arguments and plan, run at given latent values ``{site: [K, *plates, *event]}``."""

    model: Callable
    args: tuple
    kwargs: Mapping[str, Any]
    plan: Plan

    def __call__(self, values: Mapping[str, Tensor], *, predictive: bool = False) -> Particles:
        return self._run(len(next(iter(values.values()))), values, predictive)

    def _run(self, count: int, values: Mapping[str, Tensor] | None, predictive: bool = False) -> Particles:
        def run(count: int, values: Mapping[str, Tensor] | None) -> Particles:
            told = {"num_particles": count, "values": values, "predictive": predictive, "plan": self.plan}
            return run_model(self.model, self.args, self.kwargs, **told)

        if self.plan.vectorize:
            return run(count, values)
        return repeat(lambda row: run(1, row), count, values)

    def prior(self, draws: int) -> dict[str, np.ndarray]:
        """Latent and deterministic sites from the prior, ``[draws, *plates, *event]``; none where a prior is flat.

        Sites that the model sums out, and what is a function of them, are left out as they are of the posterior."""
        flat: list[str] = []

        def look(name: str, fn: Any, plates: Any) -> None:
            while hasattr(fn, "base_dist"):
                fn = fn.base_dist
            flat.extend([name] if isinstance(fn, ImproperUniform) else [])

        run_model(self.model, self.args, self.kwargs, values=look, plan=self.plan)
        if flat:
            return {}
        run = self._run(draws, None)
        values = {**{site.name: site.value for site in run.latent}, **run.deterministic}
        summed = self.plan.enumeration.without_value if self.plan.enumeration is not None else frozenset()
        return _numpy({name: value for name, value in values.items() if name not in summed})


def quiet_plan(model: Callable, guide: Callable | None, args: tuple, kwargs: Mapping[str, Any]) -> Plan:
    """``plan_pair`` for draws: the guide's discrete sites are drawn even where an objective would enumerate them.

    There is no warning that particles are run one at a time: draws have another way to share a run."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Particles are run one at a time")
        return plan_pair(model, guide, args, kwargs, enumerate_guide=False)


def chunk_sizes(total: int, probe: Particles) -> list[int]:
    """How many particles each run takes so that memory stays bounded, given a run of a few of them."""
    held = sum(site.value.numel() * (not site.observed) for site in probe.sites.values())
    held += sum(value.numel() for value in probe.deterministic.values())
    held += sum(f.log_prob.numel() for site in probe.sites.values() for f in (site.log_p, site.log_q) if f is not None)
    size = max(1, min(total, _CHUNK_NUMBERS * probe.num_particles // max(held, 1)))
    return [size] * (total // size) + ([total % size] if total % size else [])


def collect(chunks: Iterable[Particles], draws: int, predict: Program | None, log_likelihood: bool) -> Groups:
    """Gather the runs of ``chunks``; ``predict`` draws the observed sites anew at their values.

    Every variable is ``[total, ...]`` over all chunks; ``draws`` per chain says which to keep in the groups per
    observation when these would grow too large: every second, third, ... of each chain.
    """
    parts: dict[str, dict[str, list[np.ndarray]]] = {
        name: {} for name in ("posterior", "sample_stats", *_BY_OBSERVATION)
    }
    observed: dict[str, np.ndarray] = {}
    start = 0
    for run in chunks:
        latent = {site.name: site.value for site in run.latent if not site.auxiliary}
        seen = [site for site in run.observed if is_observation(site)]
        kept = _kept(draws, seen)[(start + np.arange(run.num_particles)) % draws]
        start += run.num_particles
        local = set(run.subsamples)
        whole = lambda site: not local.intersection(plate.name for plate in site.plates)  # noqa: B023, E731
        observed = observed or {site.name: _array(site.value) for site in seen}
        _extend(parts["posterior"], {k: v for k, v in latent.items() if whole(run[k])} | dict(run.deterministic))
        if not local:
            _extend(parts["sample_stats"], {"log_p": run.log_p(), "log_q": run.log_q()})
        if log_likelihood:
            _extend(parts["log_likelihood"], {s.name: s.log_p.log_prob for s in seen if s.log_p and whole(s)}, kept)
        if predict is not None and kept.any():
            new = predict({name: value[torch.as_tensor(kept)] for name, value in latent.items()}, predictive=True)
            _extend(
                parts["posterior_predictive"],
                {s.name: new[s.name].value for s in seen if new[s.name].predicted and whole(s)},
            )
    groups = {group: {name: np.concatenate(rows) for name, rows in columns.items()} for group, columns in parts.items()}
    return {**{group: columns for group, columns in groups.items() if columns}, "observed_data": observed}


def is_observation(site: Site) -> bool:
    """Data, not a ``pyro.factor``: that has no value, and its number belongs to no observation."""
    return site.observed and site.value.numel() > 0


def _kept(draws: int, seen: Sequence[Site]) -> np.ndarray:
    """Which draws of a chain stand in the groups per observation, ``[draws]`` of bool."""
    per_draw = sum(max(site.value.numel(), site.log_p.log_prob[0].numel() if site.log_p else 0) for site in seen)
    step = -(-draws * per_draw // _GROUP_NUMBERS) or 1
    return np.arange(draws) % step == 0


def _extend(columns: dict[str, list[np.ndarray]], values: Mapping[str, Tensor], kept: np.ndarray | None = None) -> None:
    for name, array in _numpy(values).items():
        columns.setdefault(name, []).append(array if kept is None else array[kept])


def _numpy(values: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: _array(value) for name, value in values.items()}


def _array(value: Any) -> np.ndarray:
    return torch.as_tensor(value).detach().cpu().resolve_neg().numpy().copy()


def assemble(
    groups: Groups,
    *,
    dims: Mapping[str, Sequence[str]] | None = None,
    coords: Mapping[str, Sequence] | None = None,
    attrs: Mapping[str, object] | None = None,
) -> xr.DataTree:
    """:func:`~pyro_vae.posterior.datatree.build`, where a variable's ``dims`` also serve its ``log_likelihood``.

    That has one number per observation: the plates' dims without the event's. Groups per observation are in 32 bits.
    """
    narrow = {
        group: {
            name: value.astype(np.float32) if value.dtype == np.float64 else value for name, value in columns.items()
        }
        if group in _BY_OBSERVATION
        else columns
        for group, columns in groups.items()
    }
    scores = narrow.pop("log_likelihood", {})
    tree = build(narrow, dims=dims, coords=coords, attrs=attrs)
    if scores:
        leading = {name: list(names)[: scores[name].ndim - 2] for name, names in (dims or {}).items() if name in scores}
        tree["log_likelihood"] = build({"log_likelihood": scores}, dims=leading, coords=coords)["log_likelihood"]
    return tree
