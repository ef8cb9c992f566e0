"""One guide site whose particles each have a parameter of their own: one backward pass gives every draw's gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from pyro_vae.estimators import Estimator
from pyro_vae.particles import Factor, Particles, Pass, Site
from pyro_vae.particles.data import with_fields

DRAWS = 1_000_000
FAMILIES = {
    "Bernoulli": torch.distributions.Bernoulli,
    "Normal": torch.distributions.Normal,
    "Poisson": torch.distributions.Poisson,
    "Exponential": torch.distributions.Exponential,
    "Gamma": torch.distributions.Gamma,
    "Weibull": torch.distributions.Weibull,
}
_KNOWN = frozenset({("p", "z"), ("q", "z")})


def leaves(count: int = DRAWS, **numbers: float) -> dict[str, Tensor]:
    """Parameters ``[count]``, all learned."""
    return {
        name: torch.full((count,), number, dtype=torch.float64, requires_grad=True) for name, number in numbers.items()
    }


def one_site(
    family: str, canonical: Mapping[str, Tensor], f: Callable[[Tensor], Tensor], estimator: Estimator
) -> Particles:
    """Draws of one site whose cost is f alone: log q is there to be differentiated and has no weight in the cost."""
    q = FAMILIES[family](**canonical, validate_args=False)
    pathwise = q.has_rsample and Pass.SCORE not in estimator.passes
    value = q.rsample() if q.has_rsample else q.sample()
    value = value if pathwise else value.detach()

    def table(values: Tensor) -> Particles:
        weightless = Factor(torch.zeros_like(values))
        return Particles(
            {"z": Site("z", values, log_p=Factor(f(values)), log_q=weightless, downstream=_KNOWN)}, len(values)
        )

    log_q = q.log_prob(value)
    scores = torch.autograd.grad(log_q.sum(), list(canonical.values()), retain_graph=True)
    full = {
        "log_q": Factor(log_q, scale=0.0),
        "reparameterised": pathwise,
        "family": family,
        "canonical": canonical,
        "parameters": canonical,
        "scores": dict(zip(canonical, scores, strict=True)),
        "noise": torch.rand(4, *value.shape, dtype=value.dtype),
        "rerun": lambda values, temperature=None: table(values),
    }
    return with_fields(table(value), {"z": full})


def single_gradients(
    estimator: Estimator, particles: Particles, parameters: list[Tensor], control: nn.Module | None = None
) -> list[Tensor]:
    """Each draw's own gradient of E f, ``[K]`` per parameter."""
    grads = torch.autograd.grad(estimator(particles, control).guide_loss, parameters)
    return [-grad * particles.num_particles for grad in grads]
