"""The KL of every latent: which carry the code, and which have collapsed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pyro_vae.errors import OptionError
from pyro_vae.plots import style

MOST = 40


@style.styled
def plot_latent_use(
    names: Sequence[str],
    kl: np.ndarray,
    errors: np.ndarray | None = None,
    *,
    collapsed: Sequence[bool] = (),
    width: float = style.WIDTH,
) -> Figure:
    """A bar per component, the largest KL first; those that have collapsed are hollow, and named as such.

    Args:
        names: of the components.
        kl: ``[C]``, nats per row.
        errors: ``[C]``, standard errors, drawn as whiskers of two.
        collapsed: ``[C]``, which are not used.
        width: of the figure in inches.

    Raises:
        OptionError: there is no component.

    >>> figure = plot_latent_use(["z[0]", "z[1]"], np.array([0.0, 1.5]), collapsed=[True, False])
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['z[1]', 'z[0]']
    """
    values = np.asarray(kl, dtype=float)
    if not len(values):
        raise OptionError("a plot of the latents' use needs at least one component")
    order: list[int] = list(np.argsort(-values, kind="stable"))
    shown = order[:MOST]
    unused = np.asarray(list(collapsed) or [False] * len(values), dtype=bool)
    figure = style.new_figure(0.55 + 0.21 * max(len(shown), 3), width)
    axes = figure.subplots()
    colour, places = style.GUIDE_COLOURS[0], np.arange(len(shown))
    faces = [style.PAPER if unused[index] else colour for index in shown]
    axes.barh(places, values[shown], height=0.68, color=faces, edgecolor=colour, linewidth=1.1)
    if errors is not None and np.isfinite(spread := np.asarray(errors, dtype=float)[shown]).all():
        axes.hlines(
            places, np.maximum(values[shown] - 2 * spread, 0), values[shown] + 2 * spread, color=style.INK, lw=1
        )
    axes.set_yticks(places, [style.fitted(names[index], 0.3 * width, 8.5) for index in shown])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set(xlabel="KL (nats per row)", xlim=(0, max(1.05 * (values + 2 * _or_zero(errors, values)).max(), 0.02)))
    axes.grid(axis="x")
    axes.locator_params(axis="x", nbins=6)
    handles = [Patch(facecolor=colour, edgecolor=colour, label="used")]
    if unused.any():
        handles.append(
            Patch(facecolor=style.PAPER, edgecolor=colour, label="collapsed: below 0.01 nats for 99 % of rows")
        )
        style.legend(figure, handles)
    if len(order) > MOST:
        style.note(figure, f"The {MOST} largest of {len(order)} components.")
    return figure


def _or_zero(errors: np.ndarray | None, values: np.ndarray) -> np.ndarray:
    return np.zeros_like(values) if errors is None else np.nan_to_num(np.asarray(errors, dtype=float))
