"""Pathfinder and Laplace: a Gaussian approximation of a posterior from its log density and gradient alone.

Used to start guides. Works on any function from points ``[K, D]`` to log densities ``[K]`` and gradients ``[K, D]``,
such as :meth:`~pyro_vae.potential.Potential.values_and_grads`; NumPy and SciPy alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.linalg import cho_factor, cho_solve

Density = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

PAIRS = 10  # of steps and changes of the gradient that an estimate of the curvature is made of
EVALUATIONS = 200  # of a path, at most
STEP = 1e-3  # of finite differences, in standard deviations
NEWTON = 10  # steps to the mode, at most
_WORST = 1e100  # what a minimiser is told of a point without a density


@dataclass(frozen=True)
class Gaussian:
    """N(loc, tril trilᵀ) on the unconstrained scale: ``loc`` ``[D]``, ``tril`` ``[D, D]`` lower triangular.

    ``elbo`` is in nats, with Monte Carlo noise; ``how`` says in a word how it was found.
    """

    loc: np.ndarray
    tril: np.ndarray
    elbo: float = -math.inf
    how: str = ""

    @property
    def entropy(self) -> float:
        """In nats."""
        return float(np.log(np.diag(self.tril)).sum()) + 0.5 * len(self.loc) * (1 + math.log(2 * math.pi))


def pathfinder(density: Density, starts: Sequence[np.ndarray], *, seed: int = 0, draws: int = 10) -> Gaussian | None:
    r"""The Gaussian of highest ELBO along the paths of a quasi-Newton optimiser, one path for each of ``starts``.

    L-BFGS climbs the log density; at each point of its path :math:`\theta` the inverse Hessian :math:`\Sigma` that it
    has estimated so far gives the candidate :math:`N(\theta + \Sigma \nabla \log p, \Sigma)`. The ELBO of each is
    estimated from ``draws`` draws, so a candidate before the mode wins where the mode is a bad place to be, as in a
    funnel. Where the path ends at a mode, the Laplace approximation there is a candidate too.

    Args:
        density: a function from points ``[K, D]`` to log densities ``[K]`` and gradients ``[K, D]``.
        starts: where paths begin, ``[D]`` each.
        seed: of the draws.
        draws: for each candidate.

    Returns: the best candidate, None where there is no candidate with a finite ELBO.

    Source: Zhang, Carpenter, Gelman, Vehtari, "Pathfinder: Parallel quasi-Newton variational inference", JMLR 23
    (2022).

    >>> def density(x):  # N(1, .1^2) x N(-1, 10^2)
    ...     residual = (x - [1.0, -1.0]) / [0.1, 10.0]
    ...     return -0.5 * (residual**2).sum(-1), -residual / [0.1, 10.0]
    >>> found = pathfinder(density, [np.zeros(2)])
    >>> found.loc.round(3).tolist(), np.diag(found.tril @ found.tril.T).round(3).tolist()
    ([1.0, -1.0], [0.01, 100.0])
    """
    best: Gaussian | None = None
    for index, start in enumerate(starts):
        path = climb(density, np.asarray(start, dtype=np.float64))
        candidates = list(_along(path))
        if candidates:
            mode = laplace(density, path[-1][0], candidates[-1].tril)
            candidates += [] if mode is None else [mode]
        noise = np.random.default_rng([seed, index]).standard_normal((draws, len(start)))
        for candidate in measured(density, candidates, noise):
            if np.isfinite(candidate.elbo) and (best is None or candidate.elbo > best.elbo):
                best = candidate
    return best


def measured(density: Density, candidates: Sequence[Gaussian], noise: np.ndarray) -> list[Gaussian]:
    """The same with their ELBOs, from one standard normal ``noise`` ``[K, D]``; -inf where a draw has no density."""
    if not candidates:
        return []
    draws = np.concatenate([candidate.loc + noise @ candidate.tril.T for candidate in candidates])
    with np.errstate(invalid="ignore"):
        means = density(draws)[0].reshape(len(candidates), -1).mean(1)
    means = np.where(np.isfinite(means), means, -np.inf)
    return [replace(one, elbo=float(mean) + one.entropy) for one, mean in zip(candidates, means, strict=True)]


def climb(density: Density, start: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The points of L-BFGS's path up the log density, with the gradients there, ``[D]`` each."""
    from scipy.optimize import minimize

    seen: dict[bytes, np.ndarray] = {}

    def falling(x: np.ndarray) -> tuple[float, np.ndarray]:
        values, gradients = density(x[None])
        if not (np.isfinite(values).all() and np.isfinite(gradients).all()):
            return _WORST, np.zeros_like(x)
        seen[x.tobytes()] = gradients[0]
        return -float(values[0]), -gradients[0]

    path = [start]
    minimize(
        falling,
        start,
        jac=True,
        method="L-BFGS-B",
        callback=lambda x: path.append(np.array(x)),
        options={"maxfun": EVALUATIONS, "maxcor": PAIRS, "ftol": 1e-9, "gtol": 1e-6},
    )
    return [(point, seen[point.tobytes()]) for point in path if point.tobytes() in seen]


