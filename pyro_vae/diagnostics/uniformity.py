"""Are these numbers uniform on (0, 1)? An exact test by the whole empirical distribution function, and its bands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from pyro_vae.errors import OptionError

MAX_POINTS = 200  # at which the function is looked at
_HALVINGS = 40  # of the logarithm of the pointwise level, for the bands
_ROUNDED = 1 + 1e-9  # the same tail at z and at 1 - z differs in its last digits
_SMALLEST = 1e-14  # a probability of 1 less than this cannot be told from 1


@dataclass(frozen=True)
class Bands:
    """Where the distribution function of N uniform numbers stays at all ``points``, but for ``level`` of the times.

    ``lower`` and ``upper`` are its smallest and largest values there, ``[points]``, both allowed.
    """

    points: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    level: float


def uniformity_test(values: np.ndarray) -> float:
    r"""The probability that N uniform numbers would leave narrower bands than these do: an exact p-value.

    At each point z the count of numbers below it is Binomial(N, z); the statistic is the smallest two-sided tail
    probability over all points. Its distribution is computed and not simulated: counts at consecutive points are a
    Poisson process with its total given, so that the probability to stay in bands is a chain of convolutions.

    Args:
        values: ``[N]``, in [0, 1].

    Raises: ``OptionError`` for fewer than two numbers, or numbers outside [0, 1].

    Source: Säilynoja, Bürkner, Vehtari, "Graphical test for discrete uniformity and its applications in
    goodness-of-fit evaluation and multiple sample comparison", Statistics and Computing 32 (2022).

    >>> rng = np.random.default_rng(0)
    >>> uniformity_test(rng.uniform(size=200)) > 0.05, uniformity_test(rng.uniform(size=200) ** 1.5) < 1e-4
    (True, True)
    """
    values = _checked(values)
    points = _points(len(values))
    counts = np.searchsorted(np.sort(values), points, side="right")
    below = stats.binom.cdf(counts, len(values), points)
    above = stats.binom.sf(counts - 1, len(values), points)
    return _chance(float(min(below.min(), above.min())) * _ROUNDED, len(values), points)


def uniformity_bands(count: int, level: float = 0.05) -> Bands:
    """The bands that ``count`` uniform numbers leave with probability ``level``: what :func:`uniformity_test` rejects.

    Source: as there.

    >>> bands = uniformity_bands(100, 0.05)
    >>> middle = np.flatnonzero(bands.points == 0.5)
    >>> bands.lower[middle], bands.upper[middle]
    (array([0.36]), array([0.64]))
    """
    if count < 2 or not 0 < level < 1:
        raise OptionError(f"bands: expected at least 2 numbers and a level in (0, 1), got {count} and {level}.")
    points = _points(count)
    low, high = np.log(level / (4 * len(points))), np.log(0.5)  # by Bonferroni, and no band at all
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _chance(float(np.exp(middle)), count, points) <= level else (low, middle)
    lower, upper = _limits(float(np.exp(low)), count, points)
    return Bands(points, lower / count, upper / count, level)


def _checked(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64).ravel()
    if len(values) < 2 or not ((values >= 0) & (values <= 1)).all():
        raise OptionError(f"uniformity: expected at least 2 numbers in [0, 1], got {len(values)} numbers.")
    return values


def _points(count: int) -> np.ndarray:
    steps = min(count, MAX_POINTS)
    return np.arange(1, steps) / steps


def _limits(tail: float, count: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and largest counts with more than ``tail`` at and below, and at and above them."""

    def cdf(k: np.ndarray) -> np.ndarray:
        return stats.binom.cdf(k, count, points)

    def sf(k: np.ndarray) -> np.ndarray:
        return stats.binom.sf(k, count, points)

    lower = stats.binom.ppf(tail, count, points)
    lower = lower - (cdf(lower - 1) > tail)  # the quantile functions round
    lower = lower + (cdf(lower) <= tail)
    upper = stats.binom.isf(tail, count, points)
    upper = upper - (sf(upper - 1) <= tail)
    upper = upper + (sf(upper) > tail)
    return lower.astype(int), upper.astype(int)


def _chance(tail: float, count: int, points: np.ndarray) -> float:
    """The probability that some count has ``tail`` or less on one side."""
    lower, upper = _limits(tail, count, points)
    if (lower > upper).any():
        return 1.0
    inside = np.ones(1)  # the probability of each count from `first` on, all earlier ones within their limits
    first = 0
    gap = 1 / (len(points) + 1)  # they are evenly spaced, from 0 to 1
    steps = stats.poisson.pmf(np.arange(int(np.max(upper - np.r_[0, lower[:-1]])) + 1), count * gap)
    for low, high in zip(lower, upper, strict=True):
        inside = np.convolve(inside, steps)[max(low - first, 0) : high - first + 1]
        first = max(low, first)
    left = count - (first + np.arange(len(inside)))
    stays = inside @ stats.poisson.pmf(left, count * gap) / stats.poisson.pmf(count, count)
    return float(max(1 - stays, _SMALLEST))
