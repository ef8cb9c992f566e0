"""Where a guide is wrong beyond means and sds: correlations, widths that depend on another parameter, tails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from pyro_vae.diagnostics.misfit import misfit
from pyro_vae.diagnostics.pairing import pair
from pyro_vae.posterior.convergence import is_constant

if TYPE_CHECKING:
    import pandas as pd

# Pairs are looked at among this many parameters, the worst.
_MOST = 40
_MIN_DRAWS = 200
# From these differences on they are said. Each is far beyond what chance makes of 400 draws.
MIN_CORRELATION = 0.3
MIN_WIDENING = 1.5
MIN_SKEW = 0.15
MIN_TAIL = 0.3
Kind = Literal["correlation", "widening", "skewness", "lower tail", "upper tail"]
# Where these quantiles of a normal lie.
_TAILS: tuple[tuple[Kind, str, float], ...] = (("lower tail", "delta_q5", -1.645), ("upper tail", "delta_q95", 1.645))


@dataclass(frozen=True)
class Symptom:
    """One thing that the guide gets wrong, as a number of the baseline's draws and the same of the guide's.

    ===============  ==============================================================================================
    "correlation"    the rank correlation of two ``parameters``
    "widening"       how much wider the first is where the second is in its highest fifth than in its lowest: the
                     ratio of the distances from the 10 to the 90 % quantile; a funnel has a large one
    "skewness"       :math:`(q_{95} + q_5 - 2 q_{50}) / (q_{95} - q_5)` of one, between -1 and 1
    "lower tail"     the 5 % quantile of one, in sds of the baseline, whose own is put at that of a normal, -1.645
    "upper tail"     the 95 % quantile, likewise at 1.645
    ===============  ==============================================================================================
    """

    kind: Kind
    parameters: tuple[str, ...]
    baseline: float
    guide: float

    def sentence(self) -> str:
        """What is wrong, in words.

        >>> Symptom("correlation", ("a", "b"), 0.87, 0.01).sentence()
        'a and b have a correlation of 0.87, and of 0.01 in the guide'
        >>> Symptom("widening", ("x", "v"), 12.3, 1.02).sentence()
        'x is 12.3 times as wide at high v as at low v, and 1.0 times in the guide'
        """
        name, there = self.parameters[0], "in the guide"
        if self.kind == "correlation":
            other = self.parameters[1]
            return f"{name} and {other} have a correlation of {self.baseline:.2f}, and of {_zero(self.guide)} {there}"
        if self.kind == "widening":
            by, ends, (most, ours) = self.parameters[1], ("high", "low"), (self.baseline, self.guide)
            if self.baseline < 1:
                ends, (most, ours) = ("low", "high"), (1 / self.baseline, 1 / self.guide)
            where = f"at {ends[0]} {by} as at {ends[1]} {by}"
            return f"{name} is {most:.1f} times as wide {where}, and {ours:.1f} times {there}"
        if self.kind == "skewness":
            return f"the skewness of {name} is {self.baseline:+.2f}, and {self.guide:+.2f} {there}"
        end, percent = ("below", 5) if self.kind == "lower tail" else ("above", 95)
        way = "high" if self.guide > self.baseline else "low"
        shift = f"{abs(self.guide - self.baseline):.2f} sd too {way}"
        return f"the tail of {name} {end} its {percent} % quantile begins {shift} {there}"


def _zero(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00")


def find(posterior: xr.DataTree, baseline: xr.DataTree, table: pd.DataFrame) -> tuple[Symptom, ...]:
    """At most one finding of each kind, the largest: which pair, which tail, and by how much.

    ``table`` is that of :func:`parameter_table`. Pairs are those of the 40 worst parameters. Nothing is said of fewer
    than 200 draws, of parameters with draws that are not finite, or of constants.

    >>> from pyro_vae.diagnostics import parameter_table
    >>> from pyro_vae.posterior import build
    >>> rng = np.random.default_rng(0)
    >>> exact = build({"posterior": {"z": rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], (1, 4000))}})
    >>> exact.attrs["exact"] = True
    >>> guide = build({"posterior": {"z": 0.44 * rng.normal(size=(1, 4000, 2))}})
    >>> [finding.kind for finding in find(guide, exact, parameter_table(guide, exact))]
    ['correlation', 'lower tail', 'upper tail']
    """
    paired = pair(posterior, baseline)
    scores = misfit(table).sort_values(ascending=False, kind="stable")
    names = [
        name for name in map(str, scores.index) if _usable(paired.posterior[name]) and _usable(paired.baseline[name])
    ]
    if not names or min(paired.posterior[names[0]].size, paired.baseline[names[0]].size) < _MIN_DRAWS:
        return ()
    singles = [*_skewness(names, paired.posterior, paired.baseline), *_tails(names, table)]
    worst = names[:_MOST]
    x, y = (
        np.stack([side[name].ravel().astype(float) for name in worst]) for side in (paired.posterior, paired.baseline)
    )
    return *_correlation(worst, x, y), *_widening(worst, x, y), *singles


def _usable(draws: np.ndarray) -> bool:
    return bool(np.isfinite(draws).all()) and not is_constant(draws)


def _correlation(names: list[str], x: np.ndarray, y: np.ndarray) -> list[Symptom]:
    if len(names) < 2:
        return []
    ours, theirs = _rank_correlations(x), _rank_correlations(y)
    i, j = np.unravel_index(np.argmax(np.abs(ours - theirs)), ours.shape)
    if abs(ours[i, j] - theirs[i, j]) < MIN_CORRELATION:
        return []
    i, j = min(i, j), max(i, j)
    return [Symptom("correlation", (names[i], names[j]), float(theirs[i, j]), float(ours[i, j]))]


def _rank_correlations(x: np.ndarray) -> np.ndarray:
    return np.atleast_2d(np.corrcoef(np.argsort(np.argsort(x, axis=1), axis=1)))


def _widening(names: list[str], x: np.ndarray, y: np.ndarray) -> list[Symptom]:
    if len(names) < 2:
        return []
    ours, theirs = _log_widening(x), _log_widening(y)
    lost = np.where(np.abs(theirs) > np.log(MIN_WIDENING), np.abs(theirs - ours), 0.0)
    i, j = np.unravel_index(np.argmax(lost), lost.shape)
    if lost[i, j] < np.log(MIN_WIDENING):
        return []
    return [Symptom("widening", (names[i], names[j]), float(np.exp(theirs[i, j])), float(np.exp(ours[i, j])))]


def _log_widening(x: np.ndarray) -> np.ndarray:
    """``[P, P]``: log of how much wider row i is where row j is high than where it is low; 0 on the diagonal."""
    fifth = x.shape[1] // 5
    found = np.zeros((len(x), len(x)))
    for j, order in enumerate(np.argsort(x, axis=1)):
        low, high = (np.quantile(x[:, part], [0.1, 0.9], axis=1) for part in (order[:fifth], order[-fifth:]))
        with np.errstate(divide="ignore", invalid="ignore"):
            found[:, j] = np.log((high[1] - high[0]) / (low[1] - low[0]))
        found[j, j] = 0.0
    return np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)


def _skewness(names: list[str], ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> list[Symptom]:
    found = {name: (_skew(theirs[name]), _skew(ours[name])) for name in names}
    worst = max(found, key=lambda name: abs(found[name][0] - found[name][1]))
    if abs(found[worst][0] - found[worst][1]) < MIN_SKEW:
        return []
    return [Symptom("skewness", (worst,), *found[worst])]


def _skew(draws: np.ndarray) -> float:
    low, middle, high = np.quantile(draws, [0.05, 0.5, 0.95])
    return float((high + low - 2 * middle) / (high - low)) if high > low else 0.0


def _tails(names: list[str], table: pd.DataFrame) -> list[Symptom]:
    found = []
    for kind, column, place in _TAILS:
        shift = table.loc[names, column]
        worst = str(shift.abs().idxmax())
        if np.isfinite(shift[worst]) and abs(shift[worst]) >= MIN_TAIL:
            found.append(Symptom(kind, (worst,), place, place + float(shift[worst])))
    return found
