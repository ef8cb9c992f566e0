"""Statistics of many weighted samples at once: one row per parameter, one set of weights for all rows."""

from __future__ import annotations

import numpy as np


def mean_and_sd(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Mean and sd of each row, :math:`s^2 = \sum_i w_i (x_i - \bar x)^2 / (1 - \sum_i w_i^2)`, as usual for equal w.

    Shapes: ``x`` ``[P, n]``, normalised weights ``w`` ``[n]``, results ``[P]``.

    >>> mean_and_sd(np.array([[1.0, 2.0, 4.0]]), np.array([0.5, 0.5, 0.0]))
    (array([1.5]), array([0.70710678]))
    """
    mean = x @ w
    spread = np.square(x - mean[:, None]) @ w
    free = 1 - np.square(w).sum()
    return mean, np.sqrt(spread / free) if free > 0 else np.zeros_like(mean)


def mcse_of_mean(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    r"""The standard error of each self-normalised mean, :math:`\sqrt{\sum_i w_i^2 (x_i - \bar x)^2}`.

    Shapes: ``x`` ``[P, n]``, ``w`` ``[n]``, result ``[P]``. Source: Owen, "Monte Carlo theory, methods and examples"
    (2013), eq. 9.9.

    >>> round(float(mcse_of_mean(np.array([[-1.0, 1.0, -1.0, 1.0]]), np.full(4, 0.25))[0]), 3)
    0.5
    """
    centred = x - (x @ w)[:, None]
    return np.sqrt(np.square(centred) @ np.square(w))


def quantiles(x: np.ndarray, w: np.ndarray, probabilities: tuple[float, ...]) -> np.ndarray:
    """Quantiles of each row, interpolated between the midpoints of the steps of its distribution function.

    Shapes: ``x`` ``[P, n]``, ``w`` ``[n]``, result ``[P, len(probabilities)]``. Source: definition 5 of Hyndman and
    Fan, "Sample quantiles in statistical packages", The American Statistician 50 (1996), with weights.

    >>> quantiles(np.array([[3.0, 1.0, 2.0]]), np.full(3, 1 / 3), (0.5,))
    array([[2.]])
    """
    x, w = x[:, w > 0], w[w > 0]
    order = np.argsort(x, axis=1)
    x, w = np.take_along_axis(x, order, axis=1), w[order]
    middle = np.cumsum(w, axis=1) - w / 2
    return np.stack([np.interp(probabilities, steps, row) for steps, row in zip(middle, x, strict=True)])


def wasserstein(x: np.ndarray, w: np.ndarray, y: np.ndarray) -> np.ndarray:
    r"""The 1-Wasserstein distance of each row of ``x``, weighted, from the same row of ``y``: :math:`\int |F_x - F_y|`.

    Shapes: ``x`` ``[P, n]``, ``w`` ``[n]``, ``y`` ``[P, m]``, result ``[P]``, in the units of x and y.

    >>> wasserstein(np.array([[0.0, 1.0]]), np.full(2, 0.5), np.array([[3.0, 2.0, 3.0, 2.0]]))
    array([2.])
    """
    both = np.concatenate([x, y], axis=1)
    steps = np.concatenate([w, np.full(y.shape[1], -1 / y.shape[1])])
    order = np.argsort(both, axis=1)
    gap = np.cumsum(steps[order], axis=1)[:, :-1]
    return (np.abs(gap) * np.diff(np.take_along_axis(both, order, axis=1), axis=1)).sum(axis=1)
