"""ARM, DisARM and measure-valued gradients: closed-form variances, and the noise that is drawn given a draw."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pyro_vae.errors import EstimatorError
from pyro_vae.estimators import ARM, DisARM, Estimator, MeasureValued
from pyro_vae.estimators.antithetic import antithetic_bits, first_one, sticks_of
from pyro_vae.estimators.relaxations import Relaxation
from pyro_vae.particles import Factor, Particles, Plate, Site
from pyro_vae.particles.data import with_fields

# -- one parameter per draw, so that one backward pass gives every draw's own gradient --------------------------------


def _rows(family: str, canonical: dict[str, Tensor], value: Tensor, f) -> Particles:
    """One site in a plate with a row per draw; its cost is f alone (log q and the prior have no weight)."""
    rows = (Plate("draws", value.shape[1], value.shape[1]),)
    known = frozenset({("p", "z"), ("q", "z")})

    def table(values: Tensor) -> Particles:
        zero = sum(0.0 * p.sum() for p in canonical.values())
        site = Site("z", values, log_p=Factor(f(values), rows), log_q=Factor(zero + 0.0 * values, rows), family=family)
        return Particles({"z": site}, len(values))

    site = table(value)["z"]
    noise = torch.rand(4, *value.shape, dtype=value.dtype)
    full = Site(
        "z",
        value,
        log_p=site.log_p,
        log_q=site.log_q,
        reparameterised=False,
        family=family,
        canonical=canonical,
        noise=noise,
        downstream=known,
        rerun=lambda values, temperature=None: _known(table(values), known),
    )
    return Particles({"z": full}, len(value))


def _known(particles: Particles, terms: frozenset) -> Particles:
    return with_fields(particles, {"z": {"downstream": terms}})


def _gradients(estimator: Estimator, particles: Particles, leaves: list[Tensor], control=None) -> list[Tensor]:
    grads = torch.autograd.grad(estimator(particles, control).guide_loss, leaves)
    return [-grad for grad in grads]


DRAWS = 1_000_000


def _bernoulli(logit: float, f1: float, f0: float):
    logits = torch.full((1, DRAWS), logit, dtype=torch.float64, requires_grad=True)
    value = torch.bernoulli(torch.sigmoid(logits.detach()))
    return logits, _rows("Bernoulli", {"logits": logits}, value, lambda b: f1 * b + f0 * (1 - b))


@pytest.mark.parametrize("logit", [0.6, -1.7, 0.0])
@pytest.mark.parametrize("estimator", [ARM(), DisARM()], ids=str)
def test_variance_of_one_bernoulli_is_the_closed_form(estimator, logit):
    """1e6 draws: a variance's relative standard error is below .3 %, so 3 % is 10 of them; means within 4."""
    torch.manual_seed(3)
    f1, f0 = 2.0, -1.0
    logits, particles = _bernoulli(logit, f1, f0)
    (grad,) = _gradients(estimator, particles, [logits])
    p = 1 / (1 + math.exp(-logit))
    pq, m, delta2 = p * (1 - p), min(p, 1 - p), (f1 - f0) ** 2
    expected = {
        "ARM": 2 / 3 * delta2 * (1 / 8 - (0.5 - m) ** 3) - delta2 * pq**2,
        "DisARM": 0.5 * delta2 * m * (1 - m) ** 2 * (1 - 2 * m),
    }[type(estimator).__name__]
    assert grad.mean().item() == pytest.approx((f1 - f0) * pq, abs=4 * math.sqrt(expected / DRAWS) + 1e-12)
    assert grad.var().item() == pytest.approx(expected, rel=0.03, abs=1e-12)


def _normal(mu: float, sigma: float, f):
    canonical = {
        name: torch.full((1, DRAWS), value, dtype=torch.float64, requires_grad=True)
        for name, value in (("loc", mu), ("scale", sigma))
    }
    return canonical, _rows("Normal", canonical, mu + sigma * torch.randn(1, DRAWS, dtype=torch.float64), f)


@pytest.mark.parametrize(("mu", "sigma", "k"), [(1.0, 1.0, 0.0), (0.5, 2.0, -1.0)])
def test_measure_valued_variance_is_the_closed_form(mu, sigma, k):
    """(16/pi - 4) delta^2 for the mean and 4 delta^2 + 4 sigma^2 for the scale; 1e6 draws, 3 % is over 5 standard
    errors."""
    torch.manual_seed(4)
    canonical, particles = _normal(mu, sigma, lambda x: (x - k) ** 2)
    for grad, mean, variance in zip(
        _gradients(MeasureValued(), particles, list(canonical.values())),
        (2 * (mu - k), 2 * sigma),
        ((16 / math.pi - 4) * (mu - k) ** 2, 4 * (mu - k) ** 2 + 4 * sigma**2),
        strict=True,
    ):
        assert grad.mean().item() == pytest.approx(mean, abs=4 * math.sqrt(variance / DRAWS))
        assert grad.var().item() == pytest.approx(variance, rel=0.03)


