"""The joint posterior of the worst two parameters, with NUTS's divergences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pyro_vae.errors import OptionError
from pyro_vae.plots import draws as _draws
from pyro_vae.plots import style
from pyro_vae.posterior.datatree import scalar_parameters

_SHARES = (0.9, 0.5)
_POINTS = 800
_CELLS = 80
_TILTED = 0.6
"""From this correlation on the draws are decorrelated before their density is estimated."""

Ranges = Sequence[tuple[float, float]]


@style.styled
def plot_pair(
    posteriors: Mapping[str, xr.DataTree],
    baseline: xr.DataTree,
    *,
    parameters: Sequence[str] | None = None,
    width: float = style.WIDTH,
) -> Figure:
    """Two parameters: the baseline's draws as points on the regions of 50 and 90 % of them, guides as such contours.

    Divergent transitions are marked by crosses. Where they gather, NUTS could not follow the posterior.

    Args:
        posteriors: Draws of each guide by name.
        baseline: The draws to compare with; ``sample_stats/diverging`` marks the divergences.
        parameters: Two labels. None takes the two in which the guides are worst.
        width: Of the figure in inches.

    Raises:
        OptionError: there are not two parameters, or one is not in the draws.

    >>> from pyro_vae.posterior.datatree import build
    >>> rng = np.random.default_rng(0)
    >>> tree = build({"posterior": {name: rng.normal(size=(1, 300)) for name in "ab"}})
    >>> axes = plot_pair({"mine": tree}, tree, parameters=("a", "b")).axes[0]
    >>> axes.get_xlabel(), axes.get_ylabel()
    ('a', 'b')
    """
    guides = {name: _draws.flat_draws(tree) for name, tree in posteriors.items()}
    truth = _draws.flat_draws(baseline)
    if len(truth) < 2:
        raise OptionError(f"a pair plot needs two scalar parameters; the draws have {len(truth)}")
    pair = tuple(parameters if parameters is not None else _draws.worst_first(guides, truth)[:2])
    if len(pair) != 2:
        raise OptionError(f"`parameters` of a pair plot are two labels; got {len(pair)}")
    _draws.select(guides, truth, pair, 2)
    looks = style.sources(guides)
    figure = style.new_figure(min(4.5, 0.9 * width), width)
    axes = figure.subplots()
    name = _draws.baseline_name(baseline)
    ranges = [
        _draws.bulk_range(truth[label], [own[label] for own in guides.values() if label in own]) for label in pair
    ]
    drawn = np.stack(_joint(baseline, pair))
    _shade(axes, drawn, ranges)
    thin = drawn[:, :: max(1, drawn.shape[1] // _POINTS)]
    axes.plot(*thin, ".", color=style.BASELINE_LINE, alpha=0.5, markersize=3.6, markeredgewidth=0, zorder=1)
    contoured = {
        guide: _contours(axes, np.stack(_joint(tree, pair)), ranges, looks[guide])
        for guide, tree in posteriors.items()
        if all(label in guides[guide] for label in pair)
    }
    crosses = _divergent(baseline, pair)
    if crosses.size:
        axes.plot(*crosses, "x", color=style.INK, markersize=5, markeredgewidth=1.1, zorder=5)
    axes.set(xlim=ranges[0], ylim=ranges[1])
    axes.set_xlabel(style.fitted(pair[0], width - 1))
    axes.set_ylabel(style.fitted(pair[1], figure.get_figheight() - 1))
    style.legend(figure, _handles(looks, name, crosses.shape[1] if crosses.size else 0, contoured))
    return figure


def _joint(tree: xr.DataTree, pair: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Draws in which both parameters are finite, ``[draws]`` each."""
    table = scalar_parameters(tree)
    first, second = (np.asarray(table[label], dtype=float).ravel() for label in pair)
    kept = np.isfinite(first) & np.isfinite(second)
    return first[kept], second[kept]


def _divergent(tree: xr.DataTree, pair: Sequence[str]) -> np.ndarray:
    """The draws of both parameters after which NUTS diverged, ``[2, n]``; empty without sample stats."""
    if "sample_stats" not in tree.children or "diverging" not in tree["sample_stats"]:
        return np.empty((0, 0))
    table = scalar_parameters(tree)
    diverging = np.asarray(tree["sample_stats"]["diverging"].values, dtype=bool)
    if not diverging.any():
        return np.empty((0, 0))
    return np.stack([np.asarray(table[label], dtype=float)[diverging] for label in pair])


