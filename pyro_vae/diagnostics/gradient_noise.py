"""What many estimates of one gradient say of their estimator: variance, signal to noise, bias. NumPy and SciPy only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, TypeVar

import numpy as np

LEVEL = 0.01  # the chance that one or more of a study's unbiased estimators is called biased
BATCHES = 10  # of gradients, whose variances' spread is the standard error of the variance
BiasVerdict = Literal["no", "yes", "by design", "unknown"]


@dataclass(frozen=True)
class GradientMoments:
    """Of ``count`` independent gradients: their ``mean`` and ``variance`` (with count - 1), ``[P]`` each.

    ``batch_totals`` are the variances summed over the parameters, from each tenth of the gradients alone.
    """

    count: int
    mean: np.ndarray
    variance: np.ndarray
    batch_totals: tuple[float, ...] = ()

    @property
    def error(self) -> np.ndarray:
        """The standard error of the mean, ``[P]``."""
        return np.sqrt(self.variance / self.count)

    @property
    def total_variance(self) -> float:
        """The variance summed over the parameters: E|g - E g|^2."""
        return float(self.variance.sum())

    @property
    def total_variance_error(self) -> float:
        """Its standard error, from the spread between tenths of the gradients; NaN from fewer than two of them."""
        if len(self.batch_totals) < 2:
            return math.nan
        return float(np.std(self.batch_totals, ddof=1) / math.sqrt(len(self.batch_totals)))

    @property
    def signal_to_noise(self) -> float:
        r""":math:`|\mathbb E g| / \sqrt{\mathrm{tr\,Cov}\,g}`; what noise adds to the length of a mean is taken off."""
        if self.total_variance == 0:
            return math.inf if self.mean.any() else math.nan
        squared = float(self.mean @ self.mean) - self.total_variance / self.count
        return math.sqrt(max(squared, 0.0) / self.total_variance)


class RunningMoments:
    """Mean and variance of vectors that come one at a time, so that none of them need be kept (Welford 1962).

    >>> running = RunningMoments(20)
    >>> for value in range(20):
    ...     running.add(np.array([float(value)]))
    >>> result = running.result()
    >>> result.mean.item(), result.variance.item()
    (9.5, 35.0)
    """

    def __init__(self, expected: int):
        self.batch_size = max(expected // BATCHES, 2)
        self.all, self.batch = _Sums(), _Sums()
        self.totals: list[float] = []

    def add(self, gradient: np.ndarray) -> None:
        """One more gradient, ``[P]``."""
        self.batch.add(np.asarray(gradient, dtype=np.float64))
        if self.batch.count == self.batch_size:
            self.totals.append(float(self.batch.squares.sum()) / (self.batch.count - 1))
            self.all, self.batch = self.all.joined(self.batch), _Sums()

    def result(self) -> GradientMoments:
        """What has come so far: two gradients at the least."""
        both = self.all.joined(self.batch)
        return GradientMoments(both.count, both.mean, both.squares / (both.count - 1), tuple(self.totals))


@dataclass
class _Sums:
    """A count, a mean, and the sum of squared distances from it."""

    count: int = 0
    mean: np.ndarray = field(default_factory=lambda: np.zeros(()))
    squares: np.ndarray = field(default_factory=lambda: np.zeros(()))

    def add(self, value: np.ndarray) -> None:
        self.count += 1
        step = value - self.mean
        self.mean = self.mean + step / self.count
        self.squares = self.squares + step * (value - self.mean)

    def joined(self, other: _Sums) -> _Sums:
        count = self.count + other.count
        if not self.count or not other.count:
            return self if not other.count else other
        step = other.mean - self.mean
        squares = self.squares + other.squares + step**2 * (self.count * other.count / count)
        return _Sums(count, self.mean + step * (other.count / count), squares)


@dataclass(frozen=True)
class Reference:
    """The gradient that an unbiased estimator has on average, ``[P]``, with its standard ``error``: zeros where it is
    exact. ``how`` says where it comes from."""

    mean: np.ndarray
    error: np.ndarray
    how: str


@dataclass(frozen=True)
class Bias:
    """A mean gradient less the reference, ``[P]``, with the standard ``error`` of the difference.

    ``suspect`` is a parameter that was singled out before these gradients were seen; None for none.
    """

    difference: np.ndarray
    error: np.ndarray
    count: int
    suspect: int | None = None

    @classmethod
    def of(cls, moments: GradientMoments, reference: Reference, rounding: np.ndarray | float = 0.0) -> Bias:
        """``rounding`` is what the numbers' precision leaves open, ``[P]``: the smallest error that is claimed."""
        error = np.sqrt(moments.error**2 + reference.error**2 + np.square(rounding))
        return cls(moments.mean - reference.mean, error, moments.count)

    @property
    def z(self) -> np.ndarray:
        """Standard errors off, ``[P]``; 0 where both are 0."""
        off = self.difference != 0
        with np.errstate(divide="ignore"):
            return np.divide(self.difference, self.error, out=np.zeros_like(self.difference), where=off)

    @property
    def size(self) -> float:
        """The length of the difference, with what noise adds to it."""
        return float(np.linalg.norm(self.difference))

    @property
    def size_error(self) -> float:
        """The length that noise alone would give it (root mean square)."""
        return float(np.linalg.norm(self.error))

    @property
    def worst(self) -> int:
        """The parameter to speak of: the suspect, else the one with the largest |z|."""
        return int(np.abs(self.z).argmax()) if self.suspect is None else self.suspect

    def significant(self, tests: int) -> bool:
        """Whether the largest |z|, or the suspect's, is more than chance when there are ``tests`` like it in all
        (Bonferroni)."""
        from scipy.special import stdtrit  # the quantiles of Student's t

        return bool(abs(self.z[self.worst]) > -stdtrit(self.count - 1, LEVEL / (2 * tests)))

    def confirms(self, first: Bias, tests: int) -> bool:
        """Whether fresh gradients have the same parameter off in the same direction.

        The means of skewed gradients fall far to one side more often than Student's t allows, and the furthest of many
        parameters is such a one. That it is that very one again would be a coincidence.
        """
        same_side = self.difference[first.worst] * first.difference[first.worst] > 0
        return bool(same_side) and replace(self, suspect=first.worst).significant(tests)


