"""``Gamma``, ``Beta`` and ``Dirichlet``, on their own scale and in log space."""

from __future__ import annotations

import mpmath
import numpy as np
import scipy.special
import scipy.stats
import torch

from pyro_vae.distributions import Beta, Dirichlet, Gamma, LogDirichlet, LogGamma, LogitBeta
from tests.distributions.case import CLOSED_FORMS, Case


def log_gamma_density(v, concentration, rate):
    x = mpmath.exp(min(v, 300))  # quadrature goes further than mpmath can take exp of exp
    return concentration * (v + mpmath.log(rate)) - rate * x - mpmath.loggamma(concentration)


def gamma_density(x, concentration, rate):
    return log_gamma_density(mpmath.log(x), concentration, rate) - mpmath.log(x)


def log_gamma_cdf(v, concentration, rate):
    y = rate * mpmath.exp(v)
    if concentration < 1e5:
        return mpmath.gammainc(concentration, 0, y, regularized=True)
    total = mpmath.hyp1f1(1, concentration + 1, y)  # mpmath's gammainc does not converge out here
    return mpmath.exp(concentration * mpmath.log(y) - y - mpmath.loggamma(concentration + 1)) * total


def gamma_cdf(x, concentration, rate):
    return log_gamma_cdf(mpmath.log(x), concentration, rate)


def logit_beta_density(v, concentration1, concentration0):
    a, b = concentration1, concentration0
    normaliser = mpmath.loggamma(a) + mpmath.loggamma(b) - mpmath.loggamma(a + b)
    return -a * mpmath.log1p(mpmath.exp(-v)) - b * mpmath.log1p(mpmath.exp(v)) - normaliser


def beta_density(x, concentration1, concentration0):
    if x == 1:  # where quadrature rounds to
        return mpmath.mpf(-1e6)
    v = mpmath.log(x) - mpmath.log1p(-x)
    return logit_beta_density(v, concentration1, concentration0) - mpmath.log(x) - mpmath.log1p(-x)


def logit_beta_tails(v, a, b):
    """The logarithms of both tails: the series of the one that is left of the middle, and what it leaves of 1."""
    if v > 2 or (v > -2 and v > mpmath.psi(0, a) - mpmath.psi(0, b)):
        return tuple(reversed(logit_beta_tails(-v, b, a)))
    x, term, total, j = 1 / (1 + mpmath.exp(-v)), mpmath.mpf(1), mpmath.mpf(1), 0
    while term > total * mpmath.eps:
        term *= x * (a + b + j) / (a + 1 + j)
        total, j = total + term, j + 1
    lower = logit_beta_density(v, a, b) + mpmath.log(total / a)
    return lower, mpmath.log(-mpmath.expm1(lower))


def logit_beta_cdf(v, concentration1, concentration0):
    return mpmath.exp(logit_beta_tails(v, concentration1, concentration0)[0])


def beta_cdf(x, concentration1, concentration0):
    return logit_beta_cdf(mpmath.log(x) - mpmath.log1p(-x), concentration1, concentration0)


def log_dirichlet_density(v, concentration):
    """Of the vector up to a constant: its coordinates are rounded, their exponentials do not quite sum to one."""
    total = mpmath.log(mpmath.fsum(mpmath.exp(each) for each in v))
    normaliser = mpmath.fsum(mpmath.loggamma(a) for a in concentration) - mpmath.loggamma(mpmath.fsum(concentration))
    return mpmath.fsum(a * (each - total) for a, each in zip(concentration, v, strict=True)) - normaliser


def dirichlet_density(x, concentration):
    logs = [mpmath.log(each) for each in x]
    return log_dirichlet_density(logs, concentration) - mpmath.fsum(logs)


def weight_is_beta(distribution, samples):
    """The p-value of the first weight of a Dirichlet against its own Beta."""
    a, rest = _split(distribution)
    return scipy.stats.kstest(samples[:, 0].double().numpy(), scipy.stats.beta(a, rest).cdf).pvalue


def log_ratio_is_logit_beta(distribution, samples):
    """The same on the logit scale, to which no weight is too small or too near 1."""
    a, rest = _split(distribution)
    log_ratio = samples[:, 0].double() - samples[:, 1:].double().logsumexp(-1)
    normaliser = scipy.special.betaln(a, rest)

    def cdf(v):
        left = np.exp(np.minimum(a * v - np.log(a) - normaliser, 0))  # P(x <= e^v) for tiny e^v
        right = 1 - np.exp(np.minimum(-rest * v - np.log(rest) - normaliser, 0))
        middle = scipy.stats.beta(a, rest).cdf(scipy.special.expit(v))
        return np.where(v < -600, left, np.where(v > 30, right, middle))

    return scipy.stats.kstest(log_ratio.numpy(), cdf).pvalue


def _split(distribution):
    concentration = distribution.concentration.double()
    return concentration[0].item(), concentration[1:].sum().item()


def gammas(*pairs):
    return tuple({"concentration": a, "rate": r} for a, r in pairs)


def betas(*pairs):
    return tuple({"concentration1": a, "concentration0": b} for a, b in pairs)


