"""The programs of the catalogue as NumPyro writes them: the same sites, the same density."""

from __future__ import annotations

import numpyro
import numpyro.distributions as dist
from jax import Array


def eight_schools_noncentered(y: Array, sigma: Array) -> None:
    """As in ``models/eight_schools_noncentered.py``."""
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
    with numpyro.plate("school", len(sigma)):
        z = numpyro.sample("z", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(mu + tau * z, sigma), obs=y)


def logistic_regression(x: Array, y: Array) -> None:
    """As in ``models/logistic_regression.py``."""
    with numpyro.plate("column", x.shape[1]):
        beta = numpyro.sample("beta", dist.Normal(0.0, 1.0))
    with numpyro.plate("biopsy", x.shape[0]):
        numpyro.sample("y", dist.Bernoulli(logits=beta @ x.T), obs=y)


def subsampled_regression(x: Array, y: Array, batch: int) -> None:
    """The same of ``batch`` rows drawn anew at every step, standing for all."""
    with numpyro.plate("column", x.shape[1]):
        beta = numpyro.sample("beta", dist.Normal(0.0, 1.0))
    with numpyro.plate("biopsy", x.shape[0], subsample_size=batch) as rows:
        numpyro.sample("y", dist.Bernoulli(logits=beta @ x[rows].T), obs=y[rows])
