"""REBAR and RELAX: what they learn, and what they cannot take."""

from __future__ import annotations

import math
from dataclasses import replace

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import SVI
from torch import Tensor

from pyro_vae.elbo import TraceELBO
from pyro_vae.errors import EstimatorError, OptionError
from pyro_vae.estimators import ARM, REBAR, RELAX, DisARM, Estimator, Network, ScoreFunction
from pyro_vae.estimators.base import refuse_families
from pyro_vae.estimators.baselines import control_key
from pyro_vae.particles import Factor, Particles, Site


def _toy(logit: Tensor, bits: Tensor, target: float = 0.499) -> Particles:
    """E[(b - target)^2] of one bit and nothing else: RELAX's own example, where the two values of f differ by .002."""
    logits = logit.expand(len(bits))
    known = frozenset({("p", "b"), ("q", "b")})

    def table(values: Tensor) -> Particles:
        log_q = Factor(torch.distributions.Bernoulli(logits=logit, validate_args=False).log_prob(values), scale=0.0)
        site = Site(
            "b", values, log_p=Factor((values - target) ** 2), log_q=log_q, downstream=known, family="Bernoulli"
        )
        return Particles({"b": site}, len(values))

    site = replace(
        table(bits)["b"],
        reparameterised=False,
        canonical={"logits": logits},
        noise=torch.rand(1, len(bits), dtype=bits.dtype),
        rerun=lambda values, temperature=None: table(values),
    )
    return Particles({"b": site}, len(bits))


def _draw(logit: Tensor, count: int = 64, target: float = 0.499) -> Particles:
    return _toy(logit, torch.bernoulli(torch.sigmoid(logit.detach()).expand(count)), target)


def _learn(estimator: Estimator, particles: Particles, control, optimizer: torch.optim.Optimizer) -> None:
    """One step, and what the control remembers, as TraceELBO does it."""
    optimizer.zero_grad()
    estimate = estimator(particles, control)
    estimate.loss().backward()
    for name, value in estimate.control_state.items():
        dict(control.named_buffers())[name].copy_(value)
    optimizer.step()


def _train(estimator: Estimator, steps: int, learning_rate: float, count: int = 64):
    torch.manual_seed(0)
    logit = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    control = estimator.init(_draw(logit))
    groups = [{"params": [logit], "lr": learning_rate}]
    if control is not None:
        groups.append({"params": list(control.parameters()), "lr": 0.01})
    optimizer = torch.optim.Adam(groups)
    for _ in range(steps):
        _learn(estimator, _draw(logit, count), control, optimizer)
    return logit, control


def _variance(estimator: Estimator, logit: Tensor, control, target: float = 0.499) -> float:
    """Of single-draw gradients, from 20 000 draws at once: a relative standard error of a few percent."""
    torch.manual_seed(1)
    logits = logit.detach().expand(20_000).clone().requires_grad_()
    table = _toy(logits, torch.bernoulli(torch.sigmoid(logits.detach())), target)
    return (torch.autograd.grad(estimator(table, control).guide_loss, logits)[0] * len(logits)).var().item()


@pytest.mark.parametrize(
    ("estimator", "steps"), [pytest.param(RELAX(), 1500, marks=pytest.mark.slow), (RELAX(relaxed=False), 500)], ids=str
)
def test_relax_learns_to_have_a_ten_thousandth_of_the_score_functions_variance(estimator, steps):
    logit, control = _train(estimator, steps, 0.0)
    assert _variance(estimator, logit, control) < 1e-4 * _variance(ScoreFunction(), logit, None)


@pytest.mark.slow
def test_relax_converges_where_the_score_function_does_not():
    """2000 steps of Adam at .02 with 16 draws each; raising f, p should go to 1."""
    relax = torch.sigmoid(_train(RELAX(relaxed=False), 2000, 0.02, 16)[0]).item()
    plain = torch.sigmoid(_train(ScoreFunction(), 2000, 0.02, 16)[0]).item()
    assert relax > 0.95
    assert plain < 0.75


