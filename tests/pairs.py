"""One table of model/guide pairs, each with a feature that trace handling has to get right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.infer.autoguide import AutoMultivariateNormal, AutoNormal
from torch.distributions import constraints


@dataclass(frozen=True)
class Pair:
    """``make`` gives a fresh (model, guide, args). ``reparameterised``: every site is. ``pyro_is_right``: its
    Trace_ELBO is unbiased here."""

    name: str
    make: Callable[[], tuple[Callable, Callable, tuple]] = field(repr=False)
    reparameterised: bool = True
    pyro_is_right: bool = True
    latents: tuple[str, ...] = ("z",)


X5 = torch.tensor([0.3, -1.2, 0.8, 2.0, -0.4])


def _normal_guide(name: str, shape: tuple[int, ...] = (), prefix: str = "") -> dist.Distribution:
    loc = pyro.param(f"{prefix}{name}_loc", lambda: torch.full(shape, 0.3))
    scale = pyro.param(f"{prefix}{name}_scale", lambda: torch.full(shape, 0.7), constraint=constraints.positive)
    return dist.Normal(loc, scale)


def params():
    def model(x):
        z = pyro.sample("z", dist.Normal(pyro.param("m", lambda: torch.tensor(0.2)), 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    return model, lambda x: pyro.sample("z", _normal_guide("z")), (X5,)


def nested_plates():
    def model(x):
        with pyro.plate("rows", 5, dim=-2):
            a = pyro.sample("a", dist.Normal(0.0, 1.0))
            with pyro.plate("columns", 3, dim=-1):
                z = pyro.sample("z", dist.Normal(a, 1.0))
                pyro.sample("x", dist.Normal(z, 1.0), obs=x[:, None].expand(5, 3))

    def guide(x):
        with pyro.plate("rows", 5, dim=-2):
            pyro.sample("a", _normal_guide("a", (5, 1)))
            with pyro.plate("columns", 3, dim=-1):
                pyro.sample("z", _normal_guide("z", (5, 3)))

    return model, guide, (X5,)


def same_dim_plates():
    def model(x):
        with pyro.plate("first", 5):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)
        with pyro.plate("second", 3):
            w = pyro.sample("w", dist.Normal(z.sum(-1, keepdim=True), 1.0))
            pyro.sample("y", dist.Normal(w, 2.0), obs=x[:3])

    def guide(x):
        with pyro.plate("first", 5):
            pyro.sample("z", _normal_guide("z", (5,)))
        with pyro.plate("second", 3):
            pyro.sample("w", _normal_guide("w", (3,)))

    return model, guide, (X5,)


def sequential_plate():
    def model(x):
        for i in pyro.plate("data", len(x)):
            z = pyro.sample(f"z_{i}", dist.Normal(0.0, 1.0))
            pyro.sample(f"x_{i}", dist.Normal(z, 1.0), obs=x[i])

    def guide(x):
        for i in pyro.plate("data", len(x)):
            pyro.sample(f"z_{i}", _normal_guide(f"z_{i}"))

    return model, guide, (X5,)


def subsampled():
    def model(x):
        m = pyro.sample("m", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x), subsample_size=2) as rows:
            z = pyro.sample("z", dist.Normal(m, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x[rows])

    def guide(x):
        pyro.sample("m", _normal_guide("m"))
        loc = pyro.param("loc", lambda: torch.linspace(-1, 1, 5))
        with pyro.plate("data", len(x), subsample_size=2) as rows:
            pyro.sample("z", dist.Normal(loc[rows], 0.5))

    return model, guide, (X5,)


def masked_and_scaled():
    def model(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        seen = torch.tensor([True, False, True, True, False])
        with pyro.plate("data", 5), poutine.mask(mask=seen), poutine.scale(scale=0.25):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)
        with poutine.mask(mask=False):
            pyro.sample("off", dist.Normal(z, 1.0), obs=torch.tensor(100.0))

    return model, lambda x: pyro.sample("z", _normal_guide("z")), (X5,)


def events():
    def model(x):
        z = pyro.sample("z", dist.Normal(torch.zeros(5), 1.0).to_event(1))
        cov = torch.eye(5) + 0.3
        pyro.sample("x", dist.MultivariateNormal(z, cov), obs=x)

    return model, lambda x: pyro.sample("z", _normal_guide("z", (5,)).to_event(1)), (X5,)


def factors_and_deterministic():
    def model(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        twice = pyro.deterministic("twice", 2 * z)
        pyro.factor("tilt", -0.1 * twice**4)

    def guide(x):
        base = pyro.sample("base", _normal_guide("base"), infer={"is_auxiliary": True})
        slope = pyro.param("slope", lambda: torch.tensor(0.8))
        z = slope * base.tanh()
        log_det = torch.log(slope * (1 - base.tanh() ** 2))
        pyro.factor("jacobian", log_det * 0.0, has_rsample=True)
        pyro.sample("z", dist.Delta(z, log_density=-log_det))

    return model, guide, (X5,)


def discrete():
    def model(x):
        with pyro.plate("data", 5):
            z = pyro.sample("z", dist.Bernoulli(0.4))
            pyro.sample(
                "x",
                dist.Normal(2 * z - 1, pyro.param("s", lambda: torch.tensor(1.3), constraint=constraints.positive)),
                obs=x,
            )

    def guide(x):
        logits = pyro.param("logits", lambda: torch.linspace(-1, 1, 5))
        with pyro.plate("data", 5):
            pyro.sample("z", dist.Bernoulli(logits=logits))

    return model, guide, (X5,)


def mixed():
    def model(x):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("data", 5):
            z = pyro.sample("z", dist.Bernoulli(logits=w))
            pyro.sample("x", dist.Normal((2 * z - 1) * w, 1.0), obs=x)

    def guide(x):
        w = pyro.sample("w", _normal_guide("w"))
        slope = pyro.param("slope", lambda: torch.tensor(0.5))
        with pyro.plate("data", 5):
            pyro.sample("z", dist.Bernoulli(logits=slope * x + w))

    return model, guide, (X5,)


def auxiliary_discrete():
    def model(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x[0])

    def guide(x):
        which = pyro.sample(
            "which", dist.Bernoulli(logits=pyro.param("logit", lambda: torch.tensor(0.4))), infer={"is_auxiliary": True}
        )
        loc = pyro.param("locs", lambda: torch.tensor([-0.5, 0.9]))
        pyro.sample("z", dist.Normal(loc[which.long()], 0.6))

    return model, guide, (X5,)


def discrete_chain():
    """b1 -> b2 in guide and model, and c on its own: c's cost has nothing of b1 and b2."""

    def model(x):
        b1 = pyro.sample("b1", dist.Bernoulli(0.4))
        b2 = pyro.sample("b2", dist.Bernoulli(0.3 + 0.4 * b1))
        c = pyro.sample("c", dist.Bernoulli(0.6))
        pyro.sample("x", dist.Normal(b2, 1.0), obs=x[0])
        pyro.sample("y", dist.Normal(c, 1.0), obs=x[1])

    def guide(x):
        logits = pyro.param("logits", lambda: torch.tensor([0.3, -0.2, 0.8, 0.1]))
        b1 = pyro.sample("b1", dist.Bernoulli(logits=logits[0]))
        pyro.sample("b2", dist.Bernoulli(logits=logits[1] + logits[2] * b1))
        pyro.sample("c", dist.Bernoulli(logits=logits[3]))

    return model, guide, (X5,)


