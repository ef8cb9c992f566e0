"""Eight schools: does coaching for a test help, and does it help more in some schools? The centred parametrisation.

Eight schools each ran a short coaching programme for the SAT-V test. From each comes an estimated effect y_j and its
standard error sigma_j, taken as known. The schools share a distribution of true effects:

.. math:: \\mu &\\sim N(0, 5^2), \\qquad \\tau \\sim \\text{half-Cauchy}(5) \\\\
          \\theta_j &\\sim N(\\mu, \\tau^2), \\qquad y_j \\sim N(\\theta_j, \\sigma_j^2), \\qquad j = 1, \\dots, 8

When tau is small every theta_j must lie close to mu, so the posterior is a funnel: no Gaussian over (mu, log tau,
theta) follows its neck, and NUTS diverges in it. ``baseline_model`` is the same posterior written with theta_j = mu +
tau z_j, z_j ~ N(0, 1), which NUTS samples well.

Source: D. B. Rubin, "Estimation in parallel randomized experiments", Journal of Educational Statistics 6 (1981);
Gelman et al., Bayesian Data Analysis, 3rd ed. (2013), section 5.5, the data in table 5.2. The priors are those of the
Stan case study by M. Betancourt, "Diagnosing biased inference with divergences" (2017).
"""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

coords = {"school": ["Choate", "Deerfield", "Phillips Andover", "Phillips Exeter", "Hotchkiss", "Lawrenceville",
                     "St. Paul's", "Mt. Hermon"]}  # fmt: skip
dims = {"theta": ["school"], "y": ["school"]}


def load() -> dict[str, Tensor]:
    """The estimated effects and their standard errors, in points of the test, ``[8]`` each."""
    return {
        "y": torch.tensor([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0]),
        "sigma": torch.tensor([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0]),
    }


def model(y: Tensor, sigma: Tensor) -> None:
    """The joint density of ``mu`` and ``tau`` (scalars), ``theta`` ``[8]`` and the observed ``y`` ``[8]``."""
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = pyro.sample("tau", dist.HalfCauchy(5.0))
    with pyro.plate("school", len(sigma)):
        theta = pyro.sample("theta", dist.Normal(mu, tau))
        pyro.sample("y", dist.Normal(theta, sigma), obs=y)


def baseline_model(y: Tensor, sigma: Tensor) -> None:
    """The same posterior of the same names, with ``theta`` as a function of the standard normal ``z`` ``[8]``."""
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = pyro.sample("tau", dist.HalfCauchy(5.0))
    with pyro.plate("school", len(sigma)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        theta = pyro.deterministic("theta", mu + tau * z)
        pyro.sample("y", dist.Normal(theta, sigma), obs=y)


if __name__ == "__main__":
    import pyro_vae as pv

    print(pv.compare(__file__).verdict)
