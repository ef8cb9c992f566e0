"""The aggregated posterior over the prior, dimension by dimension."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pyro_vae.errors import OptionError
from pyro_vae.plots import draws as _draws
from pyro_vae.plots import style

LIMIT = 12
_PANEL = 1.75


@style.styled
def plot_aggregated(
    codes: np.ndarray,
    prior: np.ndarray,
    names: Sequence[str],
    distances: np.ndarray,
    *,
    width: float = style.WIDTH,
) -> Figure:
    """A panel per dimension: the prior as a filled shape, the codes of all rows together as a line.

    The dimensions that are furthest from the prior come first, at most twelve. Bits and classes are bars.

    Args:
        codes: ``[N, D]``, a draw of the code of each row.
        prior: ``[M, D]``, draws of the prior.
        names: of the D dimensions.
        distances: ``[D]``, 1-Wasserstein in sds of the prior.
        width: of the figure in inches.

    Raises:
        OptionError: codes and prior of different sizes.

    >>> rng = np.random.default_rng(0)
    >>> figure = plot_aggregated(rng.normal(size=(90, 2)), rng.normal(size=(99, 2)), ["a", "b"], np.array([0.1, 0.3]))
    >>> [axes.get_title() for axes in figure.axes]
    ['b: 0.30 sd off', 'a: 0.10 sd off']
    """
    codes, prior = np.asarray(codes, dtype=float), np.asarray(prior, dtype=float)
    if codes.ndim != 2 or prior.ndim != 2 or codes.shape[1] != prior.shape[1] or codes.shape[1] != len(names):
        raise OptionError(
            f"codes, prior: expected [N, {len(names)}] and [M, {len(names)}], got {codes.shape} and {prior.shape}."
        )
    order = np.argsort(-np.asarray(distances), kind="stable")[:LIMIT]
    columns = min(max(1, int(width / _PANEL)), len(order))
    rows = -(-len(order) // columns)
    figure = style.new_figure(0.2 + 1.35 * rows + (0.8 if len(order) == 1 else 0), width)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, dim in zip(panels, order, strict=False):
        title = f"{names[dim]}: {distances[dim]:.2f} sd off"
        axes.set_title(style.fitted(title, width / columns - 0.05, 9.5), pad=4)
        _panel(axes, codes[:, dim], prior[:, dim])
    for axes in panels[len(order) :]:
        axes.remove()
    colour = style.GUIDE_COLOURS[0]
    style.legend(
        figure,
        [
            Patch(facecolor=style.BASELINE_FILL, edgecolor=style.BASELINE_LINE, label="prior"),
            Line2D([], [], color=colour, label="codes of all rows"),
        ],
    )
    if len(names) > LIMIT:
        style.note(figure, f"The {LIMIT} dimensions furthest off, of {len(names)}.")
    return figure


def _panel(axes: Axes, codes: np.ndarray, prior: np.ndarray) -> None:
    values = np.unique(np.concatenate([codes, prior]))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if len(values) <= 3:
        _shares(axes, codes, prior, values)
        return
    low, high = _draws.bulk_range(prior, [codes])
    tops = []
    for draws, filled in ((prior, True), (codes, False)):
        curve = _draws.density(draws, low, high)
        if curve is None:
            axes.axvline(float(draws[0]), color=style.GUIDE_COLOURS[0], zorder=3)
            continue
        if filled:
            axes.fill_between(*curve, color=style.BASELINE_FILL, linewidth=0, zorder=1)
            axes.plot(*curve, color=style.BASELINE_LINE, linewidth=1.0, zorder=2)
        else:
            axes.plot(*curve, color=style.GUIDE_COLOURS[0], zorder=3)
        tops.append(float(curve[1].max()))
    axes.set(xlim=(low, high), ylim=(0, 1.08 * max(tops, default=1.0)))
    axes.locator_params(axis="x", nbins=4)


def _shares(axes: Axes, codes: np.ndarray, prior: np.ndarray, values: np.ndarray) -> None:
    """How often each of a few values comes."""
    places = np.arange(len(values))
    fill = {"color": style.BASELINE_FILL, "edgecolor": style.BASELINE_LINE, "zorder": 1}
    axes.bar(places, [(prior == value).mean() for value in values], width=0.7, **fill)
    for place, value in zip(places, values, strict=True):
        axes.hlines((codes == value).mean(), place - 0.35, place + 0.35, color=style.GUIDE_COLOURS[0], zorder=3)
    axes.set(xticks=places, xticklabels=[f"{value:g}" for value in values], ylim=(0, 1.05))
