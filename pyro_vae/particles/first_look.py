"""What a first run with enumerated sites tells about a pair: found once, beside the plates, for the plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import dropwhile
from typing import Any

import torch
from pyro.ops import packed
from torch import Tensor

from pyro_vae.errors import ModelError
from pyro_vae.particles.contraction import Contraction
from pyro_vae.particles.enumerated import ENUMERATION_REMEDY, Enumeration
from pyro_vae.particles.handlers import is_function
from pyro_vae.particles.packing import evaluate
from pyro_vae.particles.runs import Run, run_pair
from pyro_vae.particles.symbols import Symbols
from pyro_vae.particles.table import tabulate
from pyro_vae.particles.vectorization import fixed_values, is_settled

Terms = Mapping[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class FirstLook:
    """``run`` is the run, ``enumeration`` with the deterministic sites to leave out; ``sums`` are the names of the
    model's summed factors, with their members."""

    run: Run
    enumeration: Enumeration
    sums: Mapping[str, tuple[str, ...]]

    @property
    def merged(self) -> frozenset[str]:
        """The sites whose factors are part of a sum."""
        return frozenset(name for members in self.sums.values() for name in members)

    def with_sums(self, terms: Terms) -> dict[str, frozenset[tuple[str, str]]]:
        """Cost terms that each site can influence, where a sum stands for its members."""
        return {
            name: found.union(
                ("p", total)
                for total, members in self.sums.items()
                if any(("p", member) in found for member in members)
            )
            for name, found in terms.items()
        }


def first_look(model: Callable, guide: Callable, plain: Run, enumeration: Enumeration) -> FirstLook:
    """Run the pair with its enumerated sites, and all others at the values of a ``plain`` run.

    Raises :class:`~pyro_vae.errors.ModelError` naming the site whose log-probability means something else when an
    enumerated site takes all its values at once.
    """
    table = tabulate(plain)
    enumerated = enumeration.guide | enumeration.model
    values = {name: value for name, value in fixed_values(plain, table).items() if name not in enumerated}
    run = run_pair(model, guide, replace(plain.setting, values=values, enumeration=enumeration))
    if is_settled(model, guide, plain, table):
        _check_meaning(plain, run)
    varying = {
        name
        for name, site in run.model.items()
        if is_function(site) and _shape(site["value"]) != _shape(plain.model[name]["value"])
    }
    enumeration = replace(enumeration, left_out=frozenset(varying))
    run = replace(run, setting=replace(run.setting, enumeration=enumeration))
    sums = {found.name: found.members for found in Contraction(run).sums}
    return FirstLook(run, enumeration, sums)


def _shape(value: Any) -> list[int]:
    """A shape without its leading ones."""
    return list(dropwhile(lambda size: size == 1, torch.as_tensor(value).shape))


def _check_meaning(plain: Run, run: Run) -> None:
    """At the plain run's values, every site must have the log-probability that it had there."""
    symbols = Symbols(run)
    index: dict[str, Tensor] = {}
    for sites, plains in ((run.guide, plain.guide), (run.model, plain.model)):
        for name, site in sites.items():
            symbol = symbols.of_site(site)
            if symbol is not None and symbol not in index:
                index[symbol] = symbols.pack(site, _position(site, plains[name]["value"]))
    for sites, plains in ((run.guide, plain.guide), (run.model, plain.model)):
        for name, site in sites.items():
            if is_function(site):
                continue
            here = symbols.pack(site, symbols.log_prob(site))
            for symbol in set(here._pyro_dims) & index.keys():  # type: ignore[attr-defined]
                here = packed.gather(here, index[symbol], symbol)
            there = symbols.pack(plains[name], evaluate(plains[name]))
            here, there = packed.broadcast_all(here, there)
            if not torch.allclose(here, there, rtol=1e-3, atol=1e-3, equal_nan=True):
                raise ModelError(
                    f"Site '{name}' has another log-probability when the enumerated sites take all their values at "
                    f"once than when they take one: an operation before it probably sums, indexes or concatenates over "
                    f"the axis of their values. {ENUMERATION_REMEDY}"
                )


def _position(site: Mapping[str, Any], value: Tensor) -> Tensor:
    """Where in an enumerated site's support a value lies, in the value's batch shape."""
    event_dim = site["fn"].event_dim
    support = site["value"]
    axis = support.dim() - event_dim + site["infer"]["_enumerate_dim"]
    same = support == value
    for _ in range(event_dim):
        same = same.all(-1)
    return same.to(torch.uint8).argmax(axis, keepdim=True)
