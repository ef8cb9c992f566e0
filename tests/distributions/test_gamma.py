"""Gamma, Beta and Dirichlet where torch's own go wrong, their gradients on average, and their divergences.

Random tests are seeded (``conftest.py``); over seeds, one of 5 standard errors fails by chance with probability 6e-7.
"""

from __future__ import annotations

import math

import mpmath
import pyro.distributions as dist
import pytest
import torch
from torch.distributions import kl_divergence

from pyro_vae.distributions import Beta, Dirichlet, Gamma, LogDirichlet, LogGamma, LogitBeta
from pyro_vae.distributions.gamma_functions import log_minus_digamma, standard_gamma_entropy, stirling_excess


def share_at_one_half(distribution) -> float:
    return (distribution.sample((20_000,)) == 0.5).float().mean().item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_beta_with_small_shapes_is_never_exactly_one_half(dtype: torch.dtype) -> None:
    a = torch.tensor(1e-3, dtype=dtype)
    assert share_at_one_half(Beta(a, a)) == 0
    assert share_at_one_half(dist.Beta(a, a)) > 0.2


def share_uniform(distribution) -> float:
    x = distribution.sample((20_000,))
    return (x == x[:, :1]).all(-1).float().mean().item()


@pytest.mark.parametrize(("a", "at_least"), [(1e-3, 0.1), (1e-4, 0.7)])
def test_dirichlet_with_small_shapes_is_never_exactly_uniform(a: float, at_least: float) -> None:
    concentration = torch.full((3,), a)
    assert share_uniform(Dirichlet(concentration)) == 0
    assert share_uniform(LogDirichlet(concentration)) == 0
    assert share_uniform(dist.Dirichlet(concentration)) > at_least


def beta_gradients(cls, a: float, b: float) -> list[float]:
    parameters = [torch.tensor(a, requires_grad=True), torch.tensor(b, requires_grad=True)]
    cls(*parameters).rsample((20_000,)).sum().backward()
    return [parameter.grad.item() for parameter in parameters]


def test_beta_gradient_is_finite_with_one_large_shape() -> None:
    shapes = (2.0**16 + 1039, 1.5)
    assert all(map(math.isfinite, beta_gradients(Beta, *shapes)))
    assert not all(map(math.isfinite, beta_gradients(dist.Beta, *shapes)))


def test_gamma_log_prob_of_a_narrow_gamma_keeps_its_digits() -> None:
    a, x = torch.tensor(1e6), torch.tensor(1.001e6)
    with mpmath.workdps(50):
        exact = (mpmath.mpf(1e6) - 1) * mpmath.log(x.item()) - x.item() - mpmath.loggamma(1e6)
    assert abs(Gamma(a, 1.0).log_prob(x) - float(exact)) < 1e-5
    assert abs(dist.Gamma(a, 1.0).log_prob(x) - float(exact)) > 0.1


def test_dirichlet_log_prob_does_not_see_the_rounding_of_the_sum() -> None:
    """The density at the mean of a narrow Dirichlet; the floats 1/3 sum to 1 + 3e-8."""
    d = Dirichlet(torch.full((3,), 1e7))
    x = torch.full((3,), 1 / 3)
    exact = Dirichlet(torch.full((3,), 1e7, dtype=torch.float64)).log_prob(torch.full((3,), 1 / 3, dtype=torch.float64))
    assert abs(d.log_prob(x).item() - exact.item()) < 1e-4
    assert abs(dist.Dirichlet(d.concentration).log_prob(x).item() - exact.item()) > 0.1


def test_log_dirichlet_takes_its_value_up_to_a_constant() -> None:
    d = LogDirichlet(torch.tensor([0.5, 1e4, 2.0]), validate_args=False)
    v = d.sample((5,))
    assert torch.allclose(d.log_prob(v + 3), d.log_prob(v), atol=1e-2)


def test_gradient_by_a_small_weight_with_concentration_one() -> None:
    """It is what is left of (a - 1) / x, which is 0, and the total's part."""
    x = torch.tensor([1e-13, 0.25, 0.75], requires_grad=True)
    Dirichlet(torch.tensor([1.0, 2.0, 3.0])).log_prob(x).backward()
    assert torch.allclose(x.grad, torch.tensor([-6.0, 1 / 0.25 - 6, 2 / 0.75 - 6]), rtol=1e-5)


# --- gradients on average: E log x is known, and its derivative


