"""Variances that are known in closed form, and means, from a million single draws.

Sources: Mohamed, Rosca, Figurnov, Mnih (2020) for the Gaussian ones; Dong, Mnih, Tucker (2020) for one Bernoulli;
Roeder, Wu, Duvenaud (2017) for sticking the landing. A variance of 1e6 draws has a relative standard error of at most
.5 %: 3 % is 6 of them. Means are held to 4 standard errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from pyro_vae.errors import EstimatorError
from pyro_vae.estimators import (
    ARM,
    DisARM,
    Estimator,
    MeasureValued,
    Reparameterized,
    ScoreFunction,
    StickingTheLanding,
)
from pyro_vae.estimators.baselines import Baseline, LeaveOneOut, Scored
from pyro_vae.particles import Factor, Particles, Plate, Site
from pyro_vae.particles.data import with_fields
from tests.estimators.draws import DRAWS, leaves, one_site, single_gradients


@dataclass(frozen=True)
class Constant(Baseline):
    """The same number is subtracted from every cost."""

    value: float

    def score(self, site: Site, cost: Tensor, control) -> Scored:
        """The plain term, shifted."""
        return Scored((site.log_q.log_prob * (cost - self.value)).mean())


def check(grad: Tensor, mean: float, variance: float) -> None:
    """The mean within 4 standard errors (budget 6e-5), the variance within 3 %, 6 of its own or more (2e-9)."""
    assert grad.mean().item() == pytest.approx(mean, abs=4 * math.sqrt(variance / DRAWS) + 1e-12)
    assert grad.var().item() == pytest.approx(variance, rel=0.03, abs=1e-12)


# -- f = (x - k)^2 under N(mu, sigma^2): d^2 is (mu - k)^2, s^2 is sigma^2 -------------------------------------------

QUADRATIC = {
    "plain": (
        ScoreFunction(),
        lambda d2, s2: (d2**2 / s2 + 14 * d2 + 15 * s2, 2 * d2**2 / s2 + 60 * d2 + 74 * s2),
    ),
    # a million particles: the mean of the others is E f
    "baseline E f": (
        ScoreFunction("leave-one-out"),
        lambda d2, s2: (8 * d2 + 10 * s2, 40 * d2 + 56 * s2),
    ),
    "optimal baseline": (ScoreFunction("optimal"), lambda d2, s2: (8 * d2 + 6 * s2, 40 * d2 + 24 * s2)),
    "pathwise": (Reparameterized(), lambda d2, s2: (4 * s2, 4 * d2 + 8 * s2)),
    "measure-valued": (MeasureValued(), lambda d2, s2: ((16 / math.pi - 4) * d2, 4 * d2 + 4 * s2)),
}


@pytest.mark.parametrize(("mu", "sigma", "k"), [(1.0, 1.0, 0.0), (0.5, 2.0, -1.0)])
@pytest.mark.parametrize("name", QUADRATIC)
def test_variance_for_a_quadratic_is_the_closed_form(name, mu, sigma, k):
    torch.manual_seed(5)
    estimator, expected = QUADRATIC[name]
    canonical = leaves(loc=mu, scale=sigma)
    particles = one_site("Normal", canonical, lambda x: (x - k) ** 2, estimator)
    grads = single_gradients(estimator, particles, list(canonical.values()))
    for grad, mean, variance in zip(grads, (2 * (mu - k), 2 * sigma), expected((mu - k) ** 2, sigma**2), strict=True):
        check(grad, mean, variance)


# -- f = cos(kx): where the score function can beat the pathwise gradient --------------------------------------------


def _cosine(k: float, mu: float, sigma: float):
    t2, damp = (2 * k * sigma) ** 2, math.exp(-2 * (k * sigma) ** 2) * math.cos(2 * k * mu)
    means = tuple(
        factor * math.exp(-((k * sigma) ** 2) / 2)
        for factor in (-k * math.sin(k * mu), -(k**2) * sigma * math.cos(k * mu))
    )
    score = (1 + damp * (1 - t2)) / (2 * sigma**2), (2 + damp * (t2**2 - 4 * t2 + 2)) / (2 * sigma**2)
    pathwise = k**2 * (1 - damp) / 2, k**2 * (1 - damp * (1 - t2)) / 2
    less = lambda squares: tuple(square - mean**2 for square, mean in zip(squares, means, strict=True))  # noqa: E731
    return means, {"score function": less(score), "pathwise": less(pathwise)}


@pytest.mark.parametrize(("k", "mu", "sigma"), [(2.0, 1.0, 1.0), (0.5, 0.7, 0.8)])
@pytest.mark.parametrize(("name", "estimator"), [("score function", ScoreFunction()), ("pathwise", Reparameterized())])
def test_variance_for_a_cosine_is_the_closed_form(name, estimator, k, mu, sigma):
    torch.manual_seed(6)
    means, variances = _cosine(k, mu, sigma)
    canonical = leaves(loc=mu, scale=sigma)
    particles = one_site("Normal", canonical, lambda x: torch.cos(k * x), estimator)
    grads = single_gradients(estimator, particles, list(canonical.values()))
    for grad, mean, variance in zip(grads, means, variances[name], strict=True):
        check(grad, mean, variance)


def test_the_score_function_beats_pathwise_on_a_fast_cosine():
    variances = _cosine(2.0, 1.0, 1.0)[1]
    assert variances["score function"][0] == pytest.approx(0.441, abs=1e-3)
    assert variances["pathwise"][0] == pytest.approx(1.940, abs=1e-3)


# -- one Bernoulli ---------------------------------------------------------------------------------------------------

F1, F0 = 2.0, -1.0
D2 = (F1 - F0) ** 2


def _one_bit(logit: float, estimator: Estimator) -> Tensor:
    torch.manual_seed(3)
    canonical = leaves(logits=logit)
    particles = one_site("Bernoulli", canonical, lambda b: F1 * b + F0 * (1 - b), estimator)
    return single_gradients(estimator, particles, list(canonical.values()))[0]


ONE_BIT = {
    "constant": (
        ScoreFunction(Constant(0.3)),
        lambda p, pq, m: pq * ((F1 - 0.3) * (1 - p) + (F0 - 0.3) * p) ** 2,
    ),
    "ARM": (ARM(), lambda p, pq, m: 2 / 3 * D2 * (1 / 8 - (0.5 - m) ** 3) - D2 * pq**2),
    "DisARM": (DisARM(), lambda p, pq, m: 0.5 * D2 * m * (1 - m) ** 2 * (1 - 2 * m)),
    "measure-valued": (MeasureValued(), lambda p, pq, m: 0.0),
}


@pytest.mark.parametrize("logit", [0.6, -1.7, 0.0])
@pytest.mark.parametrize("name", ONE_BIT)
def test_variance_of_one_bit_is_the_closed_form(name, logit):
    estimator, expected = ONE_BIT[name]
    p = 1 / (1 + math.exp(-logit))
    check(_one_bit(logit, estimator), (F1 - F0) * p * (1 - p), expected(p, p * (1 - p), min(p, 1 - p)))


def test_a_constant_can_be_perfect_for_one_bit():
    p = 1 / (1 + math.exp(-0.6))
    assert _one_bit(0.6, ScoreFunction(Constant(F1 * (1 - p) + F0 * p))).var() < 1e-20


@pytest.mark.parametrize("logit", [-3.0, -0.5, 0.2, 1.5])
def test_disarm_is_never_above_arm(logit):
    assert _one_bit(logit, DisARM()).var() < _one_bit(logit, ARM()).var()


def test_leave_one_out_variance_of_one_bernoulli_is_the_closed_form():
    """Two samples: variance (delta^2/2) p q (1 - 2 p q), from 1e6 draws in pairs."""
    torch.manual_seed(8)
    pairs, logit, f1, f0 = DRAWS // 2, 0.6, 2.0, -1.0
    logits = torch.full((pairs,), logit, dtype=torch.float64, requires_grad=True)
    q = torch.distributions.Bernoulli(logits=logits)
    plates = (Plate("pairs", pairs, pairs),)
    b = q.sample((2,))
    log_q = Factor(q.log_prob(b), plates)
    site = Site("b", b, log_q=log_q, reparameterised=False)
    term = LeaveOneOut().score(site, torch.where(b == 1, f1, f0).double(), None)
    grads = torch.autograd.grad(term.surrogate, logits)[0]
    p = torch.sigmoid(torch.tensor(logit, dtype=torch.float64))
    pq = p * (1 - p)
    torch.testing.assert_close(grads.mean(), (f1 - f0) * pq, rtol=0.02, atol=0)
    torch.testing.assert_close(grads.var(), 0.5 * (f1 - f0) ** 2 * pq * (1 - 2 * pq), rtol=0.03, atol=0)


# -- sticking the landing: q = N(loc, scale), p = N(.5, 1) -----------------------------------------------------------


@pytest.mark.parametrize(("loc", "scale"), [(0.5, 1.0), (2.0, 0.4), (1.5, 0.9)])
@pytest.mark.parametrize("estimator", [StickingTheLanding(), Reparameterized()], ids=str)
def test_variance_with_and_without_the_guides_score_is_the_closed_form(estimator, loc, scale):
    torch.manual_seed(9)
    m, s = 0.5, 1.0
    parameters = leaves(loc=loc, scale=scale)
    q = torch.distributions.Normal(**parameters)
    z = q.rsample()
    frozen = torch.distributions.Normal(*(p.detach() for p in parameters.values())).log_prob(z)
    log_p = Factor(torch.distributions.Normal(m, s).log_prob(z))
    particles = Particles(
        {"z": Site("z", z, log_p=log_p, log_q=Factor(q.log_prob(z)), log_q_frozen=Factor(frozen))}, DRAWS
    )
    grads = single_gradients(estimator, particles, list(parameters.values()))
    gap = 1 / scale - scale / s**2
    stuck = (gap**2, (loc - m) ** 2 / s**4 + 2 * gap**2)
    plain = (scale**2 / s**4, ((loc - m) ** 2 + 2 * scale**2) / s**4)
    variances = stuck if isinstance(estimator, StickingTheLanding) else plain
    for grad, mean, variance in zip(grads, ((m - loc) / s**2, gap), variances, strict=True):
        check(grad, mean, variance)
    if scale**2 < s**2 / 2:
        assert stuck[0] > plain[0]  # a narrow guide is worse off without its score


# -- measure-valued: every family ------------------------------------------------------------------------------------

EXPECTATIONS = {
    # family: parameters, the first of which is learned; f; and the derivative of E f by the parameter that is learned
    "Poisson": ({"rate": 2.3}, lambda x: x**2, lambda p: 1 + 2 * p["rate"]),
    "Exponential": (
        {"rate": 0.7},
        lambda x: x**2,
        lambda p: -4 / p["rate"] ** 3,
    ),
    "Gamma": (
        {"rate": 1.4, "concentration": 0.6},
        lambda x: x**2,
        lambda p: -2 * p["concentration"] * (p["concentration"] + 1) / p["rate"] ** 3,
    ),
    "Weibull": (
        {"scale": 1.3, "concentration": 1.7},
        lambda x: x**2,
        lambda p: 2 * p["scale"] * math.gamma(1 + 2 / p["concentration"]),
    ),
    "Bernoulli": (
        {"logits": 0.4},
        lambda x: 3 * x,
        lambda p: 3 * 0.25 / math.cosh(0.2) ** 2,
    ),
}


@pytest.mark.parametrize("family", EXPECTATIONS)
def test_measure_valued_mean_is_exact_for_every_family(family):
    """1e6 draws, 5 standard errors: failure budget 6e-7 each."""
    torch.manual_seed(5)
    numbers, f, exact = EXPECTATIONS[family]
    canonical = leaves(**numbers)
    particles = one_site(family, canonical, f, MeasureValued())
    learned = {name: leaf if index == 0 else leaf.detach() for index, (name, leaf) in enumerate(canonical.items())}
    particles = with_fields(particles, {"z": {"canonical": learned}})
    (grad,) = single_gradients(MeasureValued(), particles, [next(iter(canonical.values()))])
    error = grad.mean().item() - exact(numbers)
    assert abs(error) <= 5 * grad.std().item() / math.sqrt(DRAWS) + 1e-12


def test_a_learned_concentration_is_sent_elsewhere():
    particles = one_site("Gamma", leaves(3, rate=2.0, concentration=2.0), lambda x: x, MeasureValued())
    with pytest.raises(EstimatorError, match=r"'z' \(Gamma\) learns its concentration.*pathwise=True"):
        MeasureValued()(particles)
