"""``StickBreaking`` and ``LogStickBreaking``, of Kumaraswamy fractions (test_stick_breaking.py has Beta ones)."""

from __future__ import annotations

import mpmath
from pyro.distributions.testing.gof import unif01_goodness_of_fit

from pyro_vae.distributions.log_kumaraswamy import LogKumaraswamy
from pyro_vae.distributions.log_stick_breaking import LogStickBreaking, fraction_logits
from pyro_vae.distributions.stick_breaking import StickBreaking
from pyro_vae.distributions.supports import log_simplex
from tests.distributions.case import Case
from tests.distributions.cases_kumaraswamy import log_density as fraction_log_density


def plain(concentration1, concentration0):
    return StickBreaking(LogKumaraswamy(concentration1, concentration0))


def in_logarithms(concentration1, concentration0):
    return LogStickBreaking(LogKumaraswamy(concentration1, concentration0))


def log_density(x, concentration1, concentration0):
    """By weights: the fractions' densities over what was left of the stick when each was taken."""
    with mpmath.workdps(200):
        total, left = mpmath.mpf(0), mpmath.fsum(x)
        for w, a, b in zip(x, concentration1, concentration0, strict=False):
            total += fraction_log_density(w / left, a, b) - mpmath.log(left)
            left = left - w
        return total


def log_density_of_logarithms(x, concentration1, concentration0):
    with mpmath.workdps(200):
        weights = [mpmath.exp(value) for value in x]
        whole = mpmath.fsum(weights)
        weights = [w / whole for w in weights]
        return log_density(weights, concentration1, concentration0) + mpmath.fsum(mpmath.log(w) for w in weights)


def second_fraction(distribution, samples):
    """The fraction that the second weight takes of what the first has left."""
    log_w = samples if isinstance(distribution.support, type(log_simplex)) else samples.log()
    probabilities = distribution.fractions.cdf(fraction_logits(log_w.double()).to(samples.dtype))
    return unif01_goodness_of_fit(probabilities[:, 1].float().clamp(0, 1))


SETTINGS = (
    {"concentration1": (1.0, 1.0, 1.0), "concentration0": (3.0, 2.0, 1.0)},
    {"concentration1": (2.0, 0.8, 1.5), "concentration0": (1.5, 3.0, 0.9)},
)
EDGES = ({"concentration1": (0.1, 0.1, 0.1), "concentration0": (0.1, 0.1, 0.1)},)

CASES = (
    Case(
        name="StickBreaking",
        make=plain,
        settings=SETTINGS,
        log_density=log_density,
        has=frozenset({"mean", "variance", "entropy"}),
        event_dim=1,
        gof=second_fraction,
    ),
    Case(
        name="LogStickBreaking",
        make=in_logarithms,
        settings=SETTINGS,
        edge_settings=EDGES,
        log_density=log_density_of_logarithms,
        has=frozenset({"mean", "variance", "mode", "entropy"}),
        event_dim=1,
        gof=second_fraction,
    ),
)