EXPECTATIONS = {
    # family: parameters, a draw of it, f, and the derivative of E f by the parameter that is learned
    "Poisson": ({"rate": 2.3}, lambda p: torch.poisson(p["rate"]), lambda x: x**2, lambda p: 1 + 2 * p["rate"]),
    "Exponential": (
        {"rate": 0.7},
        lambda p: torch.distributions.Exponential(p["rate"]).sample(),
        lambda x: x**2,
        lambda p: -4 / p["rate"] ** 3,
    ),
    "Gamma": (
        {"rate": 1.4, "concentration": 0.6},
        lambda p: torch.distributions.Gamma(p["concentration"], p["rate"]).sample(),
        lambda x: x**2,
        lambda p: -2 * p["concentration"] * (p["concentration"] + 1) / p["rate"] ** 3,
    ),
    "Weibull": (
        {"scale": 1.3, "concentration": 1.7},
        lambda p: torch.distributions.Weibull(p["scale"], p["concentration"]).sample(),
        lambda x: x**2,
        lambda p: 2 * p["scale"] * math.gamma(1 + 2 / p["concentration"]),
    ),
    "Bernoulli": (
        {"logits": 0.4},
        lambda p: torch.bernoulli(torch.sigmoid(p["logits"])),
        lambda x: 3 * x,
        lambda p: 3 * 0.25 / math.cosh(0.2) ** 2,
    ),
}


@pytest.mark.parametrize("family", EXPECTATIONS)
def test_measure_valued_mean_is_exact_for_every_family(family):
    """1e6 draws, 5 standard errors: failure budget 6e-7 each."""
    torch.manual_seed(5)
    numbers, sample, f, exact = EXPECTATIONS[family]
    canonical = {name: torch.full((1, DRAWS), value, dtype=torch.float64) for name, value in numbers.items()}
    learned = next(iter(canonical.values())).requires_grad_()
    value = sample({name: tensor.detach() for name, tensor in canonical.items()})
    (grad,) = _gradients(MeasureValued(), _rows(family, canonical, value, f), [learned])
    error = grad.mean().item() - exact(numbers)
    assert abs(error) <= 5 * grad.std().item() / math.sqrt(DRAWS) + 1e-12


def test_a_learned_concentration_is_sent_elsewhere():
    canonical = {name: torch.full((1, 3), 2.0, requires_grad=True) for name in ("rate", "concentration")}
    particles = _rows("Gamma", canonical, torch.ones(1, 3), lambda x: x)
    with pytest.raises(EstimatorError, match=r"'z' \(Gamma\) learns its concentration.*pathwise=True"):
        MeasureValued()(particles)


def test_disarm_is_never_above_arm():
    torch.manual_seed(6)
    for logit in (-3.0, -0.5, 0.2, 1.5):
        logits, particles = _bernoulli(logit, 1.0, 0.0)
        spread = [_gradients(e, particles, [logits])[0].var().item() for e in (ARM(), DisARM())]
        assert spread[1] < spread[0]


# -- the noise given the draw ----------------------------------------------------------------------------------------


def test_antithetic_bits_are_what_the_mirrored_noise_gives():
    """u given b is uniform where b says, and 1 - u gives the other bit: held to the definition with u in the open."""
    torch.manual_seed(0)
    logits = torch.linspace(-30, 30, 4001, dtype=torch.float64)
    p = torch.sigmoid(logits)
    value, noise = torch.bernoulli(p), torch.rand(4001, dtype=torch.float64)
    bits = antithetic_bits(logits, value, noise)
    u = bits.offset + 0.5
    decided = (u - (1 - p)).abs() > 1e-9
    assert torch.equal((u > 1 - p)[decided], value.bool()[decided])
    assert torch.equal((1 - u > 1 - p)[decided], bits.flipped.bool()[decided])


def test_sticks_give_back_their_category_and_an_antithetic_one_of_the_same_law():
    """Chi-square of 2e5 antithetic categories; 11.3 is the 1 % point for 3 degrees of freedom, 30 has budget 1e-6."""
    torch.manual_seed(1)
    count = 200_000
    logits = torch.tensor([0.3, -1.0, 0.9, 0.1], dtype=torch.float64).log_softmax(-1).expand(count, 4)
    category = torch.distributions.Categorical(logits=logits).sample()
    sticks = sticks_of(logits, category, torch.rand(count, 4, dtype=torch.float64))
    assert torch.equal(first_one(sticks.bits.value), category)
    expected = logits[0].exp() * count
    observed = torch.bincount(sticks.flipped_category, minlength=4).double()
    assert ((observed - expected) ** 2 / expected).sum() < 30
    assert (sticks.flipped_category != category).double().mean() > 0.6


@pytest.mark.parametrize("family", ["Bernoulli", "OneHotCategorical"])
def test_a_conditional_draw_has_its_corner_and_the_law_of_a_free_one(family):
    """Means of 4e5 draws against Logistic and Gumbel ones: 5 standard errors, budget 6e-7 per number."""
    torch.manual_seed(2)
    count = 400_000
    if family == "Bernoulli":
        logits = torch.full((count, 1), 0.8, dtype=torch.float64)
        value, mean, sd = torch.bernoulli(torch.sigmoid(logits)), 0.8, math.pi / math.sqrt(3)
    else:
        logits = torch.tensor([0.5, -1.0, 0.2], dtype=torch.float64).log_softmax(-1).expand(count, 3)
        value = torch.distributions.OneHotCategorical(logits=logits).sample()
        mean, sd = logits[0] + 0.5772156649, math.pi / math.sqrt(6)
    noise = torch.rand(1, *value.shape, dtype=torch.float64)
    site = Site("z", value, family=family, canonical={"logits": logits}, noise=noise)
    relaxation = Relaxation.of(site)
    z = relaxation.conditional.detach()
    corner = (z > 0).to(value) if family == "Bernoulli" else torch.nn.functional.one_hot(z.argmax(-1), 3).to(value)
    assert torch.equal(corner, value)
    assert ((z.mean(0) - mean).abs() < 5 * sd / math.sqrt(count)).all()
    torch.testing.assert_close(z.std(0), torch.full_like(z[0], sd), rtol=0.01, atol=0)
