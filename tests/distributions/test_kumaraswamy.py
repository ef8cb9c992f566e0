"""What is particular to the Kumaraswamy: its divergences, far moments, and the cases in which torch's class fails."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch
from pyro.distributions import Beta as PyroBeta
from torch.distributions import Independent, kl_divergence
from torch.distributions import Kumaraswamy as TorchKumaraswamy

from pyro_vae.distributions.beta import Beta
from pyro_vae.distributions.kumaraswamy import Kumaraswamy
from pyro_vae.distributions.log_kumaraswamy import LogKumaraswamy
from pyro_vae.distributions.logit_beta import LogitBeta
from tests.distributions.cases_kumaraswamy import log_density, logit_log_density


def double(*values: float) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor(value, dtype=torch.float64) for value in values)


# --- divergences


def kl_by_quadrature(a, b, log_q):
    """E_p [log p - log q] over the logit, with 30 digits."""
    exact = {"concentration1": mpmath.mpf(a), "concentration0": mpmath.mpf(b)}

    def integrand(v):
        log_p = logit_log_density(v, **exact)
        return mpmath.exp(log_p) * (log_p - log_q(v))

    # The density falls as e^(av) and e^(-bv); the turns lie where x^a or 1 - x leaves 0.
    ends = sorted(
        {mpmath.mpf(t) for t in (-80 / a, -20 / a, -5 / a, -5, 0, 1, 5, 20, math.log(a), 5 / b, 30 / b, 100 / b)}
    )
    with mpmath.workdps(30):
        return mpmath.quad(integrand, ends)


def log_beta_density(v, alpha, beta):
    log_x, log_rest = -mpmath.log1p(mpmath.exp(-v)), -mpmath.log1p(mpmath.exp(v))
    return alpha * log_x + beta * log_rest - mpmath.log(mpmath.beta(alpha, beta))


QUADRUPLES = [
    (1.0, 0.5, 1.0, 5.0),
    (3.0, 0.2, 1.0, 5.0),
    (2.0, 3.0, 4.0, 0.5),
    (0.3, 8.0, 0.7, 2.0),
    (20.0, 0.05, 2.0, 2.0),
]


@pytest.mark.parametrize("quadruple", QUADRUPLES)
def test_kl_to_beta_is_the_integral(quadruple):
    a, b, alpha, beta = quadruple
    exact = kl_by_quadrature(a, b, lambda v: log_beta_density(v, mpmath.mpf(alpha), mpmath.mpf(beta)))
    p, q = double(a, b), double(alpha, beta)
    assert kl_divergence(Kumaraswamy(*p), Beta(*q)).item() == pytest.approx(float(exact), rel=1e-10)
    assert kl_divergence(LogKumaraswamy(*p), LogitBeta(*q)).item() == pytest.approx(float(exact), rel=1e-10)
    single = [value.float() for value in (*p, *q)]
    ours = kl_divergence(Kumaraswamy(*single[:2]), PyroBeta(*single[2:]))
    assert ours.dtype == torch.float32
    assert ours.item() == pytest.approx(float(exact), rel=1e-6)


@pytest.mark.parametrize("quadruple", QUADRUPLES)
def test_kl_to_kumaraswamy_is_the_integral(quadruple):
    a, b, alpha, beta = quadruple
    other = {"concentration1": mpmath.mpf(alpha), "concentration0": mpmath.mpf(beta)}
    exact = kl_by_quadrature(a, b, lambda v: logit_log_density(v, **other))
    p, q = double(a, b), double(alpha, beta)
    assert kl_divergence(Kumaraswamy(*p), Kumaraswamy(*q)).item() == pytest.approx(float(exact), rel=1e-10)
    assert kl_divergence(LogKumaraswamy(*p), LogKumaraswamy(*q)).item() == pytest.approx(float(exact), rel=1e-10)


def test_ten_terms_of_the_series_are_two_nats_short():
    a, b, alpha, beta = 1.0, 0.5, 1.0, 5.0
    known = math.log(a * b) + math.log(0.2) - (b - 1) / b
    terms = [math.exp(math.lgamma(m / a) + math.lgamma(b) - math.lgamma(m / a + b)) / (m + a * b) for m in range(1, 11)]
    assert known + (beta - 1) * b * sum(terms) == pytest.approx(4.535, abs=1e-3)
    ours = kl_divergence(Kumaraswamy(*double(a, b)), Beta(*double(alpha, beta))).item()
    # Kumaraswamy(1, b) is Beta(1, b), whose divergence is known.
    beta_to_beta = kl_divergence(torch.distributions.Beta(*double(1.0, b)), torch.distributions.Beta(*double(1.0, 5.0)))
    assert ours == pytest.approx(6.6974, abs=1e-4)
    assert ours == pytest.approx(beta_to_beta.item(), rel=1e-12)
    assert kl_divergence(Kumaraswamy(*double(3.0, 0.2)), Beta(*double(1.0, 5.0))).item() == pytest.approx(
        25.76, abs=0.01
    )


def test_kl_is_zero_exactly_between_equals_and_never_negative():
    generator = torch.Generator().manual_seed(3)
    a, b = (10 ** (12 * torch.rand(2, 500, generator=generator, dtype=torch.float64) - 6)).unbind()
    # Terms of the size of 1/b, and of the logarithms, cancel.
    assert (
        kl_divergence(Kumaraswamy(a, b), Kumaraswamy(a, b)).abs() < 1e-14 * (1 + a.log().abs() + b.log().abs())
    ).all()
    assert (kl_divergence(Kumaraswamy(a, b), Kumaraswamy(a.flip(0), b.flip(0))) > 0).all()
    assert (kl_divergence(Kumaraswamy(a, b), Beta(a.flip(0), b.flip(0))) > 0).all()


def test_gradients_of_kl_are_those_of_differences():
    values = double(0.7, 0.4, 2.5, 6.0)
    live = [value.clone().requires_grad_() for value in values]
    for q in (Kumaraswamy, Beta):
        kl = kl_divergence(Kumaraswamy(*live[:2]), q(*live[2:]))
        gradients = torch.autograd.grad(kl, live)
        for number, gradient in enumerate(gradients):
            step = torch.zeros(4, dtype=torch.float64)
            step[number] = 1e-5
            up, down = ([v + s for v, s in zip(values, sign * step, strict=True)] for sign in (1, -1))
            difference = kl_divergence(Kumaraswamy(*up[:2]), q(*up[2:])) - kl_divergence(
                Kumaraswamy(*down[:2]), q(*down[2:])
            )
            assert gradient.item() == pytest.approx(difference.item() / 2e-5, rel=1e-6)


@pytest.mark.parametrize("family", [Kumaraswamy, TorchKumaraswamy])
def test_kl_takes_batches_independent_and_torchs_own_class(family):
    p = family(torch.full((2, 3), 2.0), torch.tensor(0.5))
    q = torch.distributions.Beta(torch.ones(3), torch.tensor(5.0))
    kl = kl_divergence(p, q)
    assert kl.shape == (2, 3)
    whole = kl_divergence(Independent(p, 1), Independent(q.expand((2, 3)), 1))
    torch.testing.assert_close(whole, kl.sum(-1))


# --- identities and moments


@pytest.mark.parametrize(("a", "b"), [(1.0, 0.3), (1.0, 7.0), (0.3, 1.0), (7.0, 1.0)])
def test_with_one_parameter_at_one_it_is_a_beta(a, b):
    ours, beta = Kumaraswamy(*double(a, b)), torch.distributions.Beta(*double(a, b))
    x = torch.tensor([1e-9, 0.2, 0.9, 1 - 1e-9], dtype=torch.float64)
    torch.testing.assert_close(ours.log_prob(x), beta.log_prob(x), rtol=1e-10, atol=1e-10)
    for name in ("mean", "variance"):
        torch.testing.assert_close(getattr(ours, name), getattr(beta, name), rtol=1e-13, atol=0)
    torch.testing.assert_close(ours.entropy(), beta.entropy())


def exact_moments(a, b):
    with mpmath.workdps(60):
        a, b = mpmath.mpf(a), mpmath.mpf(b)
        first, second = (
            mpmath.exp(mpmath.log(b) + mpmath.loggamma(1 + n / a) + mpmath.loggamma(b) - mpmath.loggamma(1 + n / a + b))
            for n in (1, 2)
        )
        return float(first), float(second - first**2)


@pytest.mark.parametrize(
    ("a", "b"), [(50.0, 1e6), (1e3, 1e3), (1e-5, 1.0), (1e6, 1e6), (1e6, 1e-3), (0.05, 0.05), (3.0, 1e-6), (0.1, 1e6)]
)
def test_moments_hold_far_out(a, b):
    mean, variance = exact_moments(a, b)
    ours = Kumaraswamy(*double(a, b))
    assert ours.mean.item() == pytest.approx(mean, rel=1e-11)
    assert ours.variance.item() == pytest.approx(variance, rel=1e-9)
    mean, variance = exact_moments(torch.tensor(a).item(), torch.tensor(b).item())
    single = Kumaraswamy(torch.tensor(a), torch.tensor(b))
    assert single.mean.item() == pytest.approx(mean, rel=1e-6)
    assert single.variance.item() == pytest.approx(variance, rel=1e-6)


@pytest.mark.parametrize("one", [0, 1], ids=["Kumaraswamy(1, b)", "Kumaraswamy(a, 1)"])
def test_moments_of_both_logarithms_are_the_betas_over_twelve_orders(one):
    other = torch.logspace(-6, 6, 61, dtype=torch.float64)
    parameters = (torch.ones_like(other), other) if one == 0 else (other, torch.ones_like(other))
    ours, beta = LogKumaraswamy(*parameters), LogitBeta(*parameters)
    for found, exact in zip(
        (ours.mean, *ours.mean_logs(), ours.variance, *ours.variance_logs()),
        (beta.mean, *beta.mean_logs(), beta.variance, *beta.variance_logs()),
        strict=True,
    ):
        torch.testing.assert_close(found, exact, rtol=1e-10, atol=1e-13)


def test_variance_of_the_logit_has_gradients():
    a, b = (value.requires_grad_() for value in double(0.4, 3.0))
    assert torch.autograd.gradcheck(lambda a, b: LogKumaraswamy(a, b).variance, (a, b))


def test_mode_is_nan_only_where_the_density_has_no_highest_point():
    a, b = torch.tensor([2.0, 2.0, 0.5, 1.0, 1.0, 2.0]), torch.tensor([3.0, 0.5, 2.0, 2.0, 1.0, 1.0])
    mode = Kumaraswamy(a, b).mode
    torch.testing.assert_close(mode, torch.tensor([0.2**0.5, math.nan, math.nan, 0.0, math.nan, 1.0]), equal_nan=True)


def test_no_draw_leaves_the_open_interval_and_all_keep_a_gradient():
    a, b = (torch.full((100_000,), value, requires_grad=True) for value in (0.05, 0.05))
    x = Kumaraswamy(a, b).rsample()
    assert ((x > 0) & (x < 1)).all()
    assert (x == 1 - 2**-24).float().mean() > 0.3  # what float32 must round
    gradient = torch.autograd.grad(x.sum(), a)[0]
    assert torch.isfinite(gradient).all()
    assert (gradient[x < 1e-10] > 0).any()


def test_logit_carries_what_the_float_cannot():
    torch.manual_seed(1)
    v = LogKumaraswamy(torch.tensor(0.05), torch.tensor(0.05)).sample((100_000,))
    # Two draws are the same float with probability of about 1e-7: fewer than a thousand pairs of 5e9.
    assert len(v.unique()) > 98_000


# --- torch 2.13's own class, where it fails: each of these passes here, and is shown to fail there


TORCH = {"validate_args": False}


def both(a: float, b: float):
    return Kumaraswamy(torch.tensor(a), torch.tensor(b)), TorchKumaraswamy(torch.tensor(a), torch.tensor(b), **TORCH)


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (0.3, 0.3), (1.0, 0.1), (0.05, 0.05)])
def test_draws_are_inside_and_their_density_finite(a, b):
    ours, torchs = both(a, b)
    x = ours.sample((100_000,))
    assert ((x > 0) & (x < 1)).all()
    assert torch.isfinite(ours.log_prob(x)).all()
    x = torchs.sample((100_000,))
    assert (x == 1).any()
    assert torch.isnan(torchs.log_prob(x)).any()


@pytest.mark.parametrize(
    ("a", "b", "x", "known"),
    [(5.0, 2.0, 1e-10, -89.80), (30.0, 30.0, 0.5, -13.30), (0.1, 2.0, 1 - 6e-8, -20.55)],
)
def test_log_prob_at_the_points_where_torchs_is_not_finite(a, b, x, known):
    ours, torchs = both(a, b)
    x = torch.tensor(x, requires_grad=True)
    value = ours.log_prob(x)
    exact = float(log_density(mpmath.mpf(x.item()), mpmath.mpf(torch.tensor(a).item()), mpmath.mpf(b)))
    assert value.item() == pytest.approx(exact, rel=1e-6)
    assert value.item() == pytest.approx(known, abs=0.5)
    assert torch.isfinite(torch.autograd.grad(value, x)[0])
    assert not torch.isfinite(torchs.log_prob(x))


@pytest.mark.parametrize("x", [0.0, 1.0])
def test_ends_are_refused(x):
    with pytest.raises(ValueError, match="within the support"):
        both(2.0, 2.0)[0].log_prob(torch.tensor(x))
    checked = TorchKumaraswamy(torch.tensor(0.5), torch.tensor(2.0), validate_args=True)
    assert not torch.isfinite(checked.log_prob(torch.tensor(x)))


def test_mode_is_there_where_torchs_is_nan():
    ours, torchs = both(2.0, 3.0)
    assert ours.mode.item() == pytest.approx(0.4472, abs=1e-4)
    assert torchs.mode.isnan()


@pytest.mark.parametrize(
    ("a", "b", "mean", "variance"),
    [(50.0, 1e6, 0.750, 3.6e-4), (1e3, 1e3, 0.9925, 1.6e-6), (1e-5, 1.0, 1e-5, 5e-6)],
)
def test_moments_where_torchs_are_wrong(a, b, mean, variance):
    ours, torchs = both(a, b)
    assert ours.mean.item() == pytest.approx(mean, rel=1e-3)
    assert ours.variance.item() == pytest.approx(variance, rel=0.05)
    assert torchs.variance.item() != pytest.approx(ours.variance.item(), rel=0.01)


def test_cdf_and_icdf_keep_their_digits_in_the_tail():
    ours, torchs = both(2.0, 3.0)
    assert ours.cdf(torch.tensor(1e-4)).item() == pytest.approx(3e-8, rel=1e-6)
    assert ours.icdf(torch.tensor(1e-8)).item() == pytest.approx(5.7735e-5, rel=1e-5)
    assert torchs.cdf(torch.tensor(1e-4)).item() != pytest.approx(3e-8, rel=1e-3)
    assert torchs.icdf(torch.tensor(1e-8)).item() != pytest.approx(5.7735e-5, rel=1e-3)


def test_cdf_is_total():
    ours = both(2.0, 3.0)[0]
    assert ours.cdf(torch.tensor([-1.0, 0.0, 1.0, 2.0])).tolist() == [0.0, 0.0, 1.0, 1.0]
    assert ours.icdf(torch.tensor([0.0, 1.0])).tolist() == [0.0, 1.0]
    logit = LogKumaraswamy(torch.tensor(2.0), torch.tensor(3.0))
    assert logit.icdf(torch.tensor([0.0, 1.0])).tolist() == [-math.inf, math.inf]
