"""One run of guide and model through Pyro: two traces, with or without the particles' plate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pyro
from pyro import poutine
from pyro.poutine.messenger import Messenger
from pyro.poutine.replay_messenger import ReplayMessenger
from torch import Tensor

from pyro_vae.errors import ModelError, PyroVaeError
from pyro_vae.particles.enumerated import ENUMERATION_REMEDY, Enumeration
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
    """What one run left: sample sites by name, and the setting that it was run in, with the rows that its plates
    drew."""

    model: Mapping[str, Any]
    guide: Mapping[str, Any]
    setting: Setting

    @property
    def particle_dim(self) -> int | None:
        """The dim of the particles' plate; None when one particle was run without it."""
        return self.setting.particle_dim

    @property
    def num_particles(self) -> int:
        """The number of particles that ran together."""
        return self.setting.num_particles


class _LastSite(Messenger):
    """Remembers the site that a program was at, for the error message when it fails."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""

    def _pyro_sample(self, msg: dict) -> None:
        if not is_subsample(msg):
            self.last = msg["name"]


@contextmanager
def _explained(role: str, enumerated: bool) -> Iterator[None]:
    """Say at which site a program failed. Errors that a person's code raises on purpose keep their type as the
    cause."""
    with _LastSite() as where:
        try:
            yield
        except PyroVaeError:
            raise
        except (ValueError, RuntimeError, TypeError, IndexError, NotImplementedError, AssertionError) as error:
            place = f"at or after site '{where.last}'" if where.last else "before its first site"
            when = " when its discrete sites take all their values at once" if enumerated else ""
            remedy = ENUMERATION_REMEDY if enumerated else f"Run the {role} alone with these arguments to see where."
            raise ModelError(f"The {role} fails {place}{when}: {first_sentence(error)} {remedy}") from error


@dataclass(frozen=True)
class Setting:
    """How programs are run: their arguments, the particles' plate (``particle_dim`` None: none), and what is given
    instead of drawn, or takes all values at once (``enumeration``)."""

    args: tuple = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    particle_dim: int | None = None
    num_particles: int = 1
    values: Values | None = None
    subsamples: Mapping[str, Tensor] = field(default_factory=dict)
    enumeration: Enumeration | None = None

    def trace(
        self, program: Callable, role: str, outer: Messenger | None = None, inner: Messenger | None = None
    ) -> Any:
        """Run ``program`` and return its trace. ``outer`` sees sites before they are recorded, ``inner`` before they
        are drawn."""
        with ExitStack() as stack:
            stack.enter_context(_explained(role, self.enumeration is not None))
            if self.subsamples:
                stack.enter_context(GivenSubsamples(self.subsamples))
            if self.values is not None:
                stack.enter_context(GivenValues(self.values, self.particle_dim, keep_deltas=role == "guide"))
            if outer is not None:
                stack.enter_context(outer)
            traced = stack.enter_context(poutine.trace())
            if inner is not None:
                stack.enter_context(inner)
            if self.enumeration is not None:
                given = () if self.values is None or callable(self.values) else self.values
                replayed = inner.trace if isinstance(inner, ReplayMessenger) else None
                known = {*given, *(replayed.nodes if replayed is not None else ())}
                stack.enter_context(self.enumeration.applied(role, known))
            if self.particle_dim is not None:
                stack.enter_context(pyro.plate(PARTICLES, self.num_particles, dim=self.particle_dim))
            program(*self.args, **self.kwargs)
        return traced.trace

    def on_rows(self, *traces: Any) -> Setting:
        """The same setting on the rows that these traces' plates drew."""
        rows = dict(self.subsamples)
        for trace in traces:
            rows.update(_subsamples(trace))
        return replace(self, subsamples=rows)


def run_pair(
    model: Callable, guide: Callable | None, setting: Setting, *, stop: bool = False, draw_observations: bool = False
) -> Run:
    """Run the guide, then the model against it (the model alone when there is no guide)."""
    stopper = StoppedValues() if stop else None
    guide_trace = None
    if guide is not None:
        guide_trace = setting.trace(guide, "guide", outer=stopper)
    if guide is not None and isinstance(poutine.unwrap(guide), Messenger):
        model_trace, guide_trace = poutine.unwrap(guide).get_traces()  # such a guide runs the model itself
    else:
        setting = setting.on_rows(guide_trace) if guide_trace is not None else setting
        replayed = ReplayMessenger(trace=guide_trace) if guide_trace is not None else None
        observations = DrawnObservations() if draw_observations else None
        model_trace = setting.trace(model, "model", outer=observations, inner=replayed)
    rows = setting.on_rows(model_trace, *([guide_trace] if guide_trace is not None else []))
    guide_sites = sample_sites(guide_trace) if guide_trace is not None else {}
    return Run(sample_sites(model_trace), guide_sites, rows)


def sample_sites(trace: Any) -> dict[str, Any]:
    """The sample sites of a trace by name, without those by which plates draw their rows."""
    return {name: site for name, site in trace.nodes.items() if site["type"] == "sample" and not is_subsample(site)}


def _subsamples(trace: Any) -> dict[str, Tensor]:
    """Row numbers of the plates that really draw a part of their rows."""
    return {
        name: site["value"]
        for name, site in trace.nodes.items()
        if site["type"] == "sample" and is_subsample(site) and len(site["value"]) < site["fn"].size
    }
