"""The problems behind the estimators' figures, and gradients of them by this library's own ``TraceELBO``.

A plate of independent repetitions lies around each problem and every repetition has parameters of its own, so one call
of ``backward`` gives thousands of gradients, each from K particles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product

import pyro
import pyro.distributions as dist
import torch
from scipy.special import dawsn
from torch import Tensor, nn

import pyro_vae as pv
from pyro_vae.estimators import Estimator


@dataclass(frozen=True)
class Problem:
    """A model and a guide, called with the number of repetitions; and where the guide's parameters stand."""

    model: Callable[[int], None]
    guide: Callable[[int], None]
    parameters: Mapping[str, Tensor]


def gradients(
    problem: Problem, estimator: Estimator, K: int, repetitions: int, control: nn.Module | None = None
) -> Tensor:
    """So many estimates of the bound's gradient, of K particles each, ``[repetitions, parameters]``."""
    with pyro.get_param_store().scope():
        values = _put(problem, repetitions)
        particles = pv.TraceELBO(estimator, num_particles=K).particles(problem.model, problem.guide, repetitions)
        each = torch.autograd.grad(estimator(particles, control).loss(), values)
    return -torch.cat([one.reshape(repetitions, -1) for one in each], 1).double()


def check_mean(name: str, each: Tensor, exact: Tensor) -> None:
    """Raise ``ValueError`` when a mean is more than six standard errors from the exact gradient: no such figure."""
    off = (each.mean(0) - exact).abs() / (each.std(0) / math.sqrt(len(each)))
    if off.max() > 6:
        raise ValueError(f"{name}: the mean gradient is {off.max():.1f} standard errors from the exact one.")


def bound(problem: Problem, estimator: Estimator, K: int, repetitions: int) -> float:
    """The mean over repetitions of the objective's value."""
    with pyro.get_param_store().scope():
        _put(problem, repetitions)
        loss = pv.TraceELBO(estimator, num_particles=K).loss(problem.model, problem.guide, repetitions)
    return -loss / repetitions


def trained_control(problem: Problem, estimator: Estimator, steps: int = 300, lr: float = 0.02) -> nn.Module | None:
    """What the estimator learns or remembers, after so many steps beside a guide that stands still."""
    with pyro.get_param_store().scope():
        _put(problem, 16)
        elbo = pv.TraceELBO(estimator, num_particles=4)
        elbo.estimate(problem.model, problem.guide, 16)
        if elbo.control is None:
            return None
        learned = list(elbo.control.parameters())
        optimizer = torch.optim.Adam(learned, lr) if learned else None
        for _ in range(steps):
            elbo.control.zero_grad()
            elbo.differentiable_loss(problem.model, problem.guide, 16).backward()
            if optimizer is not None:
                optimizer.step()
    return elbo.control


def runs_per_particle(problem: Problem, estimator: Estimator, control: nn.Module | None) -> float:
    """How often the model is run for each particle of one gradient: counted, one particle at a time."""
    count = 0

    def model(repetitions: int) -> None:
        nonlocal count
        count += 1
        problem.model(repetitions)

    with pyro.get_param_store().scope():
        _put(problem, 1)
        elbo = pv.TraceELBO(estimator, num_particles=2, vectorize=False)
        elbo.plan(model, problem.guide, 1)
        count = 0
        estimator(elbo.particles(model, problem.guide, 1), control)
    return count / 2


def _put(problem: Problem, repetitions: int) -> list[Tensor]:
    """The guide's parameters into the store, a copy for every repetition."""
    for name, value in problem.parameters.items():
        pyro.param(name, value.expand(repetitions, *value.shape).clone())
    return [pyro.param(name).unconstrained() for name in problem.parameters]


