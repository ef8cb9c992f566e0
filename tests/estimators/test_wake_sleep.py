"""``WakeSleep``: unbiased for its own sleep objective, awake as ``WakeWake``, and errors that name what cannot be
dreamt."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoNormal
from torch.distributions import Bernoulli, constraints
from torch.utils.data import DataLoader, TensorDataset

from pyro_vae import IWAE, TraceELBO, WakeSleep, WakeWake, fit
from pyro_vae.errors import EstimatorError, OptionError
from tests.pairs import PAIRS, gradients

ROWS = 5000
X = torch.zeros(ROWS)


def _leaves():
    return {
        name: pyro.param(name, lambda v=value: torch.tensor(v, dtype=torch.float64))
        for name, value in {"a": 0.2, "b": 0.7, "c": -0.3, "d": 0.5}.items()
    }


def discrete_model(x):
    with pyro.plate("rows", len(x)):
        z = pyro.sample("z", dist.Bernoulli(torch.tensor(0.3).double()))
        y = pyro.sample("y", dist.Bernoulli(0.2 + 0.5 * z))
        pyro.sample("x", dist.Bernoulli(0.1 + 0.4 * z + 0.3 * y), obs=x)


def discrete_guide(x):
    p = _leaves()
    with pyro.plate("rows", len(x)):
        z = pyro.sample("z", dist.Bernoulli(logits=p["a"] + p["b"] * x))
        pyro.sample("y", dist.Bernoulli(logits=p["c"] + p["d"] * x * z))


def exact_sleep():
    """E_p[-log q(z, y | x)] of one row by enumeration, a function of the guide's parameters."""
    p = {name: leaf.detach().clone().requires_grad_(True) for name, leaf in _leaves().items()}
    total = torch.zeros((), dtype=torch.float64)
    for z, y, x in itertools.product(torch.tensor([0.0, 1.0]).double(), repeat=3):
        log_p = Bernoulli(torch.tensor(0.3).double()).log_prob(z) + Bernoulli(0.2 + 0.5 * z).log_prob(y)
        log_p = log_p + Bernoulli(0.1 + 0.4 * z + 0.3 * y).log_prob(x)
        log_q = Bernoulli(logits=p["a"] + p["b"] * x).log_prob(z)
        log_q = log_q + Bernoulli(logits=p["c"] + p["d"] * x * z).log_prob(y)
        total = total - log_p.exp() * log_q
    return total, p


def test_the_guides_gradient_is_unbiased_for_the_sleep_objective():
    """2e5 dreamt rows; a row's gradient has an sd below .6, so .007 is 5 standard errors (budget 3e-6)."""
    elbo = TraceELBO(WakeSleep({"x": "x"}, dreams=40), num_particles=2)
    elbo.loss(discrete_model, discrete_guide, X)
    gradients()
    elbo.differentiable_loss(discrete_model, discrete_guide, X).backward()
    found = gradients()
    total, leaves = exact_sleep()
    exact = dict(zip(leaves, torch.autograd.grad(total, list(leaves.values())), strict=True))
    for name, expected in exact.items():
        torch.testing.assert_close(found[name] / ROWS, expected, rtol=0, atol=0.007)
    table = elbo.particles(discrete_model, discrete_guide, X)
    mean = -sum(table[name].log_q_dreamt.total() for name in "zy").mean() / ROWS
    torch.testing.assert_close(mean, total, rtol=0, atol=0.01)
    assert table["z"].log_q_dreamt.log_prob.shape == (40, ROWS)


def _gradient(estimator, pair, seed=2):
    model, guide, args = pair.make()
    elbo = TraceELBO(estimator, num_particles=4)
    elbo.loss(model, guide, *args)
    gradients()
    pyro.set_rng_seed(seed)
    loss = elbo.differentiable_loss(model, guide, *args)
    loss.backward()
    return loss.item(), gradients()


def test_insomnia_mixes_the_two_updates():
    pair = next(pair for pair in PAIRS if pair.name == "mixed")
    asleep, half, awake = (_gradient(WakeSleep(insomnia=share), pair) for share in (0.0, 0.5, 1.0))
    assert asleep[0] == half[0] == awake[0] == _gradient(IWAE(), pair)[0]
    wake_wake = _gradient(WakeWake(), pair)[1]
    for name, expected in wake_wake.items():
        torch.testing.assert_close(awake[1][name], expected)
        torch.testing.assert_close(half[1][name], (asleep[1][name] + awake[1][name]) / 2)
    assert any((asleep[1][name] - awake[1][name]).abs().max() > 0.1 for name in wake_wake)


