"""The posterior predictive check: what every source would predict for the data, beside the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pyro_vae.errors import OptionError
from pyro_vae.plots import draws as _draws
from pyro_vae.plots import style

_VARIABLES = 3
_PANEL = 1.8
_FEW = 30
"""Up to this many observations each one gets its own intervals."""
_CATEGORIES = 12
_CURVES = 25
_PER_CURVE = 4000
_INTERVALS = (0.05, 0.25, 0.75, 0.95)


@dataclass(frozen=True)
class _Check:
    """One observed variable: the data ``[n]``, their labels, and replicated data ``[draws, n]`` of every source."""

    name: str
    observed: np.ndarray
    labels: list[str]
    replicated: dict[str, np.ndarray]


@style.styled
def plot_predictive(
    posteriors: Mapping[str, xr.DataTree], baseline: xr.DataTree | None = None, *, width: float = style.WIDTH
) -> Figure:
    """Observed data against data replicated from the posterior predictive, in the way that suits the variable.

    Up to 30 observations: the 50 and 90 % interval of each. A few integer values: how often each value comes. Else:
    densities of replicated data sets (thin lines) around that of the observed (thick), one panel per source.

    Args:
        posteriors: By guide, draws with the groups ``posterior_predictive`` ``[chain, draw, *shape]`` and
            ``observed_data``.
        baseline: The same for the baseline.
        width: Of the figure in inches; it decides how many panels stand side by side.

    Raises:
        OptionError: no source has both groups.

    >>> from pyro_vae.posterior.datatree import build
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=3)
    >>> tree = build({"posterior": {"mu": rng.normal(size=(1, 200))},
    ...               "posterior_predictive": {"y": y + rng.normal(size=(1, 200, 3))}, "observed_data": {"y": y}})
    >>> [axes.get_ylabel() for axes in plot_predictive({"mine": tree}).axes]
    ['y']
    """
    trees = ({_draws.baseline_name(baseline): baseline} if baseline is not None else {}) | dict(posteriors)
    checks = _checks(trees)
    if not checks:
        raise OptionError("no source has `posterior_predictive` and `observed_data`: sample with predictive=True")
    left_out = max(0, len(checks) - _VARIABLES)
    checks = checks[:_VARIABLES]
    looks = style.sources(posteriors)
    heights = [_height(check, width) for check in checks]
    figure = style.new_figure(0.1 + sum(heights), width)
    parts = figure.subfigures(len(checks), 1, squeeze=False, height_ratios=heights)
    for part, check in zip(parts.ravel(), checks, strict=True):
        part.set_facecolor("none")
        _KINDS[_kind(check)](part, check, looks, width)
    style.legend(figure, _handles(trees, looks))
    if left_out:
        style.note(figure, f"The first {len(checks)} observed variables; {left_out} left out.")
    return figure


def _checks(trees: Mapping[str, xr.DataTree]) -> list[_Check]:
    found: dict[str, _Check] = {}
    for source, tree in trees.items():
        if "posterior_predictive" not in tree.children or "observed_data" not in tree.children:
            continue
        data = tree["observed_data"].to_dataset().data_vars
        for variable, replicated in tree["posterior_predictive"].to_dataset().data_vars.items():
            if variable not in data or replicated.size == 0 or replicated.size % max(data[variable].size, 1):
                continue
            observed = np.asarray(data[variable].values, dtype=float).ravel()
            kept = np.isfinite(observed)
            if not kept.any():
                continue
            name = str(variable)
            known = found.setdefault(name, _Check(name, observed[kept], _labels(data[variable], kept), {}))
            values = replicated.transpose("chain", "draw", ...).values
            known.replicated[source] = np.asarray(values, dtype=float).reshape(-1, observed.size)[:, kept]
    return list(found.values())


def _labels(data: xr.DataArray, kept: np.ndarray) -> list[str]:
    """The coordinate's labels of a variable with one dim, its places otherwise."""
    if data.ndim == 1 and data.dims[0] in data.coords:
        names = [str(value) for value in data.coords[data.dims[0]].values]
    else:
        names = [str(i) for i in range(data.size)]
    return [name for name, keep in zip(names, kept, strict=True) if keep]


def _kind(check: _Check) -> str:
    values = np.unique(check.observed)
    whole = bool(np.all(values == np.round(values)))
    replicated_whole = all(bool(np.all(own[:20] == np.round(own[:20]))) for own in check.replicated.values())
    if whole and replicated_whole and len(values) <= _CATEGORIES and len(check.observed) > 1:
        return "values"
    return "intervals" if len(check.observed) <= _FEW else "densities"


