"""Every distribution against the truth: one table of cases, one set of properties.

Random tests are seeded (``conftest.py``), so they either always pass or always fail. Over seeds, a goodness-of-fit test
fails by chance with probability ``GOF``, a Monte Carlo comparison of 5 standard errors with 6e-7.
"""

from __future__ import annotations

import math
from typing import Any

import mpmath
import pytest
import torch
from pyro.distributions.testing.gof import auto_goodness_of_fit, unif01_goodness_of_fit

from tests.distributions.case import Case, Setting, rows, to_mp

GOF = 1e-5
DTYPES = [torch.float32, torch.float64]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}

moderate = pytest.mark.parametrize(("case", "setting"), rows())
everywhere = pytest.mark.parametrize(("case", "setting"), rows(edges=True))
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])


def scalars(*needs: str, edges: bool = False):
    """The rows of scalar distributions that offer all of ``needs``."""
    return pytest.mark.parametrize(
        ("case", "setting"),
        rows(edges=edges, keep=lambda case: case.event_dim == 0 and not case.discrete and case.has.issuperset(needs)),
    )


def vectors(need: str):
    """The rows of vector distributions that offer ``need``."""
    found = rows(keep=lambda case: case.event_dim > 0 and need in case.has)
    return pytest.mark.parametrize(("case", "setting"), found)


def close(ours: float, exact, tolerance: float) -> bool:
    return abs(mpmath.mpf(ours) - exact) <= tolerance * max(1, abs(exact))


# --- the density


@everywhere
@each_dtype
def test_log_prob_is_the_exact_one(case: Case, setting: Setting, dtype: torch.dtype) -> None:
    distribution, exact = case.at(setting, dtype), case.exact(setting, dtype)
    values = list(distribution.sample((8,)))
    values += [torch.tensor(point, dtype=dtype) for point in case.points]
    with mpmath.workdps(50):
        for value in values:
            ours = distribution.log_prob(value)
            assert ours.dtype == dtype
            truth = case.log_density(to_mp(value), **exact)
            if truth < torch.finfo(dtype).min:
                assert ours == -math.inf
                continue
            assert close(ours.item(), truth, TOLERANCE[dtype]), f"{value}: {ours.item()!r}, exact {float(truth)!r}"


@everywhere
@each_dtype
def test_gradients_of_log_prob_are_finite(case: Case, setting: Setting, dtype: torch.dtype) -> None:
    parameters = case.parameters(setting, dtype, grad=True)
    distribution = case.make(**parameters)
    value = distribution.sample((100,)).requires_grad_()
    log_prob = distribution.log_prob(value)
    assert torch.isfinite(log_prob).all()
    gradients = torch.autograd.grad(log_prob.sum(), [value, *parameters.values()], allow_unused=True)
    assert all(torch.isfinite(gradient).all() for gradient in gradients if gradient is not None)


def breaks(case: Case, setting: Setting) -> list:
    """The ends of the support and quantiles between, for quadrature."""
    draws = case.at(setting).sample((2000,)).sort().values.unique()
    inner = [mpmath.mpf(draws[int(q * (len(draws) - 1))].item()) for q in (0, 0.02, 0.25, 0.5, 0.75, 0.98, 1)]
    return [case.support[0], *inner, case.support[1]]


def expectation(case: Case, setting: Setting, function):
    """E function(x, log_density(x)) by quadrature."""
    exact = case.exact(setting, torch.float64)

    def integrand(x):
        log_density = case.log_density(x, **exact)
        # Far out mpmath would count all digits of e^-e^x.
        return mpmath.exp(log_density) * function(x, log_density) if log_density > -1e4 else mpmath.mpf(0)

    with mpmath.workdps(30):
        return mpmath.quad(integrand, breaks(case, setting))


@scalars()
def test_density_integrates_to_one(case: Case, setting: Setting) -> None:
    assert close(1.0, expectation(case, setting, lambda x, log_density: mpmath.mpf(1)), 1e-6)


# --- the draws


@everywhere
@each_dtype
def test_draws_have_the_density(case: Case, setting: Setting, dtype: torch.dtype) -> None:
    distribution = case.at(setting, dtype)
    samples = distribution.sample((20_000 if case.event_dim == 0 else 12_000,))
    assert samples.dtype == dtype
    assert distribution.support.check(samples).all()
    if case.rounds_at_edges and setting in case.edge_settings:
        return
    if case.gof is not None:
        assert case.gof(distribution, samples) > GOF
    elif case.event_dim == 0 and "cdf" in case.has:
        assert unif01_goodness_of_fit(distribution.cdf(samples).float().clamp(0, 1)) > GOF
    else:
        assert auto_goodness_of_fit(samples, distribution.log_prob(samples).exp()) > GOF


@pytest.mark.parametrize(
    ("case", "setting"),
    rows(edges=True, keep=lambda case: case.event_dim == 0 and case.cdf is not None and case.pathwise_tolerance),
)
def test_pathwise_gradients_are_those_of_the_implicit_function(case: Case, setting: Setting) -> None:
    parameters = case.parameters(setting, torch.float64, grad=True)
    values = case.make(**parameters).rsample((5,))
    exact = case.exact(setting, torch.float64)
    for value in values:
        gradients = torch.autograd.grad(value, list(parameters.values()), retain_graph=True)
        with mpmath.workdps(50):
            x = to_mp(value.detach())
            density = mpmath.exp(case.log_density(x, **exact))
            for name, gradient in zip(parameters, gradients, strict=True):
                slope = mpmath.diff(lambda theta, x=x, name=name: case.cdf(x, **exact | {name: theta}), exact[name])
                assert close(gradient.item(), -slope / density, case.pathwise_tolerance), (
                    f"d x / d {name} at {value.item()!r}"
                )