def shared_prior():
    def model(x):
        prior = pyro.param("prior", lambda: torch.tensor(0.4))
        z = pyro.sample("z", dist.Normal(prior, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x[0])

    def guide(x):
        prior = pyro.param("prior", lambda: torch.tensor(0.4))
        pyro.sample("z", dist.Normal(prior + pyro.param("shift", lambda: torch.tensor(0.1)), 0.8))

    return model, guide, (X5,)


class _Coder(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = torch.nn.Linear(3, 4), torch.nn.Linear(2, 3)


def neural():
    torch.manual_seed(3)
    net = _Coder()
    data = torch.randn(6, 3)

    def model(x):
        pyro.module("net", net)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(net.decode(z), 0.5).to_event(1), obs=x)

    def guide(x):
        pyro.module("net", net)
        with pyro.plate("data", len(x)):
            loc, log_scale = net.encode(x).chunk(2, -1)
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))

    return model, guide, (data,)


def hierarchy(x):
    mu = pyro.sample("mu", dist.Normal(0.0, 3.0))
    tau = pyro.sample("tau", dist.LogNormal(0.0, 1.0))
    with pyro.plate("data", len(x)):
        theta = pyro.sample("theta", dist.Normal(mu, tau))
        pyro.sample("x", dist.Normal(theta, 1.0), obs=x)


def auto_normal():
    return hierarchy, AutoNormal(hierarchy), (X5,)


def auto_multivariate_normal():
    return hierarchy, AutoMultivariateNormal(hierarchy), (X5,)


HIERARCHY = ("mu", "tau", "theta")
PAIRS = [
    Pair("params", params),
    Pair("nested plates", nested_plates, latents=("a", "z")),
    Pair("same-dim plates", same_dim_plates, latents=("z", "w")),
    Pair("sequential plate", sequential_plate, latents=tuple(f"z_{i}" for i in range(5))),
    Pair("subsampled plate", subsampled, latents=("m", "z")),
    Pair("mask and scale", masked_and_scaled),
    Pair("events", events),
    Pair("factors and deterministic", factors_and_deterministic),
    Pair("discrete", discrete, reparameterised=False),
    Pair("mixed", mixed, reparameterised=False, latents=("w", "z")),
    Pair("auxiliary discrete", auxiliary_discrete, reparameterised=False, pyro_is_right=False),
    Pair("discrete chain", discrete_chain, reparameterised=False, latents=("b1", "b2", "c")),
    Pair("shared prior", shared_prior),
    Pair("neural", neural),
    Pair("AutoNormal", auto_normal, latents=HIERARCHY),
    Pair("AutoMultivariateNormal", auto_multivariate_normal, latents=HIERARCHY),
]


def gradients() -> dict[str, torch.Tensor]:
    """Gradients of everything in the param store, cleared for the next backward."""
    found = {}
    for name, param in pyro.get_param_store().named_parameters():
        found[name] = torch.zeros_like(param) if param.grad is None else param.grad.clone()
        param.grad = None
    return found
