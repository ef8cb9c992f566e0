r"""Is a basketball player driving to the hoop? A hidden Markov chain of two states, with normal emissions.

At 416 moments u stands for the inverse of the player's speed and v for the distance to the hoop, on scales that have
negative numbers too; the state is none (1) or drive (2):

.. math:: \theta_k \sim \text{Dirichlet}(a_k), \qquad
          \varphi_1 < \varphi_2, \; \lambda_1 < \lambda_2, \qquad \varphi_1, \lambda_1 \sim N(0, 1), \;
          \varphi_2, \lambda_2 \sim N(3, 1), \\
          u_t \sim N(\varphi_{z_t}, \tau^2), \qquad v_t \sim N(\lambda_{z_t}, \rho^2)

with a, :math:`\tau` and :math:`\rho` given. The states z are summed out by the forward algorithm.

Source: the repository imadmali/bball-hmm of I. Ali; the posterior bball_drive_event_1-hmm_drive_1 of
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

posteriors = ("bball_drive_event_1-hmm_drive_1",)
dims = drives.dims


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """``u`` and ``v`` ``[416]``, their sds ``tau`` and ``rho``, and the rows' concentrations ``alpha`` ``[2, 2]``."""
    return {name: torch.tensor(data[name], dtype=torch.float64) for name in ("u", "v", "alpha", "tau", "rho")}


def model(u: Tensor, v: Tensor, alpha: Tensor, tau: Tensor, rho: Tensor) -> None:
    """The density of ``theta1``, ``theta2``, ``phi`` and ``lambda`` (``[2]`` each) given the data, up to a constant."""
    rows = drives.transition(alpha)
    phi = drives.emission_parameter("phi", u, positive=False).unsqueeze(-2)
    distance = drives.emission_parameter("lambda", v, positive=False).unsqueeze(-2)
    emission = dist.Normal(phi, tau).log_prob(u.unsqueeze(-1)) + dist.Normal(distance, rho).log_prob(v.unsqueeze(-1))
    pyro.factor("moves", log_likelihood(rows, emission))
