"""All joint values of a discrete guide, and the exact objective that is summed over them."""

from __future__ import annotations

import itertools
import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from pyro_vae.particles import draw
from pyro_vae.particles.every_value import every_value
from pyro_vae.studies.gradient_references import exact_objective

X = torch.tensor([0.4, -1.1, 2.0], dtype=torch.float64)
NUMBERS = {"a": (0.3, -0.8), "b": (0.5, -0.4, 0.9), "w": (1.2, -0.7, 0.4)}


def params() -> dict[str, Tensor]:
    return {name: pyro.param(name, torch.tensor(value, dtype=torch.float64)) for name, value in NUMBERS.items()}


def model() -> None:
    """Two layers of bits behind each of three rows: a small sigmoid belief network."""
    w = params()["w"]
    with pyro.plate("rows", 3):
        top = pyro.sample("top", dist.Bernoulli(torch.tensor(0.3, dtype=torch.float64)))
        low = pyro.sample("low", dist.Bernoulli(logits=w[:2] * top[..., None]).to_event(1))
        pyro.sample("x", dist.Normal(low @ w[1:] + w[0], 0.8), obs=X)


def guide() -> None:
    p = params()
    with pyro.plate("rows", 3):
        low = pyro.sample("low", dist.Bernoulli(logits=p["a"].expand(3, 2)).to_event(1))
        pyro.sample("top", dist.Bernoulli(logits=p["b"][0] + low @ p["b"][1:]))


def log_weight_and_density(row: int, low: Tensor, top: Tensor) -> tuple[Tensor, Tensor]:
    """By hand, from the formulas above."""
    p, one = params(), torch.distributions.Bernoulli
    log_p = one(torch.tensor(0.3, dtype=torch.float64)).log_prob(top)
    log_p = log_p + one(logits=p["w"][:2] * top).log_prob(low).sum()
    log_p = log_p + torch.distributions.Normal(low @ p["w"][1:] + p["w"][0], 0.8).log_prob(X[row])
    log_q = one(logits=p["a"]).log_prob(low).sum() + one(logits=p["b"][0] + low @ p["b"][1:]).log_prob(top)
    return log_p - log_q, log_q


def by_hand(K: int) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    states = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)), dtype=torch.float64)
    for row in range(3):
        found = [log_weight_and_density(row, state[:2], state[2]) for state in states]
        for chosen in itertools.product(found, repeat=K):
            log_w, log_q = torch.stack([one[0] for one in chosen]), torch.stack([one[1] for one in chosen])
            total = total + log_q.sum().exp() * (log_w.logsumexp(0) - math.log(K))
    return total


@pytest.mark.parametrize("K", [1, 2])
def test_the_exact_objective_and_its_gradient_are_the_sum_by_hand(K: int) -> None:
    """K = 1: the ELBO, which IWAE's bound of one draw is too."""
    values = every_value(model, guide, (), {})
    assert values is not None
    assert values["low"].shape == (8, 3, 2)
    table = draw(model, guide, num_particles=8, values=values)
    order = 1.0 if K == 1 else 0.0
    found, expected = exact_objective(table, order, K), by_hand(K)
    assert found is not None
    assert found.item() == pytest.approx(expected.item(), abs=1e-12)
    leaves = [pyro.param(name).unconstrained() for name in NUMBERS]
    for one, other in zip(torch.autograd.grad(found, leaves), torch.autograd.grad(expected, leaves), strict=True):
        torch.testing.assert_close(one, other)


def test_too_many_tuples_are_not_summed() -> None:
    values = every_value(model, guide, (), {})
    table = draw(model, guide, num_particles=8, values=values)
    assert exact_objective(table, 0.0, 8) is None


def test_what_cannot_be_listed_has_no_values() -> None:
    def normal() -> None:
        pyro.sample("z", dist.Normal(0.0, 1.0))

    def many() -> None:
        pyro.sample("bits", dist.Bernoulli(torch.full((13,), 0.5)).to_event(1))

    def some_rows() -> None:
        with pyro.plate("rows", 10, subsample_size=2):
            pyro.sample("bit", dist.Bernoulli(0.5))

    for program in (normal, many, some_rows):
        assert every_value(program, program, (), {}) is None
    assert every_value(many, many, (), {}, most=2**13) is not None


def test_categories_keep_their_event_and_rows_that_one_site_lacks_are_not_shared() -> None:
    def program() -> None:
        pyro.sample("whole", dist.OneHotCategorical(torch.ones(3) / 3))
        with pyro.plate("rows", 2):
            pyro.sample("each", dist.Categorical(torch.ones(2) / 2))

    before = torch.get_rng_state()
    values = every_value(program, program, (), {})
    assert torch.equal(torch.get_rng_state(), before)
    assert values is not None
    assert values["whole"].shape == (12, 3)
    assert values["each"].shape == (12, 2)
    assert len(torch.unique(torch.cat([values["whole"], values["each"].float()], 1), dim=0)) == 12
