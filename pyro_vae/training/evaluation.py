"""The bound of a finished fit with its standard error; and whether the averaged parameters are the better ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyro
import torch

from pyro_vae.errors import ModelError
from pyro_vae.training.batches import Minibatches, WholeData
from pyro_vae.training.objective import Objective
from pyro_vae.training.parameters import assign, copy_of
from pyro_vae.training.randomness import kept_randomness
from pyro_vae.training.step import StepState

DRAWS = 1024
FEWEST, MOST = 32, 256  # evaluations


@dataclass(frozen=True)
class Bound:
    """An estimate of a bound in nats: ``mean`` with standard ``error``, from single evaluations ``values``."""

    mean: float
    error: float
    values: np.ndarray


def evaluate(objective: Objective, data: WholeData | Minibatches) -> Bound:
    """The mean of independent evaluations: about 1000 draws (32 to 256 times K), at least one epoch of minibatches."""
    count = min(max(-(-DRAWS // objective.elbo.num_particles), FEWEST), MOST)
    if isinstance(data, Minibatches):
        data = Minibatches(data.loader, data.device)
        count = max(1, -(-count // (data.per_epoch or 1))) * (data.per_epoch or 1)
    values = np.empty(count)
    with torch.no_grad(), pyro.validation_enabled(False):
        for index in range(count):
            values[index] = objective(*data.next())[1].item()
    return Bound(float(values.mean()), float(values.std(ddof=1) / math.sqrt(count)), values)


def keep_better(objective: Objective, data: WholeData | Minibatches, state: StepState) -> tuple[Bound, bool]:
    """Evaluate the last and the averaged parameters on the same draws; leave the better ones in place.

    Returns their bound, and whether they are the averaged ones. The average is kept only if it does not lower the
    bound.
    """
    if not state.average:
        return evaluate(objective, data), False
    with kept_randomness():
        last = evaluate(objective, data)
    values = copy_of(state.params)
    assign(state.params, {**values, **state.average.values})
    try:
        averaged = evaluate(objective, data)
    except ModelError:
        averaged = Bound(-math.inf, 0.0, np.array([-math.inf]))
    if averaged.mean >= last.mean:  # False for NaN
        return averaged, True
    assign(state.params, values)
    return last, False
