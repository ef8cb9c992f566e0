"""What is found out once about a model and guide: their plates, and whether particles can share one run.

Used by ``tracing``; objectives and fits keep the plan and hand it back with every draw.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyro
import torch

from pyro_vae.errors import ModelError
from pyro_vae.particles.checks import check_pair
from pyro_vae.particles.data import Dream, Pass
from pyro_vae.particles.dependencies import closed_form_sites, downstream_terms
from pyro_vae.particles.dreams import check_dream
from pyro_vae.particles.enumerated import Enumeration, find_enumeration
from pyro_vae.particles.first_look import first_look
from pyro_vae.particles.handlers import Values, prepare_autoguides, with_flat_priors
from pyro_vae.particles.influence import confirmed
from pyro_vae.particles.runs import Run, Setting, run_pair
from pyro_vae.particles.state import unobserved
from pyro_vae.particles.vectorization import deterministic_shapes, why_not_vectorized


@dataclass(frozen=True)
class Plan:
    """How a pair is run: ``max_plate_nesting`` dims are its plates', particles go left of them when ``vectorize``.

    ``latents`` are the model's latent sites in order; ``closed_form`` names the guide sites whose KL may be taken in
    closed form, with the sites that each stands for; ``why_looped`` is one sentence when particles are run one at a
    time; ``deterministic`` has the shapes of the deterministic sites for one particle; ``downstream`` the cost terms
    that each guide site can influence, where asked for; ``enumeration`` the sites that take all their values at once:
    those that the model alone enumerates are not among the ``latents``; ``seen`` names every site of the first run.
    """

    max_plate_nesting: int
    vectorize: bool
    latents: tuple[str, ...] = ()
    closed_form: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    why_looped: str = ""
    deterministic: Mapping[str, torch.Size] = field(default_factory=dict)
    downstream: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    enumeration: Enumeration | None = None
    seen: frozenset[str] = frozenset()

    @property
    def particle_dim(self) -> int:
        """The dim of the particles' plate: just left of every other plate."""
        return -self.max_plate_nesting - 1

    def settings(
        self, args: tuple, kwargs: Mapping[str, Any], num_particles: int, values: Values | None = None
    ) -> Iterator[Setting]:
        """One setting for all particles where they may share a run, else one for each."""
        if self.vectorize and num_particles > 1:
            yield Setting(args, kwargs, self.particle_dim, num_particles, values, enumeration=self.enumeration)
            return
        for index in range(num_particles):
            row = (
                values
                if values is None or callable(values)
                else {n: value[index : index + 1] for n, value in values.items()}
            )
            yield Setting(args, kwargs, values=row, enumeration=self.enumeration)


def plan_pair(
    model: Callable,
    guide: Callable | None,
    args: tuple = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    num_particles: int | None = None,
    vectorize: bool | None = None,
    passes: Collection[Pass | Dream] = (),
    enumerate_guide: bool = True,
) -> Plan:
    """Find plates and latents, check that model and guide fit, and whether a run with a particle axis means the same.

    ``vectorize`` None tries: a pair that fails with a particle axis, or gives other log-probabilities with it, is
    looped, and a warning says why; True makes that a :class:`~pyro_vae.errors.ModelError`; False loops. With
    ``num_particles`` 1 there is nothing to share, unless reruns are. Sites with ``infer={"enumerate": "parallel"}`` are
    enumerated, unless the model runs alone; with ``enumerate_guide`` False the guide's are drawn like others. RNG,
    param store and buffers stay as they were.
    """
    wanted = vectorize is not False and (num_particles != 1 or Pass.RERUN in passes)
    model = with_flat_priors(model)
    if guide is not None:
        prepare_autoguides(guide)
    programs = [fn for fn in (model, guide) if fn is not None]
    # A model alone is run at draws from its prior, where the data may be impossible: Uniform(0, z) observed above z.
    with unobserved(*programs), torch.no_grad(), pyro.validation_enabled(guide is not None):
        run = run_pair(model, guide, Setting(args, dict(kwargs or {})))
        if guide is None:
            plan = _plan_model(model, run, wanted)
        else:
            check_pair(run, lambda: run_pair(model, guide, run.setting))
            for dream in (asked for asked in passes if isinstance(asked, Dream)):
                check_dream(model, guide, run, dream)
            plan = _plan_pair(model, guide, run, passes, wanted, enumerate_guide)
    why = plan.why_looped
    if why and wanted and vectorize:
        raise ModelError(
            f"{why} Rewrite it so that it holds with leading batch dims, or use vectorize=False to run "
            "particles one at a time."
        )
    if why and wanted:
        warnings.warn(f"Particles are run one at a time, which is slower: {why}", stacklevel=3)
    return plan


def _plan_model(model: Callable, run: Run, wanted: bool) -> Plan:
    nesting, shapes = _plate_nesting(run), deterministic_shapes(run)
    why = why_not_vectorized(model, None, run, nesting, shapes) if wanted else ""
    return Plan(nesting, wanted and not why, _latents(run), why_looped=why, deterministic=shapes)


def _plan_pair(
    model: Callable, guide: Callable, run: Run, passes: Collection[Pass | Dream], wanted: bool, enumerate_guide: bool
) -> Plan:
    nesting, shapes = _plate_nesting(run), deterministic_shapes(run)
    graph = not {Pass.DOWNSTREAM, Pass.RERUN}.isdisjoint(passes)
    # what a value influences can be told from tensors alone only where it does not steer the program's structure
    why = why_not_vectorized(model, guide, run, nesting, shapes) if wanted or graph else ""
    closed = closed_form_sites(model, guide, run) if Pass.KL in passes else {}
    terms = downstream_terms(model, guide, run) if graph and not why else {}
    terms = confirmed(model, guide, run, terms, pathwise=Pass.SCORE not in passes) if terms else terms
    left_of_particles = -nesting - 2
    enumeration = find_enumeration(run.model, run.guide, guide, left_of_particles, enumerate_guide=enumerate_guide)
    sums: Collection[str] = ()
    if enumeration is not None:
        look = first_look(model, guide, run, enumeration)
        enumeration, terms, sums = look.enumeration, look.with_sums(terms), look.sums
        closed = {name: covers for name, covers in closed.items() if not look.merged.intersection(covers)}
        if wanted and not why:
            why = why_not_vectorized(model, guide, look.run, nesting, shapes)
    summed = enumeration.model if enumeration is not None else frozenset()
    latents = tuple(name for name in _latents(run) if name not in summed)
    seen = frozenset((*run.model, *run.guide, *sums))
    return Plan(nesting, wanted and not why, latents, closed, why, shapes, terms, enumeration, seen)


def _latents(run: Run) -> tuple[str, ...]:
    return tuple(name for name, site in run.model.items() if not site["is_observed"])


def _plate_nesting(run: Run) -> int:
    sites = (*run.model.values(), *run.guide.values())
    dims = [frame.dim for site in sites for frame in site["cond_indep_stack"] if frame.vectorized]
    return -min(dims, default=0)
