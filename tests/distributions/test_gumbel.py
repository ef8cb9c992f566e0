"""What is particular to the Gumbels: the mirror, the rate form, tails, divergences, and where torch's class fails."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Gumbel as TorchGumbel
from torch.distributions import Weibull, kl_divergence

from pyro_vae.distributions.beta_functions import EULER
from pyro_vae.distributions.gumbel import Gumbel
from pyro_vae.distributions.gumbel_min import GumbelMin


def double(*values: float) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor(value, dtype=torch.float64) for value in values)


GRID = torch.linspace(-4, 12, 33, dtype=torch.float64)


def test_one_is_the_mirror_of_the_other():
    ours, mirror = Gumbel(*double(0.7, 1.3)), GumbelMin(*double(-0.7, 1.3))
    torch.testing.assert_close(ours.log_prob(GRID), mirror.log_prob(-GRID))
    torch.testing.assert_close(ours.log_cdf(GRID), mirror.log_survival(-GRID))
    torch.testing.assert_close(ours.log_survival(GRID), mirror.log_cdf(-GRID))
    torch.testing.assert_close(ours.mean, -mirror.mean)


def test_rate_form_for_minima_is_that_of_the_inverse_cdf():
    alpha, beta = double(2.5, 1.7)
    d = GumbelMin.from_rate(alpha, beta)
    torch.testing.assert_close(d.cdf(GRID), -torch.expm1(-torch.exp(beta * GRID) / alpha))
    torch.testing.assert_close(d.mean, (alpha.log() - EULER) / beta)
    torch.testing.assert_close(d.variance, math.pi**2 / (6 * beta**2))
    u = torch.linspace(0.01, 0.99, 20, dtype=torch.float64)
    torch.testing.assert_close(d.icdf(u), (alpha.log() + torch.log(torch.log(1 / (1 - u)))) / beta)
    torch.testing.assert_close(d.log_prob(GRID), TorchGumbel(-alpha.log() / beta, 1 / beta).log_prob(-GRID))


def test_rate_form_for_maxima_flips_the_second_sign():
    alpha, beta = double(2.5, 1.7)
    d = Gumbel.from_rate(alpha, beta)
    torch.testing.assert_close(d.cdf(GRID), torch.exp(-alpha * torch.exp(-beta * GRID)))
    torch.testing.assert_close(d.mean, (alpha.log() + EULER) / beta)


@pytest.mark.parametrize("family", [Gumbel, GumbelMin])
@pytest.mark.parametrize(
    ("alpha", "beta", "argument"), [(0.0, 1.0, "alpha"), (1.0, -1.0, "beta"), (math.nan, 1.0, "alpha")]
)
def test_a_bad_rate_is_a_value_error_that_names_it(family, alpha, beta, argument):
    with pytest.raises(ValueError, match=rf"parameter {argument} (.|\n)*{(alpha, beta)[argument == 'beta']:g}"):
        family.from_rate(alpha, beta)


def test_exponential_of_a_minimum_is_weibull_and_of_unit_scale_exponential():
    loc, scale = double(0.4, 0.6)
    t = torch.tensor([0.1, 0.5, 1.0, 3.0], dtype=torch.float64)
    weibull = Weibull(loc.exp(), 1 / scale)
    torch.testing.assert_close(GumbelMin(loc, scale).cdf(t.log()), weibull.cdf(t))
    torch.testing.assert_close(GumbelMin(loc, scale).log_prob(t.log()) - t.log(), weibull.log_prob(t))
    torch.testing.assert_close(Gumbel(-loc, scale).log_survival(-t.log()).exp(), weibull.cdf(t))
    exponential = torch.distributions.Exponential((-loc).exp())
    torch.testing.assert_close(GumbelMin(loc, torch.ones_like(loc)).cdf(t.log()), exponential.cdf(t))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_tail_is_a_number(dtype):
    far = torch.tensor([-math.inf, -1e30, -700.0, -6.0, 17.0, 700.0, 1e30, math.inf], dtype=dtype)
    for family in (Gumbel, GumbelMin):
        d = family(torch.zeros((), dtype=dtype), torch.ones((), dtype=dtype))
        cdf = d.cdf(far)
        assert (cdf[0], cdf[-1]) == (0, 1)
        assert (cdf.diff() >= 0).all()
        for value in (d.log_cdf(far), d.log_survival(far)):
            assert not value.isnan().any()
            assert (value <= 0).all()
        assert d.icdf(torch.tensor([0.0, 1.0], dtype=dtype)).tolist() == [-math.inf, math.inf]
    assert Gumbel(*double(0.0, 1.0)).log_survival(*double(700.0)).item() == pytest.approx(-700.0)


@pytest.mark.parametrize(("p", "q"), [((0.0, 1.0), (1.0, 2.0)), ((3.0, 0.2), (-1.0, 5.0))])
def test_kl_is_torchs_and_that_of_minima_the_mirrors(p, q):
    p, q = double(*p), double(*q)
    known = kl_divergence(TorchGumbel(*p), TorchGumbel(*q))
    torch.testing.assert_close(kl_divergence(Gumbel(*p), Gumbel(*q)), known)
    torch.testing.assert_close(kl_divergence(Gumbel(*p), TorchGumbel(*q)), known)
    torch.testing.assert_close(kl_divergence(TorchGumbel(*p), Gumbel(*q)), known)
    mirrored = kl_divergence(GumbelMin(-p[0], p[1]), GumbelMin(-q[0], q[1]))
    torch.testing.assert_close(mirrored, known)
    assert kl_divergence(GumbelMin(*p), GumbelMin(*p)).abs() < 1e-14


# --- torch 2.13's own class, where it fails


@pytest.mark.parametrize("value", [17.0, -6.0])
def test_cdf_does_not_raise_where_torchs_does(value):
    value = torch.tensor(value)
    with pytest.raises(ValueError, match="within the support"):
        TorchGumbel(torch.tensor(0.0), torch.tensor(1.0), validate_args=True).cdf(value)
    cdf = Gumbel(torch.tensor(0.0), torch.tensor(1.0), validate_args=True).cdf(value)
    assert cdf.item() == pytest.approx(math.exp(-math.exp(-value.item())), abs=1e-7)


def test_quantiles_at_the_ends_are_infinite_where_torchs_are_not():
    ends = torch.tensor([0.0, 1.0])
    assert torch.isfinite(TorchGumbel(torch.tensor(0.0), torch.tensor(1.0)).icdf(ends)).all()
    assert Gumbel(torch.tensor(0.0), torch.tensor(1.0)).icdf(ends).tolist() == [-math.inf, math.inf]


def test_draws_are_not_cut_off_where_torchs_are():
    # P(X > 15.95) is 1.2e-7: of 3e7 draws 3.6 are expected, and over seeds none with probability .03.
    torch.manual_seed(0)
    ours = Gumbel(torch.tensor(0.0), torch.tensor(1.0))
    assert -ours.draw_noise((30_000_000,)).min().log() > 15.95
    assert (ours.sample_from_noise(torch.tensor([1e-9, 1e-15])) > 20).all()
    torchs = TorchGumbel(torch.tensor(0.0), torch.tensor(1.0))
    largest = torchs.base_dist.high  # its uniform noise stays below
    for transform in torchs.transforms:
        largest = transform(largest)
    assert largest.item() == pytest.approx(15.94, abs=0.01)
