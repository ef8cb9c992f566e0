"""Two well-separated modes: what a guide with one mode, and four chains of NUTS, can miss without noticing.

.. math:: x \\sim \\tfrac12 N(-4, 1) + \\tfrac12 N(4, 1), \\qquad
          \\text{density } \\varphi(x) \\, e^{-8} \\cosh 4x, \\quad \\varphi \\text{ that of } N(0, 1)

The density between the modes is :math:`e^{-8}` of that at a mode. Reverse KL puts a normal guide on one of them,
where it fits perfectly: the importance weights are all but constant, Pareto's k says all is well, and the bound is ln
2 short of the log evidence 0. Only draws that know both modes show it, and NUTS need not have them. So the program
carries exact draws, and is judged on those.

Source: the pitfall is described by Y. Yao, A. Vehtari, D. Simpson, A. Gelman, "Yes, but did it work? Evaluating
variational inference", ICML 2018. The moments are elementary: mean 0, variance 1 + 4^2 = 17.
"""

from __future__ import annotations

import math

import numpy as np
import pyro
import pyro.distributions as dist
import torch

MODE = 4.0


def load() -> dict:
    """Nothing: the target is given by its density."""
    return {}


def model() -> None:
    """The density of ``x`` (a scalar): a standard normal, tilted by a factor into two modes.

    Written so because torch knows no way from the real line to the support of its ``MixtureSameFamily``, on which every
    autoguide and NUTS depend.
    """
    x = pyro.sample("x", dist.Normal(0.0, 1.0))
    pyro.factor("tilt", torch.logaddexp(MODE * x, -MODE * x) - math.log(2.0) - MODE**2 / 2)


def exact_draws(n: int, seed: int) -> dict[str, np.ndarray]:
    """``n`` independent draws, ``{"x": [n]}``."""
    rng = np.random.default_rng(seed)
    return {"x": rng.choice([-MODE, MODE], size=n) + rng.normal(size=n)}


if __name__ == "__main__":
    import pyro_vae as pv

    print(pv.compare(__file__).verdict)