@dataclass(frozen=True)
class EstimatorNoise:
    """One estimator at one place of the parameters, seen from one ``part`` of them: the guide's, the model's or both's.

    ``unbiased`` is its claim; ``biased`` the finding. ``seconds`` are those of every gradient, ``[count]``, of all
    parts together; ``evaluations`` counts the model's, of single particles; ``warmup`` the steps in which it learned.
    """

    estimator: str
    place: str
    part: str
    objective: str
    unbiased: bool
    moments: GradientMoments
    bias: Bias | None
    reference: str
    biased: BiasVerdict
    seconds: np.ndarray
    evaluations: float
    warmup: int = 0

    @property
    def cost(self) -> float:
        """The median of the seconds that a gradient took."""
        return float(np.median(self.seconds))

    @property
    def variance_seconds(self) -> float:
        """Variance x cost: the variance of the mean of as many gradients as there is time for in a second."""
        return self.moments.total_variance * self.cost

    @property
    def variance_evaluations(self) -> float:
        """Variance x evaluations of the model: the same on a machine where nothing else costs anything."""
        return self.moments.total_variance * self.evaluations


class Ranked(Protocol):
    """What is grouped: something of an objective, with what it costs to know it."""

    @property
    def objective(self) -> str: ...
    @property
    def variance_seconds(self) -> float: ...


Row = TypeVar("Row", bound=Ranked)


def verdict_of(bias: Bias | None, unbiased: bool, tests: int) -> BiasVerdict:
    """Whether a mean gradient is off: what is biased by design is not tested for it."""
    if not unbiased:
        return "by design"
    if bias is None:
        return "unknown"
    return "yes" if bias.significant(tests) else "no"


ALONE = "alone in their objective"


def groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by the objective that they can be compared in, the least variance x seconds first; those that are the only
    ones of theirs together, last. One row per estimator is expected."""
    found: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.variance_seconds):
        found.setdefault(row.objective, []).append(row)
    order = list(dict.fromkeys(row.objective for row in rows))
    lone = [objective for objective in order if len(found[objective]) == 1]
    several = {objective: found[objective] for objective in order if objective not in lone or len(lone) == 1}
    alone = [row for objective in order if objective not in several for row in found[objective]]
    return {**several, **({ALONE: alone} if alone else {})}


def named(rows: Sequence[EstimatorNoise], place: str, part: str) -> dict[str, EstimatorNoise]:
    """The rows of one place and part by their estimator."""
    return {row.estimator: row for row in rows if row.place == place and row.part == part}
