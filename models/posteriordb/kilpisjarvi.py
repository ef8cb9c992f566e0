r"""How much warmer did the summers of Kilpisjärvi become? A line through 62 years of temperatures.

.. math:: \alpha \sim N(m_\alpha, s_\alpha^2), \qquad \beta \sim N(m_\beta, s_\beta^2), \qquad \sigma > 0 \text{ flat},
          \qquad y_i \sim N(\alpha + \beta x_i, \sigma^2)

The years x are not centred: two thousand years from the origin, intercept and slope have a correlation of -.99999.
``baseline_model`` is the same posterior written with the line's height in the middle of the years, which is all but
independent of the slope.

Source: A. Vehtari, the demonstrations of his course on Bayesian data analysis (BDA_R_demos), with temperatures of the
Finnish Meteorological Institute; the posterior kilpisjarvi_mod-kilpisjarvi of posteriordb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from _flat_priors import flat_positive
from torch import Tensor

posteriors = ("kilpisjarvi_mod-kilpisjarvi",)
dims = {"y": ["year"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """Years ``x`` and temperatures ``y``, ``[62]`` each; means and sds of the priors, ``[2]``: of alpha, of beta."""
    prior = {name: [data[f"{name}alpha"], data[f"{name}beta"]] for name in ("pmu", "ps")}
    given = {"x": data["x"], "y": data["y"], "means": prior["pmu"], "sds": prior["ps"]}
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in given.items()}


def model(x: Tensor, y: Tensor, means: Tensor, sds: Tensor) -> None:
    """The joint density of ``alpha``, ``beta``, ``sigma`` and the observed ``y`` ``[62]``."""
    alpha = pyro.sample("alpha", dist.Normal(means[0], sds[0]))
    beta = pyro.sample("beta", dist.Normal(means[1], sds[1]))
    _temperatures(alpha, beta, x, y)


def baseline_model(x: Tensor, y: Tensor, means: Tensor, sds: Tensor) -> None:
    """The same posterior of the same names, with ``alpha`` a function of the line's height in the middle year."""
    beta = pyro.sample("beta", dist.Normal(means[1], sds[1]))
    middle = pyro.sample("middle", dist.Normal(means[0] + beta * x.mean(), sds[0]))
    alpha = pyro.deterministic("alpha", middle - beta * x.mean())
    _temperatures(alpha, beta, x, y)


def _temperatures(alpha: Tensor, beta: Tensor, x: Tensor, y: Tensor) -> None:
    sigma = pyro.sample("sigma", flat_positive())
    with pyro.plate("year", len(y)):
        pyro.sample("y", dist.Normal(alpha + beta * x, sigma), obs=y)
