"""The tail of the importance weights, from which Pareto's k is estimated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pyro_vae.errors import OptionError
from pyro_vae.plots import style

_PANEL = 2.3
_LIMIT = 0.7
_LN10 = float(np.log(10))


class Tail(Protocol):
    """What is read of a guide's importance weights: Pareto's k and whether all weights are the same."""

    @property
    def khat(self) -> float: ...

    @property
    def constant(self) -> bool: ...


@style.styled
def plot_weights(
    posteriors: Mapping[str, xr.DataTree], tails: Mapping[str, Tail], *, width: float = style.WIDTH
) -> Figure:
    r"""The share of draws whose weight p/q exceeds a value, on logarithmic axes, one panel per guide.

    Over the largest weights lies the generalised Pareto distribution of the estimated k̂ (line), beside one of k = .7
    (dots), the limit up to which weighting repairs the guide:

    .. math:: P(w > u + x) = \frac Mn \bigl(1 + \hat k x / \sigma\bigr)^{-1/\hat k}

    with u the threshold below the M = min(n/5, 3 √n) largest weights, and σ such that the median excess is that of the
    draws.

    Args:
        posteriors: By guide, draws with ``sample_stats/log_p`` and ``log_q`` ``[chain, draw]``, in nats.
        tails: By guide, what has ``khat`` and ``constant``; guides without one are left out.
        width: Of the figure in inches; it decides how many panels stand side by side.

    Raises:
        OptionError: no guide has weights.

    Source: A. Vehtari, D. Simpson, A. Gelman, Y. Yao, J. Gabry, "Pareto smoothed importance sampling", JMLR 25 (2024).

    >>> from types import SimpleNamespace
    >>> from pyro_vae.posterior.datatree import build
    >>> log_w = np.random.default_rng(0).normal(size=(1, 1000))
    >>> stats = {"log_p": log_w, "log_q": np.zeros((1, 1000))}
    >>> tree = build({"posterior": {"z": log_w}, "sample_stats": stats})
    >>> plot_weights({"mine": tree}, {"mine": SimpleNamespace(khat=0.45, constant=False)}).axes[0].get_title()
    'mine\nk̂ = 0.45 from 1,000 draws'
    """
    weights = {name: _log_weights(tree) for name, tree in posteriors.items() if name in tails}
    shown = {name: values for name, values in weights.items() if len(values) > 1}
    if not shown:
        raise OptionError("no guide has importance weights: `sample_stats` needs `log_p` and `log_q`")
    looks = style.sources(posteriors)
    columns = min(max(1, int(width / _PANEL)), len(shown))
    rows = -(-len(shown) // columns)
    figure = style.new_figure(0.2 + 2.5 * rows, width)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axes, (name, log_w) in zip(panels, shown.items(), strict=False):
        _panel(axes, log_w, tails[name], looks[name], width / columns - 0.5)
    for axes in panels[len(shown) :]:
        axes.remove()
    _frame(figure, shown)
    style.legend(figure, _handles())
    return figure


def _log_weights(tree: xr.DataTree) -> np.ndarray:
    """log p - log q of every draw with a finite weight or weight zero, mean weight 1; empty where not stored."""
    stats = tree.children.get("sample_stats")
    if stats is None or "log_p" not in stats or "log_q" not in stats:
        return np.empty(0)
    log_w = (np.asarray(stats["log_p"], dtype=float) - np.asarray(stats["log_q"], dtype=float)).ravel()
    log_w = log_w[~np.isnan(log_w) & (log_w < np.inf)]
    if not len(log_w) or log_w.max() == -np.inf:
        return np.empty(0)
    return log_w - (np.log(np.mean(np.exp(log_w - log_w.max()))) + log_w.max())


def _panel(axes: Axes, log_w: np.ndarray, tail: Tail, look: style.Source, inches: float) -> None:
    count = len(log_w)
    name = style.fitted(look.name, inches, 9.5)
    if tail.constant or np.ptp(log_w) < 1e-8:
        axes.set_title(f"{name}\nall {count:,} weights equal")
        axes.text(0.5, 0.5, "nothing to correct:\nthe guide is the posterior", transform=axes.transAxes,
                  ha="center", va="center", fontsize=8.5)  # fmt: skip
        axes.set_xticks([])
        return
    khat = f"{tail.khat:.2f}".replace("-", "−").replace("inf", "∞")
    axes.set_title(f"{name}\nk̂ = {khat} from {count:,} draws")
    # The axes hold logarithms to base 10: matplotlib's own logarithmic axes take many times as long to draw.
    ordered = np.sort(log_w)[::-1]
    survival = np.log10(np.arange(1, count + 1) / count)
    kept = np.unique(np.concatenate([np.arange(min(count, 60)), np.geomspace(1, count, 160).astype(int) - 1]))
    axes.plot(ordered[kept] / _LN10, survival[kept], ".", color=look.colour, markersize=4, markeredgewidth=0, zorder=2)
    size = int(min(0.2 * count, 3 * np.sqrt(count)))
    if size < 5:
        return
    start = np.exp(ordered[size])
    excess = np.exp(ordered[:size]) - start
    if np.median(excess) <= 0:
        return  # All but a few weights are zero in floating point: there is no tail to draw.
    across = np.geomspace(max(float(excess[-1]), 1e-6 * float(excess[0])), 3 * float(excess[0]), 80)
    for k, line, width in ((tail.khat, "-", 1.8), (_LIMIT, (0, (1, 1.4)), 1.5)):
        if np.isfinite(k):
            share = size / count * _survival(across, k, float(np.median(excess)))
            seen = share > 1e-9
            axes.plot(
                np.log10(start + across[seen]), np.log10(share[seen]), color=style.INK, linestyle=line, linewidth=width
            )


def _survival(excess: np.ndarray, k: float, median: float) -> np.ndarray:
    """P(X > excess) of the generalised Pareto distribution with shape k and this median."""
    if abs(k) < 1e-6:
        return np.exp(-excess * np.log(2) / median)
    base = 1 + (2.0**k - 1) * excess / median
    return np.where(base > 0, np.maximum(base, 1e-300) ** (-1 / k), 0.0)


def _frame(figure: Figure, shown: Mapping[str, np.ndarray]) -> None:
    """Axes over the weights that matter: half of the draws and all of the tail."""
    count = max(len(values) for values in shown.values())
    for axes, log_w in zip(figure.axes, shown.values(), strict=True):
        axes.set_ylim(np.log10(0.4 / count), np.log10(1.6))
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.yaxis.set_major_formatter(_power)
        axes.grid()
        if np.ptp(log_w) < 1e-8:
            continue
        low, high = float(np.median(log_w)), float(log_w.max())
        axes.set_xlim((max(low, high - 30) - 0.5) / _LN10, (high + 1.2) / _LN10)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        axes.xaxis.set_major_formatter(_power)
    figure.supylabel("share of draws above", fontsize=9)
    figure.supxlabel("importance weight p/q, mean 1", fontsize=9)


def _power(exponent: float, position: object = None) -> str:
    """A tick of a logarithmic axis.

    >>> _power(-3.0), _power(0.0), _power(1.0)
    ('10⁻³', '1', '10')
    """
    if exponent in (0, 1):
        return "1" if exponent == 0 else "10"
    return "10" + f"{exponent:.0f}".translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _handles() -> list[Line2D]:
    return [
        Line2D([], [], color=style.MUTED, marker=".", linestyle="", markersize=7, label="draws"),
        Line2D([], [], color=style.INK, label="fitted tail, k̂"),
        Line2D([], [], color=style.INK, linestyle=(0, (1, 1.4)), linewidth=1.5, label="k = 0.7, the limit"),
    ]