def test_rebar_learns_its_scale_and_temperature_and_its_variance_falls():
    logit = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    estimator = REBAR(scale=0.2)
    torch.manual_seed(0)
    control = estimator.init(_draw(logit, target=-1.0))
    before = _variance(estimator, logit, control, -1.0)
    optimizer = torch.optim.Adam(control.parameters(), lr=0.02)
    for _ in range(300):
        _learn(estimator, _draw(logit, target=-1.0), control, optimizer)
    assert _variance(estimator, logit, control, -1.0) < 0.1 * before
    assert control.site_b["scale"].item() == pytest.approx(1.0, abs=0.2)
    assert abs(control.site_b["log_temperature"].item() - math.log(0.5)) > 0.1


def test_the_control_loss_moves_only_what_the_control_variate_learns():
    logit = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    particles = _draw(logit, 5)
    estimator = RELAX()
    control = estimator.init(particles)
    estimate = estimator(particles, control)
    own = torch.autograd.grad(estimate.control_loss, [logit, *control.parameters()], allow_unused=True)
    assert own[0] is None
    assert any(grad is not None and grad.abs().sum() > 0 for grad in own[1:])


# -- through Pyro ------------------------------------------------------------------------------------------------------


def _indexing_model():
    b = pyro.sample("b", dist.Bernoulli(0.4))
    pyro.sample("x", dist.Normal(torch.tensor([0.0, 1.0])[b.long()], 1.0), obs=torch.tensor(0.3))


def _even_model():
    """The same under flipping both bits, so that no flip shows that it depends on them."""
    b = torch.stack([pyro.sample(f"b{i}", dist.Bernoulli(0.4)) for i in range(2)])
    pyro.factor("f", torch.tensor([0.0, 2.0])[(b[0] - b[1]).abs().round().long()])


def _even_guide():
    for i in range(2):
        pyro.sample(f"b{i}", dist.Bernoulli(logits=pyro.param(f"logit{i}", lambda: torch.tensor(0.3))))


def _even_row_model():
    b = pyro.sample("b", dist.Bernoulli(torch.full((2,), 0.4)).to_event(1))
    pyro.factor("f", torch.tensor([0.0, 2.0])[(b[..., 0] - b[..., 1]).abs().round().long()])


def _even_row_guide():
    logits = pyro.param("logits", lambda: torch.tensor([0.3, -0.2]))
    pyro.sample("b", dist.Bernoulli(logits=logits).to_event(1))


@pytest.mark.parametrize("estimator", [REBAR(), RELAX()], ids=str)
@pytest.mark.parametrize(("model", "guide"), [(_even_model, _even_guide), (_even_row_model, _even_row_guide)])
def test_an_index_that_is_even_in_the_bits_is_found_too(estimator, model, guide):
    with pytest.raises(EstimatorError, match=r"'b0?' cannot be relaxed.*site 'f' in the model"):
        TraceELBO(estimator, num_particles=3).differentiable_loss(model, guide)


def _bit_guide():
    pyro.sample("b", dist.Bernoulli(logits=pyro.param("logit", lambda: torch.tensor(0.3))))


@pytest.mark.parametrize("estimator", [REBAR(), RELAX()], ids=str)
def test_a_model_that_indexes_with_the_value_cannot_be_relaxed_and_is_told_so(estimator):
    with pytest.raises(EstimatorError, match=r"'b' cannot be relaxed.*site 'x' in the model.*DisARM"):
        TraceELBO(estimator, num_particles=3).differentiable_loss(_indexing_model, _bit_guide)
    TraceELBO(RELAX(relaxed=False), num_particles=3).differentiable_loss(_indexing_model, _bit_guide).backward()


@pytest.mark.parametrize(
    ("estimator", "match"),
    [
        (ARM(), r"ARM takes sites of Bernoulli.*'k' \(Poisson\).*MeasureValued"),
        (DisARM(), r"DisARM takes sites of .*'k' \(Poisson\)"),
        (REBAR(), r"REBAR takes sites of .*'k' \(Poisson\)"),
        (RELAX(relaxed=False), r"RELAX takes sites of .*'k' \(Poisson\)"),
    ],
    ids=str,
)
def test_a_site_of_another_family_is_named_with_the_estimators_that_can_take_it(estimator, match):
    def model():
        pyro.sample("k", dist.Poisson(2.0))

    def guide():
        pyro.sample("k", dist.Poisson(pyro.param("rate", lambda: torch.tensor(1.5))))

    with pytest.raises(EstimatorError, match=match):
        TraceELBO(estimator, num_particles=2).differentiable_loss(model, guide)


