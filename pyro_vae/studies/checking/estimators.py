"""Findings about how a pair can be estimated: particles, enumeration, and what the chosen estimator can take."""

from __future__ import annotations

from collections.abc import Iterator

import pyro.infer

from pyro_vae.elbo import TraceELBO
from pyro_vae.errors import EstimatorError, ModelError
from pyro_vae.particles.enumerated import find_enumeration, is_marked
from pyro_vae.particles.plan import Plan
from pyro_vae.studies.checking.finding import Finding, sentences
from pyro_vae.studies.checking.look import Look
from pyro_vae.studies.checking.source import without_keyword
from pyro_vae.training.objective import elbo_from

_PARTICLES = 16  # of a fit that is not told otherwise
_MOST_VALUES = 1_000_000  # of all enumerated sites together, before a sum is called long


def one_at_a_time(look: Look) -> Iterator[Finding]:
    """Particles cannot share one run."""
    count = look.num_particles or _PARTICLES
    if not look.sound or look.guide is None or count == 1:
        return
    why = look.plan.why_looped if isinstance(look.plan, Plan) else ""
    if not why:
        return
    site = next((name for name in (*look.of_model.sites, *look.of_guide.sites) if f"'{name}'" in why), None)
    what, _ = sentences(why)
    yield Finding(
        f"Particles are run one at a time, {count} runs a step in place of one: {what}",
        "Leave it, if it is fast enough. Else write what comes before that site so that it holds with dims to the "
        "left: z[..., 0] for z[0], x.sum(-1) for x.sum(), torch.cat(..., -1), Vindex(locs)[..., k] for locs[k], "
        "(w * x).sum(-1) for a layer whose weights are sampled; and torch.where for `if` on a value.",
        site=site,
        where=_at(look, site),
    )


def not_enumerable(look: Look) -> Iterator[Finding]:
    """A site asks to be enumerated and has no list of values."""
    for visit in look.visits:
        for name, one in visit.sites.items():
            if not is_marked(one.message) or (visit.role == "model" and name in look.of_guide.sites):
                continue
            try:
                find_enumeration({name: one.message}, {}, look.guide or look.model, -1, enumerate_guide=True)
            except ModelError as error:
                what, instead = sentences(error)
                yield Finding(
                    what,
                    instead or "Take the option out.",
                    site=name,
                    where=one.where,
                    line=one.where and one.where.corrected(without_keyword("infer")),
                )


def long_sum(look: Look) -> Iterator[Finding]:
    """Enumerated sites outside pyro.markov multiply."""
    values, names = 1, []
    for visit in look.visits:
        for name, one in visit.sites.items():
            frames = one.frames
            chained = any(frame.dim is None for frame in one.message["cond_indep_stack"])
            if is_marked(one.message) and not chained and not frames and "_markov_scope" not in one.message["infer"]:
                values *= len(one.fn.enumerate_support(expand=False)) if one.fn.has_enumerate_support else 1
                names.append(name)
    if values > _MOST_VALUES:
        yield Finding(
            f"The enumerated sites '{names[0]}', '{names[1]}', ... ({len(names)} of them) are in no plate and no "
            f"pyro.markov: together they may have {values:.2g} values.",
            "Put sites that are independent into a plate, and a chain into pyro.markov: the sum then grows with the "
            "number of sites, and not with its power.",
            site=names[0],
            where=look.of_model.where(names[0]) or look.of_guide.where(names[0]),
            line=f"for t in pyro.markov(range({len(names)})):",
        )


def wrong_objective(look: Look) -> Iterator[Finding]:
    """An ELBO of Pyro's that has no room for the plates, or ignores that sites are to be enumerated."""
    elbo = look.estimator
    if not isinstance(elbo, pyro.infer.ELBO) or isinstance(elbo, TraceELBO) or not look.sound or look.guide is None:
        return
    deepest = max(
        (-frame.dim for v in look.visits for one in v.samples for frame in one.frames.values() if frame.dim), default=0
    )
    marked = [name for visit in look.visits for name, one in visit.sites.items() if is_marked(one.message)]
    name = type(elbo).__name__
    if elbo.max_plate_nesting < deepest:
        yield Finding(
            f"{name} has max_plate_nesting={elbo.max_plate_nesting:.0f}, and the plates reach {deepest} deep.",
            f"Leave room for the plates, {name}(max_plate_nesting={deepest}); or use pv.TraceELBO, which finds them "
            "itself.",
            site=next(iter(marked), None),
            line=f"{name}(max_plate_nesting={deepest})",
        )
    if marked and "Enum" not in name and "Markov" not in name:
        yield Finding(
            f"Site '{marked[0]}' is to be enumerated, which {name} does not do.",
            "Use pv.TraceELBO, which sums such sites out, or Pyro's TraceEnum_ELBO.",
            site=marked[0],
            where=look.of_model.where(marked[0]) or look.of_guide.where(marked[0]),
        )


def refused(look: Look) -> Iterator[Finding]:
    """The chosen estimator cannot take a site."""
    if look.estimator is None or not look.sound or look.guide is None:
        return
    elbo = elbo_from(look.estimator, look.num_particles, None)
    if not isinstance(elbo, TraceELBO):
        return
    try:
        elbo.estimate(look.model, look.guide, *look.args, **look.kwargs)
    except EstimatorError as error:
        what, instead = sentences(error)
        site = next((name for name in look.of_guide.sites if f"'{name}'" in what), None)
        yield Finding(what, instead, site=site, where=(site and look.of_guide.where(site)) or None)
    except ModelError:
        return  # said by "does-not-run"


def does_not_run(look: Look) -> Iterator[Finding]:
    """Whatever else makes the first step of a fit fail."""
    if not look.sound or look.guide is None:
        return
    if isinstance(look.plan, ModelError):
        what, instead = sentences(look.plan)
        if "within the support (Boolean())" in what:
            instead = (
                "Turn the data into zeros and ones (torch.bernoulli(x), or (x > 0.5).float()); or, if shares between 0 "
                "and 1 are meant, write dist.Bernoulli(..., validate_args=False)."
            )
        site = next((name for name in (*look.of_guide.sites, *look.of_model.sites) if f"'{name}'" in what), None)
        yield Finding(what, instead, site=site, where=_at(look, site))


def _at(look: Look, site: str | None):
    return None if site is None else look.of_model.where(site) or look.of_guide.where(site)
