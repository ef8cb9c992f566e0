"""The aggregated posterior, q(z) averaged over the data, held against the prior that it should add up to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

REPEATS = 40  # of two samples of the prior, to see what distance chance makes
_MOST = 20_000  # numbers of a sample whose distance is taken


@dataclass(frozen=True)
class Surgery:
    """The mean KL of the bound in its two parts, in nats per row, each with a standard error.

    ``marginal`` is KL(q(z) ‖ p(z)) of the aggregated posterior, ``information`` what z says of the row it came from.
    Among ``rows`` rows nothing can say more than ``ln(rows)``: ``saturated`` says that the information is close to
    that, and so is a lower bound, and the marginal part an upper bound.
    """

    marginal: float
    marginal_error: float
    information: float
    information_error: float
    rows: int

    @property
    def saturated(self) -> bool:
        """Whether more rows would show more information."""
        return self.information > np.log(self.rows) - 0.5


def elbo_surgery(log_q_all: ArrayLike, log_q_own: ArrayLike, log_p: ArrayLike) -> Surgery:
    r"""What the KL of the bound consists of: how much z says of x, and how far codes as a whole are from the prior.

    .. math:: \frac1N \sum_n \mathrm{KL}(q(z \mid x_n) \,\|\, p(z)) = I_q(n; z) + \mathrm{KL}(q(z) \,\|\, p(z)),
              \qquad q(z) = \frac1N \sum_n q(z \mid x_n)

    The first part is what a code is for. The second is what samples suffer from: the decoder is asked for codes that
    it has never seen. It is zero only if the codes of all rows together look like draws of the prior.

    Args:
        log_q_all: ``[N, N]``, log q(z_m | x_n) of one draw z_m for each row m, under every row n.
        log_q_own: ``[N]``, the same under its own row: the diagonal.
        log_p: ``[N]``, log p(z_m).

    Source: M. D. Hoffman, M. J. Johnson, "ELBO surgery: yet another way to carve up the variational evidence lower
    bound", NeurIPS 2016 workshop on advances in approximate Bayesian inference.

    >>> apart = -0.5 * (np.arange(3)[:, None] - np.arange(3)) ** 2 * 100.0  # three rows that do not overlap
    >>> round(float(elbo_surgery(apart, np.zeros(3), np.zeros(3)).information / np.log(3)), 3)
    1.0
    """
    every, own, prior = (np.asarray(given, dtype=np.float64) for given in (log_q_all, log_q_own, log_p))
    log_q = logsumexp(every, axis=1) - np.log(every.shape[1])
    (information, information_error), (marginal, marginal_error) = (_mean(own - log_q), _mean(log_q - prior))
    return Surgery(marginal, marginal_error, information, information_error, every.shape[1])


def _mean(values: np.ndarray) -> tuple[float, float]:
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return float(values.mean()), float(error)


@dataclass(frozen=True)
class Distances:
    """1-Wasserstein distances ``[D]`` of the codes from the prior, in sds of the prior, by dimension.

    ``chance`` ``[D]`` is the distance of two samples of the prior of that size, ``chance_sd`` ``[D]`` its spread.
    """

    distance: np.ndarray
    chance: np.ndarray
    chance_sd: np.ndarray

    @property
    def differs(self) -> np.ndarray:
        """Where the distance is more than chance makes (by 6 of its sds: its tail is long) and matters (.1 sd)."""
        return (self.distance > self.chance + 6 * self.chance_sd) & (self.distance > 0.1)


def code_distances(codes: ArrayLike, prior: ArrayLike, seed: int = 0) -> Distances:
    r"""How far each dimension of the aggregated posterior is from the prior's: :math:`\int |F_q^{-1} - F_p^{-1}|`.

    Args:
        codes: ``[N, D]``, a draw of z for each row.
        prior: ``[M, D]``, draws of the prior, at least twice as many as codes: their other half shows what chance does.
        seed: of the samples that show it.

    >>> rng = np.random.default_rng(0)
    >>> found = code_distances(rng.normal(size=(500, 2)) * [1.0, 0.5], rng.normal(size=(2000, 2)))
    >>> found.differs.tolist()
    [False, True]
    """
    mine, theirs = np.asarray(codes, dtype=np.float64)[:_MOST], np.asarray(prior, dtype=np.float64)
    rng = np.random.default_rng(seed)
    scale = np.where(theirs.std(0) > 0, theirs.std(0), 1.0)
    size = min(len(mine), len(theirs) // 2)
    by_chance = []
    for _ in range(REPEATS):
        order = rng.permutation(len(theirs))
        by_chance.append(_wasserstein(theirs[order[:size]], theirs[order[size:]]) / scale)
    return Distances(_wasserstein(mine, theirs) / scale, np.mean(by_chance, 0), np.std(by_chance, 0, ddof=1))


def _wasserstein(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """By dimension, on a grid of quantiles."""
    shares = (np.arange(512) + 0.5) / 512
    return np.abs(np.quantile(one, shares, axis=0) - np.quantile(other, shares, axis=0)).mean(0)
