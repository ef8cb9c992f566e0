"""``TailAdaptive``: its weights by hand, its limits, and where Pyro's are wrong."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import TraceTailAdaptive_ELBO

from pyro_vae import IWAE, StickingTheLanding, TailAdaptive, TraceELBO
from pyro_vae.errors import EstimatorError, OptionError
from pyro_vae.estimators.tail_adaptive import tail_adaptive_weights
from tests.estimators.tuples import STATES, gaussian, gaussian_params, network, table
from tests.pairs import gradients


def test_weights_are_the_tail_probabilities_to_the_power_minus_one():
    log_w = torch.tensor([[0.0, 5.0, -2.0, 0.0], [1.0, 1.0, 1.0, 1.0]]).T
    # of 4 weights: at least as large are 3, 1, 4, 3
    expected = torch.tensor([[4 / 3, 4.0, 1.0, 4 / 3], [1.0, 1.0, 1.0, 1.0]]).T
    torch.testing.assert_close(tail_adaptive_weights(log_w), expected / expected.sum(0))


def test_exponent_zero_is_sticking_the_landing_and_the_model_ascends_the_importance_weighted_bound():
    params = gaussian_params(3)
    particles = gaussian(params, torch.randn(5, 3, dtype=torch.float64))

    def found(estimator, names):
        loss = estimator(particles).loss()
        return torch.autograd.grad(loss, [params[name] for name in names], retain_graph=True)

    guide = ("loc", "log_scale")
    torch.testing.assert_close(found(TailAdaptive(0.0), guide), found(StickingTheLanding(), guide))
    torch.testing.assert_close(found(TailAdaptive(), ("theta",)), found(IWAE(), ("theta",)))
    assert TailAdaptive()(particles).bound == IWAE()(particles).bound


def _pair():
    def model():
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z.sum(-1), 0.5), obs=torch.tensor(1.3))

    def guide():
        loc = pyro.param("loc", lambda: torch.tensor([0.2, -0.4]))
        pyro.sample("z", dist.Normal(loc, 0.8).to_event(1))

    return model, guide


def _by_hand(particles, gamma, log_q):
    loc = dict(pyro.get_param_store().named_parameters())["loc"]
    surrogate = -(gamma * (particles.log_p() - log_q)).sum() / gamma.sum()
    return torch.autograd.grad(surrogate, loc, retain_graph=True)[0]


@pytest.mark.parametrize("K", [2, 7])
def test_pyros_takes_the_sorting_permutation_for_the_ranks_and_sorts_upwards(K):
    """From the same draws: its gradient is reproduced with those weights and a live log q, ours with the paper's. (It
    also divides normalised weights by K.)"""
    model, guide = _pair()
    ours = TraceELBO(TailAdaptive(), num_particles=K)
    ours.loss(model, guide)
    gradients()
    theirs = TraceTailAdaptive_ELBO(num_particles=K, vectorize_particles=True, max_plate_nesting=0)
    found = []
    for objective in (ours, theirs):
        pyro.set_rng_seed(4)
        objective.loss_and_grads(model, guide)
        found.append(gradients()["loc"])
    pyro.set_rng_seed(4)
    particles = ours.particles(model, guide)
    log_w = particles.log_w().detach()
    papers = tail_adaptive_weights(log_w)
    pyros = 1 / (torch.argsort(log_w) + 1.0)
    torch.testing.assert_close(found[0], _by_hand(particles, papers, particles.log_q_frozen()))
    torch.testing.assert_close(K * found[1], _by_hand(particles, pyros, particles.log_q()))
    assert papers.argmax() == log_w.argmax()
    if K == 2:
        assert pyros.argmax() == log_w.argmin()


def test_errors_name_site_option_and_remedy():
    with pytest.raises(EstimatorError, match=r"'z1', 'z2'.*WakeWake"):
        TailAdaptive()(table(network(), STATES[:2]))
    with pytest.raises(EstimatorError, match="num_particles >= 2"):
        TailAdaptive()(gaussian(gaussian_params(1), torch.zeros(1, 1, dtype=torch.float64)))
    with pytest.raises(OptionError, match="exponent"):
        TailAdaptive(float("nan"))
