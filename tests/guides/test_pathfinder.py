"""Gaussian approximations: exact for Gaussians however they are scaled, at the optimum of the ELBO for others."""

from __future__ import annotations

import numpy as np
import pytest

from pyro_vae.guides.pathfinder import Gaussian, climb, laplace, measured, pathfinder
from pyro_vae.guides.polishing import polish


def gaussian(mean, covariance):
    precision = np.linalg.inv(covariance)

    def density(points):
        away = points - mean
        return -0.5 * np.einsum("ki,ij,kj->k", away, precision, away), -away @ precision

    return density


MEAN = np.array([-60.0, 0.02, 3.0])
SCALES = np.array([30.0, 0.007, 1.0])
CORRELATION = np.array([[1.0, -0.999, 0.0], [-0.999, 1.0, 0.0], [0.0, 0.0, 1.0]])
COVARIANCE = CORRELATION * np.outer(SCALES, SCALES)


@pytest.mark.parametrize("polished", [False, True])
def test_a_gaussian_is_found_however_it_is_scaled(polished):
    density = gaussian(MEAN, COVARIANCE)
    point = climb(density, np.zeros(3))[-1][0]
    found = laplace(density, point, np.diag(SCALES))
    assert found is not None
    if polished:
        found = polish(density, found)
    np.testing.assert_allclose(found.loc, MEAN, rtol=1e-2)
    np.testing.assert_allclose(found.tril @ found.tril.T / np.outer(SCALES, SCALES), CORRELATION, atol=1e-3)


def test_the_elbo_of_the_exact_gaussian_is_its_log_evidence():
    # log Z of exp(-x' P x / 2) is half log det 2 pi Sigma; 2e5 draws of a chi-squared with 3 degrees: sd .003.
    noise = np.random.default_rng(0).standard_normal((200_000, 3))
    exact = Gaussian(MEAN, np.linalg.cholesky(COVARIANCE))
    found = measured(gaussian(MEAN, COVARIANCE), [exact], noise)[0].elbo
    assert found == pytest.approx(0.5 * np.linalg.slogdet(2 * np.pi * COVARIANCE)[1], abs=0.015)


def funnel(points):
    """N(v; 0, 3^2) N(x; 0, e^v): the density grows without bound towards v = -inf."""
    v, x = points.T
    values = -(v**2) / 18 - 0.5 * v - 0.5 * x**2 * np.exp(-v)
    return values, np.column_stack([-v / 9 - 0.5 + 0.5 * x**2 * np.exp(-v), -x * np.exp(-v)])


def test_polishing_raises_the_elbo_to_where_the_gradient_is_zero():
    start = pathfinder(funnel, [np.array([1.0, 1.0])])
    assert start is not None
    found = polish(funnel, start)
    noise = np.random.default_rng(1).standard_normal((100_000, 2))
    before, after = (one.elbo for one in measured(funnel, [start, found], noise))
    assert after > before
    # By 100 draws the optimum is found to about a tenth of a standard deviation.
    gradients = funnel(found.loc + noise @ found.tril.T)[1] @ found.tril
    np.testing.assert_allclose(gradients.mean(0), 0, atol=0.25)


def test_there_is_no_candidate_where_there_is_no_density():
    nothing = lambda points: (np.full(len(points), -np.inf), np.zeros_like(points))  # noqa: E731
    assert pathfinder(nothing, [np.zeros(2)]) is None


def test_laplace_says_that_there_is_no_mode():
    assert laplace(lambda points: (points.sum(1), np.ones_like(points)), np.zeros(2), np.eye(2)) is None
