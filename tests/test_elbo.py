"""``TraceELBO`` against Pyro's own objectives, from the same draws, and where Pyro's are wrong."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import SVI, Trace_ELBO, TraceGraph_ELBO, TraceMeanField_ELBO
from pyro.infer.autoguide import AutoNormal

from pyro_vae.elbo import TraceELBO
from pyro_vae.errors import EstimatorError, ModelError, OptionError
from pyro_vae.estimators import AnalyticKL, Reparameterized, ScoreFunction
from tests.against_pyro import check_against
from tests.pairs import PAIRS, gradients

RIGHT = [pair for pair in PAIRS if pair.pyro_is_right]


@pytest.mark.parametrize("particles", [1, 4])
@pytest.mark.parametrize("pair", RIGHT, ids=lambda pair: pair.name)
def test_gradient_is_trace_elbos_from_the_same_draws(pair, particles):
    estimator = Reparameterized() if pair.reparameterised else ScoreFunction(pathwise=True, downstream=False)
    check_against(Trace_ELBO, estimator, pair, particles)


@pytest.mark.parametrize("name", ["discrete", "mixed", "auxiliary discrete", "discrete chain"])
def test_gradient_is_trace_graph_elbos_from_the_same_draw(name):
    """Only downstream costs: Pyro's TraceGraph_ELBO has no `differentiable_loss` (P5) but can be compared through its
    gradients."""
    pair = next(pair for pair in PAIRS if pair.name == name)
    model, guide, args = pair.make()
    ours = TraceELBO(ScoreFunction(pathwise=True))
    ours.loss(model, guide, *args)
    results = []
    for objective in (ours, TraceGraph_ELBO()):
        gradients()
        pyro.set_rng_seed(3)
        results.append((objective.loss_and_grads(model, guide, *args), gradients()))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    for key, expected in results[1][1].items():
        torch.testing.assert_close(results[0][1][key], expected, rtol=1e-4, atol=1e-5)
    assert not hasattr(TraceGraph_ELBO(), "differentiable_loss")


MEAN_FIELD = [
    pair
    for pair in PAIRS
    if pair.name in {"params", "nested plates", "subsampled plate", "events", "shared prior", "neural"}
]


@pytest.mark.parametrize("particles", [1, 4])
@pytest.mark.parametrize("pair", MEAN_FIELD, ids=lambda pair: pair.name)
def test_analytic_gradient_is_trace_mean_fields_from_the_same_draws(pair, particles):
    check_against(TraceMeanField_ELBO, AnalyticKL(), pair, particles)


def _ordered_pair(reversed_guide: bool):
    """z1 -> z2 in the model; the guide draws z2 first and z1 given it."""

    def model():
        z1 = pyro.sample("z1", dist.Normal(0.0, 1.0))
        z2 = pyro.sample("z2", dist.Normal(z1, 1.0))
        pyro.sample("x", dist.Normal(z2, 1.0), obs=torch.tensor(0.0))

    def guide():
        if reversed_guide:
            z2 = pyro.sample("z2", dist.Normal(0.0, 1.0))
            pyro.sample("z1", dist.Normal(z2, 1.0))
        else:
            z1 = pyro.sample("z1", dist.Normal(0.0, 1.0))
            pyro.sample("z2", dist.Normal(z1, 1.0))

    return model, guide


def test_analytic_kl_is_right_when_the_guides_order_differs_from_the_models():
    model, guide = _ordered_pair(reversed_guide=True)
    # By hand: E log p(x|z2) = -(log 2 pi + 1)/2, and E_q[log p - log q] with z2 ~ N(0,1), z1|z2 ~ N(z2,1), z1 ~ N(0,2):
    # E log p(z1) = -log(2 pi)/2 - 1, E log p(z2|z1) = -log(2 pi)/2 - 1/2, E log q = -log(2 pi) - 1.
    exact = -(torch.log(torch.tensor(2 * torch.pi)) + 1) / 2 - 0.5
    pyro.set_rng_seed(0)
    # 4e4 draws; sd of one is about 1.6, so 0.05 is more than 6 standard errors: failure budget 1e-9
    ours = -TraceELBO(AnalyticKL(), num_particles=40_000).loss(model, guide)
    assert ours == pytest.approx(exact.item(), abs=0.05)
    with pytest.warns(UserWarning, match="mean field"):
        theirs = -TraceMeanField_ELBO(num_particles=40_000, vectorize_particles=True, max_plate_nesting=0).loss(
            model, guide
        )
    assert abs(theirs - exact.item()) > 0.3


def test_analytic_kl_is_used_where_the_order_agrees():
    model, guide = _ordered_pair(reversed_guide=False)
    elbo = TraceELBO(AnalyticKL(), num_particles=4)
    particles = elbo.particles(model, guide)
    assert particles["z1"].kl is not None
    assert particles["z2"].kl is not None
    torch.testing.assert_close(particles["z2"].kl.log_prob, torch.zeros(4))


def test_analytic_kl_sees_through_auto_normal():
    def model():
        pyro.sample("z", dist.Normal(1.0, 2.0))
        pyro.sample("s", dist.LogNormal(0.5, 1.0))

    guide = AutoNormal(model)
    elbo = TraceELBO(AnalyticKL(), num_particles=3)
    particles = elbo.particles(model, guide)
    q = torch.distributions.Normal(guide.locs.z, guide.scales.z)
    expected = torch.distributions.kl_divergence(q, torch.distributions.Normal(1.0, 2.0)).expand(3)
    torch.testing.assert_close(particles["z_unconstrained"].kl.log_prob, expected)
    assert particles["s_unconstrained"].kl_covers == ("s",)
    losses = {elbo.loss(model, guide) for _ in range(3)}
    assert len(losses) == 1  # nothing is sampled any more
    with torch.no_grad():
        sampled = -TraceELBO(num_particles=40_000).loss(model, guide)
    assert -losses.pop() == pytest.approx(sampled, abs=0.05)  # > 6 standard errors


def test_p4_auxiliary_sites_are_in_the_score_cost():
    """Pyro's Trace_ELBO leaves them out of the cost and is biased; the exact gradient is by numerical
    differentiation."""
    pair = next(pair for pair in PAIRS if pair.name == "auxiliary discrete")
    model, guide, args = pair.make()
    TraceELBO(ScoreFunction(pathwise=True)).loss(model, guide, *args)
    logit = dict(pyro.get_param_store().named_parameters())["logit"]

    def bound(value):
        p = torch.sigmoid(value)
        terms = []
        for weight, loc in ((1 - p, torch.tensor(-0.5)), (p, torch.tensor(0.9))):
            mean_sq = loc**2 + 0.36
            log_joint = -torch.log(torch.tensor(2 * torch.pi)) - mean_sq / 2 - ((args[0][0] - loc) ** 2 + 0.36) / 2
            entropy = 0.5 * torch.log(torch.tensor(2 * torch.pi * torch.e * 0.36)) - torch.log(weight)
            terms.append(weight * (log_joint + entropy))
        return sum(terms)

    value = logit.detach().clone().requires_grad_(True)
    exact = -torch.autograd.grad(bound(value), value)[0].item()

    def mean_gradient(objective):
        pyro.set_rng_seed(1)
        logit.grad = None
        objective.differentiable_loss(model, guide, *args).backward()
        return logit.grad.item()

    # one draw's sd is about .7: 4e4 draws give a standard error of .004, .02 is a budget of 1e-6
    ours = mean_gradient(TraceELBO(ScoreFunction(pathwise=True), num_particles=40_000))
    theirs = mean_gradient(Trace_ELBO(num_particles=40_000, vectorize_particles=True, max_plate_nesting=0))
    assert ours == pytest.approx(exact, abs=0.02)
    assert abs(theirs - exact) > 0.08


def test_loss_value_is_minus_the_bound_and_svi_returns_it():
    model, guide, args = PAIRS[0].make()
    elbo = TraceELBO("score-function:leave-one-out", num_particles=8)
    pyro.set_rng_seed(2)
    loss = elbo(model, guide) if isinstance(model, torch.nn.Module) else elbo.differentiable_loss(model, guide, *args)
    pyro.set_rng_seed(2)
    assert elbo.loss(model, guide, *args) == pytest.approx(loss.item())
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.0}), loss=elbo)
    pyro.set_rng_seed(2)
    assert svi.step(*args) == pytest.approx(loss.item())
    pyro.set_rng_seed(2)
    assert svi.evaluate_loss(*args) == pytest.approx(loss.item())


def test_a_discrete_site_under_reparameterized_is_an_error_that_names_it():
    model, guide, args = next(pair for pair in PAIRS if pair.name == "mixed").make()
    with pytest.raises(EstimatorError, match=r"'z'.*ScoreFunction"):
        TraceELBO().loss(model, guide, *args)


def test_leave_one_out_needs_two_particles():
    model, guide, args = PAIRS[0].make()
    with pytest.raises(EstimatorError, match="num_particles >= 2"):
        TraceELBO(ScoreFunction(baseline="leave-one-out")).loss(model, guide, *args)


@pytest.mark.parametrize("count", [0, -1, 2.5, True, "3"])
def test_a_wrong_number_of_particles_is_an_error(count):
    with pytest.raises(OptionError, match="num_particles"):
        TraceELBO(num_particles=count)


def test_a_name_that_is_no_estimator_gives_the_nearest():
    with pytest.raises(OptionError, match="score-function"):
        TraceELBO("score-functoin")


def test_p11_a_support_that_depends_on_another_site_is_explained():
    def model():
        alpha = pyro.sample("alpha", dist.Uniform(0.0, 1.0))
        pyro.sample("beta", dist.Uniform(0.0, 1.0 - alpha))

    guide = AutoNormal(model)
    with pytest.raises(ModelError, match=r"'beta'.*depends on another site.*beta_unit"):
        TraceELBO(num_particles=4).loss(model, guide)
    plain = AutoNormal(model, init_scale=1.0)

    def train():
        for seed in range(20):
            pyro.set_rng_seed(seed)
            Trace_ELBO().loss(model, plain)

    with pytest.raises(ValueError, match="beta"):  # what Pyro says, once a draw falls outside
        train()


def test_p10_flat_priors_just_work():
    x = torch.tensor([1.0, 2.0, 4.0])

    def model():
        loc = pyro.sample("loc", dist.ImproperUniform(torch.distributions.constraints.real, (), ()))
        scale = pyro.sample("scale", dist.ImproperUniform(torch.distributions.constraints.positive, (), ()))
        with pyro.plate("data", 3):
            pyro.sample("x", dist.Normal(loc, scale), obs=x)

    with pytest.raises(NotImplementedError):
        Trace_ELBO().loss(model, AutoNormal(model))
    loss = TraceELBO(num_particles=4).loss(model, AutoNormal(model))
    assert torch.isfinite(torch.tensor(loss))
