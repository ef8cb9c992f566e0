"""Random numbers lifted out of a written step are those that the step would have drawn itself."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_vae.compiling.writing import write_down
from pyro_vae.training.noise import Noise, UnliftableError, lift_noise


@pytest.fixture(autouse=True)
def unvalidated():
    """As in a fit: validation asks tensors for their values, which a written step cannot."""
    with pyro.validation_enabled(False):
        yield


P = torch.tensor([[0.2, 0.5, 0.3], [0.7, 0.1, 0.2]])
DRAWS = {
    "Normal": lambda x: dist.Normal(x, 0.5).rsample(),
    "Normal, not reparameterised": lambda x: dist.Normal(x, x.exp()).sample(),
    "Bernoulli": lambda x: dist.Bernoulli(logits=x).sample(),
    "Categorical": lambda x: dist.Categorical(logits=x).sample(),
    "Exponential": lambda x: dist.Exponential(x.exp()).rsample(),
    "Laplace": lambda x: dist.Laplace(x, 1.0).rsample(),
    "Uniform": lambda x: dist.Uniform(x, x + 1).rsample(),
    "Gumbel": lambda x: dist.Gumbel(x, 1.0).rsample(),
    "Cauchy": lambda x: dist.Cauchy(x, 1.0).rsample(),
    "LogNormal": lambda x: dist.LogNormal(x, 1.0).rsample(),
    "dropout": lambda x: torch.nn.functional.dropout(x, 0.5),
    "a permutation": lambda x: x[:, torch.randperm(3)],
    "two of them": lambda x: dist.Bernoulli(logits=dist.Normal(x, 1.0).rsample()).sample() + torch.rand(2, 3),
    "one that nobody uses": lambda x: (torch.rand(5), dist.Normal(x, 1.0).rsample())[1],
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("what", DRAWS)
def test_lifted_draws_are_the_programs_own_and_leave_the_generator_where_it_does(what, dtype):
    x, steps = P.log().to(dtype), 3
    graph = write_down(DRAWS[what], [x], decompose=False)
    noise = Noise(lift_noise(graph), steps)
    torch.manual_seed(5)
    wanted = [DRAWS[what](x) for _ in range(steps)]
    after = torch.get_rng_state()
    torch.manual_seed(5)
    noise.draw(steps)
    assert torch.equal(after, torch.get_rng_state())
    for step in range(steps):
        torch.testing.assert_close(graph(x, *noise.row.unpack([rows[step] for rows in noise.rows])), wanted[step])


@pytest.mark.parametrize(
    ("draw", "name"),
    [
        (lambda x: dist.Gamma(x.exp(), 1.0).rsample(), "_standard_gamma"),
        (lambda x: dist.Dirichlet(x.exp()).rsample(), "_sample_dirichlet"),
        (lambda x: dist.Poisson(x.exp()).sample(), "poisson"),
        (lambda x: torch.multinomial(x.exp(), 2), "multinomial"),
    ],
)
def test_draws_that_depend_on_the_parameters_in_another_way_are_refused_by_name(draw, name):
    graph = write_down(draw, [P.log()], decompose=False)
    with pytest.raises(UnliftableError, match=name):
        lift_noise(graph)
