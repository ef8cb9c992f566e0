"""``Gumbel`` and ``GumbelMin``."""

from __future__ import annotations

import mpmath
import torch

from pyro_vae.distributions.gumbel import Gumbel
from pyro_vae.distributions.gumbel_min import GumbelMin
from tests.distributions.case import Case


def log_density(x, loc, scale):
    z = (x - loc) / scale
    return -z - mpmath.exp(-z) - mpmath.log(scale)


def cdf(x, loc, scale):
    t = -(x - loc) / scale
    return mpmath.exp(-mpmath.exp(t)) if t < 30 else mpmath.mpf(0)  # mpmath would count all digits of e^e^t


def log_density_min(x, loc, scale):
    return log_density(-x, -loc, scale)


def cdf_min(x, loc, scale):
    t = (x - loc) / scale
    return -mpmath.expm1(-mpmath.exp(t)) if t < 30 else mpmath.mpf(1)


def settings(*pairs):
    return tuple({"loc": loc, "scale": scale} for loc, scale in pairs)


MODERATE = settings((0.0, 1.0), (-2.0, 0.3), (10.0, 4.0))
EDGES = settings((0.0, 1e-6), (1e6, 1.0), (-3.0, 1e6))
BAD = (
    ({"loc": 0.0, "scale": 0.0}, "scale"),
    ({"loc": 0.0, "scale": -1.0}, "scale"),
    ({"loc": float("nan"), "scale": 1.0}, "loc"),
    ({"loc": (0.0, 1.0), "scale": (1.0, 1.0, 1.0)}, "loc"),
)

CASES = (
    Case(
        name="Gumbel",
        make=Gumbel,
        settings=MODERATE,
        edge_settings=EDGES,
        log_density=log_density,
        cdf=cdf,
        points=(-3.0, 0.0, 15.0, 17.0, 80.0),
        bad=BAD,
        peers={"torch": torch.distributions.Gumbel},
    ),
    Case(
        name="GumbelMin",
        make=GumbelMin,
        settings=MODERATE,
        edge_settings=EDGES,
        log_density=log_density_min,
        cdf=cdf_min,
        points=(-80.0, -17.0, -15.0, 0.0, 3.0),
        bad=BAD,
    ),
)
