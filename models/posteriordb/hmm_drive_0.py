r"""Is a basketball player driving to the hoop? A hidden Markov chain of two states, with exponential emissions.

At 416 moments u is the inverse of the player's speed and v the distance to the hoop; the state is none (1) or drive
(2):

.. math:: \theta_k \sim \text{Dirichlet}(a_k), \qquad
          0 < \varphi_1 < \varphi_2, \; 0 < \lambda_1 < \lambda_2, \qquad \varphi_1, \lambda_1 \sim N(0, 1), \;
          \varphi_2, \lambda_2 \sim N(3, 1), \\
          u_t \sim \text{Exponential}(\varphi_{z_t}), \qquad v_t \sim \text{Exponential}(\lambda_{z_t})

with a given, and the parameters of the exponentials their rates. The states z are summed out by the forward algorithm.

Source: the repository imadmali/bball-hmm of I. Ali; the posterior bball_drive_event_0-hmm_drive_0 of
posteriordb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import _drives as drives
import pyro
import pyro.distributions as dist
import torch
from _hidden_markov import log_likelihood
from torch import Tensor

posteriors = ("bball_drive_event_0-hmm_drive_0",)
dims = drives.dims


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """``u`` and ``v`` ``[416]``, and the concentrations of the chain's rows, ``alpha`` ``[2, 2]``."""
    return {name: torch.tensor(data[name], dtype=torch.float64) for name in ("u", "v", "alpha")}


def model(u: Tensor, v: Tensor, alpha: Tensor) -> None:
    """The density of ``theta1``, ``theta2``, ``phi`` and ``lambda`` (``[2]`` each) given the data, up to a constant."""
    rows = drives.transition(alpha)
    phi = drives.emission_parameter("phi", u, positive=True).unsqueeze(-2)
    distance = drives.emission_parameter("lambda", v, positive=True).unsqueeze(-2)
    emission = dist.Exponential(phi).log_prob(u.unsqueeze(-1)) + dist.Exponential(distance).log_prob(v.unsqueeze(-1))
    pyro.factor("moves", log_likelihood(rows, emission))
