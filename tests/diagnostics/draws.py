"""Draws whose statistics are known exactly: quantiles in place of random numbers, and Gaussians of every kind."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.stats import norm

from pyro_vae.posterior import build


def quantile_grid(n: int, seed: int = 0) -> np.ndarray:
    """The ``n`` midpoint quantiles of N(0, 1), shuffled: their statistics are the Gaussian's up to O(1/n)."""
    return np.random.default_rng(seed).permutation(norm.ppf((np.arange(n) + 0.5) / n))


def exact(**draws: np.ndarray) -> xr.DataTree:
    """Exact, independent draws as a baseline: ``x=[n, *shape]``."""
    return build({"posterior": {name: values[None] for name, values in draws.items()}}, attrs={"exact": True})


def guide(log_p: np.ndarray | None = None, log_q: np.ndarray | None = None, **draws: np.ndarray) -> xr.DataTree:
    """A guide's independent draws ``x=[n, *shape]`` with the log densities ``[n]`` at them (0 where none are given)."""
    n = len(next(iter(draws.values())))
    stats = {
        "log_p": (np.zeros(n) if log_p is None else log_p)[None],
        "log_q": (np.zeros(n) if log_q is None else log_q)[None],
    }
    return build({"posterior": {name: values[None] for name, values in draws.items()}, "sample_stats": stats})


def mean_field(rho: float, n: int, seed: int) -> xr.DataTree:
    """The best mean-field Gaussian for a bivariate one of sds 1, correlation ``rho``: its sds are sqrt(1 - rho^2)."""
    sd = np.sqrt(1 - rho**2)
    z = sd * np.random.default_rng(seed).normal(size=(n, 2))
    precision = np.array([[1, -rho], [-rho, 1]]) / (1 - rho**2)
    log_p = -0.5 * np.einsum("ni,ij,nj->n", z, precision, z) - np.log(2 * np.pi * sd)
    return guide(log_p, norm.logpdf(z, scale=sd).sum(axis=1), x=z)


def correlated(rho: float, n: int, seed: int) -> np.ndarray:
    """``[n, 2]`` exact draws of what :func:`mean_field` approximates."""
    return np.random.default_rng(seed).multivariate_normal([0, 0], [[1, rho], [rho, 1]], size=n)


def autoregressive(rho: float, shape: tuple[int, int], seed: int) -> np.ndarray:
    """Chains ``[chain, draw]`` of N(0, 1) with lag-one correlation ``rho``: ESS (1 - rho) / (1 + rho) of the draws."""
    steps = np.random.default_rng(seed).normal(size=shape)
    steps[:, 1:] *= np.sqrt(1 - rho**2)
    for draw in range(1, shape[1]):
        steps[:, draw] += rho * steps[:, draw - 1]
    return steps
