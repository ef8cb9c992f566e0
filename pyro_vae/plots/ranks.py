"""How well the chains of the baseline mixed: effective sample sizes and rank plots of the worst parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pyro_vae.errors import OptionError
from pyro_vae.plots import style
from pyro_vae.posterior.convergence import MIN_ESS, TAIL, is_constant
from pyro_vae.posterior.datatree import scalar_parameters

LIMIT = 12
_RANKED = 3
_BINS = 20
_BAR = 0.6


@dataclass(frozen=True)
class _Mixing:
    label: str
    bulk: float
    tail: float
    rhat: float


@style.styled
def plot_ranks(baseline: xr.DataTree, *, parameters: Sequence[str] | None = None, width: float = style.WIDTH) -> Figure:
    """Effective sample sizes, bulk and tail, of the 12 worst parameters with the line at 400 that they have to pass;
    beside or below them, for the 3 worst, how each chain's draws rank among all: even bars mean that the chains agree.

    Args:
        baseline: The chains (group ``posterior``, dims ``chain, draw, ...``).
        parameters: Labels to show, in this order. None shows the ones with the lowest effective sample size.
        width: Of the figure in inches; a narrow one has the two parts one above the other.

    Raises:
        OptionError: a parameter is not in the draws, or there are fewer than 4 draws.

    Source: A. Vehtari, A. Gelman, D. Simpson, B. Carpenter, P.-C. Bürkner, "Rank-normalization, folding, and
    localization", Bayesian Analysis 16 (2021).

    >>> from pyro_vae.posterior.datatree import build
    >>> tree = build({"posterior": {"mu": np.random.default_rng(0).normal(size=(4, 250))}})
    >>> [axes.get_title() for axes in plot_ranks(tree).axes]
    ['effective sample size', 'mu (R-hat 1.00)']
    """
    table = {name: np.asarray(values, dtype=float) for name, values in scalar_parameters(baseline).items()}
    for label in parameters or ():
        if label not in table:
            raise OptionError(f"parameter {label!r} is not in the draws; they have: {', '.join(list(table)[:12])}")
    moving = {label: table[label] for label in (parameters or table) if _moves(table[label])}
    if not moving:
        raise OptionError("a rank plot needs at least 4 draws per chain of a parameter that moves")
    mixing = _mixing(moving)
    if parameters is None:
        mixing.sort(key=lambda row: min(row.bulk, row.tail))
    left_out = max(0, len(mixing) - LIMIT)
    mixing = mixing[:LIMIT]
    ranked = mixing[:_RANKED]
    chains = len(table[mixing[0].label])
    left, right = 0.65 + 0.26 * len(mixing), len(ranked) * (0.5 + 0.22 * min(chains, 8)) + 0.25
    wide = width > 5
    figure = style.new_figure(max(left, right) if wide else left + right, width)
    if wide:
        grid = figure.add_gridspec(len(ranked), 2, width_ratios=(1.15, 1))
        places = [grid[:, 0], *(grid[row, 1] for row in range(len(ranked)))]
    else:
        ratios = (left, *[right / len(ranked)] * len(ranked))
        grid = figure.add_gridspec(len(ranked) + 1, 1, height_ratios=ratios)
        places = [grid[row, 0] for row in range(len(ranked) + 1)]
    _sizes(figure.add_subplot(places[0]), mixing, width / (4 if wide else 3))
    inches = (0.32 if wide else 0.62) * width
    for place, mixed in zip(places[1:], ranked, strict=True):
        _ranks(figure.add_subplot(place), mixed, table[mixed.label], mixed is ranked[-1], inches)
    style.legend(figure, _handles())
    if left_out:
        style.note(figure, f"The {len(mixing)} parameters with the fewest effective draws; {left_out} left out.")
    return figure


def _moves(draws: np.ndarray) -> bool:
    return draws.shape[1] >= 4 and bool(np.isfinite(draws).all()) and not is_constant(draws)


def _mixing(moving: Mapping[str, np.ndarray]) -> list[_Mixing]:
    from arviz_stats.base import array_stats

    draws = np.stack(list(moving.values()))
    with np.errstate(divide="ignore", invalid="ignore"):
        bulk = np.asarray(array_stats.ess(draws, method="bulk"), dtype=float)
        tail = np.asarray(array_stats.ess(draws, method="tail", prob=TAIL), dtype=float)
        several = draws.shape[1] > 1
        rhat = np.asarray(array_stats.rhat(draws), dtype=float) if several else np.full(len(draws), np.nan)
    return [_Mixing(*row) for row in zip(moving, bulk.tolist(), tail.tolist(), rhat.tolist(), strict=True)]


def _sizes(axes: Axes, mixing: Sequence[_Mixing], inches: float) -> None:
    for row, mixed in enumerate(mixing):
        axes.plot([mixed.bulk, mixed.tail], [row, row], color=style.GRID, linewidth=2, zorder=1)
        axes.plot([mixed.bulk], [row], "o", color=style.INK, markersize=5.5, zorder=3)
        axes.plot([mixed.tail], [row], "s", color=style.INK, markerfacecolor=style.PAPER, markersize=5.5, zorder=2)
    axes.axvline(MIN_ESS, color=style.INK, linestyle=(0, (4, 3)), linewidth=1.1, zorder=2)
    most = max(max(mixed.bulk, mixed.tail) for mixed in mixing)
    axes.set_xlim(0, 1.06 * max(most, 1.3 * MIN_ESS))
    axes.set_ylim(len(mixing) - 0.5, -0.5)
    axes.set_yticks(range(len(mixing)), [style.fitted(mixed.label, inches, 8.5) for mixed in mixing])
    axes.tick_params(axis="y", length=0)
    axes.set_title("effective sample size")
    axes.set_xlabel("effective draws")
    axes.grid(axis="x")
    axes.locator_params(axis="x", nbins=5)


def _ranks(axes: Axes, mixed: _Mixing, draws: np.ndarray, last: bool, inches: float) -> None:
    """Bars of each chain's ranks on its own row; the dashed line is where all bars end when the chains agree."""
    from scipy.stats import rankdata

    ranks = rankdata(draws).reshape(draws.shape)
    edges = np.linspace(0, draws.size, _BINS + 1)
    even = draws.shape[1] / _BINS
    for chain, own in enumerate(ranks):
        heights = np.histogram(own, edges)[0] / even
        foot = float(chain)
        tops = foot + _BAR * np.minimum(heights, 1.6)
        axes.stairs(tops, edges, baseline=foot, fill=True, color=style.BASELINE_LINE, zorder=2)
        axes.plot([0, draws.size], [foot + _BAR] * 2, color=style.INK, linestyle=(0, (4, 3)), linewidth=0.9, zorder=3)
    axes.set(xlim=(0, draws.size), ylim=(-0.08, len(ranks)), xticks=[])
    labelled = np.arange(0, len(ranks), -(-len(ranks) // 8))
    axes.set_yticks(labelled + _BAR / 2, [str(chain + 1) for chain in labelled])
    axes.set_ylabel("chain")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    rhat = f" (R-hat {mixed.rhat:.2f})" if np.isfinite(mixed.rhat) else ""
    axes.set_title(style.fitted(mixed.label, inches - 0.95, 9.5) + rhat)
    if last:
        axes.set_xlabel("rank among all draws")


def _handles() -> list[Line2D]:
    return [
        Line2D([], [], color=style.INK, marker="o", linestyle="", markersize=5.5, label="bulk"),
        Line2D([], [], color=style.INK, marker="s", linestyle="", markerfacecolor=style.PAPER, label="tail"),
        Line2D([], [], color=style.INK, linestyle=(0, (4, 3)), linewidth=1.1, label="400 needed; even ranks"),
    ]
