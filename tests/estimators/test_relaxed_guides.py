"""Concrete and straight-through distributions as a guide's: usable with every estimator, and biased."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_vae.elbo import TraceELBO
from pyro_vae.estimators import (
    IWAE,
    AnalyticKL,
    DReG,
    Estimator,
    Renyi,
    Reparameterized,
    ScoreFunction,
    StickingTheLanding,
)
from tests.pairs import gradients

X = torch.tensor([0.4, 1.3, -0.2])
TEMPERATURE = torch.tensor(0.4)


def _bits_of(relaxed):
    """A bit for each row, in model and guide from the same class."""

    def model(x):
        with pyro.plate("data", 3):
            b = pyro.sample("b", relaxed(TEMPERATURE, probs=torch.tensor(0.4)))
            pyro.sample("x", dist.Normal(b, 0.5), obs=x)

    def guide(x):
        logits = pyro.param("logits", lambda: torch.tensor([0.2, -0.5, 0.9]))
        with pyro.plate("data", 3):
            pyro.sample("b", relaxed(TEMPERATURE, logits=logits))

    return model, guide


def _bits():
    return _bits_of(dist.RelaxedBernoulli)


def _hard_bits():
    """Values are 0 and 1, densities those of the relaxed draw behind them."""
    return _bits_of(dist.RelaxedBernoulliStraightThrough)


def _categories():
    def model(x):
        with pyro.plate("data", 3):
            c = pyro.sample("c", dist.RelaxedOneHotCategorical(TEMPERATURE, probs=torch.tensor([0.2, 0.3, 0.5])))
            pyro.sample("x", dist.Normal((c * torch.tensor([-1.0, 0.0, 1.0])).sum(-1), 0.5), obs=x)

    def guide(x):
        logits = pyro.param("logits", lambda: torch.zeros(3, 3))
        with pyro.plate("data", 3):
            pyro.sample("c", dist.RelaxedOneHotCategorical(TEMPERATURE, logits=logits))

    return model, guide


EVERY = [
    Reparameterized(),
    StickingTheLanding(),
    AnalyticKL(),
    ScoreFunction("leave-one-out"),
    ScoreFunction("leave-one-out", pathwise=True),
    IWAE(),
    IWAE(sticking_the_landing=True),
    DReG(),
    Renyi(0.5),
]


@pytest.mark.parametrize("make", [_bits, _categories, _hard_bits], ids=lambda make: make.__name__.strip("_"))
@pytest.mark.parametrize("estimator", EVERY, ids=str)
def test_a_relaxed_guide_is_taken_by_every_estimator(estimator: Estimator, make):
    model, guide = make()
    loss = TraceELBO(estimator, num_particles=4).differentiable_loss(model, guide, X)
    assert torch.isfinite(loss)
    loss.backward()
    (grad,) = gradients().values()
    assert torch.isfinite(grad).all()
    assert grad.abs().sum() > 0


def _slope(fn) -> float:
    """The mean gradient of E f by the logit, for an f that rises from f(0) = 0 to f(1) = 1 and falls at both ends."""

    def model():
        b = pyro.sample("b", fn(torch.tensor(0.0)).mask(False))
        pyro.factor("f", b - torch.sin(2 * torch.pi * b))

    def guide():
        logit = pyro.param("logit", lambda: torch.tensor(0.3))
        pyro.sample("b", fn(logit).mask(False))

    TraceELBO(Reparameterized(), num_particles=20_000).differentiable_loss(model, guide).backward()
    return -gradients()["logit"].item()


def test_relaxations_are_biased_and_straight_through_can_have_the_wrong_sign():
    """The exact derivative is p (1 - p) > 0. 20 000 draws: standard errors below .01, the gaps are over ten of them."""
    exact = torch.sigmoid(torch.tensor(0.3)) * torch.sigmoid(torch.tensor(-0.3))
    relaxed = _slope(lambda logit: dist.RelaxedBernoulli(torch.tensor(1.0), logits=logit))
    assert abs(relaxed - exact) > 0.1
    hard = _slope(lambda logit: dist.RelaxedBernoulliStraightThrough(torch.tensor(1.0), logits=logit))
    assert hard < -0.1
