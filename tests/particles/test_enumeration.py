"""Discrete sites that are summed over, not drawn: against Pyro's TraceEnum_ELBO and against sums by hand."""

from __future__ import annotations

import itertools

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import TraceEnum_ELBO
from pyro.infer.autoguide.effect import GuideMessenger
from torch.distributions import constraints

from pyro_vae.elbo import TraceELBO
from pyro_vae.errors import EstimatorError, ModelError
from pyro_vae.estimators import (
    IWAE,
    REBAR,
    RELAX,
    VIMCO,
    AnalyticKL,
    DisARM,
    DReG,
    MeasureValued,
    Renyi,
    Reparameterized,
    ScoreFunction,
    StickingTheLanding,
)
from pyro_vae.particles import draw, run_model
from pyro_vae.particles.handlers import GivenSubsamples
from pyro_vae.particles.plan import plan_pair
from tests.against_pyro import check_against, same_gradients
from tests.pairs import X5, gradients
from tests.particles.enumerated_pairs import GUIDE, MODEL, PARALLEL, SEEN

by_name = {pair.name: pair for pair in MODEL + GUIDE}
every_pair = pytest.mark.parametrize("pair", MODEL + GUIDE, ids=lambda pair: pair.name)
fixed = pytest.mark.parametrize(
    "pair", [pair for pair in MODEL + GUIDE if "continuous" not in pair.name], ids=lambda pair: pair.name
)


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("particles", [1, 3])
@every_pair
def test_loss_and_gradient_are_trace_enums_from_the_same_draws(pair, particles):
    check_against(TraceEnum_ELBO, Reparameterized(), pair, particles)


@every_pair
def test_the_table_has_particles_then_plates_and_no_site_that_was_summed_out(pair):
    model, guide, args = pair.make()
    particles = draw(model, guide, args, num_particles=3)
    assert {site.name for site in particles.latent} == set(pair.latents)
    for site in particles.sites.values():
        for factor in (site.log_p, site.log_q):
            if factor is not None:
                assert factor.log_prob.shape == (3, *(plate.size for plate in factor.axes))


@fixed
def test_looped_and_vectorised_agree_at_the_same_values(pair):
    model, guide, args = pair.make()
    plan = plan_pair(model, guide, args)
    assert plan.vectorize, plan.why_looped
    together = draw(model, guide, args, num_particles=3, plan=plan)
    values = {site.name: site.value for site in together.latent if not site.enumerated}
    with GivenSubsamples(together.subsamples):
        looped = draw(model, guide, args, num_particles=3, vectorize=False, values=values)
    for name, site in together.sites.items():
        for field in ("log_p", "log_q"):
            if getattr(site, field) is not None:
                ours, other = getattr(site, field), getattr(looped[name], field)
                torch.testing.assert_close(other.log_prob, ours.log_prob, rtol=1e-4, atol=1e-5)
                assert (other.plates, other.scale) == (ours.plates, ours.scale)
        assert looped[name].value.shape == site.value.shape


@pytest.mark.parametrize("estimator", [ScoreFunction(pathwise=True), ScoreFunction("optimal", pathwise=True)])
@every_pair
def test_an_enumerated_site_has_no_score_term(pair, estimator, double):
    model, guide, args = pair.make()
    args = tuple(arg.double() for arg in args)
    same_gradients(TraceELBO(estimator, 3), TraceELBO(Reparameterized(), 3), model, guide, args, tolerance=1e-9)


@pytest.mark.parametrize("name", ["guide: reversed", "both"])
@pytest.mark.parametrize("estimator", [AnalyticKL(), ScoreFunction()], ids=lambda estimator: type(estimator).__name__)
def test_with_every_site_enumerated_all_estimators_of_the_elbo_are_exact(name, estimator, double):
    """Closed forms or sums: there is nothing left to sample."""
    model, guide, args = by_name[name].make()
    args = tuple(arg.double() for arg in args)
    same_gradients(TraceELBO(estimator), TraceELBO(Reparameterized()), model, guide, args, tolerance=1e-9)


