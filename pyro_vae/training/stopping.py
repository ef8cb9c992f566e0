"""When has the bound stopped moving? A rule reads its history at a constant learning rate and says yes or no."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pyro_vae.errors import OptionError

StopRule = Callable[[np.ndarray], bool]


@dataclass(frozen=True)
class Flat:
    r"""Stop when another window of steps would gain less than is worth waiting for, with 97.5 % confidence.

    The last half of the history is cut into two windows of equal length, with means :math:`m_1` (older) and
    :math:`m_2` and standard errors :math:`s_1, s_2` from the means of ten batches each, which allows for
    autocorrelation; :math:`s` is the standard deviation of one step. The rule says yes when

    .. math:: \max(m_2 - m_1, 0) + 2 \sqrt{s_1^2 + s_2^2} < t + n s + 10^{-5} |m_2|.

    A small difference is not enough: noise must be small enough to rule out a larger one. Windows grow with the run,
    so that a slow drift is found once it matters; one that gains less than :math:`t` in the shortest window is not
    seen. Noise counts because a gain far below the standard error of the bound that a fit reports, about :math:`s / 8`,
    is not worth waiting for. Steps beyond a window's 2 % and 98 % quantiles are pulled in to them, because single
    draws of a heavy-tailed bound would hide everything else.

    Of an upper bound the rule is given the negative, which rises.

    Args:
        tolerance: t in nats.
        noise: n, in standard deviations of one step.
        window: the shortest window, in steps.

    >>> rng = np.random.default_rng(0)
    >>> noise = rng.normal(size=2000)
    >>> Flat()(noise), Flat()(noise + 1e-3 * np.arange(2000))
    (True, False)
    """

    tolerance: float = 0.1
    noise: float = 0.1
    window: int = 200

    def __call__(self, bound: np.ndarray) -> bool:
        """True when the ``bound`` (nats, one per step at a constant learning rate) is flat."""
        bound = np.asarray(bound, dtype=float)
        window = max(self.window, len(bound) // 4)
        if len(bound) < 2 * window:
            return False
        last = bound[len(bound) - 2 * window :]
        last = np.clip(last, *np.quantile(last, [0.02, 0.98]))
        older, newer = last[:window], last[window:]
        gain = max(newer.mean() - older.mean(), 0.0)
        error = math.hypot(batch_means_error(older), batch_means_error(newer))
        worthwhile = self.tolerance + self.noise * newer.std() + 1e-5 * abs(newer.mean())
        return bool(gain + 2 * error < worthwhile)


def batch_means_error(series: np.ndarray, batches: int = 10) -> float:
    """The standard error of a series' mean, from the means of consecutive batches: it allows for autocorrelation."""
    size = len(series) // batches
    means = series[len(series) - size * batches :].reshape(batches, size).mean(1)
    return float(means.std(ddof=1) / math.sqrt(batches))


def rule_from(stop: str | StopRule | None) -> StopRule | None:
    """``"auto"`` is :class:`Flat`, None no rule; any function from a bound's history to a bool is a rule."""
    if stop is None:
        return None
    if isinstance(stop, str):
        if stop == "auto":
            return Flat()
        raise OptionError(f"stop {stop!r} is not known: expected 'auto', None or a rule such as Flat(tolerance=0.05).")
    if callable(stop):
        return stop
    raise OptionError(f"stop: expected 'auto', None or a function of the bound's history, got {type(stop).__name__}.")
