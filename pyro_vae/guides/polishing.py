"""A Gaussian approximation moved to where its ELBO is highest, by natural gradients from a fixed set of draws."""

from __future__ import annotations

import numpy as np

from pyro_vae.guides.pathfinder import Density, Gaussian, measured

ROUNDS = 40
DRAWS = 100  # of noise, or six for each number
GAIN = 0.005  # nats: a round that gains less is the last
_FAR = 2.0  # standard deviations that the mean is moved in a round, at most
_RATIO = 3.0  # between a direction's precision before and after a round, at most


def polish(density: Density, start: Gaussian, *, seed: int = 0) -> Gaussian:
    r"""The Gaussian of highest ELBO near ``start``.

    There :math:`E[\nabla \log p] = 0` and :math:`\Sigma^{-1} = -E[\nabla^2 \log p]`.

    In the coordinates of :math:`z = m + L \epsilon` the gradients at a fixed set of draws are fitted by a linear
    function of :math:`\epsilon`, whose slope is the mean Hessian; a Newton step on both moments follows, shorter where
    the ELBO of those draws would not rise.

    Source: Opper and Archambeau, "The variational Gaussian approximation revisited", Neural Computation 21 (2009);
    Salimans and Knowles, "Fixed-form variational posterior approximation through stochastic linear regression",
    Bayesian Analysis 8 (2013).

    >>> def density(x):
    ...     return -x[:, 0] ** 4, -4 * x**3
    >>> found = polish(density, Gaussian(np.array([0.5]), np.array([[0.1]])))
    >>> float((12 * found.tril[0, 0] ** 4).round(1))  # the optimum has variance 12^(-1/2)
    1.0
    """
    size = len(start.loc)
    half = np.random.default_rng(seed).standard_normal((max(DRAWS, 6 * size) // 2, size))
    noise = np.concatenate([half, -half])
    noise /= np.sqrt((noise**2).mean(0))
    best, step = measured(density, [start], noise)[0], 1.0
    for _ in range(ROUNDS):
        gradients = density(best.loc + noise @ best.tril.T)[1] @ best.tril
        if not np.isfinite(gradients).all():
            break
        moved = [_moved(best, noise, gradients, size) for size in (step, step / 4)]
        after = max(measured(density, moved, noise), key=lambda one: one.elbo)
        gain = after.elbo - best.elbo
        if gain > 0:
            best = after
        step = 1.0 if gain > GAIN else step / 10
        if step < 0.05 or 0 < gain < GAIN:
            break
    return best


def _moved(now: Gaussian, noise: np.ndarray, gradients: np.ndarray, step: float) -> Gaussian:
    """A Newton step of length ``step`` on mean and precision, both bounded."""
    design = np.column_stack([np.ones(len(noise)), noise])
    fitted = np.linalg.lstsq(design, gradients, rcond=None)[0]
    values, vectors = np.linalg.eigh(-0.5 * (fitted[1:] + fitted[1:].T))
    values = np.clip((1 - step) + step * values, 1 / _RATIO, _RATIO)
    shift = step * vectors @ ((vectors.T @ gradients.mean(0)) / values)
    shift *= min(1.0, _FAR / max(float(np.linalg.norm(shift)), 1e-300))
    covariance = now.tril @ (vectors / values) @ vectors.T @ now.tril.T
    try:
        tril = np.linalg.cholesky(0.5 * (covariance + covariance.T))
    except np.linalg.LinAlgError:
        return now
    return Gaussian(now.loc + now.tril @ shift, tril, how=now.how)