@pytest.mark.parametrize(
    "name",
    ["guide: mixture", "guide: chain", "guide: then continuous", "model: nested plates", "model: above a latent"],
)
def test_analytic_kl_has_the_same_mean_gradient(name, double):
    """20 000 particles each: differences lie within 5 standard errors, taken over 20 batches."""
    model, guide, args = by_name[name].make()
    args = tuple(arg.double() for arg in args)
    _same_mean_gradient(TraceELBO(AnalyticKL(), 1000), TraceELBO(Reparameterized(), 1000), model, guide, args)


def _same_mean_gradient(one, other, model, guide, args, batches=20):
    """Means over batches of particles agree within 5 of their standard errors."""
    found = []
    for objective in (one, other):
        objective.loss(model, guide, *args)
        gradients()
        pyro.set_rng_seed(2)
        rows = []
        for _ in range(batches):
            objective.differentiable_loss(model, guide, *args).backward()
            rows.append(torch.cat([grad.flatten() for grad in gradients().values()]))
        found.append(torch.stack(rows))
    error = sum(rows.var(0) / batches for rows in found).sqrt()
    assert ((found[0].mean(0) - found[1].mean(0)).abs() <= 5 * error + 1e-9).all()


@pytest.mark.parametrize(
    "name", ["model: mixture", "model: above a latent", "model: hidden Markov", "model: sequential plate", "both"]
)
def test_scores_of_continuous_sites_have_the_sums_among_their_costs(name, double):
    """The score function with downstream costs against the pathwise gradient, 20 batches of 2000, 5 standard errors."""
    model, guide, args = by_name[name].make()
    args = tuple(arg.double() for arg in args)
    score, pathwise = TraceELBO(ScoreFunction("leave-one-out"), 2000), TraceELBO(num_particles=2000)
    _same_mean_gradient(score, pathwise, model, guide, args)


@pytest.mark.parametrize("name", ["guide: mixture", "guide: chain", "guide: then continuous"])
def test_the_score_function_has_the_same_mean_gradient(name, double):
    """The same sites drawn, 20 batches of 2000: within 5 standard errors, so by chance less than once in 10 000."""
    model, guide, args = by_name[name].make()
    args = tuple(arg.double() for arg in args)
    drawn = poutine.infer_config(guide, config_fn=lambda site: {"enumerate": None})
    exact, sampled = TraceELBO(num_particles=2000), TraceELBO(ScoreFunction("leave-one-out", pathwise=True), 2000)
    sampled_loss = TraceELBO.differentiable_loss
    sampled.differentiable_loss = lambda model, guide, *args: sampled_loss(sampled, model, drawn, *args)
    _same_mean_gradient(exact, sampled, model, guide, args)


# -- by hand -------------------------------------------------------------------------------------------------------


BITS = torch.tensor([0.0, 1.0])


def _log_q(logits, b, c):
    return dist.Bernoulli(logits=logits[0]).log_prob(c) + dist.Bernoulli(logits=logits[1] + logits[2] * c).log_prob(b)


def _reversed_elbo(logits, x):
    """Of the pair "guide: reversed", with every pair of values."""
    total = torch.zeros(())
    for b, c in itertools.product(BITS, repeat=2):
        log_q = _log_q(logits, b, c)
        log_p = dist.Bernoulli(0.4).log_prob(b) + dist.Bernoulli(0.3 + 0.4 * b).log_prob(c)
        log_p = log_p + dist.Normal(b + 2 * c, 1.0).log_prob(x).sum()
        total = total + log_q.exp() * (log_p - log_q)
    return total


