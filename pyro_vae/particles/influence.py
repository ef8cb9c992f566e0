"""What a value influences, seen by changing it: a check of what was told from tensors alone.

Provenance follows torch's operations. A value that is written into a slice, or that leaves torch and comes back,
loses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pyro_vae.errors import ModelError
from pyro_vae.particles.data import Particles
from pyro_vae.particles.families import family
from pyro_vae.particles.handlers import is_delta
from pyro_vae.particles.packing import make_value
from pyro_vae.particles.runs import Run, run_pair
from pyro_vae.particles.table import tabulate
from pyro_vae.particles.vectorization import fixed_values, is_settled

Terms = Mapping[str, frozenset[tuple[str, str]]]
MOST_SITES = 40  # each costs two runs of guide and model, once


def confirmed(model: Callable, guide: Callable, run: Run, terms: Terms, *, pathwise: bool) -> dict[str, frozenset]:
    """The ``terms`` of those sites for which no term outside them changes when the site's value does.

    A site that is left out may influence anything. ``pathwise``: sites with ``rsample`` take no score and are not
    looked at. Beyond ``MOST_SITES`` sites the rest are believed.
    """
    table = tabulate(run)
    if not is_settled(model, guide, run, table):
        return dict(terms)  # random beyond its sites (dropout): every term changes with every run
    given = fixed_values(run, table)
    asked = [name for name in terms if name in given and not (pathwise and run.guide[name]["fn"].has_rsample)]
    wrong = {name for name in asked[:MOST_SITES] if _changes(model, guide, run, table, given, name) - terms[name]}
    # what is below a site whose influence was missed is missing from its ancestors' terms too
    above = {name for name, found in terms.items() if any(("q", site) in found for site in wrong)}
    return {name: found for name, found in terms.items() if name not in wrong | above}


def _changes(
    model: Callable, guide: Callable, run: Run, table: Particles, given: Mapping[str, Tensor], name: str
) -> set[tuple[str, str]]:
    """The terms that change when one site has another value and all others keep theirs."""
    changed: set[tuple[str, str]] = set()
    for value in _others(run.guide[name], given[name]):
        setting = replace(run.setting, values={**given, name: value})
        try:
            again = tabulate(run_pair(model, guide, setting))
        except ModelError:
            continue  # not a value that the programs can take, such as one beyond a support that depends on others
        for site in again.sites.values():
            before = table.sites.get(site.name)
            for kind, one in (("p", site.log_p), ("q", site.log_q)):
                other = before and (before.log_p if kind == "p" else before.log_q)
                if one is not None and (other is None or not _same(one.total(), other.total())):
                    changed.add((kind, site.name))
    return changed


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-5, atol=1e-6, equal_nan=True)


def _others(site: Mapping[str, Any], value: Tensor) -> list[Tensor]:
    """Two other values of a site, ``[1, *plates, *event]``: each element moved on by one, and a fresh draw."""
    if is_delta(site["fn"]):
        return []
    kind = family(site["fn"])
    fresh = make_value({**site, "value": site["fn"].sample()}, None, 1)
    if kind == "Bernoulli":
        return [1 - value, fresh]
    if kind == "OneHotCategorical":
        return [value.roll(1, -1), fresh]
    if kind == "Categorical":
        return [(value + 1) % site["fn"].enumerate_support(expand=False).shape[0], fresh]
    return [fresh]
