"""Linear regression with known noise: the posterior and the evidence are known exactly.

Stack loss: on 21 days a plant that oxidises ammonia to nitric acid lost some ammonia through its stack. The loss is
explained by the air flow, the temperature of the cooling water and the concentration of the acid. All columns and the
loss are standardised, and the noise is taken as known:

.. math:: \\beta_j \\sim N(0, 1), \\quad j = 0, \\dots, 3, \\qquad
          y_i \\sim N(x_i^\\top \\beta, \\sigma^2), \\qquad \\sigma = 0.35

Everything is Gaussian: with :math:`\\Lambda = I + X^\\top X / \\sigma^2` the posterior is :math:`N(\\Lambda^{-1}
X^\\top y / \\sigma^2, \\Lambda^{-1})` and the evidence :math:`y \\sim N(0, \\sigma^2 I + X X^\\top)`. A full-rank
normal guide can therefore be exact: its bound is the log evidence. Independent normals have standard deviations
:math:`\\Lambda_{jj}^{-1/2}`, too small where columns are correlated (air flow and water temperature: .78).

Source: K. A. Brownlee, Statistical Theory and Methodology in Science and Engineering, 2nd ed. (1965), p. 454. The
conjugate formulas: C. M. Bishop, Pattern Recognition and Machine Learning (2006), sections 3.3 and 3.5.
"""

from __future__ import annotations

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

coords = {"column": ["intercept", "air flow", "water temperature", "acid concentration"]}
dims = {"beta": ["column"], "y": ["day"]}
NOISE = 0.35

_AIR = [80, 80, 75, 62, 62, 62, 62, 62, 58, 58, 58, 58, 58, 58, 50, 50, 50, 50, 50, 56, 70]
_WATER = [27, 27, 25, 24, 22, 23, 24, 24, 23, 18, 18, 17, 18, 19, 18, 18, 19, 19, 20, 20, 20]
_ACID = [89, 88, 90, 87, 87, 87, 93, 93, 87, 80, 89, 88, 82, 93, 89, 86, 72, 79, 80, 82, 91]
_LOSS = [42, 37, 37, 28, 18, 18, 19, 20, 15, 14, 14, 13, 11, 12, 8, 7, 8, 8, 9, 15, 15]


def load() -> dict[str, Tensor]:
    """The design matrix ``x`` ``[21, 4]``, first column 1, the others standardised; the standardised ``y`` ``[21]``."""
    table = torch.tensor([_AIR, _WATER, _ACID, _LOSS], dtype=torch.float64).T
    table = (table - table.mean(0)) / table.std(0, correction=0)
    x = torch.cat([torch.ones(len(table), 1, dtype=torch.float64), table[:, :3]], 1)
    return {"x": x.to(torch.get_default_dtype()), "y": table[:, 3].to(torch.get_default_dtype())}


def model(x: Tensor, y: Tensor) -> None:
    """The joint density of the coefficients ``beta`` ``[4]`` and the losses ``y`` ``[21]``.

    Both plates lie on the last dim, so with K particles ``beta`` is ``[K, 4]`` and one matrix product makes the means.
    """
    with pyro.plate("column", x.shape[1]):
        beta = pyro.sample("beta", dist.Normal(0.0, 1.0))
    mean = beta @ x.T
    with pyro.plate("day", x.shape[0]):
        pyro.sample("y", dist.Normal(mean, NOISE), obs=y)


def exact_posterior() -> tuple[np.ndarray, np.ndarray]:
    """The posterior's mean ``[4]`` and precision matrix ``[4, 4]``."""
    x, y = (value.double().numpy() for value in load().values())
    precision = np.eye(x.shape[1]) + x.T @ x / NOISE**2
    return np.linalg.solve(precision, x.T @ y / NOISE**2), precision


def exact_draws(n: int, seed: int) -> dict[str, np.ndarray]:
    """``n`` independent draws of the posterior, ``{"beta": [n, 4]}``."""
    mean, precision = exact_posterior()
    return {"beta": np.random.default_rng(seed).multivariate_normal(mean, np.linalg.inv(precision), size=n)}


if __name__ == "__main__":
    import pyro_vae as pv

    print(pv.compare(__file__).verdict)