def test_the_elbo_is_the_sum_by_hand(double):
    model, guide, _ = by_name["guide: reversed"].make()
    x = X5.double()
    loss = TraceELBO().differentiable_loss(model, guide, x)
    loss.backward()
    logits = pyro.param("logits")
    found, expected = logits.grad.clone(), -_reversed_elbo(logits, x)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(found, torch.autograd.grad(expected, logits)[0])


@pytest.mark.parametrize(
    "estimator",
    [ScoreFunction(), ScoreFunction(downstream=False), DisARM(), MeasureValued(), REBAR(), RELAX()],
    ids=str,
)
def test_a_drawn_site_above_an_enumerated_one_has_an_unbiased_gradient(estimator, double):
    """c drawn, b given c enumerated, d the model's own: within 5 standard errors of the sum by hand, 40 batches of 500.

    MeasureValued has no variance here: then up to rounding."""

    def model(x):
        c = pyro.sample("c", dist.Bernoulli(0.4))
        b = pyro.sample("b", dist.Bernoulli(0.3 + 0.4 * c))
        with pyro.plate("data", 5):
            d = pyro.sample("d", dist.Bernoulli(0.2 + 0.1 * c), infer=PARALLEL)
            pyro.sample("x", dist.Normal(b + 2 * c - d, 1.0), obs=x)

    def guide(x):
        logits = pyro.param("logits", lambda: torch.tensor([0.3, -0.2, 0.8]))
        c = pyro.sample("c", dist.Bernoulli(logits=logits[0]))
        pyro.sample("b", dist.Bernoulli(logits=logits[1] + logits[2] * c), infer=PARALLEL)

    x = X5.double()
    objective = TraceELBO(estimator, 500)
    objective.differentiable_loss(model, guide, x).backward()
    gradients()
    logits = pyro.param("logits")
    total = torch.zeros(())
    for b, c in itertools.product(BITS, repeat=2):
        log_q = _log_q(logits, b, c)
        rows = [dist.Bernoulli(0.2 + 0.1 * c).log_prob(d) + dist.Normal(b + 2 * c - d, 1.0).log_prob(x) for d in BITS]
        log_p = dist.Bernoulli(0.4).log_prob(c) + dist.Bernoulli(0.3 + 0.4 * c).log_prob(b)
        log_p = log_p + torch.logsumexp(torch.stack(rows), 0).sum()
        total = total - log_q.exp() * (log_p - log_q)
    exact = torch.autograd.grad(total, logits)[0]
    pyro.set_rng_seed(0)
    rows = []
    for _ in range(40):
        objective.differentiable_loss(model, guide, x).backward()
        rows.append(gradients()["logits"])
    rows = torch.stack(rows)
    assert ((rows.mean(0) - exact).abs() <= 5 * (rows.var(0) / 40).sqrt() + 1e-7).all()


# -- a mixture with its assignments summed out, beside the same model written by hand ------------------------------


def _local(marginal: bool, size: int | None):
    """v and the assignment are each row's own: weights are per row. ``marginal``: the mixture written by hand."""

    def model(x):
        probs = pyro.param("probs", lambda: torch.tensor([0.2, 0.5, 0.3]), constraint=constraints.simplex)
        locs = pyro.param("locs", lambda: torch.tensor([-1.0, 0.5, 1.3]))
        with pyro.plate("data", len(x), subsample_size=size) as rows:
            v = pyro.sample("v", dist.Normal(0.0, 1.0))
            if marginal:
                parts = dist.Normal(locs + v[..., None], 1.0)
                pyro.sample("x", dist.MixtureSameFamily(dist.Categorical(probs), parts), obs=x[rows])
            else:
                z = pyro.sample("z", dist.Categorical(probs), infer=PARALLEL)
                pyro.sample("x", dist.Normal(locs[z] + v, 1.0), obs=x[rows])

    return model


