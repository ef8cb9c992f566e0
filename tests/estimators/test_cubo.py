"""``CUBO``: what is unbiased of what, by summing over every tuple of draws."""

from __future__ import annotations

import itertools
import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal

from pyro_vae import CUBO, IWAE, TraceELBO
from pyro_vae.errors import EstimatorError, OptionError
from pyro_vae.particles import Factor, Particles, Plate, Site
from tests.estimators.tuples import STATES, gaussian, gaussian_params, network, pairs_of_nodes, table


def gradients(loss: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(loss, leaves, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(leaf) if grad is None else grad for leaf, grad in zip(leaves, found, strict=True)]


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("n", [2.0, 1.5])
def test_the_exponential_and_its_gradient_are_unbiased_by_enumeration(n, K):
    """E exp(n C) = E_q[w^n]; E exp(n C) grad = the gradient of E_q[w^n] over n: discrete sites."""
    params = network()
    guide = [params["q1"], params["q2"]]
    single = table(params, STATES)
    power = (single.log_q() + n * single.log_w()).exp().sum()
    exact = [grad / n for grad in gradients(power, guide)]
    mean, mean_power = [torch.zeros_like(leaf) for leaf in guide], 0.0
    for choice in itertools.product(range(len(STATES)), repeat=K):
        particles = table(params, STATES[list(choice)])
        estimate = CUBO(n)(particles)
        weight = (particles.log_q().sum() + n * estimate.bound).exp().detach()
        mean = [total + weight * grad for total, grad in zip(mean, gradients(estimate.loss(), guide), strict=True)]
        mean_power += weight.item()
    assert mean_power == pytest.approx(power.item(), rel=1e-10)
    for found, expected in zip(mean, exact, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("scale_q", [1.0, 0.6])
def test_the_same_by_quadrature_for_a_reparameterised_site(scale_q):
    pairs, weight = pairs_of_nodes()
    params = gaussian_params(pairs.shape[1])
    for value in params.values():
        value.data.add_(0.1)
    estimate = CUBO()(gaussian(params, pairs, scale_q))
    site = gaussian(params, pairs, scale_q)["z"]
    value = (2 * (site.log_p.log_prob - scale_q * site.log_q.log_prob)).logsumexp(0) - math.log(2)  # 2 C, per row
    grads = gradients(estimate.loss(), [params["loc"], params["log_scale"]])
    found = torch.stack([(weight * value.exp() * grad).sum() for grad in grads])
    scalar = {name: leaf[0].detach().requires_grad_(True) for name, leaf in params.items()}
    one = gaussian(scalar, pairs, scale_q)["z"]
    power = (weight * (2 * (one.log_p.log_prob[0] - scale_q * one.log_q.log_prob[0])).exp()).sum()
    exact = torch.stack(torch.autograd.grad(power / 2, [scalar["loc"], scalar["log_scale"]]))
    torch.testing.assert_close(found, exact, rtol=1e-5, atol=1e-9)


def _mixed(params: dict[str, Tensor], bits: Tensor, noise: Tensor) -> Particles:
    """b, then w = a + slope b + noise, then c given w: discrete above and below a path. ``[2, rows]``, rows a plate."""
    b, c = bits
    w = params["a"] + params["slope"] * b + noise
    rows = (Plate("rows", b.shape[1], b.shape[1]),)

    def factors(params: dict[str, Tensor]) -> dict[str, Factor]:
        fns = {
            "b": Bernoulli(logits=params["logit"].expand(b.shape)).log_prob(b),
            "w": Normal(params["a"] + params["slope"] * b, 1.0).log_prob(w),
            "c": Bernoulli(logits=w).log_prob(c),
        }
        return {name: Factor(log_q, rows) for name, log_q in fns.items()}

    live, frozen = factors(params), factors({name: value.detach() for name, value in params.items()})
    log_p = Factor(-0.7 * (w - 0.5 - b) ** 2 + 0.3 * c * w, rows)  # of all three together
    flat = Factor(torch.zeros_like(w), rows)
    sites = {}
    for name in "bwc":
        p = log_p if name == "w" else flat
        sites[name] = Site(
            name, w, p, live[name], log_p_frozen=p, log_q_frozen=frozen[name], reparameterised=name == "w"
        )
    return Particles(sites, 2)


def test_the_same_where_discrete_and_reparameterised_sites_depend_on_each_other():
    """Over all outcomes of b and c of two particles and all pairs of nodes of w's noise."""
    numbers = {"a": 0.2, "logit": 0.4, "slope": 0.6}
    pairs, weight = pairs_of_nodes(40)
    outcomes = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)), dtype=torch.float64)
    bits = outcomes.T.reshape(2, 2, 16, 1).expand(2, 2, 16, len(weight)).reshape(2, 2, -1)
    noise = pairs[:, None].expand(2, 16, len(weight)).reshape(2, -1)
    weight = weight.expand(16, -1).reshape(-1)

    def chance_and_power(particles: Particles) -> tuple[Tensor, Tensor]:
        log_q = {name: particles[name].log_q.log_prob for name in "bwc"}
        log_w = particles["w"].log_p.log_prob - sum(log_q.values())
        return weight * (log_q["b"] + log_q["c"]).sum(0).exp(), (2 * log_w).exp().mean(0)

    scalar = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in numbers.items()}
    chance, power = chance_and_power(_mixed(scalar, bits, noise))
    exact = torch.stack(torch.autograd.grad((chance * power).sum() / 2, list(scalar.values()), retain_graph=True))
    each = {name: torch.full_like(weight, value, requires_grad=True) for name, value in numbers.items()}
    grads = torch.autograd.grad(CUBO()(_mixed(each, bits, noise)).loss(), list(each.values()))
    found = torch.stack([((chance * power).detach() * grad).sum() for grad in grads])
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=1e-9)