def dirichlets(*vectors):
    return tuple({"concentration": vector} for vector in vectors)


GAMMAS = gammas((2.0, 3.0), (0.7, 0.2), (1.0, 1.0), (30.0, 0.1))
GAMMA_EDGES = gammas((1e-6, 1.0), (1e-3, 0.5), (0.05, 1e3), (1.0, 1e-10), (1e4, 1e4), (1e6, 1.0))
BAD_GAMMAS = (
    ({"concentration": 0.0, "rate": 1.0}, "concentration"),
    ({"concentration": 1.0, "rate": -1.0}, "rate"),
    ({"concentration": float("nan"), "rate": 1.0}, "concentration"),
    ({"concentration": (1.0, 1.0), "rate": (1.0, 1.0, 1.0)}, "concentration"),
)
BETAS = betas((2.0, 3.0), (1.0, 1.0), (0.7, 5.0), (30.0, 12.0))
BETA_EDGES = betas((0.6, 0.6), (1e-3, 1e-3), (1e-6, 2.0), (0.05, 50.0), (2.0**16 + 1039, 1.5), (1e6, 1e6), (1e-3, 1e6))
BAD_BETAS = (
    ({"concentration1": 0.0, "concentration0": 1.0}, "concentration"),
    ({"concentration1": 1.0, "concentration0": -1.0}, "concentration"),
    ({"concentration1": float("nan"), "concentration0": 1.0}, "concentration"),
    ({"concentration1": (1.0, 1.0), "concentration0": (1.0, 1.0, 1.0)}, "concentration1"),
)
DIRICHLETS = dirichlets((2.0, 3.0), (1.0, 1.5, 4.0), (0.6, 0.8, 0.7, 0.9), (30.0, 12.0, 7.0))
DIRICHLET_EDGES = dirichlets((1e-3, 1e-3, 1e-3), (1e-6, 2.0, 1e3), (1e6, 1e6, 1e6), (0.05, 1e4))
BAD_DIRICHLETS = (
    ({"concentration": (0.0, 1.0)}, "concentration"),
    ({"concentration": (1.0, float("nan"))}, "concentration"),
    ({"concentration": 1.0}, "concentration"),
)
NO_CDF = CLOSED_FORMS - {"cdf", "icdf"}

# torch's derivative of a Gamma draw by its concentration is within 1.2e-4, its incomplete Gamma function within 2e-9.
# Beta's and Dirichlet's gradients go through two and more Gammas: they are not those of one implicit function, and
# test_gamma.py holds their averages.
CASES = (
    Case(
        name="Gamma",
        make=Gamma,
        settings=GAMMAS,
        edge_settings=GAMMA_EDGES,
        log_density=gamma_density,
        cdf=gamma_cdf,
        pathwise_tolerance=2e-4,
        cdf_tolerance=2e-9,
        points=(1e-30, 1e-10, 0.5, 1.0, 80.0, 1e8),
        support=(0, mpmath.inf),
        rounds_at_edges=True,
        bad=BAD_GAMMAS,
        peers={"torch": torch.distributions.Gamma},
    ),
    Case(
        name="LogGamma",
        make=LogGamma,
        settings=GAMMAS,
        edge_settings=GAMMA_EDGES,
        log_density=log_gamma_density,
        cdf=log_gamma_cdf,
        pathwise_tolerance=2e-4,
        cdf_tolerance=2e-9,
        points=(-1e5, -200.0, -1.0, 0.0, 4.0, 20.0),
        bad=BAD_GAMMAS,
    ),
    Case(
        name="Beta",
        make=Beta,
        settings=BETAS,
        edge_settings=BETA_EDGES,
        log_density=beta_density,
        cdf=beta_cdf,
        pathwise_tolerance=None,
        points=(1e-30, 1e-10, 1e-4, 0.5, 1 - 1e-6, 1 - 6e-8),
        support=(0, 1),
        rounds_at_edges=True,
        bad=BAD_BETAS,
        peers={"torch": torch.distributions.Beta},
    ),
    Case(
        name="LogitBeta",
        make=LogitBeta,
        settings=BETAS,
        edge_settings=BETA_EDGES,
        log_density=logit_beta_density,
        cdf=logit_beta_cdf,
        pathwise_tolerance=None,
        points=(-1e5, -200.0, -1.0, 0.0, 1.0, 200.0, 1e5),
        bad=BAD_BETAS,
    ),
    Case(
        name="Dirichlet",
        make=Dirichlet,
        settings=DIRICHLETS,
        edge_settings=DIRICHLET_EDGES,
        log_density=dirichlet_density,
        has=NO_CDF,
        event_dim=1,
        rounds_at_edges=True,
        bad=BAD_DIRICHLETS,
        peers={"torch": torch.distributions.Dirichlet},
        gof=weight_is_beta,
    ),
    Case(
        name="LogDirichlet",
        make=LogDirichlet,
        settings=DIRICHLETS,
        edge_settings=DIRICHLET_EDGES,
        log_density=log_dirichlet_density,
        has=NO_CDF,
        event_dim=1,
        bad=BAD_DIRICHLETS,
        gof=log_ratio_is_logit_beta,
    ),
)
