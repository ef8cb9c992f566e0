"""Who depends on whom: which sites' KL may be taken in closed form.

Given its guide parents, a latent site z may be integrated analytically when no parent of z in the model is a descendant
of z in the guide (Pyro's ``TraceMeanField_ELBO`` documents the condition but only compares the order of sites).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pyro import poutine
from pyro.ops.provenance import ProvenanceTensor, detach_provenance, get_provenance
from pyro.poutine.messenger import Messenger
from torch.distributions import biject_to

from pyro_vae.particles.handlers import GivenSubsamples, is_delta, is_subsample
from pyro_vae.particles.runs import Run, Setting

UNTRACKABLE = (RuntimeError, TypeError, NotImplementedError, AssertionError, ValueError, AttributeError)


class _Parents(Messenger):
    """Tags every drawn value with its site's name and notes which tags reach each distribution.

    ``transitive`` keeps the tags of a value's ancestors on it, so that a term's tags are all that can influence it.
    The value of a ``given`` site was drawn elsewhere and has its ancestors from there: what its distribution depends on
    here reaches the site's own term and not what comes after it.
    """

    def __init__(self, *, transitive: bool = False) -> None:
        super().__init__()
        self.transitive = transitive
        self.given: frozenset[str] = frozenset()
        self.parents: dict[str, frozenset[str]] = {}

    def _pyro_post_sample(self, msg: dict) -> None:
        if is_subsample(msg):
            return
        value = detach_provenance(msg["value"])
        tags = get_provenance(msg["value"]) if is_delta(msg["fn"]) else get_provenance(msg["fn"].log_prob(value))
        tags |= get_provenance(msg["mask"]) | get_provenance(msg["scale"])
        above = get_provenance(msg["value"]) if self.transitive else frozenset()
        tags |= above
        self.parents[msg["name"]] = tags
        if not msg["is_observed"]:
            above = tags if self.transitive and msg["name"] not in self.given else above
            msg["value"] = ProvenanceTensor(value, above | {msg["name"]})


def _parents(program: Callable, setting: Setting, sites: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Direct parents of every site; where tracking fails, every earlier site counts as a parent."""
    tracker = _Parents()
    try:
        with GivenSubsamples(setting.subsamples), tracker:
            program(*setting.args, **setting.kwargs)
        return tracker.parents
    except UNTRACKABLE:
        names = list(sites)
        return {name: frozenset(names[:position]) for position, name in enumerate(names)}


def downstream_terms(model: Callable, guide: Callable, run: Run) -> dict[str, frozenset[tuple[str, str]]]:
    """Guide site -> the cost terms that its value can influence, as ("p" or "q", site); empty where that cannot be
    told.

    Only what flows through tensors is seen: a guide whose *structure* depends on a value is looped, and keeps every
    term.
    """
    if isinstance(poutine.unwrap(guide), Messenger):
        return {}
    tracker = _Parents(transitive=True)
    try:
        with GivenSubsamples(run.setting.subsamples), tracker:
            trace = poutine.trace(guide).get_trace(*run.setting.args, **run.setting.kwargs)
        in_guide, tracker.parents, tracker.given = tracker.parents, {}, frozenset(trace.stochastic_nodes)
        with GivenSubsamples(run.setting.subsamples), tracker:
            poutine.replay(model, trace=trace)(*run.setting.args, **run.setting.kwargs)
    except UNTRACKABLE:
        return {}
    terms: dict[str, set[tuple[str, str]]] = {name: {("q", name)} for name in run.guide}
    for kind, tags in (("q", in_guide), ("p", tracker.parents)):
        for term, above in tags.items():
            for name in (above | {term}) & terms.keys():
                terms[name].add((kind, term))
    return {name: frozenset(found) for name, found in terms.items()}


def closed_form_sites(model: Callable, guide: Callable, run: Run) -> dict[str, tuple[str, ...]]:
    """Guide site -> the sites that its KL stands for, where conditioning, plates and scales allow it.

    An autoguide's ``x_unconstrained`` Normal with the Delta ``x`` that it is mapped to count as one latent.
    """
    if isinstance(poutine.unwrap(guide), Messenger):
        return {}
    in_guide = _parents(guide, run.setting, run.guide)
    in_model = _parents(_replayed(model, run), run.setting, run.model)
    allowed: dict[str, tuple[str, ...]] = {}
    for name, site in run.guide.items():
        covers = _covered(name, run)
        if site["is_observed"] or not covers:
            continue
        latent = covers[-1]
        below = _descendants(name, in_guide) | set(covers)
        clash = (in_model.get(latent, frozenset()) - {latent}) & below
        if not clash and _same_frame(run.model[latent], site):
            allowed[name] = covers
    return allowed


def _replayed(model: Callable, run: Run) -> Callable:
    trace = poutine.Trace()
    for name, site in run.guide.items():
        trace.add_node(name, **site)
    return poutine.replay(model, trace=trace)


def _covered(name: str, run: Run) -> tuple[str, ...]:
    """The sites that a guide site's KL stands for: itself, and the Delta that an autoguide maps it to."""
    if name in run.model:
        return () if is_delta(run.guide[name]["fn"]) else (name,)
    target = name.removesuffix("_unconstrained")
    if target == name or target not in run.model or not is_delta(run.guide.get(target, {"fn": None})["fn"]):
        return ()
    mapped = biject_to(run.model[target]["fn"].support)(run.guide[name]["value"])
    value = run.guide[target]["value"]
    same = mapped.shape == value.shape and torch.allclose(mapped, value, rtol=1e-5, atol=1e-6)
    return (name, target) if same else ()


def _descendants(name: str, parents: Mapping[str, frozenset[str]]) -> set[str]:
    found: set[str] = {name}
    for site, above in parents.items():  # sites are in the order drawn, so one sweep is enough
        if above & found:
            found.add(site)
    return found - {name}


def _same_frame(model: Mapping[str, Any], guide: Mapping[str, Any]) -> bool:
    """Plates, scale and mask must agree, or KL(q || p) is not what the site contributes."""
    frames = [{(f.name, f.dim) for f in site["cond_indep_stack"] if f.vectorized} for site in (model, guide)]
    scales = [torch.as_tensor(site["scale"]) for site in (model, guide)]
    same_scale = scales[0].shape == scales[1].shape and bool(torch.equal(scales[0], scales[1].to(scales[0].dtype)))
    return frames[0] == frames[1] and same_scale and model["mask"] is None and guide["mask"] is None
