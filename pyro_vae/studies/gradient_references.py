"""The gradient that an unbiased estimator must have on average: a sum over all values, or a long run of another one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pyro_vae.diagnostics.gradient_noise import GradientMoments, Reference, RunningMoments
from pyro_vae.elbo import TraceELBO
from pyro_vae.errors import EstimatorError, PyroVaeError
from pyro_vae.estimators import IWAE, VIMCO, DisARM, DReG, Estimator, Reparameterized, ScoreFunction, StickingTheLanding
from pyro_vae.estimators.names import name_of
from pyro_vae.estimators.weights import log_weights, renyi_bound, scores, shared_frame
from pyro_vae.particles import Particles, draw
from pyro_vae.particles.every_value import every_value
from pyro_vae.particles.plan import plan_pair
from pyro_vae.studies.gradient_pair import Contender, Gradients, Pair, alike

CANDIDATES: Mapping[float, tuple[Estimator, ...]] = {
    1.0: (
        StickingTheLanding(),
        Reparameterized(),
        ScoreFunction("leave-one-out", pathwise=True),
        ScoreFunction("leave-one-out"),
        DisARM(),
    ),
    0.0: (DReG(), VIMCO(), IWAE()),
}
TIMES = 4  # as many gradients as each estimator has
WIDER = 8  # as many particles, where the objective is the same for any number
PILOT = 10  # gradients of each candidate, to choose by
MOST_NUMBERS = 4_000_000  # weights of tuples at once


@dataclass
class References:
    """The references at one place of the parameters, made as they are asked for.

    ``seeds`` are other ones than the measurements have, so that a reference is independent of them.
    """

    pair: Pair
    num_particles: int
    seeds: Sequence[int]
    ranked: dict[tuple[float, int], list[Contender]] = field(default_factory=dict)
    exact: dict[tuple[float, int], dict[str, Reference] | None] = field(default_factory=dict)
    runs: dict[tuple[str, int], dict[str, Reference]] = field(default_factory=dict)

    @cached_property
    def values(self) -> dict[str, Tensor] | None:
        """Every joint value of the guide's sites; None where they cannot be listed."""
        return every_value(self.pair.model, self.pair.guide, self.pair.args, self.pair.kwargs)

    def of(self, one: Contender) -> dict[str, Reference] | None:
        """What the mean gradient of this estimator's objective is; None where nothing else can say it."""
        order, num_particles = float(one.elbo.estimator.claims.order), one.elbo.num_particles
        key = (order, 1 if order == 1.0 else num_particles)
        if key not in self.exact:
            self.exact[key] = self._summed(*key)
        if self.exact[key] is not None:
            return self.exact[key]
        others = (other for other in self._candidates(order, num_particles) if not self._same(one, other))
        return next((run for run in map(self._run, others) if run is not None), None)

    def _same(self, one: Contender, other: Contender) -> bool:
        """Whether the other comes down to this one on the pair's sites, and could not say if it is wrong."""
        twin = Contender(other.name, TraceELBO(other.elbo.estimator, one.elbo.num_particles), self.pair)
        try:
            return alike(one.gradient(self.seeds[0]).gradients, twin.gradient(self.seeds[0]).gradients)
        except PyroVaeError:  # the twin may need more particles than this one has
            return False

    def _summed(self, order: float, num_particles: int) -> dict[str, Reference] | None:
        """The exact gradient, where all values of one row (and all tuples of K of them) can be added up."""
        if self.values is None:
            return None
        pair, count = self.pair, len(next(iter(self.values.values())))
        if order != 1.0 and count**num_particles > MOST_NUMBERS:
            return None
        plan = plan_pair(pair.model, pair.guide, pair.args, pair.kwargs, num_particles=count)
        table = draw(pair.model, pair.guide, pair.args, pair.kwargs, num_particles=count, values=self.values, plan=plan)
        objective = exact_objective(table, order, num_particles)
        if objective is None:
            return None
        how = "exact" if order == 1.0 else f"exact, {num_particles} draws"
        exact = pair.differentiate(-objective)
        return {part: Reference(mean, np.zeros_like(mean), how) for part, mean in exact.items()}

    def _candidates(self, order: float, num_particles: int) -> list[Contender]:
        """Those that can take the pair, the least noisy first; of those that are the same on its sites, one."""
        key = (order, num_particles)
        if key in self.ranked:
            return self.ranked[key]
        measured: list[tuple[float, Gradients, Contender]] = []
        for estimator in CANDIDATES.get(order, ()):
            K = WIDER * num_particles if order == 1.0 else num_particles
            one = Contender(name_of(estimator), TraceELBO(estimator, K), self.pair)
            try:
                found = [one.gradient(seed).gradients for seed in self.seeds[:PILOT]]
            except PyroVaeError:
                continue
            if any(alike(found[0], first) for _, first, _ in measured):
                continue
            spread = sum(np.var([gradients[part] for gradients in found], 0).sum() for part in self.pair.leaves)
            measured.append((float(spread), found[0], one))
        self.ranked[key] = [one for *_, one in sorted(measured, key=lambda item: item[0])]
        return self.ranked[key]

    def _run(self, one: Contender) -> dict[str, Reference] | None:
        """None where one of its gradients is not finite."""
        key = (one.name, one.elbo.num_particles)
        if key not in self.runs:
            wider = one.elbo.num_particles > self.num_particles
            count = len(self.seeds) // (2 if wider else 1)
            try:
                moments = moments_of((one.gradient(seed).gradients for seed in self.seeds[:count]), count)
            except EstimatorError:
                moments = {}
            how = f"{count} gradients of {one.name}, K = {one.elbo.num_particles}"
            self.runs[key] = {part: Reference(found.mean, found.error, how) for part, found in moments.items()}
        return self.runs[key] or None


def moments_of(gradients: Iterable[Gradients], count: int) -> dict[str, GradientMoments]:
    """The moments of each part, of ``count`` gradients."""
    found: dict[str, RunningMoments] = {}
    for gradient in gradients:
        for part, numbers in gradient.items():
            found.setdefault(part, RunningMoments(count)).add(numbers)
    return {part: running.result() for part, running in found.items()}


def exact_objective(table: Particles, order: float, num_particles: int) -> Tensor | None:
    r"""The objective of K draws from a table that has every value once, differentiable.

    .. math:: \sum_{s_1 \dots s_K} q(s_1) \cdots q(s_K)\,
              \frac1{1-\alpha} \log \frac1K \sum_k \Bigl(\frac{p(x, s_k)}{q(s_k)}\Bigr)^{1-\alpha}

    per row of the plates that all sites share, summed over them; order :math:`\alpha = 1` is the ELBO. None where that
    are too many numbers.
    """
    frame = shared_frame(table)
    log_w = log_weights(table, frame)
    log_q = scores([site for site in table.latent if not site.deterministic], frame)
    if order == 1.0:
        return frame.scale * (log_q.exp() * log_w).sum()
    count, rows = len(log_w), math.prod(log_w.shape[1:])
    if count**num_particles * num_particles * rows > MOST_NUMBERS:
        return None
    index = torch.cartesian_prod(*[torch.arange(count)] * num_particles).reshape(-1, num_particles).T
    probability = log_q[index].sum(0).exp()
    return frame.scale * (probability * renyi_bound(log_w[index], order)).sum()
