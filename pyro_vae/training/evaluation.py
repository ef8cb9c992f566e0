"""The bound of a finished fit with its standard error; and whether the averaged parameters are the better ones."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import pyro
import torch
from torch import Tensor

from pyro_vae.elbo import TraceELBO
from pyro_vae.errors import ModelError
from pyro_vae.particles.data import Particles
from pyro_vae.particles.plan import plan_pair
from pyro_vae.particles.tracing import draw
from pyro_vae.training.batches import Minibatches, WholeData
from pyro_vae.training.objective import Objective
from pyro_vae.training.parameters import assign, copy_of
from pyro_vae.training.randomness import kept_randomness
from pyro_vae.training.step import StepState
from pyro_vae.training.team import Team

DRAWS = 16_384  # of a bound that is a mean over particles
CHUNK = 1024  # of them at once, at most
NUMBERS = 4_000_000  # log-probabilities, values and predicted data at once, at most
ALL_NUMBERS = 40_000_000  # of them in all: where a draw has many, fewer draws are taken
EVALUATIONS = 64  # of any other bound, and the fewest draws


@dataclass(frozen=True)
class Bound:
    """An estimate of a bound in nats, at full-data scale: ``mean`` with standard ``error``."""

    mean: float
    error: float


def evaluate(objective: Objective, data: WholeData | Minibatches, team: Team | None = None) -> Bound:
    """The bound from fresh draws.

    A bound that is a mean over particles takes up to 16 384 draws, many at once, and fewer where a draw is large (a VAE
    decodes every row for each), but not below 64; one that is not (importance-weighted, closed-form KL, minibatches,
    subsampled plates) 64 evaluations with the fit's own K, at least one epoch. Always at beta 1 and without free bits,
    however the fit was weighted. Processes take their shares, and all get the same.
    """
    team = Team() if team is None else team
    objective = objective.unweighted()
    with torch.no_grad(), pyro.validation_enabled(False):
        if isinstance(data, WholeData) and isinstance(objective.elbo, TraceELBO):
            values = _draws(objective, objective.elbo, data)
            if values is not None:
                return _bound(team, values)
        if isinstance(data, Minibatches):
            data = data.fresh()
            epochs = -(-EVALUATIONS // (data.per_epoch or EVALUATIONS))
            count = -(-epochs * (data.per_epoch or EVALUATIONS) // data.share.size)
        else:
            count = EVALUATIONS
        return _bound(team, np.array([objective(*data.next())[1].item() for _ in range(count)]))


def _bound(team: Team, values: np.ndarray) -> Bound:
    values = np.concatenate(team.gather(values))
    return Bound(float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))))


def _draws(objective: Objective, elbo: TraceELBO, data: WholeData) -> np.ndarray | None:
    """Independent log weights whose mean is the bound; None when the estimator's bound is something else."""
    args, kwargs = data.next()
    plan = elbo.plan(objective.model, objective.guide, *args, **kwargs)
    if elbo.num_particles == 1:  # a single particle's plan does not say whether many could run at once
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plan = plan_pair(objective.model, objective.guide, args, kwargs, vectorize=elbo.vectorize)
    probe = elbo.particles(objective.model, objective.guide, *args, **kwargs)
    with kept_randomness():
        bound = elbo.estimator(probe, elbo.control).bound
    mean = probe.log_w().mean()
    if probe.subsamples or not plan.vectorize or not torch.allclose(bound.to(mean), mean, equal_nan=True):
        return None
    each = _numbers(probe)
    wanted = min(DRAWS, max(EVALUATIONS, ALL_NUMBERS // each))
    chunk = int(min(CHUNK, wanted, max(elbo.num_particles, NUMBERS // each)))
    chunks = min(-(-wanted // chunk), EVALUATIONS)
    weights: list[Tensor] = []
    for _ in range(chunks):
        particles = draw(objective.model, objective.guide, args, kwargs, num_particles=chunk, plan=plan)
        weights.append(particles.log_w().double().cpu())
    return torch.cat(weights).numpy()


def _numbers(particles: Particles) -> int:
    """Log-probabilities and values per particle. Observed values have no particles of their own, but each particle
    predicts as many."""
    K = particles.num_particles
    total = sum(
        site.value.numel() * (K if site.observed and not site.predicted else 1)
        + sum(factor.log_prob.numel() for factor in (site.log_p, site.log_q) if factor is not None)
        for site in particles.sites.values()
    )
    return max(total // K, 1)


def keep_better(
    objective: Objective, data: WholeData | Minibatches, state: StepState, team: Team | None = None
) -> tuple[Bound, bool]:
    """Evaluate the last and the averaged parameters on the same draws; leave the better ones in place.

    Returns their bound, and whether they are the averaged ones. The average is kept only if its bound is not worse:
    lower, or higher for an upper bound.
    """
    if not state.average:
        return evaluate(objective, data, team), False
    with kept_randomness():
        last = evaluate(objective, data, team)
    values = copy_of(state.params)
    assign(state.params, {**values, **state.average.values})
    try:
        averaged = evaluate(objective, data, team)
    except ModelError:
        averaged = Bound(math.nan, math.nan)
    if objective.worth(averaged.mean) >= objective.worth(last.mean):  # False for NaN
        return averaged, True
    assign(state.params, values)
    return last, False
