"""Importance weights of a table: over which plates they factor, and the K-sample bounds made of them. Torch only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pyro_vae.errors import EstimatorError
from pyro_vae.estimators.base import Estimate
from pyro_vae.estimators.score_function import scored_sites
from pyro_vae.particles.data import Factor, Particles, Plate, Site, refuse_enumerated


@dataclass(frozen=True)
class SharedFrame:
    """The plates that all sites share: a multi-sample bound is a sum over their rows of one bound per row.

    ``scale`` is their N/B: it multiplies the bound of a row. Inside the logarithm it would sharpen the weights, and the
    result would bound nothing.
    """

    plates: tuple[Plate, ...]

    @property
    def scale(self) -> float:
        """The product of N/B over the shared plates."""
        return math.prod(plate.scale for plate in self.plates)

    def rows(self, factor: Factor) -> Tensor:
        """A factor per particle and shared row, ``[K, *shared]``; ``poutine.scale`` included, the shared plates' N/B
        not."""
        value = factor.log_prob * factor.scale
        names = [plate.name for plate in factor.axes]
        shared = [plate.name for plate in self.plates]
        inner = [axis for axis, name in enumerate(names, 1) if name not in shared]
        value = value.sum(inner) if inner else value
        kept = [name for name in names if name in shared]
        return value.permute(0, *(kept.index(name) + 1 for name in shared))


def shared_frame(particles: Particles) -> SharedFrame:
    """The vectorised plates around every site. Raises :class:`~pyro_vae.errors.EstimatorError` naming plate and site
    when another plate is subsampled: its rows cannot be scaled up inside a logarithm; and for an enumerated site."""
    refuse_enumerated(particles, "A multi-sample bound")
    factors = [
        (site, factor) for site in particles.sites.values() for factor in (site.log_p, site.log_q) if factor is not None
    ]
    common = set.intersection(*({plate.name for plate in factor.axes} for _, factor in factors)) if factors else set()
    frame = SharedFrame(tuple(plate for plate in factors[0][1].axes if plate.name in common) if factors else ())
    for site, factor in factors:
        for plate in factor.plates:
            if plate.name not in common and plate.size != plate.full_size:
                outside = next(other.name for other, f in factors if plate.name not in {p.name for p in f.axes})
                raise EstimatorError(
                    f"A multi-sample bound cannot take the subsample of plate '{plate.name}' ({plate.size} of "
                    f"{plate.full_size} rows, "
                    f"site '{site.name}'): site '{outside}' is outside it, so the weights do not factor over "
                    f"its rows. Use all rows, or "
                    "an estimator of the ELBO such as Reparameterized()."
                )
    return frame


def log_weights(particles: Particles, frame: SharedFrame, log_p: str = "log_p", log_q: str = "log_q") -> Tensor:
    """log p - log q per particle and shared row, ``[K, *shared]``; the fields may be frozen ones."""
    terms = []
    for site in particles.sites.values():
        p, q = getattr(site, log_p), getattr(site, log_q)
        terms += [frame.rows(p)] if p is not None else []
        terms += [-frame.rows(q)] if q is not None else []
    return torch.stack(terms).sum(0)


def normalised(log_w: Tensor) -> Tensor:
    """Weights that add up to 1 over the particles, ``[K, *shared]``; zeros in a row where every particle is
    impossible."""
    impossible = log_w.isneginf().all(0, keepdim=True)
    return torch.softmax(torch.where(impossible, torch.zeros_like(log_w), log_w), 0) * ~impossible


def weighted(weights: Tensor, values: Tensor) -> Tensor:
    """``weights`` x ``values``, ``[K, *shared]``, summed; an impossible particle has the weight 0 and the log weight
    -inf, and counts for nothing."""
    return (weights * torch.where(weights > 0, values, torch.zeros_like(values))).sum()


def weighted_sum(factors: Iterable[Factor | None], frame: SharedFrame, weights: Tensor) -> Tensor:
    """The factors summed, times ``weights`` ``[K, *shared]``, summed over particles and rows."""
    return weighted(weights, torch.stack([frame.rows(factor) for factor in factors if factor is not None]).sum(0))


def scores(sites: Sequence[Site], frame: SharedFrame) -> Tensor:
    """The live log q that these sites were drawn from, ``[K, *shared]``: its gradient is their score."""
    return torch.stack([frame.rows(replace(site.score, scale=1.0)) for site in sites if site.score]).sum(0)


def model_path(particles: Particles, frame: SharedFrame) -> Tensor:
    """log p's path through the model's own parameters alone, ``[K, *shared]``: live less frozen, of value zero."""
    terms = [
        frame.rows(site.log_p) - frame.rows(site.log_p_frozen)
        for site in particles.sites.values()
        if site.log_p is not None and site.log_p_frozen is not None
    ]
    return torch.stack(terms).sum(0)


def unweighted_score(particles: Particles, frame: SharedFrame) -> Tensor | None:
    r"""What of the guide's score is not in the weights, ``[K, *shared]``: :math:`\sum_i (1 - s_i m_i) \log q_i`,
    through the guide's own parameters alone, for sites with a scale :math:`s_i` or a mask :math:`m_i`; None when there
    is none.

    Reparameterising the score away supposes that the weights are divided by the density that was drawn from.
    """
    terms = []
    for site in particles.sites.values():
        if site.log_q is None or site.log_q_frozen is None:
            continue
        weighted_path = _path(site.log_q, site.log_q_frozen)
        if site.log_q_score is not None and site.log_q_score_frozen is not None:
            drawn = replace(_path(site.log_q_score, site.log_q_score_frozen), scale=1.0)
            terms.append(frame.rows(drawn) - frame.rows(weighted_path))
        elif not (isinstance(site.log_q.scale, float) and site.log_q.scale == 1.0):
            terms.append(frame.rows(replace(weighted_path, scale=1 - site.log_q.scale)))
    return torch.stack(terms).sum(0) if terms else None


def _path(live: Factor, frozen: Factor) -> Factor:
    """The path of a factor through the parameters that the frozen one has stopped; its value is zero."""
    return replace(live, log_prob=live.log_prob - frozen.log_prob)


def renyi_bound(log_w: Tensor, alpha: float = 0.0) -> Tensor:
    r"""The K-sample variational Renyi bound per shared row, ``[*shared]``.

    .. math:: \frac1{1-\alpha} \log \frac1K \sum_k w_k^{1-\alpha}

    0 gives IWAE's bound, 1 the ELBO.
    """
    if alpha == 1.0:
        return log_w.mean(0)
    return (torch.logsumexp((1 - alpha) * log_w, 0) - math.log(log_w.shape[0])) / (1 - alpha)


def left_out_bounds(log_w: Tensor, alpha: float = 0.0) -> Tensor:
    """The bound with each particle's log-weight replaced by the mean of the others', ``[K, *shared]`` (VIMCO's
    baseline); where one of them is impossible, by the others' own bound: -inf only where all are."""
    count = log_w.shape[0]
    index = torch.arange(count, device=log_w.device)
    others = log_w[index[:-1] + (index[:-1] >= index[:, None])]  # [left out, K - 1, *shared]
    mean = others.mean(1)
    replaced = log_w.unsqueeze(0).expand(count, *log_w.shape).clone()  # [left out, K, *shared]
    replaced[index, index] = torch.where(mean.isneginf(), renyi_bound(others.transpose(0, 1), alpha), mean)
    return renyi_bound(replaced.transpose(0, 1), alpha)


def multi_sample_estimate(particles: Particles, alpha: float = 0.0, log_q: str = "log_q") -> Estimate:
    """A K-sample bound, differentiated through its weights, with VIMCO's score terms for sites without a pathwise
    derivative.

    A row where all particles are impossible has the bound -inf, and no gradient. A particle whose fellows all are has
    no score term: its gradient is unbiased for the bound given that one of the others is possible.
    """
    frame = shared_frame(particles)
    log_w = log_weights(particles, frame)
    value = renyi_bound(log_w.detach(), alpha)
    live = log_w if log_q == "log_q" else log_weights(particles, frame, log_q=log_q)
    impossible = value.isneginf()
    surrogate = renyi_bound(torch.where(impossible, torch.zeros_like(live), live), alpha).sum()
    scored = scored_sites(particles)
    if scored:
        baseline = left_out_bounds(log_w.detach(), alpha) if particles.num_particles > 1 else torch.zeros_like(log_w)
        advantage = torch.where(impossible | baseline.isneginf(), torch.zeros_like(log_w), value - baseline)
        surrogate = surrogate + (scores(scored, frame) * advantage).sum()
    return Estimate(-frame.scale * surrogate, frame.scale * value.sum())
