"""``beta``, ``annealing`` and ``free_bits``: the latents' terms weighted in the table, before any estimator reads it.

An estimator knows nothing of this. Torch only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from pyro_vae.errors import EstimatorError, OptionError
from pyro_vae.estimators.annealing import Annealing, CyclicalAnnealing, LinearAnnealing
from pyro_vae.estimators.free_bits import below_free_bits, with_free_bits
from pyro_vae.particles.data import FACTORS, Particles, Rerun, with_fields


class Weighting(nn.Module):
    """The latents' terms times beta, and no less than ``free_bits``. ``step`` counts the gradients taken (int64).

    A latent's KL is compared with ``free_bits`` as a mean over all rows of its plates. A row that is masked out
    (padding) has a KL of 0 and pulls the mean down: to hold the others to a threshold, give it times their share of the
    rows. Raises :class:`~pyro_vae.errors.EstimatorError` naming a latent whose log p is part of a sum over a site that
    the model enumerates: it cannot be weighted alone.

    The counter is a buffer: saved with checkpoints and in a module's ``state_dict``, carried through a compiled step.
    """

    step: Tensor

    def __init__(self, beta: float = 1.0, annealing: Annealing | None = None, free_bits: float | None = None):
        super().__init__()
        _check("beta", beta, "1 is the ELBO, 4 a typical beta-VAE")
        if free_bits is not None:
            _check("free_bits", free_bits, "nats per latent site, such as 0.5, or None")
        if annealing is not None and not isinstance(annealing, Annealing):
            raise OptionError(
                f"annealing: expected LinearAnnealing(steps), CyclicalAnnealing(steps) or None, got {annealing!r}."
            )
        self.beta, self.annealing, self.free_bits = float(beta), annealing, free_bits
        if annealing is not None:
            self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    @property
    def remaining(self) -> int:
        """The steps over which beta will still change."""
        return 0 if self.annealing is None else max(self.annealing.steps - int(self.step), 0)

    def forward(self, particles: Particles) -> Particles:
        """The table with the weights of this step; the same table where there is nothing to weight."""
        _refuse_merged(particles)
        beta = self.beta if self.annealing is None else self.beta * self.annealing(self.step)
        held = None if self.free_bits is None else below_free_bits(particles, float(self.free_bits))

        def weigh(table: Particles) -> Particles:
            if held is not None and self.free_bits is not None:
                table = with_free_bits(table, float(self.free_bits), held)
            return table if isinstance(beta, float) and beta == 1.0 else scale_latents(table, beta)

        reruns = {
            site.name: {"rerun": _WeightedRerun(site.rerun, weigh)}
            for site in particles.sites.values()
            if site.rerun is not None
        }
        return with_fields(weigh(particles), reruns)

    @torch.no_grad()
    def advance(self) -> None:
        """Count one gradient."""
        if self.annealing is not None:
            self.step.add_(1)

    def tree(self) -> dict[str, Any]:
        """The options as plain values, the inverse of :func:`weighting_options`."""
        annealing = None
        if self.annealing is not None:
            fields = asdict(self.annealing) if is_dataclass(self.annealing) else {}
            annealing = {"name": type(self.annealing).__name__, **fields}
        return {"beta": self.beta, "annealing": annealing, "free_bits": self.free_bits}


@dataclass(frozen=True)
class _WeightedRerun:
    """The pair at other values, with the weights of the table that these stand for."""

    rerun: Rerun
    weigh: Callable[[Particles], Particles]

    def __call__(self, values: Tensor, temperature: Tensor | float | None = None) -> Particles:
        return self.weigh(self.rerun(values, temperature))


def weighting_options(tree: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a saved :meth:`Weighting.tree` says, as options of ``TraceELBO``. Raises
    :class:`~pyro_vae.errors.OptionError` for a schedule that is not one of ours."""
    if tree is None:
        return {}
    saved = tree["annealing"]
    if saved is None:
        return dict(tree)
    known = {kind.__name__: kind for kind in (LinearAnnealing, CyclicalAnnealing)}
    if saved["name"] not in known:
        raise OptionError(
            f"The fit was annealed by {saved['name']}, which is not one of ours: pass estimator=TraceELBO(...) with it."
        )
    fields = {key: value for key, value in saved.items() if key != "name"}
    return {**tree, "annealing": known[saved["name"]](**fields)}


def scale_latents(particles: Particles, beta: Tensor | float) -> Particles:
    """Every factor of every latent site with its scale times beta, as under ``poutine.scale``."""
    fields = {
        site.name: {
            name: replace(factor, scale=factor.scale * beta)
            for name in FACTORS
            if (factor := getattr(site, name)) is not None
        }
        for site in particles.latent
    }
    return with_fields(particles, fields)


def _refuse_merged(particles: Particles) -> None:
    for site in particles.latent:
        if site.log_p is None and site.log_q is not None and not site.auxiliary and not site.enumerated:
            raise EstimatorError(
                f"Site '{site.name}' cannot be weighted: its prior is part of a sum over a site that the model "
                "enumerates, so beta, annealing and free_bits would reach its log q alone. Enumerate that other site "
                "in the guide, with `infer={'enumerate': 'parallel'}`, or leave these options out."
            )


def _check(name: str, value: Any, such_as: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise OptionError(f"{name}={value!r}: expected a finite number from 0 ({such_as}).")