def linear_model(x, size=None):
    with pyro.plate("data", size=size or len(x), subsample=x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("obs", dist.Normal(z, 1.0), obs=x)


class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(1, 1)

    def forward(self, x, size=None):
        pyro.module("encoder", self)
        scale = pyro.param("scale", lambda: torch.tensor(1.0), constraint=constraints.positive)
        with pyro.plate("data", size=size or len(x), subsample=x):
            pyro.sample("z", dist.Normal(self.line(x[:, None])[:, 0], scale))


def test_an_amortised_guide_learns_the_posterior_from_minibatches_of_data_that_are_not_the_models():
    """q(z | x) is exact at N(x / 2, 1/2); the data, at 3, are none that the model often dreams."""
    torch.manual_seed(0)
    loader = DataLoader(TensorDataset(torch.full((128,), 3.0)), batch_size=64)
    result = fit(
        lambda x: linear_model(x, 128),
        Encoder(),
        loader,
        estimator=WakeSleep({"obs": "x"}),
        num_particles=2,
        steps=400,
        stop=None,
        learning_rate=0.03,
        seed=0,
    )
    values = {name.split("$$$")[-1]: value for name, value in result.params.items()}
    assert values["line.weight"].item() == pytest.approx(0.5, abs=0.05)
    assert values["line.bias"].item() == pytest.approx(0.0, abs=0.05)
    assert values["scale"].item() == pytest.approx(0.5**0.5, abs=0.04)


def flat(x):
    pyro.sample("z", dist.ImproperUniform(constraints.real, (), ()))
    pyro.sample("x", dist.Normal(0.0, 1.0), obs=x)


def tilted(x):
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    pyro.factor("tilt", -(z**2))
    pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def plain(x):
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def two_rows(x):
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    with pyro.plate("data", len(x), subsample_size=2) as rows:
        pyro.sample("x", dist.Normal(z, 1.0), obs=x[rows])


def looking(x):
    pyro.sample("z", dist.Normal(x.mean(), 1.0))


def blind(x):
    pyro.sample("z", dist.Normal(0.0, 1.0))


def point(x):
    pyro.sample("z", dist.Delta(x.mean()))


def helped(x):
    pyro.sample("helper", dist.Normal(x.mean(), 1.0), infer={"is_auxiliary": True})
    pyro.sample("z", dist.Normal(x.mean(), 1.0))


ERRORS = {
    "a site that is not observed": (plain, looking, {"y": "x"}, r"does not observe 'y'; it observes x"),
    "a latent": (plain, looking, {"z": "x"}, r"does not observe 'z'"),
    "an argument that is not there": (plain, looking, {"x": "images"}, r"no argument 'images' for site 'x'; it has x"),
    "a guide that ignores data": (plain, blind, {"x": "x"}, r"ignores its argument 'x'"),
    "no name in common": (plain, lambda y: looking(y), None, r"arguments y: none has the name.*observed="),
    "a flat prior": (flat, looking, None, r"'z' of the model is a flat prior"),
    "a factor": (tilted, looking, None, r"'tilt' of the model is a factor"),
    "a point mass": (plain, point, None, r"'z' of the guide is a point mass"),
    "an auxiliary site": (plain, helped, None, r"'helper' of the guide is auxiliary"),
    "rows that are drawn inside": (two_rows, looking, None, r"'x' is dreamt with shape \(2,\).*argument 'x' is \(4,\)"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_cannot_be_dreamt_is_named(case):
    model, guide, observed, match = ERRORS[case]
    x = torch.tensor([0.3, -1.2, 0.8, 2.0]) if model is two_rows else torch.tensor(0.4)
    with pytest.raises(EstimatorError, match=match):
        TraceELBO(WakeSleep(observed), num_particles=2).loss(model, guide, x)


def test_a_guide_whose_weights_start_at_zero_does_not_ignore_its_data():
    def starting(x):
        pyro.sample("z", dist.Normal(pyro.param("slope", torch.tensor(0.0)) * x, 1.0))

    assert TraceELBO(WakeSleep(), num_particles=2).loss(plain, starting, torch.tensor(0.4))


def test_an_automatic_guide_is_named():
    with pytest.raises(EstimatorError, match="AutoNormal is an automatic guide"):
        TraceELBO(WakeSleep(), num_particles=2).loss(plain, AutoNormal(plain), torch.tensor(0.4))


def test_arguments_may_come_by_position_by_name_or_in_a_dict():
    def any_guide(*args, **data):
        pyro.sample("z", dist.Normal(data["x"].mean(), pyro.param("s", torch.tensor(1.0))))

    elbo = TraceELBO(WakeSleep(), num_particles=2)
    assert elbo.particles(plain, looking, x=torch.tensor(0.4))["z"].log_q_dreamt is not None
    assert elbo.particles(plain, any_guide, x=torch.tensor(0.4))["z"].log_q_dreamt is not None


def test_it_can_be_hashed_and_shows_its_mapping():
    one, other = WakeSleep({"x": "a", "y": "b"}), WakeSleep({"y": "b", "x": "a"})
    assert len({one, other, replace(one, dreams=2), replace(other, dreams=2)}) == 2
    assert repr(one) == "WakeSleep(observed={'x': 'a', 'y': 'b'}, insomnia=0.0, dreams=1)"
    assert eval(repr(one)) == one


def test_a_site_that_only_a_middle_dream_had_is_named():
    runs = itertools.count()

    def changing(x):
        loc = pyro.param("loc", lambda: torch.tensor(0.0)) + x.mean()
        pyro.sample("z", dist.Normal(loc, 1.0))
        if next(runs) == asleep + 1:  # the second of three dreams
            pyro.sample("more", dist.Normal(loc, 1.0))

    def model(x):
        pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(0.0, 1.0), obs=x)

    asleep, x = -10, torch.tensor(0.4)
    elbo = TraceELBO(WakeSleep(dreams=3), num_particles=2)
    elbo.loss(model, changing, x)
    asleep = next(runs) + 2  # one run awake comes first
    with pytest.raises(EstimatorError, match=r"'more' is in some runs of the guide and not in others"):
        elbo.loss(model, changing, x)


@pytest.mark.parametrize(
    "options", [{"observed": {}}, {"observed": "x"}, {"insomnia": 1.5}, {"insomnia": float("nan")}, {"dreams": 0}]
)
def test_odd_options_are_errors(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        WakeSleep(**options)