def _global(marginal: bool, size: None):
    def model(x):
        probs = pyro.param("probs", lambda: torch.tensor([0.2, 0.5, 0.3]), constraint=constraints.simplex)
        locs = pyro.param("locs", lambda: torch.tensor([-1.0, 0.5, 1.3]))
        v = pyro.sample("v", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            if marginal:
                parts = dist.Normal(locs + v[..., None], 1.0)
                pyro.sample("x", dist.MixtureSameFamily(dist.Categorical(probs), parts), obs=x)
            else:
                z = pyro.sample("z", dist.Categorical(probs), infer=PARALLEL)
                pyro.sample("x", dist.Normal(locs[z] + v, 1.0), obs=x)

    return model


def _local_guide(size):
    def guide(x):
        loc = pyro.param("loc", lambda: torch.linspace(-1, 1, 5))
        with pyro.plate("data", len(x), subsample_size=size) as rows:
            pyro.sample("v", dist.Normal(loc[rows], pyro.param("scale", lambda: torch.tensor(0.6))))

    return guide


def _global_guide(size):
    def guide(x):
        pyro.sample("v", dist.Normal(pyro.param("loc", lambda: torch.tensor(0.3)), 0.6))

    return guide


EVERY = [
    Reparameterized(),
    AnalyticKL(),
    StickingTheLanding(),
    ScoreFunction("leave-one-out"),
    IWAE(),
    IWAE(sticking_the_landing=True),
    DReG(),
    Renyi(0.5),
    VIMCO(),
]


@pytest.mark.parametrize(
    ("make", "guide", "size", "vectorize"),
    [
        (_local, _local_guide, None, None),
        (_local, _local_guide, None, False),
        (_local, _local_guide, 3, None),
        (_global, _global_guide, None, None),
    ],
    ids=["per row", "per row, looped", "per row, subsampled", "global"],
)
@pytest.mark.parametrize("estimator", EVERY, ids=str)
def test_a_mixture_summed_out_is_the_marginal_model_to_every_estimator(estimator, make, guide, size, vectorize, double):
    pyro.set_rng_seed(0)
    found = []
    for marginal in (False, True):
        objective, pair = TraceELBO(estimator, 4, vectorize=vectorize), (make(marginal, size), guide(size))
        objective.loss(*pair, X5.double())
        gradients()
        pyro.set_rng_seed(5)
        loss = objective.differentiable_loss(*pair, X5.double())
        loss.backward()
        found.append((loss, gradients()))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-9, atol=1e-9)
    for name, expected in found[1][1].items():
        torch.testing.assert_close(found[0][1][name], expected, rtol=1e-7, atol=1e-7)


def test_weights_of_a_mixture_are_per_row():
    particles = draw(_local(False, 3), _local_guide(3), (X5,), num_particles=4)
    assert set(particles.sites) == {"v", "x"}
    assert particles["x"].log_p.log_prob.shape == (4, 3)
    assert particles["x"].log_p.plate_scale == pytest.approx(5 / 3)


# -- what the table says -------------------------------------------------------------------------------------------


def test_values_have_an_axis_for_every_enumerated_site_that_they_vary_with():
    model, guide, args = by_name["guide: then continuous"].make()
    particles = draw(model, guide, args, num_particles=3)
    b, v = particles["b"], particles["v"]
    assert b.value.shape == (3, 5, 2)
    assert b.value[0, 0].tolist() == [0.0, 1.0]
    assert b.enumerated
    assert b.reparameterised
    assert v.value.shape == (3, 5, 2)
    assert v.drawn_given == ("b",)
    assert not v.enumerated


def test_a_sum_over_many_observations_is_a_site_of_its_own():
    model, guide, args = by_name["model: hidden Markov"].make()
    particles = draw(model, guide, args, num_particles=3)
    assert set(particles.sites) == {"w", "x_0", "x_1", "x_2", "x_3", "sum_over_z_0"}
    assert particles["x_0"].log_p is None
    assert particles["sum_over_z_0"].log_p.log_prob.shape == (3, 2)
    assert particles["sum_over_z_0"].value.numel() == 0


