"""The two halves of a VAE's bound: what each latent costs, and how well x is written with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from pyro.distributions import Independent
from torch import Tensor
from torch.distributions import kl_divergence

from pyro_vae.distributions import LogStickBreaking, MultivariateNormal


@dataclass(frozen=True)
class Divergence:
    """KL(q(z | x) ‖ p(z)) in nats, by row and component ``[N, C]``; the components add up to the whole.

    A component is what the family and the prior both factorise over: a number, a bit, a one-hot variable, a fraction of
    a stick. Where they do not (a Dirichlet, a flow, a learned prior), the latent site is one. A normal q with
    correlations has its numbers' own divergences, and one component more: that of the dependence, which is the total
    correlation of q. ``exact`` says whether each is a closed form, or a mean over the draws.
    """

    names: tuple[str, ...]
    kl: Tensor
    exact: bool


def divergence(q: Any, p: Any, z: Tensor) -> Divergence:
    """KL(q ‖ p) by component; where there is no closed form, from the draws ``z`` ``[S, N, *event]`` of q."""
    if isinstance(q, LogStickBreaking) and isinstance(p, LogStickBreaking):
        kl, exact = _closed(q.fractions, p.fractions), True
        assert kl is not None  # a rule is registered for every pair of fractions that there is
        return Divergence(_names(kl.shape[-1], "fraction"), kl, exact)
    if isinstance(q, MultivariateNormal) and _standard(p):
        return _correlated(q)
    if _factorises(q) and _factorises(p) and q.base_dist.event_shape == p.base_dist.event_shape:
        kl = _closed(q.base_dist, p.base_dist)
        drawn = (q.base_dist.log_prob(z) - p.base_dist.log_prob(z)).mean(0) if kl is None else kl
        kind = "variable" if q.base_dist.event_shape else "z"
        return Divergence(_names(drawn.shape[-1], kind), drawn, kl is not None)
    kl = _closed(q, p)
    drawn = (q.log_prob(z) - p.log_prob(z)).mean(0) if kl is None else kl
    return Divergence(("z",), drawn.unsqueeze(-1), kl is not None)


def _names(count: int, kind: str = "z") -> tuple[str, ...]:
    return tuple(f"{kind}[{index}]" for index in range(count))


def _factorises(distribution: Any) -> bool:
    return isinstance(distribution, Independent) and distribution.reinterpreted_batch_ndims == 1


def _standard(p: Any) -> bool:
    """Whether a normal prior is N(0, I)."""
    if not isinstance(p, MultivariateNormal):
        return False
    eye = torch.eye(p.event_shape[0], dtype=p.loc.dtype, device=p.loc.device)
    return not p.loc.any() and torch.equal(p.scale_tril, eye)


def _correlated(q: MultivariateNormal) -> Divergence:
    """The marginals' divergences from N(0, 1), and the total correlation: together KL(q ‖ N(0, I))."""
    variance = q.scale_tril.square().sum(-1)
    marginal = 0.5 * (variance + q.loc.square() - 1 - variance.log())
    dependence = 0.5 * variance.log().sum(-1) - q.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    if marginal.shape[-1] == 1:
        return Divergence(_names(1), marginal, exact=True)
    names = (*_names(marginal.shape[-1]), "dependence")
    return Divergence(names, torch.cat([marginal, dependence.clamp(min=0).unsqueeze(-1)], -1), exact=True)


def _closed(q: Any, p: Any) -> Tensor | None:
    """The closed form, shaped as q's batch; None where there is no rule."""
    try:
        return kl_divergence(q, p.expand(q.batch_shape) if p.batch_shape != q.batch_shape else p)
    except NotImplementedError:
        return None
