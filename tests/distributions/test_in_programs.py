"""Kumaraswamy, Gumbel and stick-breaking where programs use them: as priors under NUTS, in a traced step, in a fit."""

from __future__ import annotations

import arviz_stats as azs
import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

import pyro_vae as pv
from pyro_vae.distributions import (
    Gumbel,
    GumbelMin,
    Kumaraswamy,
    LogitBeta,
    LogKumaraswamy,
    LogStickBreaking,
    StickBreaking,
)

PRIORS = {
    "kumaraswamy": lambda: Kumaraswamy(2.0, 3.0),
    "log_kumaraswamy": lambda: LogKumaraswamy(0.8, 1.5),
    "gumbel": lambda: Gumbel(1.0, 2.0),
    "gumbel_min": lambda: GumbelMin.from_rate(2.0, 0.5),
    "weights": lambda: StickBreaking(LogKumaraswamy(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 1.5]))),
    "log_weights": lambda: LogStickBreaking.gem(torch.tensor(2.0), 3),
}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["nutpie", "pyro"])
def test_nuts_recovers_each_as_a_prior(engine: str) -> None:
    """Eight means, each within 5 Monte Carlo standard errors: fails by chance with probability 1e-5 over seeds."""

    def prior() -> None:
        for name, make in PRIORS.items():
            pyro.sample(name, make())

    draws = 1000 if engine == "nutpie" else 150
    tree = pv.nuts(prior, chains=4, draws=draws, warmup=draws, seed=0, engine=engine)
    means = {name: make().mean for name, make in PRIORS.items() if name != "log_weights"}
    found = {name: tree.posterior[name] for name in means}
    first = LogitBeta(1.0, 2.0)  # the first fraction's logit, from the log-weights
    log_w = tree.posterior["log_weights"]
    last = log_w.dims[-1]
    found["fraction"] = log_w.isel({last: 0}) - np.log1p(-np.exp(log_w.isel({last: 0})))
    means["fraction"] = first.mean
    for name, values in found.items():
        error = azs.mcse(values.to_dataset(name=name))[name].to_numpy()
        off = np.abs(values.mean(("chain", "draw")).to_numpy() - means[name].numpy())
        assert (off < 5 * error).all(), f"{name}: off by {off}, Monte Carlo error {error}"


@pytest.mark.parametrize("name", ["kumaraswamy", "log_kumaraswamy", "gumbel", "gumbel_min", "weights"])
def test_a_traced_step_is_the_eager_one_at_other_noise_and_parameters(name: str) -> None:
    """What a compiled fit does: the noise is an input, and nothing of the trace depends on its values."""
    families = {
        "kumaraswamy": Kumaraswamy,
        "log_kumaraswamy": LogKumaraswamy,
        "gumbel": Gumbel,
        "gumbel_min": GumbelMin,
        "weights": lambda a, b, **options: StickBreaking(LogKumaraswamy(a, b, **options), **options),
    }

    def step(noise, a, b):
        d = families[name](a, b, validate_args=False)
        value = d.sample_from_noise(noise)
        loss = d.log_prob(value).sum()
        return value, loss, *torch.autograd.grad(loss, (a, b))

    def inputs(seed: int):
        torch.manual_seed(seed)
        noise = torch.empty(5, 3).exponential_()
        return noise, *(torch.rand(3).add(0.1).requires_grad_() for _ in range(2))

    traced = make_fx(step)(*inputs(0))
    later = inputs(1)
    for ours, eager in zip(traced(*later), step(*later), strict=True):
        torch.testing.assert_close(ours, eager)


@pytest.mark.slow
def test_a_fit_with_stick_breaking_weights_finds_the_posterior() -> None:
    """Beta(1, b) fractions and counts are conjugate, and Kumaraswamy(1, b) is Beta(1, b)."""
    counts = torch.tensor([0.0, 0.0, 9.0])
    concentration = torch.tensor([3.0, 2.0])

    def model() -> None:
        log_w = pyro.sample("log_w", LogStickBreaking(LogitBeta(torch.ones(2), concentration)))
        pyro.sample("counts", dist.Multinomial(9, logits=log_w), obs=counts)

    def guide() -> None:
        positive = dist.constraints.positive
        a, b = (pyro.param(name, torch.full((2,), 2.0), constraint=positive) for name in "ab")
        pyro.sample("log_w", LogStickBreaking(LogKumaraswamy(a, b)))

    pv.fit(model, guide, estimator=pv.StickingTheLanding(), num_particles=16, steps=4000, seed=0, compile=False)
    # No count fell on the first two: the posterior fractions are Beta(1, 3 + 9) and Beta(1, 2 + 9).
    assert torch.allclose(pyro.param("a"), torch.ones(2), rtol=0.03)
    assert torch.allclose(pyro.param("b"), concentration + 9, rtol=0.05)
