"""Models whose unconstrained log density is known by hand, in float64 NumPy, for ``Potential`` to be held to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from scipy import stats
from scipy.special import expit, log_expit, logsumexp
from torch.distributions import constraints

Y = torch.tensor([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
SIGMA = torch.tensor([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
X = torch.tensor([-1.1, -0.7, 3.3, 2.9, 3.1])
_X = X.double().numpy()


@dataclass(frozen=True)
class Case:
    """``density`` is log p + log |Jacobian| at a flat vector; ``shapes`` are the latent sites' in order."""

    name: str
    model: Callable
    density: Callable[[np.ndarray], float] = field(repr=False)
    shapes: dict[str, tuple[int, ...]]


def eight_schools() -> None:
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = pyro.sample("tau", dist.HalfCauchy(5.0))
    with pyro.plate("schools", 8):
        theta = pyro.sample("theta", dist.Normal(mu, tau))
        pyro.sample("y", dist.Normal(theta, SIGMA), obs=Y)


def _eight_schools(u: np.ndarray) -> float:
    mu, tau, theta = u[0], np.exp(u[1]), u[2:]
    prior = stats.norm(0, 5).logpdf(mu) + stats.halfcauchy(0, 5).logpdf(tau) + stats.norm(mu, tau).logpdf(theta).sum()
    return prior + stats.norm(theta, SIGMA.double().numpy()).logpdf(Y.double().numpy()).sum() + u[1]


def moving_support() -> None:
    alpha = pyro.sample("alpha", dist.Uniform(0.0, 1.0))
    beta = pyro.sample("beta", dist.Uniform(0.0, 1.0 - alpha))
    pyro.sample("x", dist.Normal(alpha + beta, 0.5), obs=torch.tensor(0.7))


def _moving_support(u: np.ndarray) -> float:
    alpha, share = expit(u[0]), expit(u[1])
    beta = (1 - alpha) * share
    jacobians = log_expit(u[0]) + log_expit(-u[0]) + log_expit(u[1]) + log_expit(-u[1])  # the (1 - alpha) cancel
    return stats.norm(alpha + beta, 0.5).logpdf(0.7) + jacobians


def improper() -> None:
    beta = pyro.sample("beta", dist.ImproperUniform(constraints.real, (), (2,)))
    scale = pyro.sample("scale", dist.ImproperUniform(constraints.positive, (), ()))
    with pyro.plate("rows", 5):
        pyro.sample("x", dist.Normal(beta[0] + beta[1] * torch.arange(5.0), scale), obs=X)


def _improper(u: np.ndarray) -> float:
    return stats.norm(u[0] + u[1] * np.arange(5), np.exp(u[2])).logpdf(_X).sum() + u[2]


def mixture() -> None:
    weight = pyro.sample("weight", dist.Beta(2.0, 2.0))
    with pyro.plate("components", 2):
        locs = pyro.sample("locs", dist.Normal(0.0, 5.0))
    with pyro.plate("rows", 5):
        which = pyro.sample("which", dist.Bernoulli(weight)).long()
        pyro.sample("x", dist.Normal(locs[which], 1.0), obs=X)


def _mixture(u: np.ndarray) -> float:
    weight, locs = expit(u[0]), u[1:]
    terms = np.stack(
        [np.log1p(-weight) + stats.norm(locs[0], 1).logpdf(_X), np.log(weight) + stats.norm(locs[1], 1).logpdf(_X)]
    )
    prior = stats.beta(2, 2).logpdf(weight) + stats.norm(0, 5).logpdf(locs).sum()
    return prior + logsumexp(terms, 0).sum() + np.log(weight) + np.log1p(-weight)


TRANSITION = torch.tensor([[0.9, 0.1], [0.3, 0.7]])


def hidden_markov() -> None:
    locs = pyro.sample("locs", dist.Normal(0.0, 3.0).expand([2]).to_event(1))
    state = 0
    for t in pyro.markov(range(5)):
        state = pyro.sample(f"state_{t}", dist.Categorical(TRANSITION[state]))
        pyro.sample(f"x_{t}", dist.Normal(locs[state], 1.0), obs=X[t])


def _hidden_markov(u: np.ndarray) -> float:
    rows = TRANSITION.double().numpy()
    log_t = np.log(rows / rows.sum(1, keepdims=True))  # 0.9 and 0.1 in 32 bits do not add up to 1
    forward = log_t[0] + stats.norm(u, 1).logpdf(_X[0])
    for x in _X[1:]:
        forward = logsumexp(forward[:, None] + log_t, 0) + stats.norm(u, 1).logpdf(x)
    return stats.norm(0, 3).logpdf(u).sum() + logsumexp(forward)


def simplex() -> None:
    share = pyro.sample("share", dist.Dirichlet(torch.tensor([2.0, 3.0, 4.0])))
    with pyro.plate("rows", 4):
        pyro.sample("count", dist.Categorical(share), obs=torch.tensor([0, 1, 2, 2]))


def _simplex(u: np.ndarray) -> float:
    # Stick breaking with torch's offsets: stick k takes the share expit(u_k - log(K - k)) of what is left.
    cut = expit(u - np.log([2.0, 1.0]))
    left = np.concatenate([[1.0], np.cumprod(1 - cut)])
    share = np.concatenate([cut, [1.0]]) * left
    jacobian = (np.log(cut) + np.log1p(-cut) + np.log(left[:2])).sum()
    return stats.dirichlet([2.0, 3.0, 4.0]).logpdf(share) + np.log(share[[0, 1, 2, 2]]).sum() + jacobian


CASES = (
    Case("eight_schools", eight_schools, _eight_schools, {"mu": (), "tau": (), "theta": (8,)}),
    Case("moving_support", moving_support, _moving_support, {"alpha": (), "beta": ()}),
    Case("improper", improper, _improper, {"beta": (2,), "scale": ()}),
    Case("mixture", mixture, _mixture, {"weight": (), "locs": (2,)}),
    Case("hidden_markov", hidden_markov, _hidden_markov, {"locs": (2,)}),
    Case("simplex", simplex, _simplex, {"share": (3,)}),
)
