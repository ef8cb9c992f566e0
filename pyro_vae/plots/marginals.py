"""The marginal posteriors of every guide over the baseline's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pyro_vae.plots import draws as _draws
from pyro_vae.plots import style

LIMIT = 15
_PANEL = 1.8
_TALLEST = 3.0
"""A guide's peak runs out of the top of its panel when it is this many times the baseline's."""


@style.styled
def plot_marginals(
    posteriors: Mapping[str, xr.DataTree],
    baseline: xr.DataTree | None = None,
    *,
    parameters: Sequence[str] | None = None,
    reference: Mapping[str, float] | None = None,
    width: float = style.WIDTH,
) -> Figure:
    """One panel per scalar parameter: the baseline as a filled density, every guide as a line over it.

    A panel shows the bulk of the draws: heavy tails are cut off, and a guide most of whose draws lie outside is
    named in its panel. A parameter with positive draws only has no density below zero.

    Args:
        posteriors: Draws of each guide by name (group ``posterior``, dims ``chain, draw, ...``).
        baseline: The draws to compare with; None shows the guides alone.
        parameters: Labels such as ``"theta[Choate]"``. None shows all, or the 15 worst when there are more.
        reference: Exact means by label, marked by a triangle on the axis.
        width: Of the figure in inches; it decides how many panels stand side by side.

    Raises:
        OptionError: a parameter is not in the draws, or there are none.

    >>> from pyro_vae.posterior.datatree import build
    >>> rng = np.random.default_rng(0)
    >>> narrow, wide = (build({"posterior": {"mu": s * rng.normal(size=(1, 500))}}) for s in (0.5, 1.0))
    >>> figure = plot_marginals({"mean-field": narrow}, wide)
    >>> [axes.get_title() for axes in figure.axes]
    ['mu']
    """
    guides = {name: _draws.flat_draws(tree) for name, tree in posteriors.items()}
    truth = None if baseline is None else _draws.flat_draws(baseline)
    selection = _draws.select(guides, truth, parameters, LIMIT)
    looks = style.sources(guides)
    count = len(selection.shown)
    columns = min(max(1, int(width / _PANEL)), 3, count)
    rows = -(-count // columns)
    figure = style.new_figure(0.2 + 1.55 * rows + (1.0 if count == 1 else 0), width)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, label in zip(panels, selection.shown, strict=False):
        axes.set_title(style.fitted(label, width / columns - 0.1, 9.5), pad=4)
        _panel(axes, label, guides, None if truth is None else truth[label], looks)
        if reference and label in reference:
            axes.plot([reference[label]], [0], "^", color=style.INK, markersize=6, clip_on=False, zorder=6)
    for axes in panels[count:]:
        axes.remove()
    style.legend(figure, _handles(looks, baseline, bool(reference)))
    if selection.remark:
        style.note(figure, selection.remark)
    return figure


def _panel(
    axes: Axes,
    label: str,
    guides: Mapping[str, _draws.Draws],
    truth: np.ndarray | None,
    looks: Mapping[str, style.Source],
) -> None:
    mine = {name: draws[label] for name, draws in guides.items() if label in draws}
    low, high = _draws.bulk_range(truth, list(mine.values()))
    tops, outside = [], []
    if truth is not None and (curve := _draws.density(truth, low, high)) is not None:
        axes.fill_between(*curve, color=style.BASELINE_FILL, linewidth=0, zorder=1)
        axes.plot(*curve, color=style.BASELINE_LINE, linewidth=1.0, zorder=2)
        tops.append(_TALLEST * float(curve[1].max()))
    peaks = []
    for name, values in mine.items():
        look = looks[name]
        curve = _draws.density(values, low, high)
        if curve is None and low <= values[0] <= high:
            axes.axvline(float(values[0]), color=look.colour, linestyle=look.line, zorder=3)
        elif curve is not None:
            axes.plot(*curve, color=look.colour, linestyle=look.line, zorder=3)
            peaks.append(float(curve[1].max()))
        share = float(np.mean((values < low) | (values > high)))
        if share > 0.5:
            outside.append(f"{style.shorten(name, 18)}: {share:.0%} outside")
    highest = max([*peaks, *(top / _TALLEST for top in tops)], default=1.0)
    axes.set(xlim=(low, high), ylim=(0, 1.08 * min([highest, *tops])), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=4)
    if outside:
        axes.text(0.98, 0.96, "\n".join(outside), transform=axes.transAxes, ha="right", va="top", fontsize=8)


def _handles(looks: Mapping[str, style.Source], baseline: xr.DataTree | None, exact: bool) -> list:
    handles: list = []
    if baseline is not None:
        name = _draws.baseline_name(baseline)
        handles.append(Patch(facecolor=style.BASELINE_FILL, edgecolor=style.BASELINE_LINE, label=name))
    handles += [
        Line2D([], [], color=look.colour, linestyle=look.line, label=style.legend_label(name))
        for name, look in looks.items()
    ]
    if exact:
        handles.append(Line2D([], [], color=style.INK, marker="^", linestyle="", label="exact mean"))
    return handles
