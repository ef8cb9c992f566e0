"""Seeded faults: parameters, densities, data, randomness, signatures, estimators."""

from __future__ import annotations

import random

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from pyro.infer import Trace_ELBO, TraceEnum_ELBO
from torch import nn
from torch.distributions import constraints

import pyro_vae as pv
from tests.studies.checking.fault import Fault, X, guide, loc, local, model, normal, scale

PARALLEL = {"enumerate": "parallel"}


def unused_parameter():
    def unused(x):
        pyro.param("z_scales", torch.tensor(1.0), constraint=constraints.positive)
        pyro.sample("z", normal())

    return model, unused, X


def detached_parameter():
    def cut(x):
        mean = pyro.param("mean", torch.tensor(0.2)).detach()
        pyro.sample("z", dist.Normal(mean, scale()))

    return model, cut, X


def parameter_under_no_grad():
    def cut(x):
        with torch.no_grad():
            mean = pyro.param("mean", torch.tensor(0.2)) * 1.0
        pyro.sample("z", dist.Normal(mean, scale()))

    return model, cut, X


def scale_without_constraint():
    def bare(x):
        pyro.sample("z", dist.Normal(loc(), pyro.param("width", torch.tensor(1.0))))

    return model, bare, X


def probability_with_a_positive_constraint():
    def discrete(x):
        z = pyro.sample("z", dist.Bernoulli(0.4), infer=PARALLEL)
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x):
        probability = pyro.param("p", torch.tensor(0.5), constraint=constraints.positive)
        pyro.sample("z", dist.Bernoulli(probability), infer=PARALLEL)

    return discrete, guide, X


def layer_for_a_scale():
    torch.manual_seed(0)
    net = nn.Linear(1, 2)
    nn.init.constant_(net.bias, 3.0)  # positive at the start

    def encodes(x):
        pyro.module("net", net)
        mean, width = net(x[:, None]).unbind(-1)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(mean, width))

    return local, encodes, X


def net_without_pyro_module():
    torch.manual_seed(0)
    net = nn.Linear(1, 1)

    def encodes(x):
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(net(x[:, None]).squeeze(-1), scale()))

    return local, encodes, X


def torch_tensor_for_a_parameter():
    mean = torch.tensor(0.3, requires_grad=True)
    return model, lambda x: pyro.sample("z", dist.Normal(mean, scale())), X


class _HalfFrozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(()), requires_grad=False)
        self.log_scale = nn.Parameter(torch.zeros(()))


def frozen_parameter():
    parts = _HalfFrozen()

    def guide(x):
        pyro.module("parts", parts)
        pyro.sample("z", dist.Normal(parts.mean, parts.log_scale.exp()))

    return model, guide, X


def layer_not_used():
    torch.manual_seed(0)
    net = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)])

    def encodes(x):
        pyro.module("net", net)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(net[0](x[:, None]).squeeze(-1), scale()))

    return local, encodes, X


def no_parameters():
    return model, lambda x: pyro.sample("z", dist.Normal(0.0, 1.0)), X


