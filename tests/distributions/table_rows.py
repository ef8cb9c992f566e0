"""What ``table.py`` compares: densities, how parameters and points are drawn, and other people's classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import torch

from pyro_vae.distributions import Beta, Gamma, Gumbel, GumbelMin, Kumaraswamy, LogGamma, LogitBeta, LogKumaraswamy
from tests.distributions import cases_gumbel, cases_kumaraswamy

LEAST, LAST = float(np.float32(1e-45)), float(np.float32(1 - 2**-24))


@dataclass(frozen=True)
class Row:
    """``log_density(point, *parameters)`` is mpmath's; ``draw(rng, count)`` gives float32 points and parameters."""

    name: str
    ours: Callable[..., Any]
    log_density: Callable[..., Any]
    draw: Callable[[np.random.Generator, int], tuple[np.ndarray, tuple[np.ndarray, ...]]]
    inside: Callable[[np.ndarray], np.ndarray]
    torch: Callable[..., Any] | None = None
    numpyro: str | None = None
    tfp: str | None = None

    def other(self, library: str, module: Any) -> Callable[..., Any] | None:
        """The class of that name in NumPyro's, or TFP's, module."""
        if library == "numpyro":
            return getattr(module, self.numpyro) if self.numpyro else None
        return getattr(module.distributions, self.tfp) if self.tfp else None


def scales(rng: np.random.Generator, count: int) -> np.ndarray:
    """Positive numbers over twelve orders of magnitude."""
    return (10 ** rng.uniform(-6, 6, count)).astype(np.float32)


def unit_points(rng: np.random.Generator, count: int) -> np.ndarray:
    """Points of (0, 1): a third in the middle, a third down to the least float, a third up to the last before 1."""
    kinds = rng.integers(0, 3, count)
    middle, low = rng.uniform(0.01, 0.99, count), 10 ** rng.uniform(-45, -2, count)
    high = 1 - 2 ** rng.uniform(-24, -6, count)
    points = np.select([kinds == 0, kinds == 1], [middle, low], high).astype(np.float32)
    return np.clip(points, np.float32(LEAST), np.float32(LAST))


def real_points(rng: np.random.Generator, count: int) -> np.ndarray:
    """Points of the line: half of size 1 to 100, half over the whole range of float32."""
    size = np.where(rng.random(count) < 0.5, 10 ** rng.uniform(-2, 2, count), 10 ** rng.uniform(-38, 38, count))
    return (size * rng.choice([-1, 1], count)).astype(np.float32)


def positive_points(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.clip((10 ** rng.uniform(-45, 38.5, count)).astype(np.float32), np.float32(LEAST), np.float32(3e38))


def pair(points: Callable[[np.random.Generator, int], np.ndarray]):
    def draw(rng: np.random.Generator, count: int):
        return points(rng, count), (scales(rng, count), scales(rng, count))

    return draw


def located(rng: np.random.Generator, count: int):
    """A location of either sign, a scale, and points of which half lie within some scales of the location."""
    loc = scales(rng, count) * rng.choice([-1, 1], count).astype(np.float32)
    scale = scales(rng, count)
    near = (loc + scale * rng.uniform(-5, 80, count) * rng.choice([-1, 1], count)).astype(np.float32)
    return np.where(rng.random(count) < 0.7, near, real_points(rng, count)), (loc, scale)


def in_unit(draws: np.ndarray) -> np.ndarray:
    return (draws > 0) & (draws < 1)


def positive(draws: np.ndarray) -> np.ndarray:
    return (draws > 0) & np.isfinite(draws)


def beta(x, a, b):
    return (a - 1) * mpmath.log(x) + (b - 1) * mpmath.log1p(-x) - log_beta(a, b)


def logit_beta(v, a, b):
    log1p_exp = cases_kumaraswamy.log1p_exp
    return -a * log1p_exp(-v) - b * log1p_exp(v) - log_beta(a, b)


def log_beta(a, b):
    return mpmath.loggamma(a) + mpmath.loggamma(b) - mpmath.loggamma(a + b)


def gamma(x, a, rate):
    return a * mpmath.log(rate) + (a - 1) * mpmath.log(x) - rate * x - mpmath.loggamma(a)


def log_gamma(v, a, rate):
    return a * (mpmath.log(rate) + v) - rate * mpmath.exp(v) - mpmath.loggamma(a)


ROWS = (
    Row(
        "Kumaraswamy",
        Kumaraswamy,
        cases_kumaraswamy.log_density,
        pair(unit_points),
        in_unit,
        torch.distributions.Kumaraswamy,
        "Kumaraswamy",
        "Kumaraswamy",
    ),
    Row("LogKumaraswamy", LogKumaraswamy, cases_kumaraswamy.logit_log_density, pair(real_points), np.isfinite),
    Row(
        "Gumbel",
        Gumbel,
        cases_gumbel.log_density,
        located,
        np.isfinite,
        torch.distributions.Gumbel,
        "Gumbel",
        "Gumbel",
    ),
    Row("GumbelMin", GumbelMin, cases_gumbel.log_density_min, located, np.isfinite),
    Row("Beta", Beta, beta, pair(unit_points), in_unit, torch.distributions.Beta, "Beta", "Beta"),
    Row("LogitBeta", LogitBeta, logit_beta, pair(real_points), np.isfinite),
    Row("Gamma", Gamma, gamma, pair(positive_points), positive, torch.distributions.Gamma, "Gamma", "Gamma"),
    Row("LogGamma", LogGamma, log_gamma, pair(real_points), np.isfinite, None, None, "ExpGamma"),
)