def laplace(density: Density, point: np.ndarray, tril: np.ndarray) -> Gaussian | None:
    """The Laplace approximation at the mode near ``point`` ``[D]``; None where there is no mode to be found.

    Newton's steps with a Hessian by central differences of the gradient, along the columns of ``tril`` ``[D, D]``,
    which says how long a step is; it need not be right.
    """
    for _ in range(NEWTON):
        found = curvature(density, point, tril)
        if found is None:
            return None
        tril, gradient = found
        length = float(np.linalg.norm(tril.T @ gradient))  # of the step, in standard deviations
        if not length < 100:
            return None
        if length < 1e-3:
            return Gaussian(point, tril, how="Laplace")
        point = point + tril @ (tril.T @ gradient) * min(1.0, 2.0 / length)
    return None


def curvature(density: Density, point: np.ndarray, tril: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The Cholesky factor of the inverse of -H at ``point``, and the gradient; None where -H has none."""
    steps = STEP * tril.T
    _, gradients = density(np.concatenate([point + steps, point - steps, point[None]]))
    ahead, behind = gradients[: len(point)], gradients[len(point) : -1]
    whitened = (behind - ahead) @ tril / (2 * STEP)
    if not np.isfinite(gradients).all():
        return None
    try:
        inverse = cho_solve(cho_factor(0.5 * (whitened + whitened.T)), np.eye(len(point)))
        found = tril @ np.linalg.cholesky(0.5 * (inverse + inverse.T))
    except np.linalg.LinAlgError:
        return None
    return found, gradients[-1]


def _along(path: Sequence[tuple[np.ndarray, np.ndarray]]) -> Iterator[Gaussian]:
    """The candidates of a path, in order."""
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    diagonal = np.ones(len(path[0][0])) if path else np.ones(0)
    for (before, old), (point, gradient) in pairwise(path):
        step, change = point - before, old - gradient
        if step @ change > 1e-12 * (change @ change):  # the curvature along the step is positive
            started = bool(pairs)
            diagonal = _diagonal(diagonal, step, change) if started else np.full_like(step, _length(step, change))
            pairs = [*pairs[-PAIRS + 1 :], (step, change)]
        if not pairs:
            continue
        covariance = _inverse_hessian(diagonal, pairs)
        if np.isfinite(covariance).all():
            try:
                tril = np.linalg.cholesky(covariance)
            except np.linalg.LinAlgError:
                continue
            yield Gaussian(point + covariance @ gradient, tril, how="Pathfinder")


def _length(step: np.ndarray, change: np.ndarray) -> float:
    return float(step @ change / (change @ change))


def _diagonal(diagonal: np.ndarray, step: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The diagonal from which the estimate of the inverse Hessian starts (Gilbert and Lemaréchal, 1989)."""
    a, b, c = change @ (diagonal * change), change @ step, step @ (step / diagonal)
    inverse = a / (b * diagonal) + change**2 / b - a * step**2 / (b * c * diagonal**2)
    return np.where((inverse > 0) & np.isfinite(inverse), 1 / np.where(inverse > 0, inverse, 1.0), diagonal)


def _inverse_hessian(diagonal: np.ndarray, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """BFGS's estimate ``[D, D]`` from the last pairs of a step and the change of the gradient."""
    covariance = np.diag(diagonal)
    for step, change in pairs:
        rho = 1 / (step @ change)
        along = covariance @ change
        covariance = covariance - rho * (np.outer(step, along) + np.outer(along, step))
        covariance += rho * (1 + rho * (change @ along)) * np.outer(step, step)
    return 0.5 * (covariance + covariance.T)