def parameters_in_the_model_only():
    def learns(x):
        z = pyro.sample("z", dist.Normal(pyro.param("m", torch.tensor(0.0)), 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    return learns, lambda x: pyro.sample("z", dist.Normal(0.0, 1.0)), X


def start_at_the_edge():
    def edge(x):
        pyro.sample("z", dist.Normal(loc(), pyro.param("width", torch.tensor(0.0), constraint=constraints.positive)))

    return model, edge, X


def whole_number_parameter():
    return model, lambda x: pyro.sample("z", dist.Normal(pyro.param("mean", torch.tensor(0)), scale())), X


def store_of_another_fit():
    pyro.param("z_loc", torch.zeros(3))
    return model, guide, X


def one_name_two_parameters():
    def learns(x):
        z = pyro.sample("z", dist.Normal(0.0, pyro.param("s", torch.tensor(1.0), constraint=constraints.positive)))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    return learns, lambda x: pyro.sample("z", dist.Normal(pyro.param("s", torch.tensor(0.0)), scale())), X


def data_that_ask_for_a_gradient():
    return model, guide, X.clone().requires_grad_()


def doubles():
    return model, guide, X.double()


def other_device():
    def elsewhere(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.factor("likelihood", -(z**2))

    return elsewhere, guide, torch.empty(5, device="meta")


def numpy_observation():
    def array(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    return array, guide, np.array([0.3, 0.4])


def nan_in_the_data():
    return model, guide, torch.tensor([0.1, float("nan"), 0.3])


def empty_data():
    return model, guide, torch.empty(0)


def zero_scale():
    def exact(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(z, torch.zeros(5)), obs=x)

    return exact, guide, X


def negative_scale():
    return model, lambda x: pyro.sample("z", dist.Normal(loc(), pyro.param("w", torch.tensor(-1.0)))), X


def probability_above_one():
    def mixture(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("y", dist.Bernoulli(1.0 + z**2), obs=torch.tensor(1.0))

    return mixture, guide, X


def impossible_start():
    def bounded(x):
        top = pyro.sample("top", dist.Uniform(0.0, 10.0))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Uniform(0.0, top).mask(True), obs=x)

    def low(x):
        pyro.sample("top", dist.Uniform(pyro.param("a", torch.tensor(0.1)), pyro.param("b", torch.tensor(0.2))))

    return bounded, low, torch.tensor([3.0, 4.0])


def factor_of_minus_infinity():
    def hard(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.factor("positive", torch.where(z > 100, 0.0, -torch.inf))

    return hard, guide, X


def gradient_of_a_root():
    def rooted(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal((z - z).abs().sqrt(), 1.0), obs=x)

    return rooted, guide, X


def prior_too_flat():
    def flat(x):
        z = pyro.sample("z", dist.Normal(0.0, 1e8))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    return flat, guide, X


def improper():
    def flat(x):
        pyro.sample("free", dist.ImproperUniform(constraints.real, (), ()))
        model(x)

    return flat, "auto_normal", X


def unscaled_data():
    def wages(y):
        m = pyro.sample("m", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(y)):
            pyro.sample("y", dist.Normal(m, 1.0), obs=y)

    return wages, lambda y: pyro.sample("m", normal("m")), torch.tensor([41000.0, 52000.0, 39500.0, 61000.0])


def counter():
    calls = []

    def counts(x):
        calls.append(1)
        z = pyro.sample("z", dist.Normal(0.0, 1.0 + len(calls)))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    return counts, guide, X


def numpy_noise():
    def noisy(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(z + float(np.random.randn()), 1.0), obs=x)  # noqa: NPY002

    return noisy, guide, X


def python_noise():
    return model, lambda x: pyro.sample("z", dist.Normal(loc() + random.random(), scale())), X


def centred_in_place():
    def centres(x):
        x -= x.mean()
        model(x)

    return centres, guide, X.clone()


def changed_by_the_guide():
    def clamps(x):
        x.clamp_(min=0.0)
        guide(x)

    return model, clamps, X.clone()


def other_arguments():
    return model, lambda: pyro.sample("z", normal()), {"x": X}


def swapped_arguments():
    def regression(x, y):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("y", dist.Normal(w * x, 1.0), obs=y)

    return regression, lambda y, x: pyro.sample("w", normal("w")), (X, X)


def blind_guide():
    def predicts(x, y=None):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("y", dist.Normal(w * x, 1.0), obs=y)

    def needs_y(x, y=None):
        pyro.sample("w", dist.Normal(loc("w") + y.mean(), scale("w")))

    return predicts, needs_y, {"x": X, "y": X}


def sum_over_particles():
    def sums(x):
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("total", dist.Normal(z.sum(), 1.0), obs=torch.tensor(1.0))

    def rows(x):
        with pyro.plate("data", len(x)):
            pyro.sample("z", normal("z", (5,)))

    return sums, rows, X


def poisson_enumerated():
    def counts(x):
        n = pyro.sample("n", dist.Poisson(3.0))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(n, 1.0), obs=x)

    return counts, lambda x: pyro.sample("n", dist.Poisson(loc("n").exp()), infer=PARALLEL), X


def thirty_switches():
    def switches(x):
        total = sum(pyro.sample(f"s_{i}", dist.Bernoulli(0.5), infer=PARALLEL) for i in range(21))
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(z + 0.0 * float(total.numel()), 1.0), obs=x)

    return switches, guide, X


def _mixture():
    def mixture(x):
        m = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Bernoulli(0.4), infer=PARALLEL)
            pyro.sample("x", dist.Normal(m + k, 1.0), obs=x)

    return mixture, guide, X


def no_room_for_plates():
    return _mixture()


def an_elbo_that_does_not_sum():
    return _mixture()


def _discrete():
    def discrete(x):
        z = pyro.sample("z", dist.Bernoulli(0.4))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    return discrete, lambda x: pyro.sample("z", dist.Bernoulli(logits=loc())), X


def discrete_for_the_reparameterised():
    return _discrete()


def discrete_under_an_autoguide():
    discrete, _, x = _discrete()
    return discrete, "auto_normal", x


def grey_bernoulli():
    def pixels(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Bernoulli(logits=z), obs=x)

    return pixels, guide, torch.tensor([0.2, 0.5, 1.0])


def wrong_width():
    def product(x):
        z = pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z @ torch.zeros(4, 2), 1.0).to_event(1), obs=x[:2])

    return product, lambda x: pyro.sample("z", normal("z", (3,), 1)), X


def poisson_for_nuts():
    counts, _, x = poisson_enumerated()
    return counts, None, x


