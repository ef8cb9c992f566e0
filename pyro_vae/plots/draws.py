"""What all figures read from draws: the shared parameters, the worst of them, ranges and densities of the bulk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pyro_vae.diagnostics.baseline import evidence_of, is_weighted
from pyro_vae.diagnostics.misfit import MAX_SD_FACTOR, MAX_SHIFT
from pyro_vae.errors import OptionError
from pyro_vae.posterior.datatree import scalar_parameters

Draws = dict[str, np.ndarray]
"""Flat draws of every scalar parameter, ``{"theta[Choate]": [chain * draw]}``, finite values only."""

_SMOOTHER = 1.5
"""The kernel width over that of Sheather and Jones, which shows two modes but leaves ripples in long tails."""
_BULK = (0.001, 0.999)
_SEEN_BEYOND = 0.75
"""How far beyond the baseline's bulk, in widths of it, a range may reach to show a guide that lies elsewhere."""


@dataclass(frozen=True)
class Selection:
    """The parameters that a figure shows, and how many it leaves out."""

    shown: tuple[str, ...]
    left_out: int

    @property
    def remark(self) -> str:
        """A sentence about what is left out, empty if nothing is."""
        if not self.left_out:
            return ""
        return f"The {len(self.shown)} worst of {len(self.shown) + self.left_out} parameters; {self.left_out} left out."


def flat_draws(tree: xr.DataTree) -> Draws:
    """Every scalar parameter's finite draws, chains joined; without the parameters that have none."""
    joined = {name: np.asarray(values, dtype=float).ravel() for name, values in scalar_parameters(tree).items()}
    finite = {name: values[np.isfinite(values)] for name, values in joined.items()}
    return {name: values for name, values in finite.items() if len(values)}


def baseline_name(tree: xr.DataTree | None) -> str:
    """What to call the baseline in a legend: ``NUTS``, ``exact``, ``reference`` or ``weighted draws``."""
    if tree is None:
        return "baseline"
    return "weighted draws" if is_weighted(tree) else evidence_of(tree)


def misfit(guides: Mapping[str, Draws], baseline: Draws) -> dict[str, float]:
    """How far the worst guide is from the baseline in each parameter; 1 is the edge of "trusted".

    The larger of |difference of means| / .3 sd and |log ratio of sds| / log 1.3, the two lines of the verdict's rule.
    """
    scores = {}
    for name, truth in baseline.items():
        sd = max(float(np.std(truth)), 1e-300)
        score = 0.0
        for draws in guides.values():
            if name not in draws:
                continue
            shift = abs(float(np.mean(draws[name]) - np.mean(truth))) / sd
            ratio = max(float(np.std(draws[name])) / sd, 1e-12)
            score = max(score, shift / MAX_SHIFT, abs(float(np.log(ratio))) / np.log(MAX_SD_FACTOR))
        scores[name] = score
    return scores


def select(
    guides: Mapping[str, Draws], baseline: Draws | None, parameters: Sequence[str] | None, limit: int
) -> Selection:
    """The parameters to show: those asked for, or all in the model's order, or the ``limit`` worst when there are more.

    Raises ``OptionError`` naming a parameter that is not there.
    """
    known = list(baseline if baseline is not None else next(iter(guides.values()), {}))
    if not known:
        raise OptionError("a figure needs draws of at least one parameter; the posterior group has none")
    if parameters is not None:
        for name in parameters:
            if name not in known:
                raise OptionError(f"parameter {name!r} is not in the draws; they have: {', '.join(known[:12])}")
        return Selection(tuple(parameters[:limit]), len(known) - len(parameters[:limit]))
    if len(known) <= limit:
        return Selection(tuple(known), 0)
    return Selection(tuple(worst_first(guides, baseline)[:limit]), len(known) - limit)


def worst_first(guides: Mapping[str, Draws], baseline: Draws | None) -> list[str]:
    """All parameters, the one with the largest misfit first; in the model's order without baseline."""
    if baseline is None or not guides:
        return list(baseline if baseline is not None else next(iter(guides.values()), {}))
    scores = misfit(guides, baseline)
    return sorted(scores, key=lambda name: -scores[name])


def is_positive(arrays: Sequence[np.ndarray]) -> bool:
    """Whether every draw of every source is above zero."""
    filled = [values for values in arrays if len(values)]
    return bool(filled) and all(values.min() > 0 for values in filled)


def bulk_range(baseline: np.ndarray | None, guides: Sequence[np.ndarray]) -> tuple[float, float]:
    """The range that shows the bulk of the baseline and, within reason, of the guides; heavy tails are cut off.

    Starts at zero when all draws are positive and the bulk reaches near zero.
    """
    guides = [values for values in guides if len(values)]
    main = baseline if baseline is not None and len(baseline) else np.concatenate(guides)
    low, high = _central(main)
    reach = _SEEN_BEYOND * (high - low)
    ends = [_central(values) for values in guides]
    seen_low = max(min([low, *(end[0] for end in ends)]), low - reach)
    seen_high = min(max([high, *(end[1] for end in ends)]), high + reach)
    if seen_high <= seen_low:
        pad = max(abs(seen_low), 1.0) * 0.1
        return seen_low - pad, seen_high + pad
    pad = 0.02 * (seen_high - seen_low)
    start, stop = seen_low - pad, seen_high + pad
    if is_positive([main, *guides]) and start < 0.08 * (stop - start):
        start = 0.0
    return float(start), float(stop)


def _central(values: np.ndarray) -> tuple[float, float]:
    """Almost all of the draws, but not further out than a few of the widths of their middle half."""
    low, quarter, middle, three, high = np.quantile(values, [_BULK[0], 0.25, 0.5, 0.75, _BULK[1]])
    width = max(three - quarter, 1e-12 * max(abs(middle), 1.0))
    return max(low, middle - 4 * width), min(high, middle + 4 * width)


def density(values: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray] | None:
    """The density of the draws on [low, high] as (grid, heights); None when all draws are the same value.

    The estimate is from the draws inside the range, reflected at its first and last draw: nothing is smeared over a
    bound such as zero, and a heavy tail outside the range does not widen the kernel.
    """
    from arviz_stats.base import array_stats

    inside = values[(values >= low) & (values <= high)]
    if len(inside) < 3 or np.ptp(inside) <= 1e-9 * max(abs(float(inside[0])), 1e-9):
        return None
    grid, heights, _ = array_stats.kde(inside, bw="isj", bw_fct=_SMOOTHER, grid_len=256)
    # Every second point draws the same curve in half the bytes; the estimate itself needs the fine grid.
    return np.asarray(grid)[::2], np.asarray(heights)[::2] * len(inside) / len(values)
