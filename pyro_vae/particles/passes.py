"""The further evaluations that an estimator declares, performed on a run that is already there."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyro
from pyro import poutine
from pyro.poutine.messenger import Messenger
from pyro.poutine.replay_messenger import ReplayMessenger
from torch import Tensor, nn

from pyro_vae.errors import EstimatorError
from pyro_vae.particles.closed_form import add_closed_form_kl, add_entropies
from pyro_vae.particles.contraction import factors_of
from pyro_vae.particles.data import Dream, Particles, Pass, refuse_enumerated, with_fields
from pyro_vae.particles.handlers import is_delta
from pyro_vae.particles.parameters import add_parameters
from pyro_vae.particles.plan import Plan
from pyro_vae.particles.reruns import add_reruns
from pyro_vae.particles.runs import Run, sample_sites
from pyro_vae.particles.table import unmasked


def add_passes(
    particles: Particles, run: Run, model: Callable, guide: Callable, passes: Collection[Pass | Dream], plan: Plan
) -> Particles:
    """The table with what ``passes`` ask for filled in."""
    if Pass.KL in passes:
        particles = add_closed_form_kl(particles, run, plan.closed_form)
    if Pass.ENTROPY in passes:
        particles = add_entropies(particles, run)
    if Pass.DOWNSTREAM in passes:
        particles = _add_downstream(particles, plan)
    if Pass.PARAMETERS in passes:
        particles = add_parameters(particles, run)
    if Pass.RERUN in passes:
        particles = add_reruns(particles, run, model, guide, plan)
    if Pass.FROZEN_GUIDE in passes:
        particles = _add_frozen(particles, run, guide, guide, "guide")
    if Pass.FROZEN_MODEL in passes:
        particles = _add_frozen(particles, run, model, guide, "model")
    return particles


def _add_downstream(particles: Particles, plan: Plan) -> Particles:
    """What each site can influence, as the first run had it. The rows of a subsampled sequential plate have names of
    their own: sites that run did not have may be influenced by any."""
    new = frozenset((kind, name) for name in particles.sites if name not in plan.seen for kind in ("p", "q"))
    return with_fields(particles, {name: {"downstream": terms | new} for name, terms in plan.downstream.items()})


def _add_frozen(particles: Particles, run: Run, program: Callable, guide: Callable, role: str) -> Particles:
    """Run guide or model again on the same live values with every leaf parameter stopped.

    Stopping the distributions' arguments instead would cut the path through earlier sites: with q(z2 | z1) that gives
    the wrong gradient, even the wrong sign.
    """
    if isinstance(poutine.unwrap(guide), Messenger):
        raise EstimatorError(
            "An estimator that freezes parameters cannot take a guide that runs the model itself (a "
            "GuideMessenger): use an "
            "ordinary autoguide such as AutoNormal, or a guide function."
        )
    refuse_enumerated(particles, "An estimator that freezes parameters")
    known = {name: site for name, site in run.guide.items() if role == "model" or not is_delta(site["fn"])}
    replayed = ReplayMessenger(trace=_as_trace(known))
    with frozen_parameters(program):
        sites = sample_sites(run.setting.trace(program, role, inner=replayed))
        alone = Run({}, sites, run.setting) if role == "guide" else Run(sites, {}, run.setting)
        factors = factors_of(alone)
    field = "log_q_frozen" if role == "guide" else "log_p_frozen"
    fields: dict[str, dict[str, Any]] = {name: {field: factor} for (_, name), factor in factors.items()}
    for name in (name for name in fields if role == "guide" and particles[name].log_q_score is not None):
        fields[name]["log_q_score_frozen"] = unmasked(sites[name], alone)
    return with_fields(particles, fields)


def _as_trace(sites: Mapping[str, Any]) -> poutine.Trace:
    trace = poutine.Trace()
    for name, site in sites.items():
        trace.add_node(name, **site)
    return trace


@contextmanager
def frozen_parameters(*programs: Callable) -> Iterator[None]:
    """Parameters of the param store and of the programs that are modules count as constants inside.

    What was computed before keeps its graph: values that depend on the parameters stay live.
    """
    leaves: dict[int, Tensor] = {id(leaf): leaf for _, leaf in pyro.get_param_store().named_parameters()}
    for program in programs:
        owner = getattr(poutine.unwrap(program), "__self__", poutine.unwrap(program))
        if isinstance(owner, nn.Module):
            leaves.update({id(leaf): leaf for leaf in owner.parameters()})
    learning = [leaf for leaf in leaves.values() if leaf.requires_grad]
    try:
        for leaf in learning:
            leaf.requires_grad_(False)
        with warnings.catch_warnings():
            # pyro.module tells of parameters that do not learn; these learn again in a moment
            warnings.filterwarnings("ignore", message=".*was not registered in the param store because requires_grad")
            yield
    finally:
        for leaf in learning:
            leaf.requires_grad_(True)