def mean_gradient(make, parameters: dict[str, float], statistic, size: int = 20_000) -> dict[str, tuple[float, float]]:
    """The average over draws of d statistic / d parameter, with its standard error."""
    leaves = {name: torch.full((size,), value, requires_grad=True) for name, value in parameters.items()}
    statistic(make(**leaves).rsample()).sum().backward()
    return {name: (x.grad.mean().item(), x.grad.std().item() / size**0.5) for name, x in leaves.items()}


def trigamma(x: float) -> float:
    return float(mpmath.psi(1, x))


SHAPES = [1e-4, 1e-3, 0.05, 0.9, 1.1, 7.0, 9.0, 1e3, 1e6]


@pytest.mark.parametrize("a", SHAPES)
def test_gradient_of_the_mean_of_log_gamma_is_trigamma(a: float) -> None:
    for make, statistic in ((LogGamma, lambda v: v), (Gamma, torch.log)):
        found, error = mean_gradient(make, {"concentration": a, "rate": 1.0}, statistic)["concentration"]
        assert abs(found - trigamma(a)) < 5 * error + 2e-4 * trigamma(a), make


@pytest.mark.parametrize(("a", "b"), [(1e-3, 1e-3), (1e-3, 1e3), (0.5, 2.0), (30.0, 2.0), (2.0**16 + 1039, 1.5)])
def test_gradient_of_the_mean_logit_of_beta_is_trigamma(a: float, b: float) -> None:
    for make, statistic in ((LogitBeta, lambda v: v), (Beta, torch.logit)):
        found = mean_gradient(make, {"concentration1": a, "concentration0": b}, statistic)
        for name, truth in (("concentration1", trigamma(a)), ("concentration0", -trigamma(b))):
            mean, error = found[name]
            assert abs(mean - truth) < 5 * error + 2e-4 * abs(truth), (make, name)


@pytest.mark.parametrize("a", [(1e-3, 1e-3, 1e-3), (0.5, 2.0, 1.0), (1e5, 2e5, 1.0)])
def test_gradient_of_the_mean_log_weight_of_dirichlet_is_trigamma(a: tuple[float, ...]) -> None:
    for make, statistic in ((LogDirichlet, lambda v: v), (Dirichlet, torch.log)):
        concentration = torch.tensor(a).expand(40_000, -1).clone().requires_grad_()
        statistic(make(concentration).rsample())[:, 0].sum().backward()
        mean, error = concentration.grad.mean(0), concentration.grad.std(0) / 200
        truth = torch.tensor([trigamma(a[0]) * (k == 0) - trigamma(sum(a)) for k in range(3)])
        assert ((mean - truth).abs() < 5 * error + 2e-4 * trigamma(a[0])).all(), make


def test_a_draw_below_the_floats_has_the_gradient_of_its_log() -> None:
    a = torch.tensor(1e-3, requires_grad=True)
    torch.manual_seed(0)
    x = Gamma(a, 1.0).rsample((50,))
    (gradient,) = torch.autograd.grad(x.log().sum(), a)
    torch.manual_seed(0)
    (exact,) = torch.autograd.grad(LogGamma(a, 1.0).rsample((50,)).sum(), a)
    assert (x == torch.finfo(torch.float32).tiny).any()
    assert torch.isclose(gradient, exact, rtol=1e-4)


# --- closed forms


@pytest.mark.parametrize("a", [1e-12, 1e-3, 0.5, 1.0, 9.99, 10.01, 1e3, 1e12])
def test_the_functions_behind_the_densities_are_exact(a: float) -> None:
    x = torch.tensor(a, dtype=torch.float64, requires_grad=True)
    with mpmath.workdps(50):
        excess = a * mpmath.log(a) - a - mpmath.loggamma(a)
        slope = mpmath.log(a) - mpmath.psi(0, a)
        entropy = a + mpmath.loggamma(a) + (1 - mpmath.mpf(a)) * mpmath.psi(0, a)
    for ours, exact in (
        (stirling_excess(x), excess),
        (torch.autograd.grad(stirling_excess(x), x)[0], slope),
        (log_minus_digamma(x), slope),
        (standard_gamma_entropy(x), entropy),
    ):
        assert abs(ours.item() - exact) < 2e-14 * max(1, abs(exact))
    assert abs(log_minus_digamma(x).item() / slope - 1) < 1e-13


