"""Seeded faults: sites, supports, shapes, plates."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch.utils.data import DataLoader

from tests.studies.checking.fault import Fault, X, guide, loc, local, model, normal, scale, scaled, vector


def forgotten_site():
    def two(x):
        model(x)
        pyro.sample("tau", dist.Normal(0.0, 1.0))

    return two, guide, X


def typo():
    def guide(x):
        pyro.sample("sigma", dist.LogNormal(loc("s"), scale("s")))

    def sigma_model(x):
        s = pyro.sample("sigmas", dist.HalfNormal(1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(0.0, s), obs=x)

    return sigma_model, guide, X


def helper_variable():
    def helped(x):
        base = pyro.sample("base", normal("base"))
        pyro.sample("z", dist.Normal(base, 1.0))

    return model, helped, X


def data_drawn():
    def draws_data(x):
        guide(x)
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(0.0, 1.0))

    return model, draws_data, X


def conditioning_guide():
    def conditions(x):
        pyro.sample("z", normal(), obs=torch.tensor(0.1))

    return model, conditions, X


def name_used_twice():
    def twice(x):
        pyro.sample("z", dist.Normal(0.0, 1.0))
        z = pyro.sample("z", dist.Normal(0.0, 2.0))
        pyro.sample("x", dist.Normal(z, 1.0).expand([len(x)]).to_event(1), obs=x)

    return twice, guide, X


def plate_named_like_a_site():
    def clash(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("x", len(x)):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    return clash, guide, X


def parameter_named_like_a_site():
    def clash(x):
        pyro.sample("z", dist.Normal(pyro.param("z", torch.tensor(0.0)), scale()))

    return model, clash, X


def forgotten_obs():
    def unconditioned(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(z, 1.0))

    def both(x):
        guide(x)
        with pyro.plate("data", len(x)):
            pyro.sample("x", normal("x", (5,)))

    return unconditioned, both, X


def nothing_unknown():
    def known(x):
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(pyro.param("m", torch.tensor(0.0)), 1.0), obs=x)

    return known, lambda x: None, X


def branch():
    def branches(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        if z > 0:
            z = z + pyro.sample("extra", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def follows(x):
        z = pyro.sample("z", normal())
        if z > 0:
            pyro.sample("extra", normal("extra"))

    return branches, follows, X


def baseline_of_trace_graph():
    def discrete(x):
        z = pyro.sample("z", dist.Bernoulli(0.4))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x):
        pyro.sample("z", dist.Bernoulli(logits=loc()), infer={"baseline": {"use_decaying_avg_baseline": True}})

    return discrete, guide, X


def normal_for_a_scale():
    def guide(x):
        pyro.sample("s", dist.Normal(loc("s"), scale("s")))

    return scaled, guide, X


def labels_from_one():
    def classes(y):
        logits = pyro.sample("logits", dist.Normal(torch.zeros(3), 1.0).to_event(1))
        with pyro.plate("data", len(y)):
            pyro.sample("y", dist.Categorical(logits=logits), obs=y)

    return classes, lambda y: pyro.sample("logits", normal("z", (3,), 1)), torch.tensor([1, 2, 3, 3])


def negative_counts():
    def counts(y):
        rate = pyro.sample("rate", dist.Gamma(2.0, 1.0))
        with pyro.plate("data", len(y)):
            pyro.sample("y", dist.Poisson(rate), obs=y)

    return counts, "auto_normal", torch.tensor([1.0, 2.0, -3.0])


def bernoulli_for_a_normal():
    return model, lambda x: pyro.sample("z", dist.Bernoulli(logits=loc())), X


def bound_that_moves():
    def simplex(x):
        a = pyro.sample("a", dist.Uniform(0.0, 1.0))
        b = pyro.sample("b", dist.Uniform(0.0, 1.0 - a))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(a + b, 1.0), obs=x)

    return simplex, "auto_normal", X


def other_length():
    return vector, lambda x: pyro.sample("z", normal("z", (2,), 1)), X


def no_to_event():
    return vector, lambda x: pyro.sample("z", normal("z", (3,))), X


def no_plate_around_a_vector():
    def batch(x):
        z = pyro.sample("z", dist.Normal(torch.zeros(3), 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(z.sum(), 1.0), obs=x)

    return batch, lambda x: pyro.sample("z", normal("z", (3,))), X


def column_of_data():
    def regression(x, y):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("y", dist.Normal(w * x, 1.0), obs=y)

    return regression, lambda x, y: pyro.sample("w", normal("w")), {"x": X, "y": X[:, None]}


def column_of_predictions():
    def regression(x, y):
        w = pyro.sample("w", dist.Normal(torch.zeros(1, 1), 1.0).to_event(2))
        with pyro.plate("data", len(x), dim=-2):
            pyro.sample("y", dist.Normal(x[:, None] @ w, 1.0), obs=y)

    return regression, lambda x, y: pyro.sample("w", normal("w", (1, 1), 2)), {"x": X, "y": X}


def guide_without_the_plate():
    return local, lambda x: pyro.sample("z", normal()), X


def guide_with_a_plate_too_many():
    def plated(x):
        with pyro.plate("data", len(x)):
            pyro.sample("z", normal("z", (5,)))

    return model, plated, X


def plate_of_another_size():
    def shorter(x):
        with pyro.plate("data", 4):
            pyro.sample("z", normal("z", (4,)))

    return local, shorter, X


def plates_the_other_way_round():
    def grid(x):
        with pyro.plate("rows", 2, dim=-2), pyro.plate("columns", 2, dim=-1):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def turned(x):
        with pyro.plate("rows", 2, dim=-1), pyro.plate("columns", 2, dim=-2):
            pyro.sample("z", normal("z", (2, 2)))

    return grid, turned, torch.zeros(2, 2)


def two_subsamples():
    def part(x):
        with pyro.plate("data", len(x), subsample_size=3) as rows:
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x[rows])

    def other(x):
        with pyro.plate("data", len(x), subsample_size=2) as rows:
            pyro.sample("z", dist.Normal(loc("z", (5,))[rows], 1.0))

    return part, other, X


def plate_longer_than_its_data():
    def wrong(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("data", 7):
            pyro.sample("x", dist.Normal(z * torch.ones(5), 1.0), obs=x)

    return wrong, guide, X


def subsample_without_rows():
    def forgets(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x), subsample_size=2):
            pyro.sample("x", dist.Normal(z * torch.ones(5), 1.0), obs=x)

    return forgets, guide, X


def batch_for_the_whole():
    return model, guide, DataLoader(torch.randn(20), batch_size=5)


def scale_in_the_model():
    def annealed(x):
        with poutine.scale(scale=0.1):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    return annealed, guide, X


def mask_in_the_model():
    def masked(x):
        with pyro.plate("data", len(x)), poutine.mask(mask=x > 0):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def unmasked(x):
        with pyro.plate("data", len(x)):
            pyro.sample("z", normal("z", (5,)))

    return masked, unmasked, X


def long_python_loop():
    def loop(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        for i in pyro.plate("data", len(x)):
            pyro.sample(f"x_{i}", dist.Normal(z, 1.0), obs=x[i])

    return loop, guide, torch.linspace(-1, 1, 40)


FAULTS = [
    Fault("missing-site", forgotten_site, "tau", 'pyro.sample("tau", dist.Normal(pyro.param("tau_loc"'),
    Fault("misspelt-site", typo, "sigmas", "pyro.sample('sigmas', dist.LogNormal"),
    Fault("extra-site", helper_variable, "base", "infer={'is_auxiliary': True}"),
    Fault("observed-in-guide", data_drawn, "x", "Remove its pyro.sample"),
    Fault("guide-has-obs", conditioning_guide, "z", "pyro.sample('z', normal())"),
    Fault("same-name-twice", name_used_twice, "z", "z = pyro.sample('z_2', dist.Normal(0.0, 2.0))"),
    Fault("name-clash", plate_named_like_a_site, "x", "with pyro.plate('x_plate', len(x)):"),
    Fault("name-clash", parameter_named_like_a_site, "z", "pyro.param('z_parameter', torch.tensor(0.0))"),
    Fault("no-observation", forgotten_obs, "x", "pyro.sample('x', dist.Normal(z, 1.0), obs=x)"),
    Fault("no-latent", nothing_unknown, "x", "without obs="),
    Fault("site-comes-and-goes", branch, "extra", "torch.where", also=("one-at-a-time",)),
    Fault("ignored-baseline", baseline_of_trace_graph, "z", "ScoreFunction(baseline='moving-average')"),
    Fault("support", normal_for_a_scale, "s", "dist.LogNormal(loc('s'), scale('s'))"),
    Fault("data-outside-support", labels_from_one, "y", "subtract 1"),
    Fault("data-outside-support", negative_counts, "y", "whole numbers from 0"),
    Fault("kind", bernoulli_for_a_normal, "z", "continuous distribution"),
    Fault("moving-support", bound_that_moves, "b", "pyro.sample('b_unit'"),
    Fault("shape", other_length, "z", ".to_event()"),
    Fault("event", no_to_event, "z", "to_event(1)"),
    Fault("stray-dim", no_plate_around_a_vector, "z", "dist.Normal(torch.zeros(3), 1.0).to_event(1)"),
    Fault("observed-shape", column_of_data, "y", "y.squeeze(-1)"),
    Fault("observed-shape", column_of_predictions, "y", "squeeze(-1)"),
    Fault("plate-missing", guide_without_the_plate, "data", 'with pyro.plate("data", 5):'),
    Fault("plate-extra", guide_with_a_plate_too_many, "data", "out of the plate"),
    Fault("plate-size", plate_of_another_size, "data", 'with pyro.plate("data", 5):'),
    Fault("plate-dim", plates_the_other_way_round, "rows", "dim=-2"),
    Fault("plate-subsample", two_subsamples, "data", "subsample_size=3"),
    Fault("plate-and-data", plate_longer_than_its_data, "data", 'with pyro.plate("data", 5):'),
    Fault("plate-and-data", subsample_without_rows, "data", "subsample_size=2) as rows:"),
    Fault("minibatch-plate", batch_for_the_whole, "data", 'with pyro.plate("data", size=20, subsample=x):'),
    Fault("scale", scale_in_the_model, "z", "with poutine.scale(scale=0.1):"),
    Fault("mask", mask_in_the_model, "z", "poutine.mask"),
    Fault("long-loop", long_python_loop, "data", 'with pyro.plate("data", 40):'),
]
