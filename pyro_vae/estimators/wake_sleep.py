"""Wake-sleep: the model learns awake, from weighted draws of the guide; the guide asleep, from draws of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pyro_vae.errors import EstimatorError, OptionError
from pyro_vae.estimators.base import Claims, Estimate, Estimator, check_particles
from pyro_vae.estimators.weights import log_weights, normalised, renyi_bound, shared_frame, weighted_sum
from pyro_vae.particles.data import Dream, Particles, Pass


@dataclass(frozen=True)
class WakeSleep(Estimator):
    r"""Fit the guide to the model's own dreams, (z, x) drawn from p, and the model to weighted draws of the guide.

    .. math:: \nabla_\phi \approx \frac1M \sum_m \nabla_\phi \log q_\phi(z_m \mid x_m), \quad (z_m, x_m) \sim p_\theta,
              \qquad \nabla_\theta \approx \sum_k \tilde w_k \nabla_\theta \log p_\theta(x, z_k)

    The guide's gradient is unbiased for :math:`\mathbb E_{p(z, x)}[-\log q(z \mid x)]`, whatever the data are: it is
    for *amortised* guides, which compute q(z | x) from x. A model that computes a density from the *observed* data
    (teacher forcing: each word is predicted from the real word before it) is dreamt wrongly, for the real data stand
    where the dreamt ones belong. ``bound`` is the K-sample importance-weighted bound of the real data, of which the
    model's gradient is an unbiased estimate.

    Args:
        observed: ``{site: argument}``, the argument of the guide that takes the place of each observed site of the
            model; every observed site that the guide looks at. None: arguments that have the name of an observed site.
        insomnia: the share of the guide's update that is :class:`~pyro_vae.WakeWake`'s, 0 to 1.
        dreams: M, the draws of (z, x) per step. One draws all rows of a plate.

    Shapes: sites ``[K, *plates]``, dreams ``[M, *plates]``. Raises :class:`~pyro_vae.errors.EstimatorError` for K < 2,
    naming a site that is not observed, an argument that the guide lacks, a guide that ignores the data, a site of which
    there are no draws, and when a plate that not all sites share is subsampled. Source: Hinton, Dayan, Frey, Neal,
    Science 268, 1995; Bornschein and Bengio, ICLR 2015; Le et al., UAI 2019.

    >>> from pyro_vae.estimators import by_name
    >>> by_name("wake-sleep")
    WakeSleep(observed=None, insomnia=0.0, dreams=1)
    """

    observed: Mapping[str, str] | tuple[tuple[str, str], ...] | None = None
    insomnia: float = 0.0
    dreams: int = 1

    claims = Claims(unbiased=False, shift_invariant=True, order=0.0, guide_objective="sleep")

    def __post_init__(self) -> None:
        share, observed = self.insomnia, self.observed
        if observed is not None and not (isinstance(observed, (Mapping, tuple)) and observed):
            raise OptionError(f"WakeSleep(observed={observed!r}): expected {{site: argument}}, such as {{'x': 'x'}}.")
        if isinstance(observed, Mapping):  # kept as pairs, so that the estimator can be hashed
            object.__setattr__(self, "observed", tuple(sorted(observed.items())))
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise OptionError(f"WakeSleep(insomnia={share!r}): expected a number from 0 (asleep) to 1 (awake).")
        if isinstance(self.dreams, bool) or not isinstance(self.dreams, int) or self.dreams < 1:
            raise OptionError(f"WakeSleep(dreams={self.dreams!r}): expected a whole number above 0.")

    def __repr__(self) -> str:
        observed = None if self.observed is None else dict(self.observed)
        return f"WakeSleep({observed=}, insomnia={self.insomnia!r}, dreams={self.dreams!r})"

    @property
    def passes(self) -> frozenset[Pass | Dream]:
        """Values are stopped; dreams, unless the guide never sleeps."""
        observed = None if self.observed is None else tuple(dict(self.observed).items())
        asleep = {Dream(observed, self.dreams)} if self.insomnia < 1 else set()
        return frozenset({Pass.SCORE, *asleep})

    @property
    def min_particles(self) -> int:
        """A single normalised weight is 1, whatever the draw."""
        return 2

    def __call__(self, particles: Particles, control: nn.Module | None = None) -> Estimate:
        """The estimate of K particles and M dreams."""
        check_particles(particles, self)
        frame, sites = shared_frame(particles), particles.sites.values()
        log_w = log_weights(particles, frame).detach()
        weights = normalised(log_w)
        guide = torch.zeros_like(log_w.sum())
        if self.insomnia > 0:
            awake = weighted_sum((site.score for site in sites), frame, weights)
            guide = guide + self.insomnia * frame.scale * awake
        if self.insomnia < 1:
            guide = guide + (1 - self.insomnia) * _asleep(particles)
        return Estimate(
            guide_loss=-guide,
            model_loss=-frame.scale * weighted_sum((site.log_p for site in sites), frame, weights),
            bound=frame.scale * renyi_bound(log_w).sum(),
        )


def _asleep(particles: Particles) -> Tensor:
    """The mean over dreams of log q of what was dreamt."""
    terms = [site.log_q_dreamt.total() for site in particles.sites.values() if site.log_q_dreamt is not None]
    if not terms:
        raise EstimatorError("WakeSleep needs `log_q_dreamt` in the table: draw it with the estimator's passes.")
    return torch.stack(terms).sum(0).mean()
