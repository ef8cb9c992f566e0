"""Findings about which sites there are: in the guide, in the model, twice, never, now and then."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from pyro_vae.particles.checks import Fault, extra_sites, ignored_options, missing_sites
from pyro_vae.particles.handlers import is_delta, is_function
from pyro_vae.studies.checking.finding import Finding
from pyro_vae.studies.checking.look import Look, is_factor
from pyro_vae.studies.checking.source import definition, with_keyword, with_name, without_keyword

_SMALL = 10_000  # log-densities of a run: as many are made again in no time


def missing(look: Look) -> Iterator[Finding]:
    """The guide lacks a latent site."""
    for fault in _missing(look):
        if not fault.near:
            one = look.visited.sites[fault.site]
            yield Finding(
                fault.what,
                fault.instead,
                site=fault.site,
                where=one.where,
                line=_drawn_by_hand(fault.site, one.fn),
            )


def misspelt(look: Look) -> Iterator[Finding]:
    """The guide has a site of nearly the same name."""
    for fault in _missing(look):
        if fault.near:
            where = look.of_guide.where(fault.near)
            yield Finding(
                f"The guide's site '{fault.near}' has nearly the name of the model's '{fault.site}', which the guide "
                "lacks.",
                f"Call the site '{fault.site}' in the guide as well.",
                site=fault.site,
                where=where,
                line=where and where.corrected(with_name(fault.site)),
            )


def _missing(look: Look) -> Iterator[Fault]:
    if look.pair is not None and look.guide is not None:
        conditioned = [fault.site for fault in look.found if fault.code == "guide-has-obs"]
        yield from (fault for fault in missing_sites(look.pair) if fault.site not in conditioned)


def _drawn_by_hand(name: str, fn: object) -> str:
    """A line for the guide that draws a site with two parameters of its own."""
    support = str(getattr(fn, "support", ""))
    shape = tuple(getattr(fn, "batch_shape", ())) + tuple(getattr(fn, "event_shape", ()))
    zeros = f"torch.zeros({', '.join(map(str, shape))})" if shape else "torch.tensor(0.0)"
    ones = f"torch.full({shape}, 0.1)" if shape else "torch.tensor(0.1)"
    family = "LogNormal" if "GreaterThan" in support else "Normal"
    event = f".to_event({len(fn.event_shape)})" if getattr(fn, "event_shape", ()) else ""  # type: ignore[attr-defined]
    scale = f'pyro.param("{name}_scale", {ones}, constraint=constraints.positive)'
    return f'pyro.sample("{name}", dist.{family}(pyro.param("{name}_loc", {zeros}), {scale}){event})'


def extra(look: Look) -> Iterator[Finding]:
    """The guide has a site that the model lacks."""
    if look.pair is None or look.guide is None:
        return
    near = {fault.near for fault in missing_sites(look.pair)}
    for fault in extra_sites(look.pair):
        if (
            fault.site in look.pair.model
            or fault.site in near
            or look.of_guide.sites[fault.site].message["is_observed"]
        ):
            continue
        where = look.of_guide.where(fault.site)
        auxiliary = with_keyword("infer", "{'is_auxiliary': True}")
        yield Finding(
            fault.what, fault.instead, site=fault.site, where=where, line=where and where.corrected(auxiliary)
        )


def observed_by_the_model(look: Look) -> Iterator[Finding]:
    """The guide draws a site that the model observes."""
    if look.pair is None or look.guide is None:
        return
    for fault in extra_sites(look.pair):
        if fault.site in look.pair.model and not look.of_guide.sites[fault.site].message["is_observed"]:
            yield Finding(
                fault.what,
                "Remove its pyro.sample from the guide: what is observed is known, and needs no guide.",
                site=fault.site,
                where=look.of_guide.where(fault.site),
            )


def observed_by_the_guide(look: Look) -> Iterator[Finding]:
    """The guide conditions on data with ``obs=``."""
    for name, one in look.of_guide.sites.items():
        if one.message["is_observed"] and not is_factor(one.fn) and not is_delta(one.fn):
            yield Finding(
                f"The guide's site '{name}' has obs=: a guide draws, it does not condition.",
                "Take obs= out if the site is latent in the model, or the whole statement if the model observes it.",
                site=name,
                where=one.where,
                line=one.where and one.where.corrected(without_keyword("obs")),
            )


def duplicated(look: Look) -> Iterator[Finding]:
    """A name is used by two statements of one program."""
    for visit in look.visits:
        counts = Counter(one.name for one in visit.samples)
        for name in (name for name, count in counts.items() if count > 1):
            last = [one for one in visit.samples if one.name == name][-1]
            yield Finding(
                f"The {visit.role} has two sample statements called '{name}'.",
                f"Give the second another name; in a loop, number them: pyro.sample(f'{name}_{{i}}', ...).",
                site=name,
                where=last.where,
                line=last.where and last.where.corrected(with_name(f"{name}_2")),
            )


def clashing(look: Look) -> Iterator[Finding]:
    """A plate, a parameter and a site share a name."""
    for visit in look.visits:
        samples = {one.name: one for one in visit.samples}
        for kind, others in (("plate", visit.plates), ("parameter", visit.params.values())):
            for other in others:
                if other.name in samples:
                    yield Finding(
                        f"In the {visit.role} '{other.name}' is the name of a {kind} and of a sample site.",
                        f"Give the {kind} a name of its own, such as '{other.name}_{kind}'.",
                        site=other.name,
                        where=other.where,
                        line=other.where and other.where.corrected(with_name(f"{other.name}_{kind}")),
                    )


def nothing_observed(look: Look) -> Iterator[Finding]:
    """The model takes data and conditions on none of them."""
    visit = look.visited
    if visit.error is not None or not look.arrays or not visit.samples:
        return
    if any(one.message["is_observed"] and not is_function(one.message) for one in visit.samples):
        return
    last = visit.samples[-1]
    arguments = ", ".join(f"'{name}'" for name in look.arrays)
    first = next(iter(look.arrays))
    yield Finding(
        f"The model is given {arguments} and observes nothing: no pyro.sample has obs=, and there is no pyro.factor.",
        "Give the statement of what was measured its values with obs=.",
        site=last.name,
        where=last.where,
        line=last.where and last.where.corrected(with_keyword("obs", first if first.isidentifier() else "data")),
    )


def nothing_latent(look: Look) -> Iterator[Finding]:
    """The model has nothing to infer."""
    visit = look.visited
    if visit.error is None and not any(not one.message["is_observed"] for one in visit.samples):
        observed = next(iter(visit.sites), None)
        yield Finding(
            "The model has no latent site, so there is nothing to infer.",
            "Write what is unknown as pyro.sample(name, prior), without obs=.",
            site=observed,
            where=definition(look.model),
        )


def come_and_go(look: Look) -> Iterator[Finding]:
    """Which sites there are depends on what was drawn."""
    if look.run is None:
        return
    rows = {
        (visit.role, one.name)
        for visit in look.visits
        for one in visit.samples
        if any(frame.dim is None for frame in one.frames.values())
    }
    looped = {(role, _without_numbers(name)) for role, name in rows}  # a loop over rows drawn anew has other rows
    first = set(look.log_probs)
    for seed in range(look.seed, look.seed + (8 if look.size < _SMALL else 2)):
        other = set(look.again(seed))
        for role, name in sorted(first ^ other):
            visit = look.of_guide if role == "guide" else look.of_model
            if (role, _without_numbers(name)) in looped:
                continue
            yield Finding(
                f"The {role}'s site '{name}' is there in some runs and not in others.",
                "Sample it in every run, and use or ignore its value: torch.where(condition, value, other).",
                site=name,
                where=visit.where(name),
            )
        if first != other:
            return


def _without_numbers(name: str) -> str:
    return re.sub(r"\d+", "", name)


def ignored_baseline(look: Look) -> Iterator[Finding]:
    """An option that only another objective reads."""
    if look.run is None:
        return
    for fault in ignored_options(look.run):
        where = look.of_guide.where(fault.site)
        yield Finding(
            fault.what,
            fault.instead,
            site=fault.site,
            where=where,
            line=where and where.corrected(without_keyword("infer")),
        )
