"""``Pass.RERUN``: what stays, what is drawn anew, and that the estimators which use it are right on Pyro programs."""

from __future__ import annotations

from dataclasses import replace

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine

from pyro_vae.elbo import TraceELBO
from pyro_vae.estimators import ARM, REBAR, RELAX, DisARM, Estimator, MeasureValued, ScoreFunction
from pyro_vae.particles import Pass, draw
from tests.pairs import PAIRS, gradients

ASKED = {Pass.RERUN, Pass.DOWNSTREAM}


def _pair(name: str):
    pyro.clear_param_store()
    return next(pair for pair in PAIRS if pair.name == name).make()


@pytest.mark.parametrize("vectorize", [True, False])
@pytest.mark.parametrize(
    ("name", "site", "below"), [("mixed", "w", {"z"}), ("discrete chain", "b1", {"b2"}), ("discrete chain", "c", set())]
)
def test_descendants_are_drawn_anew_and_all_else_stays(name, site, below, vectorize):
    model, guide, args = _pair(name)
    particles = draw(model, guide, args, num_particles=8, passes=ASKED, vectorize=vectorize)
    own = particles[site]
    again = own.rerun(torch.cat([own.value, own.value]))
    assert again.num_particles == 16
    for other in particles.latent:
        value = again[other.name].value
        if other.name in below:
            assert not torch.equal(value[:8], value[8:])
        else:
            assert torch.equal(value, torch.cat([other.value, other.value]))
    if not below:
        torch.testing.assert_close(again.log_w(), particles.log_w().repeat(2))


def test_reruns_see_the_rows_that_the_draw_saw():
    model, guide, args = _pair("subsampled plate")
    particles = draw(model, guide, args, num_particles=3, passes=ASKED)
    again = particles["z"].rerun(particles["z"].value)
    assert torch.equal(again.subsamples["data"], particles.subsamples["data"])
    torch.testing.assert_close(again.log_p(), particles.log_p())


def test_a_rerun_of_one_particle_can_hold_many():
    model, guide, args = _pair("discrete")
    particles = draw(model, guide, args, passes=ASKED)
    values = torch.eye(5)[:, None].flatten(0, 1)
    together = particles["z"].rerun(values).log_p()
    apart = torch.cat([particles["z"].rerun(row[None]).log_p() for row in values])
    torch.testing.assert_close(together, apart)


def test_relaxed_values_reach_the_model_and_discrete_descendants_with_a_derivative():
    model, guide, args = _pair("discrete chain")
    particles = draw(model, guide, args, num_particles=4, passes=ASKED)
    value = torch.full((4,), 0.3, requires_grad=True)
    again = particles["b1"].rerun(value, 0.5)
    below = again["b2"].value
    assert ((below > 0) & (below < 1)).all()
    assert torch.autograd.grad(below.sum(), value, retain_graph=True)[0].abs().min() > 0
    assert torch.equal(again["c"].value, particles["c"].value)


def test_a_one_hot_log_probability_is_linear_between_the_corners():
    logits = torch.tensor([0.2, -1.0, 0.7])

    def program():
        pyro.sample("z", dist.OneHotCategorical(logits=logits.expand(2, 3)).to_event(1))

    particles = draw(program, program, num_particles=2, passes=ASKED)
    value = torch.softmax(torch.randn(2, 2, 3), -1)
    again = particles["z"].rerun(value, 0.5)
    expected = (value * torch.log_softmax(logits, -1)).sum((-1, -2))
    torch.testing.assert_close(again["z"].log_q.log_prob, expected)
    torch.testing.assert_close(again["z"].log_p.log_prob, expected)


# -- right on Pyro programs: plates, subsamples, hierarchies, auxiliary sites ---------------------------------------


def _categories():
    """A category per row, an index into the rows' means: nothing that could be relaxed."""

    def model(x):
        with pyro.plate("data", 5, subsample_size=2) as rows:
            z = pyro.sample("z", dist.Categorical(torch.tensor([0.2, 0.5, 0.3])))
            pyro.sample("x", dist.Normal(torch.tensor([-1.0, 0.0, 2.0])[z], 1.0), obs=x[rows])

    def guide(x):
        logits = pyro.param("logits", lambda: torch.tensor([0.1, -0.4, 0.6]))
        with pyro.plate("data", 5, subsample_size=2) as rows:
            pyro.sample("z", dist.Categorical(logits=logits * x[rows, None]))

    return model, guide, (torch.tensor([0.3, -1.2, 0.8, 2.0, -0.4]),)


def _vector():
    """Three bits as one event, with a joint cost."""

    def model(x):
        b = pyro.sample("b", dist.Bernoulli(torch.tensor([0.3, 0.6, 0.5])).to_event(1))
        pyro.sample("x", dist.Normal(b[..., 0] * b[..., 1] - b[..., 2], 1.0), obs=x[0])

    def guide(x):
        pyro.sample(
            "b", dist.Bernoulli(logits=pyro.param("logits", lambda: torch.tensor([0.4, -0.3, 0.9]))).to_event(1)
        )

    return model, guide, (torch.tensor([0.3]),)


def _bit_and_more(rest):
    """A bit, and a model that uses it in a way that is easily overlooked."""

    def model(x):
        rest(pyro.sample("b", dist.Bernoulli(0.5)), x)

    def guide(x):
        pyro.sample("b", dist.Bernoulli(logits=pyro.param("logit", lambda: torch.tensor(0.4))))

    return lambda: (model, guide, (torch.tensor([1.3, -0.4]),))


def _in_a_mask(b, x):
    with pyro.plate("data", 2), poutine.mask(mask=b.bool()):
        pyro.sample("x", dist.Normal(0.0, 1.0), obs=x)


