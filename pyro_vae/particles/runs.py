"""One run of guide and model through Pyro: two traces, with or without the particles' plate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pyro
from pyro import poutine
from pyro.poutine.messenger import Messenger
from torch import Tensor

from pyro_vae.errors import ModelError, PyroVaeError
from pyro_vae.particles.handlers import (
    PARTICLES,
    DrawnObservations,
    GivenSubsamples,
    GivenValues,
    StoppedValues,
    Values,
    is_subsample,
)
from pyro_vae.particles.packing import first_sentence


@dataclass(frozen=True)
class Run:
    """What one run left: sample sites by name, row numbers drawn by plates, and the particles' dim (None: no plate)."""

    model: Mapping[str, Any]
    guide: Mapping[str, Any]
    subsamples: Mapping[str, Tensor]
    particle_dim: int | None
    num_particles: int


class _LastSite(Messenger):
    """Remembers the site that a program was at, for the error message when it fails."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""

    def _pyro_sample(self, msg: dict) -> None:
        if not is_subsample(msg):
            self.last = msg["name"]


@contextmanager
def _explained(role: str) -> Iterator[None]:
    """Say at which site a program failed. Errors that a person's code raises on purpose keep their type as the
    cause."""
    with _LastSite() as where:
        try:
            yield
        except PyroVaeError:
            raise
        except (ValueError, RuntimeError, TypeError, IndexError, NotImplementedError, AssertionError) as error:
            place = f"at or after site '{where.last}'" if where.last else "before its first site"
            raise ModelError(
                f"The {role} fails {place}: {first_sentence(error)} Run the {role} alone with these arguments "
                f"to see where."
            ) from error


def run_pair(
    model: Callable,
    guide: Callable | None,
    args: tuple,
    kwargs: Mapping[str, Any],
    *,
    particle_dim: int | None = None,
    num_particles: int = 1,
    values: Values | None = None,
    subsamples: Mapping[str, Tensor] | None = None,
    stop: bool = False,
    draw_observations: bool = False,
) -> Run:
    """Run the guide, then the model against it (the model alone when there is no guide)."""
    vectorized = particle_dim is not None
    subsamples = dict(subsamples or {})

    def around(stack: ExitStack, role: str, keep_deltas: bool) -> None:
        stack.enter_context(_explained(role))
        if subsamples:
            stack.enter_context(GivenSubsamples(subsamples))
        if values is not None:
            stack.enter_context(GivenValues(values, particle_dim, keep_deltas=keep_deltas))

    def in_plate(stack: ExitStack) -> None:
        if vectorized:
            stack.enter_context(pyro.plate(PARTICLES, num_particles, dim=particle_dim))

    if guide is not None and isinstance(poutine.unwrap(guide), Messenger):
        return _run_guide_messenger(guide, args, kwargs, particle_dim, num_particles, around, in_plate, stop)
    guide_trace = None
    if guide is not None:
        with ExitStack() as stack:
            around(stack, "guide", True)
            if stop:
                stack.enter_context(StoppedValues())
            traced = stack.enter_context(poutine.trace())
            in_plate(stack)
            guide(*args, **kwargs)
        guide_trace = traced.trace
        subsamples.update(_subsamples(guide_trace))
    with ExitStack() as stack:
        around(stack, "model", False)
        if draw_observations:
            stack.enter_context(DrawnObservations())
        traced = stack.enter_context(poutine.trace())
        if guide_trace is not None:
            stack.enter_context(poutine.replay(trace=guide_trace))
        in_plate(stack)
        model(*args, **kwargs)
    model_sites = _sample_sites(traced.trace)
    guide_sites = _sample_sites(guide_trace) if guide_trace is not None else {}
    subsamples.update(_subsamples(traced.trace))
    return Run(model_sites, guide_sites, subsamples, particle_dim, num_particles)


def _run_guide_messenger(
    guide: Callable,
    args: tuple,
    kwargs: Any,
    particle_dim: Any,
    num_particles: int,
    around: Callable,
    in_plate: Callable,
    stop: bool,
) -> Run:
    """A ``GuideMessenger`` runs the model itself and hands over both traces."""
    with ExitStack() as stack:
        around(stack, "guide", True)
        if stop:
            stack.enter_context(StoppedValues())
        in_plate(stack)
        guide(*args, **kwargs)
    model_trace, guide_trace = poutine.unwrap(guide).get_traces()
    subsamples = {**_subsamples(guide_trace), **_subsamples(model_trace)}
    return Run(_sample_sites(model_trace), _sample_sites(guide_trace), subsamples, particle_dim, num_particles)


def _sample_sites(trace: Any) -> dict[str, Any]:
    return {name: site for name, site in trace.nodes.items() if site["type"] == "sample" and not is_subsample(site)}


def _subsamples(trace: Any) -> dict[str, Tensor]:
    """Row numbers of the plates that really draw a part of their rows."""
    return {
        name: site["value"]
        for name, site in trace.nodes.items()
        if site["type"] == "sample" and is_subsample(site) and len(site["value"]) < site["fn"].size
    }