def test_a_latent_alone_with_what_is_summed_out_keeps_its_marginal():
    model, guide, args = by_name["model: above a latent"].make()
    particles = draw(model, guide, args, num_particles=3)
    assert set(particles.sites) == {"v", "x"}
    mixture = dist.MixtureSameFamily(
        dist.Categorical(torch.tensor([0.2, 0.5, 0.3])), dist.Normal(torch.tensor([-1.0, 0.5, 1.3]), 0.5)
    )
    torch.testing.assert_close(particles["v"].log_p.log_prob, mixture.log_prob(particles["v"].value))


def test_a_pair_that_holds_with_values_or_with_particles_but_not_with_both_is_looped():
    def model(x):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("data", 5):
            z = pyro.sample("z", dist.Bernoulli(0.4), infer=PARALLEL)
            if z.shape[-1] == 1 and w.dim() > 0:
                raise RuntimeError("too many axes")
            pyro.sample("x", dist.Normal(z + w, 1.0), obs=x)

    def guide(x):
        pyro.sample("w", dist.Normal(0.0, 1.0))

    with pytest.warns(UserWarning, match="one at a time.*too many axes"):
        plan = plan_pair(model, guide, (X5,))
    assert draw(model, guide, (X5,), num_particles=3, plan=plan).log_w().shape == (3,)


def test_what_is_a_function_of_an_enumerated_site_is_left_out():
    """Two rows and two values, so that shapes alone could be mistaken."""

    def model(x):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        pyro.deterministic("twice", 2 * w)
        with pyro.plate("data", 2):
            z = pyro.sample("z", dist.Bernoulli(0.3), infer=PARALLEL)
            pyro.deterministic("flipped", 1 - z)
            pyro.sample("x", dist.Normal(w + z, 1.0), obs=x[:2])

    def guide(x):
        pyro.sample("w", dist.Normal(0.0, 1.0))

    for vectorize in (None, False):
        particles = draw(model, guide, (X5,), num_particles=2, vectorize=vectorize)
        assert set(particles.deterministic) == {"twice"}
    assert set(run_model(model, (X5,)).deterministic) == {"twice", "flipped"}


def test_what_nothing_depends_on_sums_to_one():
    def model(x):
        pyro.sample("z", dist.Bernoulli(0.3), infer=PARALLEL)
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(w, 1.0), obs=x[0])

    assert set(draw(model, lambda x: pyro.sample("w", dist.Normal(0.0, 1.0)), (X5,)).sites) == {"w", "x"}


def test_an_impossible_value_does_not_count():
    """q and p put nothing on the last value: 0 log 0 is 0, in the value and in the gradient."""

    def model(x):
        z = pyro.sample("z", dist.Categorical(torch.tensor([0.5, 0.5, 0.0])))
        pyro.sample("x", dist.Normal(z.float(), 1.0), obs=x[0])

    def guide(x):
        free = pyro.param("free", lambda: torch.tensor([0.2, -0.1]))
        logits = torch.cat([free, torch.tensor([-torch.inf])])
        pyro.sample("z", dist.Categorical(logits=logits), infer=PARALLEL)

    loss = TraceELBO().differentiable_loss(model, guide, X5)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(gradients()["free"]).all()


# -- what is refused -----------------------------------------------------------------------------------------------


def _drawn_below(x):
    b = pyro.sample("b", dist.Bernoulli(0.4), infer=PARALLEL)
    pyro.sample("c", dist.Bernoulli(0.3 + 0.4 * b))


def _chain(x):
    b = pyro.sample("b", dist.Bernoulli(0.4))
    c = pyro.sample("c", dist.Bernoulli(0.3 + 0.4 * b))
    pyro.sample("x", dist.Normal(b + c, 1.0), obs=x[0])