def test_the_model_ascends_the_importance_weighted_bound():
    params = network()
    particles = table(params, STATES[[0, 3, 6]])
    model = [params[name] for name in ("p1", "p2", "px")]
    ours, theirs = (gradients(estimator(particles).loss(), model) for estimator in (CUBO(), IWAE()))
    torch.testing.assert_close(ours, theirs)


def test_loss_is_the_bound_and_a_constant_moves_no_gradient():
    params = network()
    found = []
    for constant in (0.0, 900.0):  # exp(2 * 900) overflows
        particles = table(params, STATES[[0, 3, 6]])
        sites = dict(particles.sites)
        sites["x"] = Site("x", torch.ones(()), observed=True, log_p=Factor(sites["x"].log_p.log_prob + constant))
        estimate = CUBO()(Particles(sites, 3))
        assert estimate.loss().item() == pytest.approx(estimate.bound.item())
        found.append((estimate.bound.item(), gradients(estimate.loss(), [params["q1"], params["q2"]])))
    assert found[1][0] - found[0][0] == pytest.approx(900.0)
    torch.testing.assert_close(found[0][1], found[1][1])


def test_its_value_is_an_upper_bound_where_many_draws_are_taken_and_it_falls_as_the_guide_improves():
    """Z = 1. CUBO_2 of q = N(loc, s) for N(0, 1) is exact; 4e5 draws of bounded weights (s > 1)."""
    torch.manual_seed(0)
    values = []
    for loc, s in ((0.3, 1.5), (0.0, 1.2)):
        z = loc + s * torch.randn(400_000, dtype=torch.float64)
        log_p, log_q = Factor(Normal(0.0, 1.0).log_prob(z)), Factor(Normal(loc, s).log_prob(z))
        site = Site("z", z, log_p=log_p, log_q=log_q, log_p_frozen=log_p, log_q_frozen=log_q)
        width = 2 * s**2 - 1
        exact = 0.5 * (math.log(s**2 / math.sqrt(width)) + loc**2 / width)
        found = CUBO()(Particles({"z": site}, 400_000)).bound.item()
        assert found == pytest.approx(exact, abs=0.005)  # the standard error is below .001
        values.append(exact)
    assert values[0] > values[1] > 0


def test_a_guide_eight_standard_deviations_off_finds_the_posterior_exactly():
    def model():
        pyro.sample("z", dist.Normal(0.0, 1.0))

    def guide():
        scale = pyro.param("scale", torch.tensor(1.0), constraint=dist.constraints.positive)
        pyro.sample("z", dist.Normal(pyro.param("loc", torch.tensor(8.0)), scale))

    elbo = TraceELBO(CUBO(), num_particles=8)
    svi = pyro.infer.SVI(model, guide, pyro.optim.Adam({"lr": 0.1}), loss=elbo)
    assert svi.step() < -5  # so few draws miss the posterior: the estimate lies far below the log evidence, 0
    for _ in range(600):
        loss = svi.step()
    assert abs(pyro.param("loc").item()) < 0.01
    assert loss == pytest.approx(0.0, abs=0.01)


def test_errors():
    for n in (1.0, 0.5, float("nan"), float("inf"), "two"):
        with pytest.raises(OptionError, match=r"CUBO\(n="):
            CUBO(n)
    with pytest.raises(EstimatorError, match="num_particles >= 2"):
        CUBO()(table(network(), STATES[:1]))