def _height(check: _Check, width: float) -> float:
    kind, count = _kind(check), len(check.replicated)
    if kind == "intervals":
        return 0.6 + len(check.observed) * (0.14 + 0.13 * count)
    return 2.7 if kind == "values" else 0.4 + 1.9 * -(-count // _columns(count, width))


def _columns(panels: int, width: float) -> int:
    return min(panels, max(1, int(width / _PANEL)), 3)


def _intervals(part: SubFigure, check: _Check, looks: Mapping[str, style.Source], width: float) -> None:
    axes = part.subplots()
    step = 0.7 / len(check.replicated)
    for i, (source, values) in enumerate(check.replicated.items()):
        colour = looks[source].colour if source in looks else style.BASELINE_LINE
        ends = np.nanquantile(np.where(np.isfinite(values), values, np.nan), _INTERVALS, axis=0)
        rows = np.arange(len(check.observed)) + (i - (len(check.replicated) - 1) / 2) * step
        axes.hlines(rows, ends[0], ends[3], color=colour, linewidth=1.2, zorder=2)
        axes.hlines(rows, ends[1], ends[2], color=colour, linewidth=3.6, zorder=2)
        if source in looks:
            axes.plot((ends[1] + ends[2]) / 2, rows, looks[source].marker, color=colour, markersize=4,
                      markerfacecolor=style.PAPER, markeredgewidth=1.1, zorder=3)  # fmt: skip
    for row, value in enumerate(check.observed):
        axes.plot([value, value], [row - 0.42, row + 0.42], color=style.INK, linewidth=2.2, zorder=4)
    for row in range(1, len(check.observed), 2):
        axes.axhspan(row - 0.5, row + 0.5, color=style.GRID, alpha=0.35, linewidth=0, zorder=0)
    axes.set_yticks(range(len(check.labels)), [style.fitted(label, width / 3.5, 8.5) for label in check.labels])
    axes.set_ylim(len(check.labels) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_ylabel(style.fitted(check.name, 1.5))
    axes.set_xlabel("data, 50 and 90 % of replicated data")


def _values(part: SubFigure, check: _Check, looks: Mapping[str, style.Source], width: float) -> None:
    """The observed share of every value as bars, the 90 % interval of its replicated share per source."""
    axes = part.subplots()
    seen = np.unique(check.observed)
    values = np.arange(seen.min(), seen.max() + 1) if np.ptp(seen) < 2 * _CATEGORIES else seen
    observed = np.array([np.mean(check.observed == value) for value in values])
    axes.bar(range(len(values)), observed, width=0.86, color=style.GRID, edgecolor=style.INK, linewidth=1.2, zorder=1)
    step = 0.7 / len(check.replicated)
    for i, (source, replicated) in enumerate(check.replicated.items()):
        look = looks.get(source)
        colour, marker = (style.BASELINE_LINE, "d") if look is None else (look.colour, look.marker)
        shares = np.stack([np.mean(replicated == value, axis=1) for value in values], axis=1)
        low, middle, high = np.quantile(shares, [0.05, 0.5, 0.95], axis=0)
        across = np.arange(len(values)) + (i - (len(check.replicated) - 1) / 2) * step
        axes.vlines(across, low, high, color=colour, linewidth=2.4, zorder=2)
        axes.plot(across, middle, marker, color=colour, markersize=5, markerfacecolor=style.PAPER, zorder=3)
    axes.set_xticks(range(len(values)), [f"{value:g}" for value in values])
    axes.set_xlabel(f"value of {style.fitted(check.name, width - 1.5)}")
    axes.set_ylabel("share of the data")
    axes.grid(axis="y")


def _densities(part: SubFigure, check: _Check, looks: Mapping[str, style.Source], width: float) -> None:
    columns = _columns(len(check.replicated), width)
    rows = -(-len(check.replicated) // columns)
    panels = part.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    some = np.concatenate([values[:20].ravel()[:50_000] for values in check.replicated.values()])
    low, high = _draws.bulk_range(check.observed, [some[np.isfinite(some)]])
    observed = _draws.density(check.observed, low, high)
    peaks = []
    for axes, (source, values) in zip(panels, check.replicated.items(), strict=False):
        colour = looks[source].colour if source in looks else style.BASELINE_LINE
        for row in values[:: max(1, len(values) // _CURVES)][:_CURVES]:
            row = row[np.isfinite(row)]
            curve = _draws.density(row[:: max(1, len(row) // _PER_CURVE)], low, high) if len(row) else None
            if curve is not None:
                axes.plot(*curve, color=colour, linewidth=0.7, alpha=0.55, zorder=2)
                peaks.append(float(curve[1].max()))
        if observed is not None:
            axes.plot(*observed, color=style.INK, linewidth=2.0, zorder=3)
        axes.set_title(style.fitted(source, width / columns - 0.2, 9.5))
        axes.set(xlim=(low, high), yticks=[], xlabel=style.fitted(check.name, width / columns - 0.2))
        axes.spines["left"].set_visible(False)
        axes.locator_params(axis="x", nbins=4)
    top = max(
        [*peaks[:1], float(np.quantile(peaks, 0.95)) if peaks else 1.0, float(observed[1].max()) if observed else 0]
    )
    panels[0].set_ylim(0, 1.1 * top)
    for axes in panels[len(check.replicated) :]:
        axes.remove()


_KINDS = {"intervals": _intervals, "values": _values, "densities": _densities}


def _handles(trees: Mapping[str, xr.DataTree], looks: Mapping[str, style.Source]) -> list:
    handles: list = [Line2D([], [], color=style.INK, linewidth=2.2, label="observed")]
    for name in trees:
        label = style.legend_label(name)
        if name not in looks:
            handles.append(Patch(color=style.BASELINE_LINE, label=label))
        else:
            look = looks[name]
            handles.append(Line2D([], [], color=look.colour, linewidth=2.4, marker=look.marker, markersize=5,
                                  markerfacecolor=style.PAPER, label=label))  # fmt: skip
    return handles
