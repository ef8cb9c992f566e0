"""Whether a fit had finished: has its bound, which is noisy, stopped moving?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

# The steps looked at are the last half of the trace, in two halves; each needs enough steps for an error of its mean.
MIN_STEPS = 80
# A drift this small moves no posterior that anybody could tell apart, or is rounding in 32 bits.
TOLERANCE_NATS = 0.1
_ROUNDING = 1e-5
# Single steps can be arbitrarily bad (a heavy-tailed estimate of the bound): this fraction is drawn in at either end.
_TRIM = 0.01


@dataclass(frozen=True)
class FitConvergence:
    """``drift``: the bound's rise in the last quarter of the steps; ``noise``: the sd of one step's bound; in nats.

    Both are NaN where the trace does not allow to tell. ``message`` says in plain words what was found.
    """

    converged: bool
    drift: float
    noise: float
    message: str


def fit_convergence(bound: ArrayLike) -> FitConvergence:
    """Whether the noisy bounds of a fit's steps have stopped moving.

    The mean of the last quarter of the steps is compared with that of the quarter before. They count as equal if they
    differ by less than .1 nats (plus 1e-5 of the bound), or than three standard errors of the difference, which allow
    for autocorrelation. A bound that has stopped is no proof of a good fit: it can have stopped in the wrong place.

    Shapes: ``bound`` ``[steps]``, in nats.

    >>> noise = 0.3 * np.random.default_rng(0).normal(size=2000)
    >>> fit_convergence(-30 + noise).converged
    True
    >>> fit_convergence(-30 + noise + np.linspace(0, 5, 2000)).message
    'the bound was still rising, by 1.21 nats over the last 500 steps'
    """
    trace = np.asarray(bound, dtype=np.float64).ravel()
    if trace.size < MIN_STEPS:
        return _unknown(f"there are only {trace.size} steps, too few to tell whether the bound has stopped moving")
    half = trace[trace.size // 2 :]
    if not np.isfinite(half).all():
        step = trace.size // 2 + int(np.flatnonzero(~np.isfinite(half))[0])
        return _unknown(f"the bound is {trace[step]} at step {step}")
    before, after = np.array_split(np.clip(half, *np.quantile(half, [_TRIM, 1 - _TRIM])), 2)
    drift = float(after.mean() - before.mean())
    noise = float(np.sqrt((before.var() + after.var()) / 2))
    error = float(np.hypot(_error_of_mean(before), _error_of_mean(after)))
    small = TOLERANCE_NATS + _ROUNDING * abs(float(after.mean()))
    if abs(drift) <= max(small, 3 * error):
        return FitConvergence(True, drift, noise, f"the bound had stopped moving over the last {half.size} steps")
    way = "rising" if drift > 0 else "falling"
    message = f"the bound was still {way}, by {abs(drift):.2f} nats over the last {after.size} steps"
    return FitConvergence(False, drift, noise, message)


def _error_of_mean(trace: np.ndarray) -> float:
    """The standard error of the mean of an autocorrelated trace that may have a trend, which is taken out first."""
    from arviz_stats.base import array_stats

    time = np.linspace(-1, 1, trace.size)
    flat = trace - np.polynomial.polynomial.polyval(time, np.polynomial.polynomial.polyfit(time, trace, 1))
    ess = np.asarray(array_stats.ess(flat[None], method="mean"), dtype=np.float64)
    return flat.std() / np.sqrt(ess.item())


def _unknown(message: str) -> FitConvergence:
    return FitConvergence(False, np.nan, np.nan, message)
