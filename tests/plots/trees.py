"""Draws for the tests of figures and reports: eight schools from its exact posterior, and two Gaussian guides."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import xarray as xr
from scipy import stats

from pyro_vae.posterior.datatree import build

SCHOOLS = ["Choate", "Deerfield", "Phillips Andover", "Phillips Exeter", "Hotchkiss", "Lawrenceville",
           "St. Paul's", "Mt. Hermon"]  # fmt: skip
Y = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
SIGMA = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
LABELS = ["mu", "tau", *(f"theta[{school}]" for school in SCHOOLS)]


def exact(n: int, rng: np.random.Generator) -> np.ndarray:
    """``[n, 10]`` independent draws of (mu, tau, theta): tau on a grid, the rest given it in closed form."""
    grid = np.linspace(1e-3, 60, 6000)
    spread = SIGMA**2 + grid[:, None] ** 2
    precision = 1 / 25 + (1 / spread).sum(1)
    centre = (Y / spread).sum(1) / precision
    log_p = (
        -np.log1p((grid / 5) ** 2)
        - 0.5 * (np.log(spread) + Y**2 / spread).sum(1)
        - 0.5 * np.log(precision)
        + 0.5 * centre**2 * precision
    )
    p = np.exp(log_p - log_p.max())
    index = rng.choice(len(grid), size=n, p=p / p.sum())
    tau = grid[index] + rng.uniform(-0.5, 0.5, n) * (grid[1] - grid[0])
    mu = centre[index] + rng.normal(size=n) / np.sqrt(precision[index])
    each = 1 / (1 / SIGMA**2 + 1 / tau[:, None] ** 2)
    theta = each * (Y / SIGMA**2 + mu[:, None] / tau[:, None] ** 2) + np.sqrt(each) * rng.normal(size=(n, 8))
    return np.column_stack([mu, np.abs(tau), theta])


def log_joint(draws: np.ndarray) -> np.ndarray:
    mu, tau, theta = draws[:, 0], draws[:, 1], draws[:, 2:]
    return (
        stats.norm.logpdf(mu, 0, 5)
        + stats.halfcauchy.logpdf(tau, scale=5)
        + stats.norm.logpdf(theta, mu[:, None], tau[:, None]).sum(1)
        + stats.norm.logpdf(Y, theta, SIGMA).sum(1)
    )


def tree_of(draws: np.ndarray, chains: int, sample_stats: dict, attrs: dict, rng: np.random.Generator) -> xr.DataTree:
    shaped = draws.reshape(chains, -1, 10)
    theta = shaped[..., 2:]
    groups = {
        "posterior": {"mu": shaped[..., 0], "tau": shaped[..., 1], "theta": theta},
        "sample_stats": sample_stats,
        "posterior_predictive": {"y": theta + SIGMA * rng.normal(size=theta.shape)},
        "observed_data": {"y": Y},
    }
    return build(groups, dims={"theta": ["school"], "y": ["school"]}, coords={"school": SCHOOLS}, attrs=attrs)


def guide(covariance: str, rng: np.random.Generator, n: int = 4000) -> xr.DataTree:
    """A Gaussian over (mu, log tau, theta): ``"full"``, or ``"diagonal"`` with the conditional sds of mean-field."""
    sample = exact(20_000, rng)
    sample[:, 1] = np.log(sample[:, 1])
    mean, cov = sample.mean(0), np.cov(sample.T)
    if covariance == "diagonal":
        cov = np.diag(1 / np.diag(np.linalg.inv(cov)))
    flat = rng.multivariate_normal(mean, cov, size=n)
    draws = flat.copy()
    draws[:, 1] = np.exp(flat[:, 1])
    log_q = stats.multivariate_normal.logpdf(flat, mean, cov) - flat[:, 1]
    sample_stats = {"log_p": log_joint(draws)[None], "log_q": log_q[None]}
    attrs = {
        "guide": covariance,
        "num_particles": 16,
        "steps": 3000,
        "seconds": 2.1,
        "seed": 0,
        "bound": -33.42,
        "bound_se": 0.02,
    }
    return tree_of(draws, 1, sample_stats, attrs, rng)


def eight_schools(seed: int = 0) -> SimpleNamespace:
    """``baseline`` (4 chains of 1000, 23 marked as divergent) and ``posteriors`` of two guides."""
    rng = np.random.default_rng(seed)
    draws = exact(4000, rng)
    diverging = np.zeros((4, 1000), dtype=bool)
    diverging.ravel()[np.argsort(draws[:, 1])[:200][::9]] = True
    attrs = {
        "engine": "nutpie",
        "seconds": 3.2,
        "seed": 0,
        "how": "NUTS on the centred model failed; then non-centred.",
    }
    baseline = tree_of(draws, 4, {"diverging": diverging, "lp": log_joint(draws).reshape(4, -1)}, attrs, rng)
    posteriors = {"auto_normal": guide("diagonal", rng), "auto_multivariate_normal": guide("full", rng)}
    return SimpleNamespace(baseline=baseline, posteriors=posteriors)


def normal_tree(names: list[str], seed: int = 0, scale: float = 1.0, chains: int = 4, draws: int = 250) -> xr.DataTree:
    """Independent standard normal draws of the named scalars, times ``scale``."""
    rng = np.random.default_rng(seed)
    return build({"posterior": {name: scale * rng.normal(size=(chains, draws)) for name in names}})


def history(final: float, steps: int = 3000, seed: int = 0, seconds: float = 2.0, gap: float = 0.0) -> SimpleNamespace:
    """A bound that climbs from -10^4 to ``final``, with noise; the ELBO of the same steps lies ``gap`` below."""
    rng = np.random.default_rng(seed)
    at = np.arange(steps)
    bound = final - 1e4 * np.exp(-at / (0.02 * steps)) - 8 * np.exp(-at / (0.15 * steps)) + 0.8 * rng.normal(size=steps)
    return SimpleNamespace(bound=bound, elbo=bound - gap, seconds=seconds * (at + 1) / steps)


def gradient_noise(name: str, place: str, objective: str, variance: float, biased: str) -> SimpleNamespace:
    """What a study of gradients found of one estimator."""
    moments = SimpleNamespace(total_variance=variance)
    return SimpleNamespace(
        estimator=name, place=place, part="guide", objective=objective, biased=biased, moments=moments,
        variance_seconds=1e-3 * variance,
    )  # fmt: skip
