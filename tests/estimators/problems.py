"""Small problems whose ELBO and gradient are known exactly, as plain tensors: no Pyro."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from pyro_vae.particles import Factor, Particles, Pass, Plate, Site


@dataclass(frozen=True)
class Problem:
    """``draw(params, K, passes)`` gives particles, ``elbo(params)`` the exact bound, a differentiable function of
    ``params``."""

    name: str
    params: Callable[[], dict[str, Tensor]] = field(repr=False)
    draw: Callable[[dict[str, Tensor], int, frozenset[Pass]], Particles] = field(repr=False)
    elbo: Callable[[dict[str, Tensor]], Tensor] = field(repr=False)
    reparameterised: bool


def _leaf(*numbers: float, dtype: torch.dtype = torch.float64) -> Tensor:
    value = torch.tensor(numbers, dtype=dtype)
    return (value[0] if len(numbers) == 1 else value).clone().requires_grad_(True)


def _latent(
    name: str, q: torch.distributions.Distribution, K: int, passes: frozenset[Pass], log_p, plates=(), prior=None
) -> Site:
    stop = Pass.SCORE in passes
    names = ("logits",) if isinstance(q, Bernoulli) else ("loc", "scale")
    live = {key: getattr(q, key).expand((K, *(plate.size for plate in plates))) for key in names}
    q = type(q)(**live)
    value = q.rsample() if q.has_rsample else q.sample()
    value = value.detach() if stop else value
    log_q = q.log_prob(value)
    asked = Pass.PARAMETERS in passes
    scores = torch.autograd.grad(log_q.sum(), list(live.values()), retain_graph=True) if asked else ()
    return Site(
        name,
        value,
        log_p=Factor(log_p(value), plates),
        log_q=Factor(log_q, plates),
        reparameterised=q.has_rsample and not stop,
        kl=Factor(kl_divergence(q, prior).expand(value.shape), plates) if Pass.KL in passes and prior else None,
        baseline_input=torch.tensor([0.3, -1.0], dtype=value.dtype),
        parameters=live if asked else {},
        scores=dict(zip(names, scores, strict=True)) if asked else {},
    )


# -- one Gaussian latent, Gaussian likelihood, a model parameter --------------------------------------------------


def _gaussian_params() -> dict[str, Tensor]:
    return {"loc": _leaf(0.4), "log_scale": _leaf(-0.3), "theta": _leaf(0.7)}


def _gaussian_draw(p: dict[str, Tensor], K: int, passes: frozenset[Pass]) -> Particles:
    prior = Normal(p["theta"], torch.ones((), dtype=p["loc"].dtype))
    scale = p["log_scale"].exp()
    z = _latent("z", Normal(p["loc"], scale), K, passes, prior.log_prob, prior=prior)
    if Pass.FROZEN_GUIDE in passes:
        z = replace(z, log_q_frozen=Factor(Normal(p["loc"].detach(), scale.detach()).log_prob(z.value)))
    x = Site("x", torch.tensor(1.5), log_p=Factor(Normal(z.value, 0.8).log_prob(torch.tensor(1.5))), observed=True)
    return Particles({"z": z, "x": x}, K)


def _gaussian_elbo(p: dict[str, Tensor]) -> Tensor:
    scale = p["log_scale"].exp()
    expected = -0.5 * math.log(2 * math.pi * 0.64) - ((1.5 - p["loc"]) ** 2 + scale**2) / (2 * 0.64)
    return expected - kl_divergence(Normal(p["loc"], scale), Normal(p["theta"], 1.0))


# -- three Bernoullis, correlated in the model, enumerated --------------------------------------------------------

_BITS = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)), dtype=torch.float64)


def _bernoulli_params() -> dict[str, Tensor]:
    return {"logits": _leaf(0.3, -0.8, 1.1), "theta": _leaf(0.5, -0.4)}


def _log_joint(bits: Tensor, theta: Tensor) -> Tensor:
    first, second, third = bits.unbind(-1)
    return theta[0] * first * second - (third - theta[1]) ** 2 + torch.sin(first + 2 * third) - 1.0


def _bernoulli_draw(p: dict[str, Tensor], K: int, passes: frozenset[Pass]) -> Particles:
    plate = (Plate("bits", 3, 3),)
    z = _latent("z", Bernoulli(logits=p["logits"]), K, passes, torch.zeros_like, plate)
    x = Site("x", torch.zeros(()), log_p=Factor(_log_joint(z.value, p["theta"])), observed=True)
    return Particles({"z": z, "x": x}, K)


def _bernoulli_elbo(p: dict[str, Tensor]) -> Tensor:
    log_q = Bernoulli(logits=p["logits"]).log_prob(_BITS).sum(-1)
    return (log_q.exp() * (_log_joint(_BITS, p["theta"]) - log_q)).sum()


# -- a chain: Bernoulli, then a Gaussian that depends on it, subsampled plate of likelihood terms -------------------


def _mixed_params() -> dict[str, Tensor]:
    return {"logit": _leaf(0.5), "locs": _leaf(-0.6, 0.9), "log_scale": _leaf(-0.5), "theta": _leaf(0.3)}


_SCALE = torch.tensor(0.9, dtype=torch.float64)


def _mixed_draw(p: dict[str, Tensor], K: int, passes: frozenset[Pass]) -> Particles:
    prior = Bernoulli(torch.tensor(0.3, dtype=p["locs"].dtype))
    b = _latent("b", Bernoulli(logits=p["logit"]), K, passes, prior.log_prob, prior=prior)
    q = Normal(p["locs"][b.value.long()], p["log_scale"].exp())
    w = _latent("w", q, K, passes, lambda value: Normal(p["theta"] * b.value, 1.0).log_prob(value))
    x = torch.tensor([0.5, -0.3], dtype=p["locs"].dtype)
    rows = Factor(Normal(w.value[:, None], _SCALE).log_prob(x), (Plate("data", 2, 6),))
    return Particles({"b": b, "w": w, "x": Site("x", x, log_p=rows, observed=True)}, K)


def _mixed_elbo(p: dict[str, Tensor]) -> Tensor:
    scale = p["log_scale"].exp()
    weight = torch.sigmoid(p["logit"])
    total = -kl_divergence(Bernoulli(logits=p["logit"]), Bernoulli(torch.tensor(0.3, dtype=torch.float64)))
    for index, prob in ((0, 1 - weight), (1, weight)):
        loc = p["locs"][index]
        inner = -kl_divergence(Normal(loc, scale), Normal(p["theta"] * index, 1.0))
        for x in (0.5, -0.3):
            inner = inner + 3 * (
                -0.5 * torch.log(2 * math.pi * _SCALE**2) - ((x - loc) ** 2 + scale**2) / (2 * _SCALE**2)
            )
        total = total + prob * inner
    return total


PROBLEMS = [
    Problem("Gaussian", _gaussian_params, _gaussian_draw, _gaussian_elbo, True),
    Problem("three Bernoullis", _bernoulli_params, _bernoulli_draw, _bernoulli_elbo, False),
    Problem("Bernoulli then Gaussian", _mixed_params, _mixed_draw, _mixed_elbo, False),
]
