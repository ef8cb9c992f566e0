"""From a run with enumerated sites to factors ``[K, *plates]``, as a run without them has."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from torch import Tensor

from pyro_vae.particles.data import Factor, Plate
from pyro_vae.particles.expectation import Expectation
from pyro_vae.particles.handlers import frames_to_plates, is_function
from pyro_vae.particles.packing import make_factor, make_value, masked, own_scale
from pyro_vae.particles.runs import Run
from pyro_vae.particles.sums import Sum, sum_out, summed_sites
from pyro_vae.particles.symbols import Symbols


class Contraction:
    """The factors of one run in which some discrete sites took all their values; ``summed`` are those that the model
    alone enumerates."""

    def __init__(self, run: Run) -> None:
        self._run, self._symbols = run, Symbols(run)
        self._expectation = Expectation(run, self._symbols)
        self.summed = frozenset(summed_sites(run, self._symbols).values())

    @cached_property
    def sums(self) -> tuple[Sum, ...]:
        """What the sites that the model alone enumerates left behind."""
        return sum_out(self._run, self._symbols, self._expectation)

    def factors(self) -> dict[tuple[str, str], Factor]:
        """Every factor as ("p" or "q", site) -> ``[K, *plates]``; summed ones under the name of their sum."""
        merged = self.summed.union(*(found.members for found in self.sums))
        factors = {("q", name): self.factor(site) for name, site in self._run.guide.items()}
        for name, site in self._run.model.items():
            if name not in merged and not is_function(site):
                factors["p", name] = self.factor(site)
        factors.update({("p", found.name): found.factor for found in self.sums})
        return factors

    def factor(self, site: Mapping[str, Any], log_prob: Tensor | None = None) -> Factor:
        """A site's factor in expectation over the sites that the guide enumerates, ``[K, *plates]``."""
        plates = tuple(plate for plate, _ in frames_to_plates(site))
        log_prob = self._symbols.log_prob(site) if log_prob is None else log_prob
        value = self._symbols.pack(site, masked(site, log_prob))
        expected = self._expectation.of(value, plates, site["name"])
        return Factor(expected, plates, own_scale(site, plates, self._run.particle_dim))

    def value(self, site: Mapping[str, Any]) -> Tensor:
        """A latent value as ``[K, *plates, *enumerated, *event]``: an axis for every enumerated site it varies with."""
        value = site["value"]
        batch = value.dim() - getattr(site["fn"], "event_dim", 0)
        axes = []
        for dim, id_ in sorted(site["infer"].get("_dim_to_id", {}).items(), key=lambda item: item[1]):
            size = value.shape[batch + dim] if -dim <= batch else 1
            if size > 1:
                axes.append((Plate(f"enumerated {id_}", size, size), dim))
        return make_value(site, self._run.particle_dim, self._run.num_particles, tuple(axes))

    def varies_with(self, site: Mapping[str, Any]) -> tuple[str, ...]:
        """The guide's other enumerated sites for each of whose values a site of the guide was drawn."""
        return self._expectation.varies_with(site)


def factors_of(run: Run, contraction: Contraction | None = None) -> dict[tuple[str, str], Factor]:
    """Every factor of a run as ("p" or "q", site) -> ``[K, *plates]``, contracted where it has enumerated sites."""
    if run.setting.enumeration is not None:
        return (contraction or Contraction(run)).factors()
    return {
        (kind, name): make_factor(site, run.particle_dim, run.num_particles)
        for kind, sites in (("p", run.model), ("q", run.guide))
        for name, site in sites.items()
        if kind == "q" or not is_function(site)
    }


def factor_of(run: Run, site: Mapping[str, Any], log_prob: Tensor) -> Factor:
    """A term in the frame of one of the run's sites, in Pyro's own shape, as a factor."""
    if run.setting.enumeration is not None:
        return Contraction(run).factor(site, log_prob)
    return make_factor(site, run.particle_dim, run.num_particles, log_prob)