@pytest.mark.parametrize(
    "estimator", [Reparameterized(), ScoreFunction(), ScoreFunction("leave-one-out"), AnalyticKL()]
)
def test_a_score_below_an_enumerated_site_is_refused(estimator):
    with pytest.raises(EstimatorError, match=r"'c'.*enumerated site 'b'.*Enumerate 'c' too"):
        TraceELBO(estimator, 2).loss(_chain, _drawn_below, X5)


@pytest.mark.parametrize(
    "estimator", [IWAE(), IWAE(sticking_the_landing=True), DReG(), VIMCO(), Renyi(0.5), StickingTheLanding()], ids=str
)
def test_an_estimator_that_weighs_draws_refuses_a_guides_enumerated_site(estimator):
    model, guide, args = by_name["guide: mixture"].make()
    with pytest.raises(EstimatorError, match=r"'z'.*enumerated.*Leave 'z' out of the guide.*Reparameterized"):
        TraceELBO(estimator, 2).loss(model, guide, *args)


def _model_that_averages(x):
    with pyro.plate("data", 5):
        z = pyro.sample("z", dist.Bernoulli(0.4), infer=PARALLEL)
    pyro.sample("x", dist.Normal(z.mean(), 1.0), obs=x[0])


def _model_outside_the_plate(x):
    with pyro.plate("data", 5):
        z = pyro.sample("z", dist.Bernoulli(0.4))
    pyro.sample("x", dist.Normal(z.sum(-1, keepdim=True) if z.dim() == 1 else z.squeeze(-1), 1.0), obs=x[0])


def _guide_in_the_plate(x):
    with pyro.plate("data", 5):
        pyro.sample("z", dist.Bernoulli(0.3), infer=PARALLEL)


def _scaled_apart(x):
    with pyro.plate("data", 5):
        z = pyro.sample("z", dist.Bernoulli(0.4), infer=PARALLEL)
        with poutine.scale(scale=0.5):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def _global_beside_a_subsample(x):
    z = pyro.sample("z", dist.Bernoulli(0.4), infer=PARALLEL)
    with pyro.plate("data", 5, subsample_size=2) as rows:
        pyro.sample("x", dist.Normal(z, 1.0), obs=x[rows])


def _infinite(x):
    n = pyro.sample("n", dist.Poisson(3.0), infer=PARALLEL)
    pyro.sample("x", dist.Normal(n, 1.0), obs=x[0])


def _one_event(x):
    z = pyro.sample("z", dist.Bernoulli(0.3 * torch.ones(3)).to_event(1), infer=PARALLEL)
    pyro.sample("x", dist.Normal(z.sum(-1), 1.0), obs=x[0])


def _drawn_many(x):
    z = pyro.sample("z", dist.Bernoulli(0.3), infer={**PARALLEL, "num_samples": 3})
    pyro.sample("x", dist.Normal(z, 1.0), obs=x[0])


def _misspelt(x):
    z = pyro.sample("z", dist.Bernoulli(0.3), infer={"enumerate": "paralel"})
    pyro.sample("x", dist.Normal(z, 1.0), obs=x[0])


def _unmarked(x):
    z = pyro.sample("z", dist.Bernoulli(0.3))
    pyro.sample("x", dist.Normal(z, 1.0), obs=x[0])


def _branches(x):
    z = pyro.sample("z", dist.Bernoulli(0.3), infer=PARALLEL)
    pyro.sample("x", dist.Normal(1.0 if z == 1 else 0.0, 1.0), obs=x[0])