# --- distribution function and quantiles


@scalars("cdf", edges=True)
@each_dtype
def test_cdf_is_the_exact_one_in_both_tails(case: Case, setting: Setting, dtype: torch.dtype) -> None:
    distribution, exact = case.at(setting, dtype), case.exact(setting, dtype)
    values = [*distribution.sample((8,)), *(torch.tensor(point, dtype=dtype) for point in case.points)]
    with mpmath.workdps(50):
        for value in values:
            truth = case.cdf(to_mp(value), **exact)
            ours = mpmath.mpf(distribution.cdf(value).item())
            # Relative, also where the probability is small.
            least = torch.finfo(dtype).tiny
            assert abs(ours - truth) <= max(TOLERANCE[dtype], case.cdf_tolerance) * truth + least, (
                f"{value}: {ours}, exact {truth}"
            )


@scalars("cdf")
@each_dtype
def test_log_cdf_and_log_survival_are_exact(case: Case, setting: Setting, dtype: torch.dtype) -> None:
    distribution: Any = case.at(setting, dtype)
    if not hasattr(distribution, "log_cdf"):
        pytest.skip("it has none")
    exact = case.exact(setting, dtype)
    values = [*distribution.sample((8,)), *(torch.tensor(point, dtype=dtype) for point in case.points)]
    with mpmath.workdps(50):
        for value in values:
            lower = case.cdf(to_mp(value), **exact)
            for ours, truth in ((distribution.log_cdf(value), lower), (distribution.log_survival(value), 1 - lower)):
                if truth < 1e-30 and truth is not lower:
                    continue  # the exact value has lost its digits
                error = abs(ours.item() - mpmath.log(truth))
                assert error <= TOLERANCE[dtype] * max(1, abs(mpmath.log(truth))), f"{value}: {ours!r}"


@scalars("cdf", "icdf")
@each_dtype
def test_cdf_undoes_icdf(case: Case, setting: Setting, dtype: torch.dtype) -> None:
    distribution = case.at(setting, dtype)
    u = torch.tensor([1e-30, 1e-10, 1e-4, 0.3, 0.5, 0.9, 1 - 1e-6], dtype=dtype)
    value = distribution.icdf(u)
    inside = distribution.support.check(value)  # in float32, a far quantile may be the end of the support itself
    value, u = value[inside], u[inside]
    # A quantile is known to half a unit in the last place: so much may the probability be off.
    step = torch.nextafter(value, torch.full_like(value, math.inf)) - value
    slack = 4 * distribution.log_prob(value).exp() * step + (64 - 4 * u.log()) * torch.finfo(dtype).eps * u
    error = (distribution.cdf(value) - u).abs()
    assert (error <= slack).all(), f"probabilities {u}, off by {error}, at most {slack}"
    assert inside[3:5].all()


# --- moments


@scalars("mean")
def test_mean_is_the_integral(case: Case, setting: Setting) -> None:
    assert close(case.at(setting).mean.item(), expectation(case, setting, lambda x, _: x), 1e-6)


@scalars("mean", "variance")
def test_variance_is_the_integral(case: Case, setting: Setting) -> None:
    mean = expectation(case, setting, lambda x, _: x)
    assert close(case.at(setting).variance.item(), expectation(case, setting, lambda x, _: (x - mean) ** 2), 1e-6)


@scalars("entropy")
def test_entropy_is_the_integral(case: Case, setting: Setting) -> None:
    assert close(case.at(setting).entropy().item(), expectation(case, setting, lambda _, log_f: -log_f), 1e-6)


@moderate
def test_mode_is_the_highest_point(case: Case, setting: Setting) -> None:
    if "mode" not in case.has:
        pytest.skip("no mode")
    distribution = case.at(setting)
    mode = distribution.mode
    if mode.isnan().any():
        pytest.skip("no mode at this setting")
    if not distribution.support.check(mode).all():
        assert case.event_dim == 0  # the density rises to an end of the support
        near = mode + (1e-6 if mode.item() == case.support[0] else -1e-6)
        assert distribution.log_prob(near) >= distribution.log_prob(distribution.sample((200,))).max()
        return
    assert (distribution.log_prob(mode) >= distribution.log_prob(distribution.sample((500,)))).all()


def agrees(draws: torch.Tensor, truth: torch.Tensor) -> bool:
    error = draws.std(0) / len(draws) ** 0.5
    return bool(((draws.mean(0) - truth).abs() <= 5 * error + 1e-12).all())


@vectors("mean")
def test_mean_is_the_average_of_draws(case: Case, setting: Setting) -> None:
    distribution = case.at(setting)
    assert agrees(distribution.sample((20_000,)), distribution.mean)


@vectors("variance")
def test_variance_is_that_of_draws(case: Case, setting: Setting) -> None:
    distribution = case.at(setting)
    assert agrees((distribution.sample((20_000,)) - distribution.mean) ** 2, distribution.variance)


@vectors("entropy")
def test_entropy_is_the_average_of_minus_log_prob(case: Case, setting: Setting) -> None:
    distribution = case.at(setting)
    assert agrees(-distribution.log_prob(distribution.sample((20_000,))), distribution.entropy())
