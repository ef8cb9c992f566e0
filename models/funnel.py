"""Neal's funnel: a scale and the nine things it scales, without data. Its posterior is its prior, known exactly.

.. math:: v \\sim N(0, 3^2), \\qquad x_i \\sim N(0, e^v), \\quad i = 1, \\dots, 9

It is the shape that every hierarchical model has when its data say little: the width of x changes by a factor of
:math:`e^3` within one standard deviation of v. The evidence is 1. NUTS in these coordinates misses the neck;
``baseline_model`` is the same distribution with :math:`x_i = e^{v/2} z_i`, :math:`z_i \\sim N(0, 1)`, which is a
plain Gaussian. Independent normals do badly and their best is known in closed form: v is given the variance 1 / (1/9
+ 9/2) = .217 where 9 is right.

Source: R. M. Neal, "Slice sampling", Annals of Statistics 31 (2003), section 8.
"""

from __future__ import annotations

import numpy as np
import pyro
import pyro.distributions as dist
import torch

SIZE = 9
dims = {"x": ["i"]}
coords = {"i": [f"{i + 1}" for i in range(SIZE)]}


def load() -> dict:
    """Nothing: the funnel has no data."""
    return {}


def model() -> None:
    """The joint density of ``v`` (a scalar) and ``x`` ``[9]``."""
    v = pyro.sample("v", dist.Normal(0.0, 3.0))
    with pyro.plate("i", SIZE):
        pyro.sample("x", dist.Normal(0.0, torch.exp(v / 2)))


def baseline_model() -> None:
    """The same distribution of the same names, with ``x`` as a function of the standard normal ``z`` ``[9]``."""
    v = pyro.sample("v", dist.Normal(0.0, 3.0))
    with pyro.plate("i", SIZE):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.deterministic("x", torch.exp(v / 2) * z)


def exact_draws(n: int, seed: int) -> dict[str, np.ndarray]:
    """``n`` independent draws, ``{"v": [n], "x": [n, 9]}``."""
    rng = np.random.default_rng(seed)
    v = rng.normal(0.0, 3.0, size=n)
    return {"v": v, "x": np.exp(v / 2)[:, None] * rng.normal(size=(n, SIZE))}


if __name__ == "__main__":
    import pyro_vae as pv

    print(pv.compare(__file__).verdict)