def quadrature_kl(p, q, points) -> float:
    """E_p (log p - log q) on the line."""

    def integrand(v):
        value = torch.tensor(float(v), dtype=torch.float64)
        log_p = p.log_prob(value)
        return float(log_p.exp() * (log_p - q.log_prob(value)))

    with mpmath.workdps(15):
        return float(mpmath.quad(integrand, points))


def doubles(*values: float) -> list[torch.Tensor]:
    return [torch.tensor(value, dtype=torch.float64) for value in values]


@pytest.mark.parametrize(("p", "q"), [((2.0, 1.0), (3.0, 0.5)), ((0.5, 3.0), (2.0, 3.0)), ((40.0, 2.0), (35.0, 2.0))])
def test_kl_of_gammas_is_the_integral(p: tuple, q: tuple) -> None:
    p, q = doubles(*p), doubles(*q)
    exact = quadrature_kl(LogGamma(*p), LogGamma(*q), [-60, -10, -2, 0, 1, 2, 3, 4, 6])
    for one, other in ((LogGamma, LogGamma), (Gamma, Gamma), (Gamma, dist.Gamma), (dist.Gamma, Gamma)):
        assert abs(kl_divergence(one(*p), other(*q)).item() - exact) < 1e-7


@pytest.mark.parametrize(("p", "q"), [((2.0, 1.0), (3.0, 0.5)), ((0.5, 3.0), (2.0, 3.0)), ((40.0, 2.0), (35.0, 2.0))])
def test_kl_of_betas_is_the_integral(p: tuple, q: tuple) -> None:
    p, q = doubles(*p), doubles(*q)
    exact = quadrature_kl(LogitBeta(*p), LogitBeta(*q), [-60, -10, -2, 0, 2, 4, 10, 40])
    for one, other in ((LogitBeta, LogitBeta), (Beta, Beta), (Beta, dist.Beta), (dist.Beta, Beta)):
        assert abs(kl_divergence(one(*p), other(*q)).item() - exact) < 1e-7
    for one, other in ((LogDirichlet, LogDirichlet), (Dirichlet, Dirichlet), (Dirichlet, dist.Dirichlet)):
        found = kl_divergence(one(torch.stack(p)), other(torch.stack(q))).item()
        assert abs(found - exact) < 1e-7


def test_kl_of_dirichlets_is_that_of_torch_where_torch_is_right() -> None:
    a, b = torch.rand(20, 5, dtype=torch.float64) * 3, torch.rand(20, 5, dtype=torch.float64) * 3
    exact = kl_divergence(dist.Dirichlet(a), dist.Dirichlet(b))
    assert torch.allclose(kl_divergence(Dirichlet(a), Dirichlet(b)), exact, rtol=1e-10)
    assert torch.allclose(kl_divergence(LogDirichlet(a), LogDirichlet(b)), exact, rtol=1e-10)


def test_kl_of_near_narrow_gammas_keeps_its_digits_in_single_precision() -> None:
    p, q = (torch.tensor(1e6), torch.tensor(1.0)), (torch.tensor(1.001e6), torch.tensor(1.0))
    with mpmath.workdps(50):
        a, b = mpmath.mpf(1e6), mpmath.mpf(1.001e6)
        exact = float((a - b) * mpmath.psi(0, a) - mpmath.loggamma(a) + mpmath.loggamma(b))
    assert abs(kl_divergence(Gamma(*p), Gamma(*q)).item() - exact) < 1e-6
    assert abs(kl_divergence(dist.Gamma(*p), dist.Gamma(*q)).item() - exact) > 5e-3


def test_second_derivatives_of_the_densities_are_there() -> None:
    """For the Laplace approximation: torch's gradcheck of the gradient."""
    a, b, x = doubles(2.3, 12.0, 0.4)
    for parameter in (a, b, x):
        parameter.requires_grad_()
    for function in (
        lambda a, b, x: Gamma(a, b).log_prob(x),
        lambda a, b, x: LogGamma(a, b).log_prob(x),
        lambda a, b, x: Beta(a, b).log_prob(x),
        lambda a, b, x: LogitBeta(a, b).log_prob(x),
        lambda a, b, x: Dirichlet(torch.stack([a, b])).log_prob(torch.stack([x, 1 - x])),
        lambda a, b, x: LogDirichlet(torch.stack([a, b])).log_prob(torch.stack([x, 1 - x]).log()),
    ):
        assert torch.autograd.gradcheck(function, (a, b, x))
        assert torch.autograd.gradgradcheck(function, (a, b, x))