def _in_a_scale(b, x):
    with pyro.plate("data", 2), poutine.scale(scale=1.0 + 3.0 * b):
        pyro.sample("x", dist.Normal(0.0, 1.0), obs=x)


def _in_a_slice(b, x):
    loc = torch.zeros((*b.shape, 2))
    loc[..., 0] = b
    pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)


def _masked_bit():
    """The bit's own terms are masked; what it leads to is not."""

    def model(x):
        with poutine.mask(mask=torch.tensor(False)):
            b = pyro.sample("b", dist.Bernoulli(0.5))
        pyro.sample("x", dist.Normal(2 * b, 1.0), obs=x[0])

    def guide(x):
        with poutine.mask(mask=torch.tensor(False)):
            pyro.sample("b", dist.Bernoulli(logits=pyro.param("logit", lambda: torch.tensor(0.4))))

    return model, guide, (torch.tensor([1.3]),)


def _row_by_row():
    """A bit, and below it a bit for each of two rows that are looked at one after the other."""

    def model(x):
        b = pyro.sample("b", dist.Bernoulli(0.5))
        for i in pyro.plate("data", 6, subsample_size=2):
            z = pyro.sample(f"z_{i}", dist.Bernoulli(0.3 + 0.4 * b))
            pyro.sample(f"x_{i}", dist.Normal(z, 0.7), obs=x[i])

    def guide(x):
        logits = pyro.param("logits", lambda: torch.tensor([0.4, -0.5, 1.5]))
        b = pyro.sample("b", dist.Bernoulli(logits=logits[0]))
        for i in pyro.plate("data", 6, subsample_size=2):
            pyro.sample(f"z_{i}", dist.Bernoulli(logits=logits[1] + logits[2] * b))

    return model, guide, (torch.tensor([0.3, 1.2, 0.8, 2.0, 1.4, 0.9]),)


OVERLOOKED = {
    "in a mask": _bit_and_more(_in_a_mask),
    "in a scale": _bit_and_more(_in_a_scale),
    "in a slice": _bit_and_more(_in_a_slice),
    "masked bit": _masked_bit,
}
PROGRAMS = OVERLOOKED | {pair.name: pair.make for pair in PAIRS} | {"categories": _categories, "vector": _vector}
DISCRETE = ["discrete", "mixed", "auxiliary discrete", "discrete chain", "vector"]
CASES = [
    *((ARM(), name) for name in DISCRETE),
    *((DisARM(), name) for name in (*DISCRETE, "categories")),
    *((REBAR(), name) for name in ("discrete", "discrete chain", "vector", "mixed")),
    *((RELAX(), name) for name in ("discrete", "vector")),
    *((RELAX(relaxed=False), name) for name in ("auxiliary discrete", "discrete chain", "categories")),
    *((ScoreFunction("leave-one-out"), name) for name in OVERLOOKED),
    *((DisARM(), name) for name in OVERLOOKED),
    *((MeasureValued(), name) for name in (*DISCRETE, "same-dim plates", "subsampled plate", "AutoNormal")),
]


# Believes nothing about what influences what.
REFERENCE = ScoreFunction(baseline="leave-one-out", pathwise=True, downstream=False)


def _mean_gradients(
    estimator: Estimator, make, repeats: int, particles: int = 200
) -> tuple[torch.Tensor, torch.Tensor]:
    pyro.clear_param_store()
    pyro.set_rng_seed(11)
    model, guide, args = make()
    elbo = TraceELBO(estimator, num_particles=particles)
    found = []
    for _ in range(repeats):
        elbo.differentiable_loss(model, guide, *args).backward()
        grads = gradients()
        own = [grad.flatten() for name, grad in sorted(grads.items()) if not name.startswith("estimator_control")]
        found.append(torch.cat(own))
    rows = torch.stack(found).double()
    return rows.mean(0), rows.std(0) / repeats**0.5


@pytest.mark.parametrize(("estimator", "name"), CASES, ids=str)
def test_mean_gradient_is_the_score_functions(estimator, name):
    """60 estimates of 200 particles each; 5 standard errors of the difference, about 150 numbers: budget 1e-4."""
    found, error = _mean_gradients(estimator, PROGRAMS[name], 60)
    expected, spread = _mean_gradients(REFERENCE, PROGRAMS[name], 60)
    assert ((found - expected).abs() <= 5 * (error**2 + spread**2).sqrt() + 1e-6).all()


def test_looped_particles_give_the_same_estimate_as_vectorised_ones():
    """DisARM's noise is fixed by hand, so that both see the same numbers."""
    model, guide, args = _pair("discrete")
    both = []
    for vectorize in (True, False):
        pyro.clear_param_store()
        pyro.set_rng_seed(0)
        first = draw(model, guide, args, num_particles=4, vectorize=True)["z"].value
        table = draw(model, guide, args, num_particles=4, passes=ASKED, vectorize=vectorize, values={"z": first})
        noise = torch.linspace(0.05, 0.95, first.numel()).reshape(1, *first.shape)
        sites = {**table.sites, "z": replace(table["z"], noise=noise)}
        DisARM()(replace(table, sites=sites)).loss().backward()
        both.append(gradients())
    for name, grad in both[0].items():
        torch.testing.assert_close(grad, both[1][name])


@pytest.mark.slow
def test_rows_that_the_first_look_did_not_see_are_drawn_anew_too():
    """Every estimate has two of six rows. 400 estimates of 8 particles; 5 standard errors, 3 numbers: budget 2e-6."""
    found, error = _mean_gradients(DisARM(), _row_by_row, 400, 8)
    expected, spread = _mean_gradients(REFERENCE, _row_by_row, 400, 8)
    assert ((found - expected).abs() <= 5 * (error**2 + spread**2).sqrt()).all()
