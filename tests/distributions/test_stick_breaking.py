"""What is particular to stick-breaking: the map and its inverse, the GEM, the uniform, divergences, use as a site."""

from __future__ import annotations

import math

import pyro
import pytest
import torch
from pyro.infer import SVI, TraceMeanField_ELBO
from pyro.infer.autoguide import AutoNormal
from pyro.optim import Adam
from torch.distributions import Dirichlet, biject_to, kl_divergence

from pyro_vae.distributions.log_dirichlet import LogDirichlet
from pyro_vae.distributions.log_kumaraswamy import LogKumaraswamy
from pyro_vae.distributions.log_stick_breaking import LogStickBreaking, fraction_logits, log_weights
from pyro_vae.distributions.logit_beta import LogitBeta
from pyro_vae.distributions.normal import Normal
from pyro_vae.distributions.stick_breaking import StickBreaking


def test_weights_are_what_the_formula_says():
    x = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    w = log_weights(x.logit()).exp()
    torch.testing.assert_close(w, torch.tensor([0.2, 0.4, 0.36, 0.04], dtype=torch.float64))
    torch.testing.assert_close(fraction_logits(w.log()), x.logit())


def test_no_stick_is_lost():
    logits = torch.tensor([80.0, -300.0, 5000.0, 2.0])
    log_w = log_weights(logits)
    assert torch.isfinite(log_w).all()
    # The later sticks are broken off e^-80 of the first; their logits come back all the same.
    torch.testing.assert_close(fraction_logits(log_w.double()).float(), logits, rtol=1e-4, atol=1e-4)


def test_log_ratios_cost_no_jacobian():
    logits = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
    to_log_ratios = biject_to(LogStickBreaking.support).inv
    jacobian = torch.autograd.functional.jacobian(lambda v: to_log_ratios(log_weights(v)), logits)
    assert torch.linalg.det(jacobian).item() == pytest.approx(1.0)


def test_falling_beta_fractions_are_the_uniform_dirichlet():
    uniform = StickBreaking(LogitBeta(torch.ones(3), torch.tensor([3.0, 2.0, 1.0])))
    w = uniform.sample((5,))
    torch.testing.assert_close(uniform.log_prob(w), Dirichlet(torch.ones(4)).log_prob(w), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(uniform.mean, torch.full((4,), 0.25))
    torch.testing.assert_close(uniform.variance, Dirichlet(torch.ones(4)).variance)


def test_gem_falls_geometrically_on_average():
    alpha = torch.tensor(3.0)
    gem = StickBreaking.gem(alpha, 6)
    expected = torch.tensor([(1 / 4) * (3 / 4) ** k for k in range(5)] + [(3 / 4) ** 5])
    torch.testing.assert_close(gem.mean, expected)
    assert LogStickBreaking.gem(torch.ones(2), 6).batch_shape == (2,)


@pytest.mark.parametrize("family", [StickBreaking, LogStickBreaking])
def test_kl_is_the_sum_of_the_fractions(family):
    a, b = torch.rand(2, 2, 3, dtype=torch.float64) * 3 + 0.2
    fractions, prior = LogKumaraswamy(a, b), LogitBeta(torch.ones(3).double(), torch.tensor(5.0).double())
    kl = kl_divergence(family(fractions), family(prior))
    torch.testing.assert_close(kl, kl_divergence(fractions, prior).sum(-1))
    p, q = family(fractions), family(prior)
    draws = p.sample((20_000,))
    difference = p.log_prob(draws) - q.log_prob(draws)
    # Five standard errors: over seeds it fails once in a million.
    assert ((difference.mean(0) - kl).abs() < 5 * difference.std(0) / len(draws) ** 0.5).all()


def test_moments_of_the_logarithms_are_those_of_the_uniform_dirichlet():
    uniform = LogStickBreaking(LogitBeta(torch.ones(3).double(), torch.tensor([3.0, 2.0, 1.0]).double()))
    dirichlet = LogDirichlet(torch.ones(4).double())
    torch.testing.assert_close(uniform.mean, dirichlet.mean)
    torch.testing.assert_close(uniform.variance, dirichlet.variance)
    plain = StickBreaking(uniform.fractions)
    torch.testing.assert_close(plain.entropy(), Dirichlet(torch.ones(4).double()).entropy())


def test_mode_of_weights_from_beta_fractions_is_that_of_the_dirichlet():
    """Beta(a_k, a_{k+1} + ... + a_K) fractions make a Dirichlet(a)."""
    a = torch.tensor([2.0, 1.5, 4.0, 3.0], dtype=torch.float64)
    rest = a.flip(0).cumsum(0).flip(0)[1:]
    torch.testing.assert_close(StickBreaking(LogitBeta(a[:3], rest)).mode, (a - 1) / (a - 1).sum())
    assert StickBreaking.gem(torch.tensor(2.0), 4).mode.isnan().any()  # the density rises to the edge
    with pytest.raises(NotImplementedError, match="LogStickBreaking has that"):
        _ = StickBreaking(LogKumaraswamy(a, a)).mode


def test_moments_that_are_not_in_closed_form_say_so():
    d = LogStickBreaking(Normal(torch.zeros(3), torch.ones(3)))
    for moment in ("mean", "variance"):
        with pytest.raises(NotImplementedError, match="fractions from Normal are not in closed form"):
            getattr(d, moment)


def test_any_distribution_on_the_line_will_do():
    d = LogStickBreaking(Normal(torch.zeros(3), torch.ones(3)))
    assert d.log_prob(d.rsample((4,))).shape == (4,)
    torch.testing.assert_close(d.entropy(), 3 * 0.5 * torch.tensor(2 * math.pi * math.e).log())


@pytest.mark.parametrize(
    "fractions",
    [Normal(torch.tensor(0.0), torch.tensor(1.0)), torch.distributions.Beta(torch.ones(3), torch.ones(3))],
)
def test_fractions_without_sticks_or_on_the_interval_are_refused(fractions):
    with pytest.raises(ValueError, match="Expected fractions on the logit scale"):
        LogStickBreaking(fractions)


@pytest.mark.parametrize("family", [StickBreaking, LogStickBreaking])
def test_is_a_site_that_svi_fits_with_the_divergence_in_closed_form(family):
    data = torch.tensor([0, 0, 0, 1, 0, 2, 0, 1])

    def model():
        w = pyro.sample("w", family.gem(torch.tensor(2.0), 4))
        probs = w if family is StickBreaking else w.exp()
        with pyro.plate("data", len(data)):
            pyro.sample("x", pyro.distributions.Categorical(probs), obs=data)

    def guide():
        a, b = (
            pyro.param(name, torch.ones(3), constraint=torch.distributions.constraints.positive) for name in ("a", "b")
        )
        pyro.sample("w", family(LogKumaraswamy(a, b)))

    svi = SVI(model, guide, Adam({"lr": 0.05}), TraceMeanField_ELBO())
    losses = [svi.step() for _ in range(60)]
    assert math.isfinite(losses[-1])
    assert sum(losses[-10:]) < sum(losses[:10])
    # An automatic guide unconstrains it too.
    pyro.clear_param_store()
    assert math.isfinite(SVI(model, AutoNormal(model), Adam({"lr": 0.05}), TraceMeanField_ELBO()).step())