def _contours(axes: Axes, drawn: np.ndarray, ranges: Ranges, look: style.Source) -> bool:
    """Contours around 50 and 90 % of a guide's draws; single markers where it has no width in some direction."""
    surface = _surface(drawn, ranges)
    if surface is None:
        axes.plot(*drawn[:, :: max(1, drawn.shape[1] // 200)], look.marker, color=look.colour, markersize=5, zorder=4)
        return False
    levels = _levels(surface[2])
    axes.contour(*surface, levels=levels, colors=[look.colour], linestyles=[look.line], linewidths=[1.4, 2.0], zorder=3)
    return True


def _shade(axes: Axes, drawn: np.ndarray, ranges: Ranges) -> None:
    """The regions of 90 and 50 % of the baseline's draws, light and less light."""
    surface = _surface(drawn, ranges)
    if surface is None:
        return
    levels = _levels(surface[2])
    for level, alpha in zip(levels, (0.45, 0.75), strict=False):
        axes.contourf(*surface, levels=[level, np.inf], colors=[style.BASELINE_FILL], alpha=alpha, zorder=0)


def _surface(drawn: np.ndarray, ranges: Ranges) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The joint density of the draws inside the ranges as (x, y, height), ``[cells, cells]`` each; None without width.

    A histogram smoothed by a Gaussian kernel and reflected at the ranges' ends, so that nothing is smeared over zero.
    Strongly correlated draws are decorrelated first: a kernel along the axes would make them look wide.
    """
    from scipy.ndimage import gaussian_filter

    inside = drawn[:, _inside(drawn, ranges)]
    if inside.shape[1] < 20 or min(np.ptp(inside, axis=1)) <= 1e-9 * max(1e-9, float(np.abs(inside).max())):
        return None
    turn, limits, flat = np.eye(2), list(ranges), inside
    correlation = float(np.corrcoef(inside)[0, 1])
    if abs(correlation) > 1 - 1e-9:
        return None
    if abs(correlation) > _TILTED:
        turn = np.linalg.cholesky(np.cov(inside))
        flat = np.linalg.solve(turn, inside)
        limits = [(row.min() - 0.6, row.max() + 0.6) for row in flat]
    counts, *edges = np.histogram2d(*flat, bins=_CELLS, range=limits)
    smooth = [_bandwidth(row) * _CELLS / (high - low) for row, (low, high) in zip(flat, limits, strict=True)]
    heights = gaussian_filter(counts, smooth, mode="reflect").T
    centres = np.stack(np.meshgrid(*((edge[1:] + edge[:-1]) / 2 for edge in edges)))
    across, up = np.einsum("ij,jkl->ikl", turn, centres)
    return across, up, heights


def _inside(drawn: np.ndarray, ranges: Ranges) -> np.ndarray:
    (left, right), (bottom, top) = ranges
    return (drawn[0] >= left) & (drawn[0] <= right) & (drawn[1] >= bottom) & (drawn[1] <= top)


def _bandwidth(values: np.ndarray) -> float:
    """Scott's rule in two dimensions, from a width between the sd and the scaled interquartile range."""
    low, high = np.quantile(values, [0.25, 0.75])
    sd = float(np.std(values))
    return float(np.sqrt(sd * (min(sd, (high - low) / 1.34) or sd))) * len(values) ** (-1 / 6)


def _levels(heights: np.ndarray) -> list[float]:
    """The heights whose contours hold 90 and 50 % of the mass, in rising order."""
    ordered = np.sort(heights, axis=None)[::-1]
    mass = np.cumsum(ordered) / ordered.sum()
    levels = [float(ordered[min(np.searchsorted(mass, share), len(ordered) - 1)]) for share in _SHARES]
    return levels if 0 < levels[0] < levels[1] else levels[1:]


def _handles(
    looks: Mapping[str, style.Source], baseline: str, crosses: int, contoured: Mapping[str, bool]
) -> list[Line2D]:
    handles = [Line2D([], [], color=style.BASELINE_LINE, marker=".", linestyle="", markersize=8, label=baseline)]
    if crosses:
        label = f"{crosses} divergence{'s' if crosses > 1 else ''}"
        handles.append(Line2D([], [], color=style.INK, marker="x", linestyle="", markersize=6, label=label))
    for name, look in ((name, looks[name]) for name in contoured):
        line, marker = (look.line, "") if contoured[name] else ("", look.marker)
        label = style.legend_label(name)
        handles.append(Line2D([], [], color=look.colour, linestyle=line, marker=marker, markersize=5, label=label))
    return handles
