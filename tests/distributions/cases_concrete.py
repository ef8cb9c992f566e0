"""The relaxations of categorical and Bernoulli variables, and their straight-through draws."""

from __future__ import annotations

import mpmath
import scipy.stats
import torch

from pyro_vae.distributions import (
    Concrete,
    ExpConcrete,
    LogitRelaxedBernoulli,
    RelaxedBernoulli,
    StraightThroughBernoulli,
    StraightThroughOneHot,
)
from tests.distributions.case import CLOSED_FORMS, Case


def exp_concrete_density(v, temperature, logits):
    (T,) = temperature if isinstance(temperature, list) else [temperature]
    K = len(v)
    score = [logit - T * each for logit, each in zip(logits, v, strict=True)]
    total = mpmath.log(mpmath.fsum(mpmath.exp(each) for each in score))
    return mpmath.loggamma(K) + (K - 1) * mpmath.log(T) + mpmath.fsum(score) - K * total


def concrete_density(x, temperature, logits):
    logs = [mpmath.log(each) for each in x]
    return exp_concrete_density(logs, temperature, logits) - mpmath.fsum(logs)


def logistic_density(v, temperature, logits):
    z = temperature * v - logits
    return mpmath.log(temperature) - abs(z) - 2 * mpmath.log1p(mpmath.exp(-abs(z)))


def logistic_cdf(v, temperature, logits):
    return 1 / (1 + mpmath.exp(logits - temperature * v))


def logit(x):
    return mpmath.log(x) - mpmath.log1p(-x)


def relaxed_bernoulli_density(x, temperature, logits):
    if x == 1:  # where quadrature rounds to
        return mpmath.mpf(-1e6)
    return logistic_density(logit(x), temperature, logits) - mpmath.log(x) - mpmath.log1p(-x)


def relaxed_bernoulli_cdf(x, temperature, logits):
    return logistic_cdf(logit(x), temperature, logits)


def one_hot_log_prob(x, temperature, logits):
    total = mpmath.log(mpmath.fsum(mpmath.exp(each) for each in logits))
    return mpmath.fsum(each * (logit - total) for each, logit in zip(x, logits, strict=True))


def bernoulli_log_prob(x, temperature, logits):
    return -mpmath.log1p(mpmath.exp(-logits if x == 1 else logits))


def log_ratio_is_logistic(distribution, samples):
    """The p-value of the first log-ratio to the last, which is logistic."""
    logs = samples if isinstance(distribution, ExpConcrete) else samples.log()
    difference = distribution.logits[0] - distribution.logits[-1]
    uniform = torch.sigmoid((logs[:, 0] - logs[:, -1]).double() * distribution.temperature - difference)
    return scipy.stats.kstest(uniform.numpy(), "uniform").pvalue


def frequencies_are_the_probabilities(distribution, samples):
    if not distribution.event_shape:
        samples = torch.stack([samples, 1 - samples], -1)
    p = distribution.mean if distribution.event_shape else torch.stack([distribution.mean, 1 - distribution.mean])
    expected = p.double() / p.double().sum() * len(samples)
    return scipy.stats.chisquare(samples.double().sum(0).numpy(), expected.numpy()).pvalue


def settings(*pairs):
    return tuple({"temperature": T, "logits": logits} for T, logits in pairs)


VECTORS = settings((0.7, (0.0, 1.0)), (1.0, (0.3, -1.0, 0.5)), (2.0, (0.0, 3.0, 1.0, -2.0)))
VECTOR_EDGES = settings((0.05, (0.0,) * 10), (0.01, (0.0,) * 10), (1e-3, (1.0, 5.0, -20.0)), (100.0, (0.0, 1.0)))
BAD_VECTORS = (
    ({"temperature": 0.0, "logits": (0.0, 0.0)}, "temperature"),
    ({"temperature": (1.0, 2.0), "logits": (0.0, 0.0)}, "temperature"),
    ({"temperature": 1.0, "logits": (0.0, float("nan"))}, "logits"),
    ({"temperature": 1.0, "probs": (0.7, 0.7)}, "probs"),
    ({"temperature": 1.0}, "logits"),
)
SCALARS = settings((0.7, 0.4), (1.0, 1.5), (2.0, -3.0))
SCALAR_EDGES = settings((0.05, 0.0), (1e-3, 2.0), (1e-3, -60.0), (100.0, 0.5))
BAD_SCALARS = (
    ({"temperature": -1.0, "logits": 0.0}, "temperature"),
    ({"temperature": 1.0, "logits": float("nan")}, "logits"),
    ({"temperature": 1.0, "probs": 1.5}, "probs"),
    ({"temperature": (1.0, 1.0), "logits": (0.0, 0.0, 0.0)}, "temperature"),
)
MOMENTS = CLOSED_FORMS - {"cdf", "icdf"}

CASES = (
    Case(
        name="Concrete",
        make=Concrete,
        settings=VECTORS,
        edge_settings=VECTOR_EDGES,
        log_density=concrete_density,
        has=frozenset(),
        event_dim=1,
        rounds_at_edges=True,
        bad=BAD_VECTORS,
        peers={"torch": torch.distributions.RelaxedOneHotCategorical},
        gof=log_ratio_is_logistic,
    ),
    Case(
        name="ExpConcrete",
        make=ExpConcrete,
        settings=VECTORS,
        edge_settings=VECTOR_EDGES,
        log_density=exp_concrete_density,
        has=frozenset({"mode", "entropy"}),
        event_dim=1,
        bad=BAD_VECTORS,
        gof=log_ratio_is_logistic,
    ),
    Case(
        name="RelaxedBernoulli",
        make=RelaxedBernoulli,
        settings=SCALARS,
        edge_settings=SCALAR_EDGES,
        log_density=relaxed_bernoulli_density,
        cdf=relaxed_bernoulli_cdf,
        points=(1e-30, 1e-10, 0.5, 1 - 1e-6, 1 - 6e-8),
        support=(0, 1),
        has=frozenset({"cdf", "icdf"}),
        rounds_at_edges=True,
        bad=BAD_SCALARS,
        peers={"torch": torch.distributions.RelaxedBernoulli},
    ),
    Case(
        name="LogitRelaxedBernoulli",
        make=LogitRelaxedBernoulli,
        settings=SCALARS,
        edge_settings=SCALAR_EDGES,
        log_density=logistic_density,
        cdf=logistic_cdf,
        points=(-1e5, -100.0, 0.0, 100.0, 1e5),
        bad=BAD_SCALARS,
    ),
    Case(
        name="StraightThroughOneHot",
        make=StraightThroughOneHot,
        settings=VECTORS,
        edge_settings=VECTOR_EDGES,
        log_density=one_hot_log_prob,
        has=MOMENTS,
        discrete=True,
        event_dim=1,
        bad=BAD_VECTORS,
        gof=frequencies_are_the_probabilities,
    ),
    Case(
        name="StraightThroughBernoulli",
        make=StraightThroughBernoulli,
        settings=SCALARS,
        edge_settings=SCALAR_EDGES,
        log_density=bernoulli_log_prob,
        has=MOMENTS,
        discrete=True,
        bad=BAD_SCALARS,
        gof=frequencies_are_the_probabilities,
    ),
)
