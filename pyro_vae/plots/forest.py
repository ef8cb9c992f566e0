"""Intervals of every source side by side, one block per parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pyro_vae.plots import draws as _draws
from pyro_vae.plots import style

_INTERVALS_SHOWN = 72
_LIMIT = 24
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@style.styled
def plot_forest(
    posteriors: Mapping[str, xr.DataTree],
    baseline: xr.DataTree | None = None,
    *,
    parameters: Sequence[str] | None = None,
    reference: Mapping[str, float] | None = None,
    width: float = style.WIDTH,
) -> Figure:
    """Median, 50 % (thick) and 90 % (thin) interval of each parameter, the baseline first, then every guide.

    In the parameters' own units while these are comparable; otherwise as (x - mean) / sd of the baseline, so that
    parameters of very different scale share one axis.

    Args:
        posteriors: Draws of each guide by name.
        baseline: The draws to compare with; None shows the guides alone.
        parameters: Labels to show. None shows all, or the worst, worst first, when there are more than 24 (fewer when
            there are many guides).
        reference: Exact means by label, marked by a triangle.
        width: Of the figure in inches.

    Raises:
        OptionError: a parameter is not in the draws, or there are none.

    >>> from pyro_vae.posterior.datatree import build
    >>> rng = np.random.default_rng(0)
    >>> tree = build({"posterior": {"mu": rng.normal(size=(1, 500)), "tau": rng.gamma(2.0, size=(1, 500))}})
    >>> [label.get_text() for label in plot_forest({"mine": tree}).axes[0].get_yticklabels()]
    ['mu', 'tau']
    """
    guides = {name: _draws.flat_draws(tree) for name, tree in posteriors.items()}
    truth = None if baseline is None else _draws.flat_draws(baseline)
    limit = max(6, min(_LIMIT, _INTERVALS_SHOWN // (len(guides) + 1)))
    selection = _draws.select(guides, truth, parameters, limit)
    looks = style.sources(guides)
    everyone = ({_draws.baseline_name(baseline): truth} if truth is not None else {}) | guides
    scales = _scales(selection.shown, truth)
    per_row = 0.16 * len(everyone) + 0.14
    figure = style.new_figure(0.6 + per_row * len(selection.shown), width)
    axes = figure.subplots()
    step = 0.74 / max(len(everyone), 1)
    for row, label in enumerate(selection.shown):
        for i, (name, values) in enumerate(everyone.items()):
            if label in values:
                height = row + (i - (len(everyone) - 1) / 2) * step
                _interval(axes, height, values[label], scales[label], looks.get(name))
        if reference and label in reference:
            centre, unit = scales[label]
            axes.plot([(reference[label] - centre) / unit], [row + 0.44], "^", color=style.INK, markersize=4.5)
    _frame(axes, selection.shown, "" if truth is None else _draws.baseline_name(baseline), _standard(scales), width)
    style.legend(figure, _handles(everyone, looks, bool(reference)))
    if selection.remark:
        style.note(figure, selection.remark)
    return figure


def _scales(shown: Sequence[str], truth: _draws.Draws | None) -> dict[str, tuple[float, float]]:
    """(centre, width) of each parameter: (0, 1) for all while their own units fit on one axis."""
    if truth is None:
        return dict.fromkeys(shown, (0.0, 1.0))
    own = {label: (float(np.mean(truth[label])), max(float(np.std(truth[label])), 1e-300)) for label in shown}
    widths = np.array([width for _, width in own.values()])
    centres = np.array([centre for centre, _ in own.values()])
    if widths.max() < 8 * widths.min() and np.ptp(centres) < 8 * float(np.median(widths)):
        return dict.fromkeys(shown, (0.0, 1.0))
    return own


def _standard(scales: Mapping[str, tuple[float, float]]) -> bool:
    return any(scale != (0.0, 1.0) for scale in scales.values())


def _interval(
    axes: Axes, height: float, values: np.ndarray, scale: tuple[float, float], look: style.Source | None
) -> None:
    low, quarter, middle, three, high = (np.quantile(values, _QUANTILES) - scale[0]) / scale[1]
    colour, marker = (style.BASELINE_LINE, "|") if look is None else (look.colour, look.marker)
    axes.plot([low, high], [height, height], color=colour, linewidth=1.2, solid_capstyle="butt", zorder=2)
    axes.plot([quarter, three], [height, height], color=colour, linewidth=3.6, solid_capstyle="butt", zorder=3)
    face = style.PAPER if look is not None else style.INK
    axes.plot([middle], [height], marker, color=colour, markerfacecolor=face, markeredgecolor=colour if look else face,
              markersize=4.6 if look else 7, markeredgewidth=1.2, zorder=4)  # fmt: skip


def _frame(axes: Axes, shown: Sequence[str], baseline: str, standard: bool, width: float) -> None:
    axes.set_yticks(range(len(shown)), [style.fitted(label, width / 3, 8.5) for label in shown])
    axes.set_ylim(len(shown) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    for row in range(1, len(shown), 2):
        axes.axhspan(row - 0.5, row + 0.5, color=style.GRID, alpha=0.35, linewidth=0, zorder=0)
    if standard:
        axes.set_xlabel(f"(value − mean) / sd of {baseline}")
        axes.axvline(0, color=style.MUTED, linewidth=0.8, zorder=1)
    else:
        axes.set_xlabel("median, 50 % and 90 % interval")


def _handles(everyone: Mapping[str, object], looks: Mapping[str, style.Source], exact: bool) -> list[Line2D]:
    handles = []
    for name in everyone:
        look = looks.get(name)
        colour, marker = (style.BASELINE_LINE, "|") if look is None else (look.colour, look.marker)
        face = style.INK if look is None else style.PAPER
        label = style.legend_label(name)
        handles.append(Line2D([], [], color=colour, linewidth=3, marker=marker, markersize=6, label=label,
                              markerfacecolor=face, markeredgecolor=face if look is None else colour))  # fmt: skip
    if exact:
        handles.append(Line2D([], [], color=style.INK, marker="^", linestyle="", markersize=5, label="exact mean"))
    return handles
