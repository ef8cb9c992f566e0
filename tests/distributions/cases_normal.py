"""The normal family: locations and scales."""

from __future__ import annotations

import mpmath
import scipy.stats
import torch

from pyro_vae.distributions import LogisticNormal, LogNormal, MultivariateNormal, Normal
from tests.distributions.case import CLOSED_FORMS, Case


def normal_density(x, loc, scale):
    return -(((x - loc) / scale) ** 2) / 2 - mpmath.log(scale) - mpmath.log(2 * mpmath.pi) / 2


def normal_cdf(x, loc, scale):
    return mpmath.erfc((loc - x) / scale / mpmath.sqrt(2)) / 2


def log_normal_density(x, loc, scale):
    return normal_density(mpmath.log(x), loc, scale) - mpmath.log(x)


def log_normal_cdf(x, loc, scale):
    return normal_cdf(mpmath.log(x), loc, scale)


def multivariate_normal_density(x, loc, scale_tril):
    z = mpmath.lu_solve(mpmath.matrix(scale_tril), mpmath.matrix(x) - mpmath.matrix(loc))
    log_det = mpmath.fsum(mpmath.log(row[k]) for k, row in enumerate(scale_tril))
    return -mpmath.fsum(each**2 for each in z) / 2 - log_det - len(x) * mpmath.log(2 * mpmath.pi) / 2


def logistic_normal_density(x, loc, scale):
    logs = [mpmath.log(each) for each in x]
    ratios = mpmath.fsum(normal_density(v - logs[-1], m, s) for v, m, s in zip(logs, loc, scale, strict=False))
    return ratios - mpmath.fsum(logs)


def first_is_normal(distribution, samples):
    first = samples[:, 0].double()
    loc, scale = distribution.loc[0].item(), distribution.variance[0].sqrt().item()
    return scipy.stats.kstest(first.numpy(), scipy.stats.norm(loc, scale).cdf).pvalue


def first_log_ratio_is_normal(distribution, samples):
    ratio = (samples[:, 0].log() - samples[:, -1].log()).double()
    loc, scale = distribution.loc[0].item(), distribution.scale[0].item()
    return scipy.stats.kstest(ratio.numpy(), scipy.stats.norm(loc, scale).cdf).pvalue


def settings(*pairs):
    return tuple({"loc": loc, "scale": scale} for loc, scale in pairs)


BAD = (
    ({"loc": 0.0, "scale": 0.0}, "scale"),
    ({"loc": 0.0, "scale": float("nan")}, "scale"),
    ({"loc": (0.0, 0.0), "scale": (1.0, 1.0, 1.0)}, "scale"),
)

CASES = (
    Case(
        name="Normal",
        make=Normal,
        settings=settings((0.0, 1.0), (-3.0, 0.2)),
        edge_settings=settings((0.0, 1e-6), (1e4, 1e6)),
        log_density=normal_density,
        cdf=normal_cdf,
        points=(-5.0, 0.0, 4.0),
        bad=BAD,
        peers={"torch": torch.distributions.Normal},
    ),
    Case(
        name="LogNormal",
        make=LogNormal,
        settings=settings((0.0, 1.0), (-2.0, 0.3)),
        edge_settings=settings((0.0, 50.0), (80.0, 0.01)),
        log_density=log_normal_density,
        cdf=log_normal_cdf,
        points=(1e-30, 0.3, 1e20),
        support=(0, mpmath.inf),
        has=CLOSED_FORMS,
        rounds_at_edges=True,
        bad=BAD,
        peers={"torch": torch.distributions.LogNormal},
    ),
    Case(
        name="MultivariateNormal",
        make=MultivariateNormal,
        settings=(
            {"loc": (0.5, -1.0), "scale_tril": ((1.0, 0.0), (2.0, 3.0))},
            {"loc": (0.0, 0.0, 0.0), "scale_tril": ((1.0, 0.0, 0.0), (0.5, 0.5, 0.0), (-1.0, 0.2, 2.0))},
        ),
        log_density=multivariate_normal_density,
        has=CLOSED_FORMS - {"cdf", "icdf"},
        event_dim=1,
        bad=(({"loc": (0.0, 0.0), "scale_tril": ((1.0, 0.0), (0.0, -1.0))}, "scale_tril"),),
        peers={"torch": torch.distributions.MultivariateNormal},
        gof=first_is_normal,
    ),
    Case(
        name="LogisticNormal",
        make=LogisticNormal,
        settings=settings(((0.5, -1.0), (1.0, 0.5)), ((1.0,), (2.0,))),
        edge_settings=settings(
            ((0.0, 3.0), (30.0, 1e-2)),
        ),
        log_density=logistic_normal_density,
        has=frozenset(),
        event_dim=1,
        rounds_at_edges=True,
        bad=(
            ({"loc": (0.0, 0.0), "scale": (1.0, -1.0)}, "scale"),
            ({"loc": 0.0, "scale": 1.0}, "loc"),
        ),
        gof=first_log_ratio_is_normal,
    ),
)
