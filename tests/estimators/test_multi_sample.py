"""K-sample bounds: exact by enumerating every tuple of draws, or by quadrature over the noise; known rates in K."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import RenyiELBO
from torch import Tensor
from torch.distributions import Bernoulli, Normal

from pyro_vae.elbo import TraceELBO
from pyro_vae.errors import EstimatorError, OptionError
from pyro_vae.estimators import CUBO, IWAE, VIMCO, DReG, Estimator, Renyi, TailAdaptive
from pyro_vae.estimators.weights import renyi_bound, shared_frame
from pyro_vae.particles import Factor, draw
from tests.estimators.tuples import STATES, gaussian, gaussian_params, network, pairs_of_nodes, table


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize(
    ("estimator", "alpha"),
    [(VIMCO(), 0.0), (IWAE(), 0.0), (Renyi(0.5), 0.5), (Renyi(1.0), 1.0), (Renyi(-0.7), -0.7)],
    ids=str,
)
def test_unbiased_for_its_own_bound_by_enumeration(estimator: Estimator, alpha: float, K: int):
    params = network()
    leaves = list(params.values())
    mean = [torch.zeros_like(leaf) for leaf in leaves]
    mean_bound, objective = 0.0, torch.zeros((), dtype=torch.float64)
    for choice in itertools.product(range(len(STATES)), repeat=K):
        particles = table(params, STATES[list(choice)])
        probability = particles.log_q().sum().exp()
        objective = objective + probability * renyi_bound(particles.log_w(), alpha)
        estimate = estimator(particles)
        grads = torch.autograd.grad(estimate.loss(), leaves, retain_graph=True)
        weight = probability.detach()
        mean = [total + weight * grad for total, grad in zip(mean, grads, strict=True)]
        mean_bound += (weight * estimate.bound).item()
    exact = torch.autograd.grad(-objective, leaves)
    assert mean_bound == pytest.approx(objective.item(), abs=1e-10)
    for found, expected in zip(mean, exact, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("estimator", [VIMCO(), IWAE(), Renyi(0.5)], ids=str)
def test_a_constant_moves_the_bound_and_no_single_gradient(estimator: Estimator):
    params = network()
    found = []
    for constant in (0.0, 7.0):
        particles = table(params, STATES[[0, 3, 6]])
        x = particles["x"]
        shifted = replace(x, log_p=Factor(x.log_p.log_prob + constant))
        estimate = estimator(replace(particles, sites={**particles.sites, "x": shifted}))
        found.append((estimate.bound.item(), torch.autograd.grad(estimate.loss(), list(params.values()))))
    assert found[1][0] - found[0][0] == pytest.approx(7.0)
    torch.testing.assert_close(found[0][1], found[1][1])


# -- one Gaussian latent: expectations over the noise by Gauss-Hermite quadrature ----------------------------------


def _quadrature_gradients(estimator: Estimator, scale_q: float = 1.0) -> tuple[list[Tensor], Tensor]:
    """Mean gradient of a 2-sample estimator, and its mean bound, over all pairs of nodes."""
    pairs, weight = pairs_of_nodes()
    params = gaussian_params(pairs.shape[1])
    estimate = estimator(gaussian(params, pairs, scale_q))
    grads = torch.autograd.grad(estimate.loss(), list(params.values()))
    scalar = gaussian_params()
    site = gaussian(scalar, pairs, scale_q)["z"]
    log_w = site.log_p.log_prob - scale_q * site.log_q.log_prob
    bound = (weight * renyi_bound(log_w, getattr(estimator, "alpha", 0.0))).sum()
    exact = torch.autograd.grad(-bound, list(scalar.values()))
    return [(grad * weight).sum() for grad in grads], torch.stack(exact)


@pytest.mark.parametrize("estimator", [IWAE(), DReG(), Renyi(0.3), Renyi(1.0)], ids=str)
@pytest.mark.parametrize("scale_q", [1.0, 0.6])
def test_mean_gradient_is_exact_by_quadrature(estimator, scale_q):
    found, exact = _quadrature_gradients(estimator, scale_q)
    torch.testing.assert_close(torch.stack(found), exact, rtol=1e-6, atol=1e-8)


def test_sticking_the_landing_biases_iwae():
    found, exact = _quadrature_gradients(IWAE(sticking_the_landing=True))
    assert (torch.stack(found) - exact)[:2].abs().max() > 1e-3  # the guide's; the model's is right
    torch.testing.assert_close(found[2], exact[2])
    assert not IWAE(sticking_the_landing=True).claims.unbiased


SILENT = [DReG(), IWAE(sticking_the_landing=True), TailAdaptive(), CUBO()]


@pytest.mark.parametrize("estimator", SILENT, ids=str)
def test_the_guides_gradient_is_zero_at_the_posterior(estimator):
    variance = 1 / (1 + 1 / 0.81)
    loc = torch.tensor(variance * (0.5 + 1.3 / 0.81), dtype=torch.float64, requires_grad=True)
    log_scale = torch.tensor(0.5 * math.log(variance), dtype=torch.float64, requires_grad=True)
    params = {"loc": loc, "log_scale": log_scale, "theta": torch.tensor(0.5, dtype=torch.float64, requires_grad=True)}
    torch.manual_seed(0)
    assert estimator.claims.zero_variance_at_posterior
    estimate = estimator(gaussian(params, torch.randn(5, 7, dtype=torch.float64)))
    for grad in torch.autograd.grad(estimate.loss(), [loc, log_scale]):
        assert grad.abs() < 1e-12


def _snr_slope(estimator: Estimator, parameter: str) -> float:
    """Slope of log SNR in log K from 20 000 independent estimates at each K; its standard error is about .01."""
    counts = [8, 32, 128]
    snr = []
    for K in counts:
        torch.manual_seed(K)
        params = gaussian_params(20_000)
        estimate = estimator(gaussian(params, torch.randn(K, 20_000, dtype=torch.float64)))
        grad = torch.autograd.grad(estimate.loss(), params[parameter])[0]
        snr.append(grad.mean().abs().item() / grad.std().item())
    return float(np.polyfit(np.log(counts), np.log(snr), 1)[0])


@pytest.mark.slow
def test_signal_to_noise_falls_with_k_for_iwae_and_rises_for_dreg():
    assert _snr_slope(IWAE(), "loc") == pytest.approx(-0.5, abs=0.1)
    assert _snr_slope(DReG(), "loc") == pytest.approx(0.5, abs=0.1)
    assert _snr_slope(IWAE(), "theta") == pytest.approx(0.5, abs=0.1)


@pytest.mark.slow
def test_the_gap_closes_like_chi_square_over_2k():
    """4e5 rows of K = 64: the standard error of K(log Z - L_K) is about .001, the next order is about 1/K."""
    loc, scale, m, s = 0.3, 1.1, 0.0, 1.0
    torch.manual_seed(1)
    z = loc + scale * torch.randn(64, 400_000, dtype=torch.float64)
    bound = renyi_bound(Normal(m, s).log_prob(z) - Normal(loc, scale).log_prob(z)).mean()
    width = 2 * scale**2 - s**2
    chi2 = scale**2 / (s * math.sqrt(width)) * math.exp((loc - m) ** 2 / width) - 1
    assert 64 * -bound.item() == pytest.approx(chi2 / 2, rel=0.05)


# -- plates and subsamples ------------------------------------------------------------------------------------------

X = torch.tensor([0.4, -1.0, 2.2, 0.9])


def _local_model(size: int | None):
    def model(x):
        with pyro.plate("data", len(x), subsample_size=size) as rows:
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x[rows])

    def guide(x):
        with pyro.plate("data", len(x), subsample_size=size) as rows:
            pyro.sample("z", dist.Normal(0.3 * x[rows], 0.9))

    return model, guide


EVIDENCE = Normal(0.0, math.sqrt(2.0)).log_prob(X).sum().item()


def test_p2_and_p3_a_subsampled_bound_is_still_a_bound():
    """Two of four rows, K = 64: near the evidence from below on average; Pyro's value lies above the evidence or is
    redrawn per particle."""
    model, guide = _local_model(2)

    def mean_bound(objective, repeats=150):
        pyro.set_rng_seed(0)
        losses = [-objective.loss(model, guide, X) for _ in range(repeats)]
        return np.mean(losses), np.std(losses) / math.sqrt(repeats)

    ours, error = mean_bound(TraceELBO(IWAE(), num_particles=64))
    # the rows' evidences differ, so the mean over subsamples has a standard error of about .1; 5 of them
    assert abs(ours - EVIDENCE) < 5 * error + 0.05
    together, spread = mean_bound(
        RenyiELBO(alpha=0, num_particles=64, vectorize_particles=True, max_plate_nesting=1), 400
    )
    assert together - 4 * spread > EVIDENCE  # P2: the scale sharpens the weights
    looped, spread = mean_bound(RenyiELBO(alpha=0, num_particles=64), 20)
    assert looped - 5 * spread > EVIDENCE  # P3: each particle has rows of its own
    full = -TraceELBO(IWAE(), num_particles=512).loss(*_local_model(None), X)
    assert full == pytest.approx(EVIDENCE, abs=0.1)
    frame = shared_frame(draw(model, guide, (X,), num_particles=4))
    assert frame.scale == 2.0


def test_a_subsample_that_does_not_factor_is_an_error_naming_plate_and_site():
    def model(x):
        m = pyro.sample("m", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x), subsample_size=2) as rows:
            pyro.sample("x", dist.Normal(m, 1.0), obs=x[rows])

    with pytest.raises(EstimatorError, match=r"plate 'data' \(2 of 4 rows.*'m' is outside"):
        TraceELBO(IWAE(), num_particles=4).loss(model, lambda x: pyro.sample("m", dist.Normal(0.0, 1.0)), X)


def test_rows_have_bounds_of_their_own_unless_a_latent_is_global():
    model, guide = _local_model(None)
    particles = draw(model, guide, (X,), num_particles=3)
    assert [plate.name for plate in shared_frame(particles).plates] == ["data"]
    by_hand = torch.logsumexp(
        particles["z"].log_p.log_prob + particles["x"].log_p.log_prob - particles["z"].log_q.log_prob, 0
    )
    assert IWAE()(particles).bound.item() == pytest.approx((by_hand - math.log(3)).sum().item(), rel=1e-5)


@pytest.mark.slow
def test_p1_a_discrete_guide_learns_under_renyi():
    """Pyro's RenyiELBO(alpha=0) gives exactly 0; the exact K-sample gradient is by enumeration."""

    def model():
        z = pyro.sample("z", dist.Bernoulli(0.3))
        pyro.sample("x", dist.Normal(2 * z, 1.0), obs=torch.tensor(1.5))

    def guide():
        pyro.sample("z", dist.Bernoulli(logits=pyro.param("logit", lambda: torch.tensor(-1.5))))

    TraceELBO(Renyi(0.0), num_particles=2).loss(model, guide)
    logit = dict(pyro.get_param_store().named_parameters())["logit"]

    def bound(value: Tensor) -> Tensor:
        q = torch.stack([1 - torch.sigmoid(value), torch.sigmoid(value)])
        joint = torch.stack(
            [
                Bernoulli(torch.tensor(0.3)).log_prob(torch.tensor(b)) + Normal(2 * b, 1.0).log_prob(torch.tensor(1.5))
                for b in (0.0, 1.0)
            ]
        )
        log_w = joint - q.log()
        pairs = list(itertools.product(range(2), repeat=2))
        return sum(q[a] * q[b] * renyi_bound(log_w[[a, b]]) for a, b in pairs)

    value = logit.detach().clone().requires_grad_(True)
    exact = -torch.autograd.grad(bound(value), value)[0].item()

    def gradients(objective, repeats):
        found = []
        for seed in range(repeats):
            pyro.set_rng_seed(seed)
            logit.grad = None
            objective.loss_and_grads(model, guide)
            found.append(0.0 if logit.grad is None else logit.grad.item())
        return np.array(found)

    theirs = gradients(RenyiELBO(alpha=0, num_particles=2, vectorize_particles=True, max_plate_nesting=0), 20)
    assert (theirs == 0).all()
    ours = gradients(TraceELBO(Renyi(0.0), num_particles=2), 1500)
    assert ours.mean() == pytest.approx(exact, abs=5 * ours.std() / math.sqrt(len(ours)))
    assert abs(exact) > 5 * ours.std() / math.sqrt(len(ours))  # the test can tell it from 0