def test_a_site_that_cannot_be_run_again_is_named():
    site = Site("b", torch.zeros(2), log_q=Factor(torch.zeros(2)), reparameterised=False, family="Bernoulli")
    with pytest.raises(EstimatorError, match=r"'b' \(Bernoulli\), which cannot be done"):
        refuse_families([site], DisARM(), ("Bernoulli",))


# -- the sites of a control --------------------------------------------------------------------------------------------

ODD_NAMES = ("a.b", "a_b", "a_dot_b", "a._b", "a_.b", "values", "keys", "type")


@pytest.mark.parametrize("estimator", [REBAR(), RELAX((4,)), ScoreFunction("moving-average")], ids=str)
def test_every_name_has_a_key_of_its_own(estimator):
    def model():
        for name in ODD_NAMES:
            pyro.sample(name, dist.Bernoulli(0.4))

    def guide():
        for index, name in enumerate(ODD_NAMES):
            pyro.sample(name, dist.Bernoulli(logits=pyro.param(f"logit{index}", lambda: torch.tensor(0.3))))

    elbo = TraceELBO(estimator, num_particles=2)
    assert math.isfinite(elbo.differentiable_loss(model, guide).item())
    assert len({control_key(Site(name, torch.zeros(()))) for name in ODD_NAMES}) == len(ODD_NAMES)
    children = elbo.control._modules or elbo.control._buffers
    assert len(children) == len(ODD_NAMES)


@pytest.mark.parametrize(
    "estimator", [REBAR(), RELAX((4,)), ScoreFunction("moving-average"), ScoreFunction(Network((4,)))], ids=str
)
def test_a_site_that_the_first_draw_did_not_have_is_named(estimator):
    """The loop takes other rows in the second step than in the first."""
    taken = [0, 1]

    def rows():
        return (f"z{i}" for i in taken)

    def model():
        for name in rows():
            pyro.sample(name, dist.Bernoulli(0.4))

    def guide():
        logit = pyro.param("logit", lambda: torch.tensor(0.3))
        for name in rows():
            pyro.sample(name, dist.Bernoulli(logits=logit), infer={"baseline_input": torch.ones(1)})

    elbo = TraceELBO(estimator, num_particles=2)
    elbo.differentiable_loss(model, guide)
    taken[1] = 2
    with pytest.raises(EstimatorError, match=r"site 'z2': the first draw did not have it.*pyro\.plate.*leave-one-out"):
        elbo.differentiable_loss(model, guide)


def _plain_model():
    b = pyro.sample("b", dist.Bernoulli(0.4))
    pyro.factor("f", 2 * (b - 0.3) ** 2)


def test_two_objectives_in_one_param_store_both_learn():
    objectives = [TraceELBO(REBAR(), num_particles=4) for _ in range(2)]
    svis = [SVI(_plain_model, _bit_guide, pyro.optim.Adam({"lr": 0.01}), loss=elbo) for elbo in objectives]
    pyro.set_rng_seed(0)
    for _ in range(2):
        for elbo, svi in zip(objectives, svis, strict=True):
            before = None if elbo.control is None else elbo.control.site_b["scale"].item()
            svi.step()
            if before is not None:
                assert elbo.control.site_b["scale"].item() != before


def test_an_unweighted_copy_made_before_the_first_draw_learns_what_its_original_learns():
    elbo = TraceELBO(REBAR(), num_particles=4, beta=2.0)
    plain = elbo.unweighted()
    elbo.differentiable_loss(_plain_model, _bit_guide)
    assert plain.control is elbo.control is not None
    plain.differentiable_loss(_plain_model, _bit_guide)
    assert plain.control is elbo.control
    assert plain._learnt is not TraceELBO(REBAR())._learnt


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: REBAR(temperature=0.0), "temperature=0.0"),
        (lambda: REBAR(scale=float("nan")), "scale=nan"),
        (lambda: RELAX(temperature=-1), "temperature=-1"),
        (lambda: RELAX(hidden=(4, 0)), "hidden"),
    ],
)
def test_a_wrong_hyperparameter_is_named(make, match):
    with pytest.raises(OptionError, match=match):
        make()
