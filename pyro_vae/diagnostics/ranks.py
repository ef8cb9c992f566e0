"""Where a true value stands among draws of its posterior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyro_vae.posterior.convergence import TAIL, is_constant


@dataclass(frozen=True)
class Rank:
    """``rank`` draws of ``draws`` lie below the truth, and ``pit`` in (0, 1) is a uniform number within its step.

    If truth and draws come from one posterior, the rank is uniform on 0, ..., ``draws`` and the pit, (rank + u) /
    (draws + 1), on (0, 1), however many draws there are.
    """

    rank: int
    draws: int
    pit: float


def rank_among(truth: float, draws: np.ndarray, rng: np.random.Generator) -> Rank:
    """The rank of ``truth`` among independent ``draws`` ``[L]``; draws equal to it fall on either side at random.

    Source: Talts, Betancourt, Simpson, Vehtari, Gelman, "Validating Bayesian inference algorithms with
    simulation-based calibration", arXiv:1804.06788; the ties, Modrák et al., "Simulation-based calibration checking
    for Bayesian computation", Bayesian Analysis 20 (2025).

    >>> rank_among(0.25, np.array([0.1, 0.2, 0.3]), np.random.default_rng(0)).rank
    2
    """
    draws = np.asarray(draws).ravel()
    below, equal = int((draws < truth).sum()), int((draws == truth).sum())
    rank = below + int(rng.integers(equal + 1))
    return Rank(rank, len(draws), float((rank + rng.uniform()) / (len(draws) + 1)))


def thinned(draws: np.ndarray) -> np.ndarray:
    """As many evenly spaced draws of chains ``[chain, draw]`` as they are worth: their effective size.

    That is the smaller of the bulk's and the tail's; where it exceeds the number of draws, or cannot be computed,
    all are kept.

    >>> x = np.repeat(np.random.default_rng(0).normal(size=(1, 100)), 10, axis=1)
    >>> x.shape, 50 < thinned(x).size < 150
    ((1, 1000), True)
    """
    from arviz_stats.base import array_stats

    if draws.shape[1] < 4 or is_constant(draws):
        return draws
    with np.errstate(divide="ignore", invalid="ignore"):
        bulk = np.asarray(array_stats.ess(draws, method="bulk"))
        tail = np.asarray(array_stats.ess(draws, method="tail", prob=TAIL))
    worth = min(bulk.item(), tail.item()) / draws.size
    if not np.isfinite(worth) or worth >= 1:
        return draws
    kept = max(1, int(worth * draws.shape[1]))
    return draws[:, np.arange(kept) * draws.shape[1] // kept]
