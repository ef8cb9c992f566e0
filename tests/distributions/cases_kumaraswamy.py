"""``Kumaraswamy`` and ``LogKumaraswamy``."""

from __future__ import annotations

import mpmath
import torch

from pyro_vae.distributions.kumaraswamy import Kumaraswamy
from pyro_vae.distributions.log_kumaraswamy import LogKumaraswamy
from tests.distributions.case import Case


def log_density(x, concentration1, concentration0):
    a, b = concentration1, concentration0
    with mpmath.workdps(60):
        tail = (b - 1) * log1m_power(x, a) if b != 1 else 0
        return mpmath.log(a) + mpmath.log(b) + (a - 1) * mpmath.log(x) + tail


def log1m_power(x, a):
    """log(1 - x^a), with as many digits as it takes."""
    with mpmath.workdps(80):
        t = a * mpmath.log(x)
        return mpmath.log1p(-mpmath.exp(t)) if t < -1 else mpmath.log(-mpmath.expm1(t))


def cdf(x, concentration1, concentration0):
    return -mpmath.expm1(concentration0 * log1m_power(x, concentration1))


def logit_log_density(x, concentration1, concentration0):
    a, b, v = concentration1, concentration0, x
    with mpmath.workdps(60):
        log_x, log_rest = -log1p_exp(-v), -log1p_exp(v)
        tail = (b - 1) * logit_log1m_power(v, a) if b != 1 else 0
        return mpmath.log(a) + mpmath.log(b) + a * log_x + tail + log_rest


def log1p_exp(v):
    """log(1 + e^v), also where e^v is far beyond mpmath's patience."""
    return v + mpmath.log1p(mpmath.exp(-v)) if v > 0 else mpmath.log1p(mpmath.exp(v))


def logit_log1m_power(v, a):
    log_x = -log1p_exp(-v)
    t = a * log_x
    return mpmath.log1p(-mpmath.exp(t)) if t < -1 else mpmath.log(-mpmath.expm1(t))


def logit_cdf(x, concentration1, concentration0):
    with mpmath.workdps(80):
        return -mpmath.expm1(concentration0 * logit_log1m_power(x, concentration1))


def settings(*pairs):
    return tuple({"concentration1": a, "concentration0": b} for a, b in pairs)


MODERATE = settings((2.0, 3.0), (1.0, 5.0), (5.0, 1.0), (0.5, 2.0), (3.0, 0.7), (30.0, 30.0))
EDGES = settings((5.0, 2.0), (0.3, 0.3), (1.0, 0.1), (0.05, 0.05), (50.0, 1e6), (1e3, 1e3), (1e-5, 1.0), (1e6, 1e-6))
BAD = (
    ({"concentration1": 0.0, "concentration0": 1.0}, "concentration1"),
    ({"concentration1": 1.0, "concentration0": -1.0}, "concentration0"),
    ({"concentration1": float("nan"), "concentration0": 1.0}, "concentration1"),
    ({"concentration1": (1.0, 1.0), "concentration0": (1.0, 1.0, 1.0)}, "concentration1"),
)

CASES = (
    Case(
        name="Kumaraswamy",
        make=Kumaraswamy,
        settings=MODERATE,
        edge_settings=EDGES,
        log_density=log_density,
        cdf=cdf,
        points=(1e-30, 1e-10, 1e-4, 0.5, 1 - 1e-6, 1 - 6e-8),
        support=(0, 1),
        rounds_at_edges=True,
        bad=BAD,
        peers={"torch": torch.distributions.Kumaraswamy},
    ),
    Case(
        name="LogKumaraswamy",
        make=LogKumaraswamy,
        settings=MODERATE,
        edge_settings=EDGES,
        log_density=logit_log_density,
        cdf=logit_cdf,
        points=(-1000.0, -100.0, -5.0, 0.0, 5.0, 100.0, 1000.0),
        bad=BAD,
    ),
)