def logistic_regression(steps: int) -> Problem:
    """Four coefficients, forty observations, independent Normals; the guide after so many steps of a fit."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 4, generator=generator)
    y = torch.bernoulli(torch.sigmoid(x @ torch.tensor([1.0, -1.5, 0.5, 0.0])), generator=generator)

    def model(repetitions: int) -> None:
        with pyro.plate("repetitions", repetitions):
            w = pyro.sample("w", dist.Normal(torch.zeros(4), 1.0).to_event(1))
            pyro.sample("y", dist.Bernoulli(logits=w @ x.T).to_event(1), obs=y.expand(repetitions, 40))

    def guide(repetitions: int) -> None:
        loc, scale = pyro.param("loc"), pyro.param("log_scale").exp()
        with pyro.plate("repetitions", repetitions):
            pyro.sample("w", dist.Normal(loc, scale).to_event(1))

    return _fitted(Problem(model, guide, {"loc": torch.zeros(4), "log_scale": torch.zeros(4)}), steps)


def _fitted(problem: Problem, steps: int) -> Problem:
    with pyro.get_param_store().scope():
        values = _put(problem, 1)
        elbo = pv.TraceELBO(pv.StickingTheLanding(), num_particles=64)
        optimizer = torch.optim.Adam(values, 0.03)
        for _ in range(steps):
            optimizer.zero_grad()
            elbo.differentiable_loss(problem.model, problem.guide, 1).backward()
            optimizer.step()
        reached = {name: value.detach()[0] for name, value in zip(problem.parameters, values, strict=True)}
    return replace(problem, parameters=reached)


def belief_network(steps: int = 15) -> tuple[Problem, Tensor]:
    """A sigmoid belief network, five bits behind each of four rows of eight pixels; the guide is where exact ascent has
    brought it in so many steps: on its way. Also the exact gradient there, ``[parameters]``."""
    generator = torch.Generator().manual_seed(1)
    weights = 1.5 * torch.randn(5, 8, generator=generator)
    x = torch.bernoulli(torch.full((4, 8), 0.5), generator=generator)

    def model(repetitions: int) -> None:
        with pyro.plate("repetitions", repetitions, dim=-2), pyro.plate("rows", 4, dim=-1):
            bits = pyro.sample("bits", dist.Bernoulli(logits=torch.zeros(5)).to_event(1))
            pixels = dist.Bernoulli(logits=(bits - 0.5) @ weights)
            pyro.sample("x", pixels.to_event(1), obs=x.expand(repetitions, 4, 8))

    def guide(repetitions: int) -> None:
        logits = pyro.param("logits")
        with pyro.plate("repetitions", repetitions, dim=-2), pyro.plate("rows", 4, dim=-1):
            q = dist.Bernoulli(logits=logits).to_event(1)
            pyro.sample("bits", q, infer={"baseline_input": x.expand(repetitions, 4, 8)})

    def slope_at(logits: Tensor) -> Tensor:
        logits = logits.clone().requires_grad_()
        bits = torch.tensor(list(product([0.0, 1.0], repeat=5)))
        log_p = dist.Bernoulli(logits=(bits - 0.5) @ weights).log_prob(x[:, None]).sum(-1) - 5 * math.log(2)
        log_q = dist.Bernoulli(logits=logits[:, None]).log_prob(bits).sum(-1)
        return torch.autograd.grad((log_q.exp() * (log_p - log_q)).sum(), logits)[0]

    logits = torch.zeros(4, 5)
    for _ in range(steps):
        logits = logits + 0.2 * slope_at(logits)
    return Problem(model, guide, {"logits": logits}), slope_at(logits).flatten().double()


def gaussian() -> tuple[Problem, float]:
    """Three latents z ~ N(0, 1), x ~ N(z, 1), a guide that is a little off and a little wide; and the log evidence."""
    x = torch.tensor([1.0, -0.5, 2.0])

    def model(repetitions: int) -> None:
        with pyro.plate("repetitions", repetitions):
            z = pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x.expand(repetitions, 3))

    def guide(repetitions: int) -> None:
        loc = pyro.param("loc")
        with pyro.plate("repetitions", repetitions):
            pyro.sample("z", dist.Normal(loc, 0.8).to_event(1))

    return Problem(model, guide, {"loc": x / 2 + 0.25}), dist.Normal(0.0, 2**0.5).log_prob(x).sum().item()


def cosine(k: float) -> Problem:
    """An ELBO that is E cos(kz) under N(1, 1): the latent's own terms have next to no weight."""

    def model(repetitions: int) -> None:
        with pyro.plate("repetitions", repetitions):
            with pyro.poutine.scale(scale=1e-9):
                z = pyro.sample("z", dist.Normal(1.0, 1.0))
            pyro.factor("f", torch.cos(k * z))

    def guide(repetitions: int) -> None:
        loc, scale = pyro.param("loc"), pyro.param("scale")
        with pyro.plate("repetitions", repetitions), pyro.poutine.scale(scale=1e-9):
            pyro.sample("z", dist.Normal(loc, scale))

    return Problem(model, guide, {"loc": torch.tensor(1.0), "scale": torch.tensor(1.0)})


def cosine_variances(k: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Of one draw of the gradient of E cos(kz), for the mean and for the standard deviation.

    Mohamed, Rosca, Figurnov, Mnih (2020) for the first two. The third follows from the characteristic functions of the
    Rayleigh law, 1 - sqrt(2) t D(t / sqrt(2)), and of the double-sided Maxwell law, (1 - t^2) exp(-t^2 / 2).
    """
    damp, half, wave, t2 = torch.exp(-2 * k**2), torch.exp(-(k**2) / 2), torch.cos(2 * k), 4 * k**2
    rayleigh = 2 * math.sqrt(2) * k * torch.as_tensor(dawsn(math.sqrt(2) * k.numpy()))
    squares = {
        "score function": ((1 + damp * wave * (1 - t2)) / 2, (2 + damp * wave * (t2**2 - 4 * t2 + 2)) / 2),
        "pathwise": (k**2 * (1 - damp * wave) / 2, k**2 * (1 - damp * wave * (1 - t2)) / 2),
        "measure-valued": (
            torch.sin(k) ** 2 * rayleigh / math.pi,
            1 + damp * wave * (1 - t2 / 2) - half - wave * (2 * damp - half),
        ),
    }
    means = ((k * half * torch.sin(k)) ** 2, (k**2 * half * torch.cos(k)) ** 2)
    return {name: (loc - means[0], scale - means[1]) for name, (loc, scale) in squares.items()}