@pytest.mark.parametrize(
    ("model", "guide", "message"),
    [
        (_model_that_averages, None, r"'x'.*another log-probability.*enumerated"),
        (_scaled_apart, None, r"'z' and 'x'.*poutine.scale"),
        (_global_beside_a_subsample, None, r"'x'.*plate 'data'.*2 of 5.*'z'.*all rows"),
        (_infinite, None, r"'n' \(Poisson\).*finite support"),
        (_one_event, None, r"'z'.*finite support.*to_event"),
        (_drawn_many, None, r"'z'.*num_samples"),
        (_misspelt, None, r"'z'.*'paralel'.*expected 'parallel'"),
        (_unmarked, None, r"'z'.*sum it out exactly.*'enumerate': 'parallel'"),
        (_branches, None, r"after site 'z' when its discrete sites take all their values"),
    ],
    ids=lambda case: getattr(case, "__name__", ""),
)
def test_what_cannot_be_enumerated_is_refused(model, guide, message):
    with pytest.raises(ModelError, match=message):
        draw(model, guide or (lambda x: None), (X5,), num_particles=2)


def test_a_site_outside_the_plate_of_what_it_depends_on_is_refused():
    def model(x):
        with pyro.plate("data", 5):
            z = pyro.sample("z", dist.Bernoulli(torch.tensor(1.0)))
        with pyro.plate("other", 3):
            pyro.sample("x", dist.Normal(z[..., :1], 1.0), obs=x[:3])

    def guide(x):
        with pyro.plate("data", 5):
            pyro.sample("z", dist.Bernoulli(torch.tensor(1.0)), infer=PARALLEL)

    with pytest.raises(ModelError, match=r"'x' is outside plate 'data'.*'z'.*inside it"):
        draw(model, guide, (X5,), num_particles=2)


def test_a_guide_that_runs_the_model_itself_is_refused():
    class Messenger(GuideMessenger):
        def get_posterior(self, name, prior):
            return dist.Bernoulli(0.3)

    with pytest.raises(ModelError, match=r"'z'.*runs the model itself.*guide function"):
        draw(_with_plate, Messenger(_with_plate), (X5,))


def _with_plate(x):
    with pyro.plate("data", 5):
        z = pyro.sample("z", dist.Bernoulli(0.4), infer=PARALLEL)
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def test_a_given_value_is_not_summed_over():
    values = {"z": torch.tensor([[0.0, 1.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0]])}
    particles = draw(_with_plate, lambda x: None, (X5,), num_particles=2, values=values)
    torch.testing.assert_close(particles["x"].log_p.log_prob, dist.Normal(values["z"], 1.0).log_prob(X5))
    torch.testing.assert_close(particles["z"].log_p.log_prob, dist.Bernoulli(0.4).log_prob(values["z"]))
    summed = draw(_with_plate, lambda x: None, (X5,), num_particles=2)
    assert set(summed.sites) == {"x"}


@pytest.mark.parametrize("own", [True, False], ids=["the model's", "the guide's"])
def test_a_masked_distribution_is_masked_as_by_poutine(own):
    def pair(masked):
        def model(x):
            with pyro.plate("data", 5):
                z = masked("z", dist.Bernoulli(0.4), PARALLEL)
                pyro.sample("x", dist.Normal(z, 1.0), obs=x)

        def guide(x):
            if not own:
                with pyro.plate("data", 5):
                    masked("z", dist.Bernoulli(torch.linspace(0.1, 0.9, 5)), PARALLEL)

        return model, guide

    def by_distribution(name, fn, infer):
        return pyro.sample(name, fn.mask(SEEN), infer=infer)

    def by_poutine(name, fn, infer):
        with poutine.mask(mask=SEEN):
            return pyro.sample(name, fn, infer=infer)

    losses = [TraceELBO().loss(*pair(masked), X5) for masked in (by_distribution, by_poutine)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_a_program_that_is_random_beyond_its_sites_is_taken_as_it_is():
    def model(x):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("data", 5):
            z = pyro.sample("z", dist.Bernoulli(0.4), infer=PARALLEL)
            pyro.sample("x", dist.Normal(z + w + torch.nn.functional.dropout(torch.ones(5)), 1.0), obs=x)

    particles = draw(model, lambda x: pyro.sample("w", dist.Normal(0.0, 1.0)), (X5,), num_particles=2)
    assert set(particles.sites) == {"w", "x"}
