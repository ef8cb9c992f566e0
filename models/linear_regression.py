"""Linear regression with known noise: the posterior and the evidence are known exactly.

How far 32 cars of 1974 went on a gallon, explained by the number of their cylinders, the displacement and the power of
the engine, and their weight. All columns and the mileage are standardised, and the noise is taken as known:

.. math:: \\beta_j \\sim N(0, 1), \\quad j = 0, \\dots, 4, \\qquad
          y_i \\sim N(x_i^\\top \\beta, \\sigma^2), \\qquad \\sigma = 0.4

Everything is Gaussian: with :math:`\\Lambda = I + X^\\top X / \\sigma^2` the posterior is
:math:`N(\\Lambda^{-1} X^\\top y / \\sigma^2, \\Lambda^{-1})` and the evidence
:math:`y \\sim N(0, \\sigma^2 I + X X^\\top)`. A full-rank normal guide can therefore be exact: its bound is the log
evidence. Independent normals have standard deviations :math:`\\Lambda_{jj}^{-1/2}`, far too small here, because big
engines have many cylinders, much power, and heavy cars around them: displacement correlates with the other three at
.79 to .90.

Source: the magazine Motor Trend (1974), through H. V. Henderson, P. F. Velleman, "Building multiple regression models
interactively", Biometrics 37 (1981); the data set mtcars of R. The conjugate formulas: C. M. Bishop, Pattern
Recognition and Machine Learning (2006), sections 3.3 and 3.5.
"""

from __future__ import annotations

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

coords = {"column": ["intercept", "cylinders", "displacement", "power", "weight"]}
dims = {"beta": ["column"], "y": ["car"]}
NOISE = 0.4

# Miles per gallon, cylinders, displacement (cubic inches), power (hp), weight (1000 lb).
_CARS = [
    (21.0, 6, 160.0, 110, 2.620), (21.0, 6, 160.0, 110, 2.875), (22.8, 4, 108.0, 93, 2.320),
    (21.4, 6, 258.0, 110, 3.215), (18.7, 8, 360.0, 175, 3.440), (18.1, 6, 225.0, 105, 3.460),
    (14.3, 8, 360.0, 245, 3.570), (24.4, 4, 146.7, 62, 3.190), (22.8, 4, 140.8, 95, 3.150),
    (19.2, 6, 167.6, 123, 3.440), (17.8, 6, 167.6, 123, 3.440), (16.4, 8, 275.8, 180, 4.070),
    (17.3, 8, 275.8, 180, 3.730), (15.2, 8, 275.8, 180, 3.780), (10.4, 8, 472.0, 205, 5.250),
    (10.4, 8, 460.0, 215, 5.424), (14.7, 8, 440.0, 230, 5.345), (32.4, 4, 78.7, 66, 2.200),
    (30.4, 4, 75.7, 52, 1.615), (33.9, 4, 71.1, 65, 1.835), (21.5, 4, 120.1, 97, 2.465),
    (15.5, 8, 318.0, 150, 3.520), (15.2, 8, 304.0, 150, 3.435), (13.3, 8, 350.0, 245, 3.840),
    (19.2, 8, 400.0, 175, 3.845), (27.3, 4, 79.0, 66, 1.935), (26.0, 4, 120.3, 91, 2.140),
    (30.4, 4, 95.1, 113, 1.513), (15.8, 8, 351.0, 264, 3.170), (19.7, 6, 145.0, 175, 2.770),
    (15.0, 8, 301.0, 335, 3.570), (21.4, 4, 121.0, 109, 2.780),
]  # fmt: skip


def load() -> dict[str, Tensor]:
    """The design matrix ``x`` ``[32, 5]``, first column 1, the others standardised; the standardised ``y`` ``[32]``."""
    table = torch.tensor(_CARS, dtype=torch.float64)
    table = (table - table.mean(0)) / table.std(0, correction=0)
    x = torch.cat([torch.ones(len(table), 1, dtype=torch.float64), table[:, 1:]], 1)
    return {"x": x.to(torch.get_default_dtype()), "y": table[:, 0].to(torch.get_default_dtype())}


def model(x: Tensor, y: Tensor) -> None:
    """The joint density of the coefficients ``beta`` ``[5]`` and the mileages ``y`` ``[32]``.

    Both plates lie on the last dim, so with K particles ``beta`` is ``[K, 5]`` and one matrix product makes the means.
    """
    with pyro.plate("column", x.shape[1]):
        beta = pyro.sample("beta", dist.Normal(0.0, 1.0))
    mean = beta @ x.T
    with pyro.plate("car", x.shape[0]):
        pyro.sample("y", dist.Normal(mean, NOISE), obs=y)


def exact_posterior() -> tuple[np.ndarray, np.ndarray]:
    """The posterior's mean ``[5]`` and precision matrix ``[5, 5]``."""
    x, y = (value.double().numpy() for value in load().values())
    precision = np.eye(x.shape[1]) + x.T @ x / NOISE**2
    return np.linalg.solve(precision, x.T @ y / NOISE**2), precision


def exact_draws(n: int, seed: int) -> dict[str, np.ndarray]:
    """``n`` independent draws of the posterior, ``{"beta": [n, 5]}``."""
    mean, precision = exact_posterior()
    return {"beta": np.random.default_rng(seed).multivariate_normal(mean, np.linalg.inv(precision), size=n)}


if __name__ == "__main__":
    import pyro_vae as pv

    print(pv.compare(__file__).verdict)