@pytest.mark.parametrize("alpha", [float("nan"), float("inf"), "half"])
def test_a_wrong_order_is_an_error(alpha):
    with pytest.raises(OptionError, match="alpha"):
        Renyi(alpha)


@pytest.mark.parametrize("estimator", [DReG(), IWAE(sticking_the_landing=True)], ids=str)
def test_discrete_sites_are_sent_to_vimco(estimator):
    with pytest.raises(EstimatorError, match=r"'z1', 'z2'.*VIMCO"):
        estimator(table(network(), STATES[:2]))


def test_vimco_needs_two_particles():
    with pytest.raises(EstimatorError, match="num_particles >= 2"):
        VIMCO()(table(network(), STATES[:1]))


@pytest.mark.slow
def test_dreg_has_iwaes_mean_where_a_guide_site_is_masked():
    """The site's own terms are out of the weights and its value still comes from the guide. 4e5 pairs of estimates from
    the same draws; 5 standard errors of the difference: budget 6e-7."""

    def model(rows):
        with pyro.plate("rows", rows):
            with pyro.poutine.mask(mask=torch.tensor(False)):
                z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=torch.full((rows,), 1.5))

    def guide(rows):
        loc = pyro.param("loc", lambda: torch.full((rows,), 0.2, dtype=torch.float64))
        with pyro.plate("rows", rows), pyro.poutine.mask(mask=torch.tensor(False)):
            pyro.sample("z", dist.Normal(loc, 0.8))

    found = []
    for estimator in (IWAE(), DReG()):
        pyro.set_rng_seed(0)
        TraceELBO(estimator, num_particles=3).differentiable_loss(model, guide, 400_000).backward()
        leaf = dict(pyro.get_param_store().named_parameters())["loc"]
        found.append(leaf.grad.clone())
        leaf.grad = None
    difference = found[0] - found[1]
    assert difference.mean().abs() < 5 * difference.std() / math.sqrt(400_000)
    assert found[0].mean().abs() > 0.1
