"""The incomplete Beta function and its inverse, beside SciPy's and mpmath's, over twelve orders of magnitude."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.special
import torch
from torch.nn.functional import logsigmoid

from pyro_vae.distributions import Beta, LogitBeta
from pyro_vae.distributions.incomplete_beta import log_beta_tails
from tests.distributions.cases_gamma import logit_beta_tails

EPS = torch.finfo(torch.float64).eps


def doubles(*values: float) -> list[torch.Tensor]:
    return [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in values]


def spread(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, in the bulk and far out, and concentrations from 1e-6 to 1e6."""
    rng = np.random.default_rng(seed)
    a, b = (torch.tensor(10 ** rng.uniform(-6, 6, count)) for _ in range(2))
    law = LogitBeta(a, b)
    bulk = law.mean + law.variance.sqrt() * torch.tensor(rng.normal(size=count))
    far = torch.tensor(rng.choice([-1, 1], count) * 10 ** rng.uniform(-3, 6, count))
    return torch.where(torch.tensor(rng.random(count) < 0.5), bulk, far), a, b


def test_both_tails_are_exact_in_logarithms() -> None:
    v, a, b = spread(120, seed=0)
    tails = log_beta_tails(logsigmoid(v), logsigmoid(-v), a, b)
    for number, arguments in enumerate(zip(v, a, b, strict=True)):
        with mpmath.workdps(330):
            point, *parameters = (mpmath.mpf(argument.item()) for argument in arguments)
            if abs(point) > 5:  # a series of more than 1e4 terms, at 330 digits, is too slow for a test
                continue
            for ours, exact in zip(tails, logit_beta_tails(point, *parameters), strict=True):
                # Where the parameters are large, the rounding of log x alone is worth some 1e-14.
                assert abs(ours[number].item() - exact) < 1e-13 * max(1, abs(exact)), arguments


def test_it_is_scipys_where_that_does_not_underflow() -> None:
    v, a, b = spread(20_000, seed=1)
    x = v.sigmoid()
    inside = (x > 0) & (x < 1)
    ours, theirs = (
        Beta(a, b, validate_args=False).cdf(x),
        torch.tensor(scipy.special.betainc(*(each.numpy() for each in (a, b, x)))),
    )
    # A unit in the last place of x moves the probability by so much.
    moved = Beta(a, b).log_prob(x.clamp(1e-300, 1 - EPS / 2)).exp() * EPS * torch.minimum(x, 1 - x)
    off = ((ours - theirs).abs() / (theirs + moved))[inside & (theirs > 1e-300)]
    assert len(off) > 8_000
    assert off.quantile(0.99) < 1e-12
    assert off.max() < 1e-9  # SciPy's own error, at parameters of 1e5


def test_probabilities_below_the_least_float_keep_their_logarithm() -> None:
    x = torch.tensor(1e-200, dtype=torch.float64)
    assert Beta(*doubles(1e3, 1.0)).log_cdf(x).item() == pytest.approx(1e3 * x.log().item(), rel=1e-14)
    assert Beta(*doubles(1e3, 1.0)).cdf(x) == 0
    assert LogitBeta(*doubles(1.0, 1e-3)).log_cdf(torch.tensor(1e9)).item() == 0.0
    assert LogitBeta(*doubles(2.0, 3.0)).log_cdf(torch.tensor(-1e9)).item() == pytest.approx(-2e9, rel=1e-6)


@pytest.mark.parametrize("u", [1e-290, 1e-10, 1e-3, 0.4, 0.5, 0.6, 1 - 1e-6, 1 - EPS / 2])
def test_the_quantile_undoes_it_to_the_last_bits(u: float) -> None:
    _, a, b = spread(300, seed=2)
    law = LogitBeta(a, b)
    level = torch.tensor(u, dtype=torch.float64)
    v = law.icdf(level)
    # Half a unit in the last place of v or of log x, and the rounding of logarithms of the size of log u.
    slack = law.log_prob(v).exp() * (1 + v.abs()) * EPS * 4 + (64 - 4 * level.log()) * EPS * level
    assert ((law.cdf(v) - level).abs() <= slack).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ends(dtype: torch.dtype) -> None:
    ends = torch.tensor([0.0, 1.0], dtype=dtype)
    a, b = torch.tensor(2.0, dtype=dtype), torch.tensor(1e-3, dtype=dtype)
    assert Beta(a, b).icdf(ends).tolist() == [0.0, 1.0]
    assert LogitBeta(a, b).icdf(ends).tolist() == [-np.inf, np.inf]
    assert Beta(a, b).cdf(torch.tensor([-1.0, 0.0, 1.0, 2.0], dtype=dtype)).tolist() == [0.0, 0.0, 1.0, 1.0]
    assert LogitBeta(a, b).cdf(torch.tensor([-np.inf, np.inf], dtype=dtype)).tolist() == [0.0, 1.0]


# One for each of the ways in which it is summed, and for what lies between them.
POINTS = [
    (2.3, 12.0, -1.4),
    (0.3, 0.2, 0.5),
    (3.0, 0.01, 40.0),
    (3.0, 0.01, 200.0),
    (1e3, 2e3, -0.8),
    (0.01, 5.0, -30.0),
    (1e4, 0.5, 9.0),
]


@pytest.mark.parametrize(("a", "b", "v"), POINTS)
def test_its_gradients_are_exact_to_second_order(a: float, b: float, v: float) -> None:
    inputs = doubles(v, a, b)
    log_cdf = lambda v, a, b: LogitBeta(a, b).log_cdf(v)  # noqa: E731
    assert torch.autograd.gradcheck(log_cdf, inputs, rtol=1e-5)
    assert torch.autograd.gradgradcheck(log_cdf, inputs, rtol=1e-4, atol=1e-6)
    law = LogitBeta(*inputs[1:])
    (by_value,) = torch.autograd.grad(law.cdf(inputs[0]), inputs[0])
    assert by_value.item() == pytest.approx(law.log_prob(inputs[0]).exp().item(), rel=1e-12)


def test_gradients_are_finite_everywhere() -> None:
    leaves = [each.requires_grad_() for each in spread(1000, seed=3)]
    law = LogitBeta(*leaves[1:])
    for value in (law.log_cdf(leaves[0]), law.icdf(leaves[0].detach().sigmoid().clamp(1e-300, 1 - EPS))):
        assert all(each.isfinite().all() for each in torch.autograd.grad(value.sum(), leaves[1:]))


@pytest.mark.parametrize(("a", "b"), [(2.0, 3.0), (0.2, 30.0), (40.0, 0.7)])
def test_the_quantiles_gradients_are_the_implicit_functions(a: float, b: float) -> None:
    inputs = doubles(0.3, a, b)
    assert torch.autograd.gradcheck(lambda u, a, b: LogitBeta(a, b).icdf(u), inputs, rtol=1e-5)
    assert torch.autograd.gradcheck(lambda u, a, b: Beta(a, b).icdf(u), inputs, rtol=1e-5)