def random_density_for_nuts():
    def dropout(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(z + torch.rand(()), 1.0), obs=x)

    return dropout, None, X


FAULTS = [
    Fault("no-gradient", unused_parameter, "z_scales", "'z_scale' meant"),
    Fault("no-gradient", detached_parameter, "mean", "mean = pyro.param(\"mean\", torch.tensor(0.2))"),
    Fault("no-gradient", parameter_under_no_grad, "mean", "torch.no_grad()"),
    Fault("unconstrained", scale_without_constraint, "width", "constraint=constraints.positive)"),
    Fault("unconstrained", probability_with_a_positive_constraint, "p", "constraints.unit_interval"),
    Fault("unbounded-output", layer_for_a_scale, "z", "softplus(scale)"),
    Fault("unregistered", net_without_pyro_module, "weight", 'pyro.module("net", net)'),
    Fault("unregistered", torch_tensor_for_a_parameter, None, 'pyro.param("name", torch.zeros(()))'),
    Fault("frozen", frozen_parameter, "mean", "requires_grad_(True)"),
    Fault("idle-weights", layer_not_used, "net$$$1.weight", "out of the module"),
    Fault("nothing-to-train", no_parameters, "z", "pyro.param"),
    Fault("fixed-guide", parameters_in_the_model_only, "z", "pyro.param"),
    Fault("parameter-start", start_at_the_edge, "width", "torch.tensor(0.1)", also=("bad-parameter",)),
    Fault("parameter-dtype", whole_number_parameter, "mean", "torch.tensor(0).float()"),
    Fault("parameter-left", store_of_another_fit, "z_loc", "pyro.clear_param_store()"),
    Fault("parameter-twice", one_name_two_parameters, "s", "another name", also=("bad-parameter", "unconstrained")),
    Fault("data-gradient", data_that_ask_for_a_gradient, None, "x = x.detach()"),
    Fault("dtype", doubles, None, "x = x.to(torch.float32)"),
    Fault("device", other_device, None, "x = x.to('cpu')", also=("fails",)),
    Fault("observed-not-tensor", numpy_observation, "x", "torch.as_tensor"),
    Fault("data", nan_in_the_data, None, "mask"),
    Fault("no-rows", empty_data, None, "loaded or filtered", also=("fails",)),
    Fault("bad-parameter", zero_scale, "x", "constraints.positive"),
    Fault("bad-parameter", negative_scale, "z", "constraints.positive", also=("unconstrained",)),
    Fault("bad-parameter", probability_above_one, "y", "torch.sigmoid"),
    Fault("data-outside-support", impossible_start, "x", "support", also=("unconstrained",)),
    Fault("density", factor_of_minus_infinity, "positive", "init="),
    Fault("nan-gradient", gradient_of_a_root, "x", "clamp"),
    Fault("flat-prior", prior_too_flat, "z", "dist.Normal(0.0, 10.0)"),
    Fault("improper-posterior", improper, "free", "dist.Normal(0.0, 10.0)", also=("flat-prior",)),
    Fault("far-data", unscaled_data, "y", "Standardise"),
    Fault("changes-between-runs", counter, "z", "buffer"),
    Fault("numpy-randomness", numpy_noise, "x", "torch.randn"),
    Fault("numpy-randomness", python_noise, "z", "torch.randn"),
    Fault("changed-data", centred_in_place, None, "x = x.clone()"),
    Fault("changed-data", changed_by_the_guide, None, "x = x.clone()"),
    Fault("signature", other_arguments, None, "def guide(x):"),
    Fault("argument-order", swapped_arguments, None, "def guide(x, y):"),
    Fault("guide-needs-data", blind_guide, None, "if y is None:"),
    Fault("one-at-a-time", sum_over_particles, "total", "x.sum(-1)"),
    Fault("enumeration", poisson_enumerated, "n", "Take the option out"),
    Fault("long-sum", thirty_switches, "s_0", "pyro.markov"),
    Fault("objective", no_room_for_plates, "k", "max_plate_nesting=1",
          options={"estimator": TraceEnum_ELBO(max_plate_nesting=0)}),
    Fault("objective", an_elbo_that_does_not_sum, "k", "TraceEnum_ELBO",
          options={"estimator": Trace_ELBO(max_plate_nesting=1)}),
    Fault("estimator", discrete_for_the_reparameterised, "z", "DisARM()",
          options={"estimator": pv.Reparameterized()}),
    Fault("autoguide", discrete_under_an_autoguide, "z", "infer={'enumerate': 'parallel'}"),
    Fault("does-not-run", grey_bernoulli, "x", "validate_args=False"),
    Fault("fails", wrong_width, "z", "layer expects another width"),
    Fault("nuts", poisson_for_nuts, "n", "bounded support"),
    Fault("nuts", random_density_for_nuts, None, "eval mode"),
]  # fmt: skip
