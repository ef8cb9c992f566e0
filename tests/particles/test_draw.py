"""``draw`` on every pair: shapes by frame, looped = vectorised, global state left alone."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer.autoguide import AutoNormal

from pyro_vae.errors import ModelError
from pyro_vae.particles import Pass, draw, run_model
from pyro_vae.particles.plan import plan_pair
from tests.pairs import PAIRS, X5

by_name = {pair.name: pair for pair in PAIRS}
every_pair = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)


@every_pair
def test_latents_carry_particles_then_plates(pair):
    model, guide, args = pair.make()
    particles = draw(model, guide, args, num_particles=3)
    assert set(pair.latents) <= {site.name for site in particles.latent}
    for site in particles.sites.values():
        for factor in (site.log_p, site.log_q):
            if factor is not None:
                assert factor.log_prob.shape == (3, *(plate.size for plate in factor.axes))
    assert particles.log_w().shape == (3,)


@every_pair
def test_looped_and_vectorised_agree_at_the_same_values(pair):
    model, guide, args = pair.make()
    plan = plan_pair(model, guide, args)
    assert plan.vectorize, plan.why_looped
    together = draw(model, guide, args, num_particles=3, plan=plan)
    values = {site.name: site.value for site in together.latent if not site.deterministic}
    with _same_rows(together):
        looped = draw(model, guide, args, num_particles=3, vectorize=False, values=values)
    torch.testing.assert_close(looped.log_w(), together.log_w())
    for name, site in together.sites.items():
        if site.log_p is not None:
            torch.testing.assert_close(looped[name].log_p.log_prob, site.log_p.log_prob)


def _same_rows(particles):
    from pyro_vae.particles.handlers import GivenSubsamples

    return GivenSubsamples(particles.subsamples)


@every_pair
def test_discovery_leaves_rng_and_param_store_alone(pair):
    model, guide, args = pair.make()
    pyro.set_rng_seed(11)
    before, names = torch.get_rng_state(), set(pyro.get_param_store().keys())
    plan_pair(model, guide, args, passes=tuple(Pass))
    assert torch.equal(torch.get_rng_state(), before)
    assert set(pyro.get_param_store().keys()) == names


@every_pair
def test_the_generator_is_consumed_as_pyro_does(pair):
    model, guide, args = pair.make()
    plan = plan_pair(model, guide, args)
    pyro.set_rng_seed(4)
    ours = draw(model, guide, args, num_particles=3, plan=plan)
    after = torch.get_rng_state()
    pyro.set_rng_seed(4)
    with pyro.plate("num_particles_vectorized", 3, dim=plan.particle_dim):
        guide_trace = poutine.trace(guide).get_trace(*args)
        poutine.trace(poutine.replay(model, trace=guide_trace)).get_trace(*args)
    assert torch.equal(torch.get_rng_state(), after)
    for name in pair.latents:
        torch.testing.assert_close(ours[name].value.flatten(), guide_trace.nodes[name]["value"].flatten())


@every_pair
def test_stopped_values_carry_no_gradient_to_the_model(pair):
    model, guide, args = pair.make()
    particles = draw(model, guide, args, num_particles=2, passes=(Pass.SCORE,))
    for name in pair.latents:
        if not particles[name].deterministic:
            assert not particles[name].value.requires_grad
            assert not particles[name].reparameterised


def test_one_subsample_is_shared_by_particles_guide_and_model():
    model, guide, args = by_name["subsampled plate"].make()
    for vectorize in (True, False):
        particles = draw(model, guide, args, num_particles=4, vectorize=vectorize)
        assert particles.subsamples["data"].shape == (2,)
        plate = particles["z"].plates[0]
        assert (plate.size, plate.full_size, plate.scale) == (2, 5, 2.5)
        assert particles["x"].value.tolist() == X5[particles.subsamples["data"]].tolist()


def test_scales_are_kept_apart():
    model, guide, args = by_name["mask and scale"].make()
    site = draw(model, guide, args, num_particles=2)["x"]
    assert site.log_p.scale == pytest.approx(0.25)
    assert site.log_p.plate_scale == 1.0
    assert (site.log_p.log_prob[:, [1, 4]] == 0).all()
    assert (site.log_p.log_prob[:, [0, 2, 3]] != 0).all()


def test_tensor_scales_follow_their_plate():
    weights = torch.tensor([1.0, 2.0, 0.5, 0.1, 3.0])

    def model(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("data", 5, dim=-2), poutine.scale(scale=weights[:, None]):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x[:, None])

    for vectorize in (True, False):
        particles = draw(
            model, lambda x: pyro.sample("z", dist.Normal(0.0, 1.0)), (X5,), num_particles=3, vectorize=vectorize
        )
        z = particles["z"].value
        expected = (dist.Normal(z[:, None], 1.0).log_prob(X5) * weights).sum(1)
        torch.testing.assert_close(particles["x"].log_p.total(), expected)


def test_deterministic_sites_keep_their_values():
    model, guide, args = by_name["factors and deterministic"].make()
    particles = draw(model, guide, args, num_particles=3)
    torch.testing.assert_close(particles.deterministic["twice"], 2 * particles["z"].value)
    assert "twice" not in particles.sites


def test_a_model_that_cannot_be_vectorised_is_looped_and_said_why():
    def model(x):
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        if z[0] > 0:  # control flow that depends on a value
            pyro.sample("x", dist.Normal(z[0], 1.0), obs=x[0])
        else:
            pyro.sample("x", dist.Normal(0.0, 1.0), obs=x[0])

    guide = lambda x: pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))  # noqa: E731
    with pytest.warns(UserWarning, match="one at a time"):
        particles = draw(model, guide, (X5,), num_particles=5)
    z = particles["z"].value
    expected = dist.Normal(z[:, 0].clamp(min=0), 1.0).log_prob(X5[0])
    torch.testing.assert_close(particles["x"].log_p.log_prob, expected)
    with pytest.raises(ModelError, match="batch dims"):
        draw(model, guide, (X5,), num_particles=5, vectorize=True)


def test_a_site_that_only_some_particles_reach_counts_where_it_is_reached():
    def program(in_model):
        coin = pyro.sample("coin", dist.Bernoulli(0.5))
        if coin > 0:
            pyro.sample("extra", dist.Normal(0.0, 1.0 if in_model else 2.0))

    pyro.set_rng_seed(0)
    particles = draw(lambda: program(True), lambda: program(False), num_particles=8, vectorize=False)
    coin, extra = particles["coin"].value, particles["extra"].value
    assert 0 < coin.sum() < 8
    assert torch.equal(extra.isnan(), coin == 0)
    reached = extra.nan_to_num(0.0)
    ratio = dist.Normal(0.0, 1.0).log_prob(reached) - dist.Normal(0.0, 2.0).log_prob(reached)
    torch.testing.assert_close(particles.log_w(), torch.where(coin > 0, ratio, 0.0))


def test_silently_wrong_broadcasting_is_found():
    def model(x):
        z = pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))
        total = z.sum()  # over particles too
        pyro.sample("x", dist.Normal(total, 1.0), obs=x[0])

    guide = lambda x: pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))  # noqa: E731
    plan = None
    with pytest.warns(UserWarning, match="'x' has another log-probability"):
        plan = plan_pair(model, guide, (X5,))
    assert not plan.vectorize


def test_run_model_scores_given_values_and_predicts():
    model, _, args = by_name["nested plates"].make()
    values = {"a": torch.randn(4, 5), "z": torch.randn(4, 5, 3)}
    scored = run_model(model, args, num_particles=4, values=values)
    expected = dist.Normal(0.0, 1.0).log_prob(values["a"]).sum(-1) + dist.Normal(values["a"][..., None], 1.0).log_prob(
        values["z"]
    ).sum((1, 2))
    torch.testing.assert_close(scored["a"].log_p.total() + scored["z"].log_p.total(), expected)
    predicted = run_model(model, args, num_particles=4, values=values, predictive=True)
    assert predicted["x"].predicted
    assert predicted["x"].value.shape == (4, 5, 3)
    looped = run_model(model, args, num_particles=4, values=values, vectorize=False)
    torch.testing.assert_close(looped.log_p(), scored.log_p())


def test_validation_and_dtype_are_left_as_they_were():
    model, guide, args = by_name["params"].make()
    for enabled in (True, False):
        pyro.enable_validation(enabled)
        plan_pair(model, guide, args)
        assert torch.distributions.Distribution._validate_args is enabled
    pyro.enable_validation(True)


def test_a_batch_norm_model_is_left_as_it_was():
    net = torch.nn.BatchNorm1d(3)

    def model(x):
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(net(x), 1.0).to_event(1))

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return model(x)

    before = net.running_mean.clone()
    program = Model()
    plan_pair(program, AutoNormal(program), (torch.randn(6, 3),))
    torch.testing.assert_close(net.running_mean, before)


def test_a_scale_that_depends_on_the_draw_is_each_particles_own():
    def model():
        b = pyro.sample("b", dist.Bernoulli(0.5))
        with poutine.scale(scale=1.0 + 3.0 * b):
            pyro.sample("x", dist.Normal(0.0, 1.0), obs=torch.tensor(2.0))

    def guide():
        pyro.sample("b", dist.Bernoulli(0.5))

    values = {"b": torch.tensor([0.0, 1.0, 1.0])}
    both = [draw(model, guide, num_particles=3, values=values, vectorize=vectorize) for vectorize in (True, False)]
    torch.testing.assert_close(both[0].log_p(), both[1].log_p())
    one = dist.Normal(0.0, 1.0).log_prob(torch.tensor(2.0))
    torch.testing.assert_close(both[1]["x"].log_p.total(), one * torch.tensor([1.0, 4.0, 4.0]))
