r"""A hidden Markov chain of two states, each with a mean of its own.

The state moves by the rows :math:`\theta_1, \theta_2` of a transition matrix, flat on the simplex; what is seen in
state k is :math:`N(\mu_k, 1)`:

.. math:: 0 < \mu_1 < \mu_2, \qquad \mu_1 \sim N(3, 1), \quad \mu_2 \sim N(10, 1), \qquad
          p(y) = \sum_{z} \prod_t \theta_{z_{t-1} z_t} N(y_t; \mu_{z_t}, 1)

The states are summed out by the forward algorithm; each first state has the weight 1. The order of the means tells the
states apart. Each row of the transition matrix sums to 1, so that half of its numbers say nothing new.

Source: the posterior hmm_example-hmm_example of posteriordb, with 100 simulated values; L. R. Rabiner, "A tutorial on
hidden Markov models and selected applications in speech recognition", Proceedings of the IEEE 77 (1989).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from _flat_priors import flat_ordered
from _hidden_markov import log_likelihood
from torch import Tensor

posteriors = ("hmm_example-hmm_example",)
dims = {"theta1": ["to"], "theta2": ["to"], "mu": ["state"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """What was seen, ``y`` ``[100]``."""
    return {"y": torch.tensor(data["y"], dtype=torch.float64)}


def model(y: Tensor) -> None:
    """The density of the rows ``theta1``, ``theta2`` ``[2]`` and of ``mu`` ``[2]`` given ``y``, up to a constant."""
    rows = [pyro.sample(f"theta{row}", dist.Dirichlet(y.new_ones(2))) for row in (1, 2)]
    mu = pyro.sample("mu", flat_ordered(2, positive=True))
    pyro.factor("mu_prior", dist.Normal(y.new_tensor([3.0, 10.0]), 1.0).log_prob(mu).sum(-1))
    emission = dist.Normal(mu.unsqueeze(-2), 1.0).log_prob(y.unsqueeze(-1))
    pyro.factor("y", log_likelihood(torch.stack(rows, -2), emission))
