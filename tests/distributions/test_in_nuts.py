"""The distributions as priors: NUTS and a fit find posteriors that are known in closed form."""

from __future__ import annotations

import arviz_stats as azs
import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch

import pyro_vae as pv
from pyro_vae.distributions import Beta, Concrete, Dirichlet, Gamma, LogDirichlet, LogGamma, LogitBeta

COUNTS = torch.tensor([3.0, 0.0, 2.0, 4.0])
VOTES = torch.tensor([7.0, 2.0, 1.0])


def model() -> None:
    """Each conjugate pair twice: on its own scale, and in log space."""
    rate = pyro.sample("rate", Gamma(0.7, 0.5))
    p = pyro.sample("p", Beta(0.5, 2.0))
    w = pyro.sample("w", Dirichlet(torch.tensor([0.5, 1.0, 2.0])))
    log_rate = pyro.sample("log_rate", LogGamma(0.7, 0.5))
    logit = pyro.sample("logit", LogitBeta(0.5, 2.0))
    log_w = pyro.sample("log_w", LogDirichlet(torch.tensor([0.5, 1.0, 2.0])))
    for name, poisson, ones, votes in (
        ("plain", dist.Poisson(rate), dist.Binomial(10, probs=p), w),
        ("log", dist.Poisson(log_rate.exp()), dist.Binomial(10, logits=logit), log_w.exp()),
    ):
        with pyro.plate(f"{name}_counts", len(COUNTS)):
            pyro.sample(f"{name}_x", poisson, obs=COUNTS)
        pyro.sample(f"{name}_ones", ones, obs=torch.tensor(3.0))
        pyro.sample(f"{name}_votes", dist.Multinomial(10, votes), obs=VOTES)


RATE = (0.7 + COUNTS.sum(), 0.5 + len(COUNTS))
P = (0.5 + 3.0, 2.0 + 7.0)
W = torch.tensor([0.5, 1.0, 2.0]) + VOTES
EXACT = {
    "rate": Gamma(*RATE),
    "p": Beta(*P),
    "w": Dirichlet(W),
    "log_rate": LogGamma(*RATE),
    "logit": LogitBeta(*P),
    "log_w": LogDirichlet(W),
}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["nutpie", "pyro"])
def test_nuts_finds_the_conjugate_posteriors(engine: str) -> None:
    """Twelve means, each within 5 Monte Carlo standard errors: fails by chance with probability 1e-5 over seeds."""
    draws = 1000 if engine == "nutpie" else 300
    tree = pv.nuts(model, chains=4, draws=draws, warmup=draws, seed=0, engine=engine)
    for name, posterior in EXACT.items():
        values = tree.posterior[name]
        error = azs.mcse(values) if not hasattr(values, "to_dataset") else azs.mcse(values.to_dataset(name=name))[name]
        off = np.abs(values.mean(("chain", "draw")).to_numpy() - posterior.mean.numpy())
        assert (off < 5 * np.asarray(error)).all(), name
        sd = values.std(("chain", "draw")).to_numpy()
        assert np.allclose(sd, posterior.variance.sqrt().numpy(), rtol=0.15), name


@pytest.mark.slow
def test_nuts_recovers_a_concrete_prior() -> None:
    """P(the first weight is the largest) is the probability of the first class; 4 standard errors of 1000 draws."""
    logits = torch.tensor([1.0, 0.0, -0.5])

    def prior() -> None:
        pyro.sample("w", Concrete(1.0, logits=logits))

    tree = pv.nuts(prior, chains=4, draws=1000, warmup=1000, seed=0)
    largest = (tree.posterior["w"].argmax(tree.posterior["w"].dims[-1]) == 0).mean().item()
    assert abs(largest - logits.softmax(0)[0].item()) < 4 * 0.5 / 1000**0.5


@pytest.mark.slow
def test_a_fit_with_the_family_of_the_posterior_finds_it() -> None:
    """Guides of Gamma, Beta and LogDirichlet, by pathwise gradients; the bound is then the log evidence."""

    def small() -> None:
        rate = pyro.sample("rate", Gamma(0.7, 0.5))
        log_w = pyro.sample("log_w", LogDirichlet(torch.tensor([0.5, 1.0, 2.0])))
        with pyro.plate("counts", len(COUNTS)):
            pyro.sample("x", dist.Poisson(rate), obs=COUNTS)
        pyro.sample("votes", dist.Multinomial(10, log_w.exp()), obs=VOTES)

    def guide() -> None:
        positive = dist.constraints.positive
        a = pyro.param("a", torch.tensor(1.0), constraint=positive)
        r = pyro.param("r", torch.tensor(1.0), constraint=positive)
        c = pyro.param("c", torch.ones(3), constraint=positive)
        pyro.sample("rate", Gamma(a, r))
        pyro.sample("log_w", LogDirichlet(c))

    pv.fit(small, guide, estimator=pv.StickingTheLanding(), num_particles=16, steps=4000, seed=0, compile=False)
    for name, exact in (("a", RATE[0]), ("r", torch.tensor(RATE[1])), ("c", W)):
        assert torch.allclose(pyro.param(name), exact, rtol=0.05), name
