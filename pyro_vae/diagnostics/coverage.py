"""Where the baseline has draws and the guide has almost none: a mode that was missed, a tail that was cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr

from pyro_vae.diagnostics.pairing import pair
from pyro_vae.posterior.convergence import is_constant

# Mass below this is not reported.
MIN_MASS = 0.05
# A region is missing if the guide has less than this fraction of the baseline's mass there.
ALMOST_NONE = 1 / 20
# Bins of equal baseline mass, as many as leave this many draws of each in a bin, and at most MAX_BINS.
_DRAWS_PER_BIN = 20
_MAX_BINS = 40
# A mode is set apart by a valley less than half as high as the peaks on its two sides.
_VALLEY = 0.5
_MAX_VALUES = 50


@dataclass(frozen=True)
class MissingMass:
    """A region ``low < x < high`` of one parameter that holds ``mass`` of the baseline and almost nothing of the guide.

    ``kind``: a "mode" (the baseline has a valley between it and what the guide covers), a "tail" (one end), a "gap"
    (between draws of the guide), or a "value" of a parameter that takes few whole numbers. ``centre``: the baseline's
    median there.
    """

    parameter: str
    kind: Literal["mode", "tail", "gap", "value"]
    low: float
    high: float
    centre: float
    mass: float

    def sentence(self) -> str:
        """What is missing, in words.

        >>> MissingMass("x", "mode", -np.inf, 0.0, -4.02, 0.5).sentence()
        'it misses a mode of x near -4.02 that holds 50 % of the posterior'
        """
        held = f"holds {100 * self.mass:.0f} % of the posterior"
        if self.kind == "mode":
            return f"it misses a mode of {self.parameter} near {self.centre:.3g} that {held}"
        if self.kind == "value":
            return f"it has almost no draws with {self.parameter} = {self.centre:.0f}, which {held}"
        if self.kind == "gap":
            ends = f"between {self.low:.3g} and {self.high:.3g}"
            return f"it has almost no draws of {self.parameter} {ends}, which {held}"
        end, bound = ("below", self.high) if np.isinf(self.low) else ("above", self.low)
        return f"it has almost no draws of {self.parameter} {end} {bound:.3g}, which {held}"


def missing_mass(posterior: xr.DataTree, baseline: xr.DataTree) -> list[MissingMass]:
    """The regions that hold at least 5 % of the baseline and less than a twentieth of that of the guide, largest first.

    Each parameter is looked at alone, in up to 40 bins of equal baseline mass: modes that differ in no single parameter
    are not seen. Importance weights cannot mend what is found here, and Pareto's k does not show it: both know only
    the guide's draws.

    Raises: ``OptionError`` if the two do not hold the same parameters.

    >>> from pyro_vae.posterior import build
    >>> rng = np.random.default_rng(0)
    >>> two_modes = build({"posterior": {"x": rng.choice([-4, 4], (1, 4000)) + rng.normal(size=(1, 4000))}})
    >>> one_mode = build({"posterior": {"x": 4 + rng.normal(size=(1, 4000))}})
    >>> [(found.kind, round(found.centre), round(found.mass, 1)) for found in missing_mass(one_mode, two_modes)]
    [('mode', -4, 0.5)]
    >>> missing_mass(two_modes, one_mode)
    []
    """
    paired = pair(posterior, baseline)
    found: list[MissingMass] = []
    for label, theirs in paired.baseline.items():
        x, y = (np.sort(draws, axis=None).astype(np.float64) for draws in (paired.posterior[label], theirs))
        if np.isfinite(x).all() and np.isfinite(y).all() and not is_constant(y):
            found += _missing_values(label, x, y) if _takes_few_values(y) else _missing_regions(label, x, y)
    return sorted(found, key=lambda region: -region.mass)


def _takes_few_values(y: np.ndarray) -> bool:
    return bool((y == np.round(y)).all()) and len(np.unique(y)) <= _MAX_VALUES


def _missing_values(label: str, x: np.ndarray, y: np.ndarray) -> Iterator[MissingMass]:
    for value in np.unique(y):
        mass = float(np.mean(y == value))
        enough = mass >= MIN_MASS and mass * x.size >= _DRAWS_PER_BIN
        if enough and np.mean(x == value) < ALMOST_NONE * mass:
            yield MissingMass(label, "value", value, value, value, mass)


def _missing_regions(label: str, x: np.ndarray, y: np.ndarray) -> Iterator[MissingMass]:
    """Runs of bins that the guide leaves out, widened to where its draws begin. ``x`` and ``y`` are sorted."""
    bins = min(_MAX_BINS, x.size // _DRAWS_PER_BIN, y.size // _DRAWS_PER_BIN)
    if bins < 2:
        return
    edges = np.unique(np.quantile(y, np.linspace(0, 1, bins + 1)))
    theirs, ours = _shares(y, edges), _shares(x, edges)
    missing = ours < ALMOST_NONE * theirs
    density = theirs / np.diff(edges)
    edges[[0, -1]] = -np.inf, np.inf
    for first, last in _runs(missing):
        centre = float(np.median(y[(y >= edges[first]) & (y <= edges[last + 1])]))
        low, high = _neighbours(x, centre)
        low, high = min(low, float(edges[first])), max(high, float(edges[last + 1]))
        inside = y[(y > low) & (y < high)]
        mass = inside.size / y.size
        if mass >= MIN_MASS:
            kind = "mode" if _set_apart(density, missing, first, last) else _end_or_gap(low, high)
            yield MissingMass(label, kind, low, high, float(np.median(inside)), mass)


def _shares(draws: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The fraction of sorted ``draws`` in each bin, all beyond the outermost edges included."""
    return np.diff(np.searchsorted(draws, edges[1:-1]), prepend=0, append=draws.size) / draws.size


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of each run of true flags."""
    steps = np.diff(flags.astype(int), prepend=0, append=0)
    starts, stops = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1) - 1
    return [(int(first), int(last)) for first, last in zip(starts, stops, strict=True)]


def _neighbours(x: np.ndarray, centre: float) -> tuple[float, float]:
    """The sorted draws next to ``centre`` on either side, infinite where there are none."""
    at = int(np.searchsorted(x, centre))
    return float(x[at - 1]) if at > 0 else -np.inf, float(x[at]) if at < x.size else np.inf


def _end_or_gap(low: float, high: float) -> Literal["tail", "gap"]:
    return "tail" if np.isinf(low) or np.isinf(high) else "gap"


def _set_apart(density: np.ndarray, missing: np.ndarray, first: int, last: int) -> bool:
    """Whether the density has a valley between the bins ``first`` to ``last`` and what is covered on either side."""
    peak = first + int(np.argmax(density[first : last + 1]))
    sides = [side for side in (np.arange(first), np.arange(last + 1, density.size)) if not missing[side].all()]
    for side in sides:
        covered = side[~missing[side]]
        other = int(covered[np.argmax(density[covered])])
        between = density[min(peak, other) : max(peak, other) + 1]
        if between.min() >= _VALLEY * min(density[peak], density[other]):
            return False
    return bool(sides)
