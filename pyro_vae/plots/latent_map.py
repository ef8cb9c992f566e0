"""Where each row's code lies: the latents in two dimensions, coloured by label."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pyro_vae.errors import OptionError
from pyro_vae.plots import style

MOST_LABELS = 12
_POINTS = 3000


@style.styled
def plot_latent_map(
    points: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    axes_names: tuple[str, str] = ("z[0]", "z[1]"),
    note: str = "",
    width: float = style.WIDTH,
) -> Figure:
    """The posterior mean of every row as a point; rows of one label have one colour and one marker.

    Args:
        points: ``[N, 2]``.
        labels: ``[N]``, at most 12 different ones; None draws all alike.
        axes_names: what the two axes are.
        note: a remark below, such as how the two dimensions were chosen.
        width: of the figure in inches.

    Raises:
        OptionError: points of another shape, or more than 12 labels.

    >>> figure = plot_latent_map(np.zeros((4, 2)), np.array([0, 1, 1, 0]))
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['0', '1']
    """
    points = np.asarray(points, dtype=float)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise OptionError(f"points: expected an array [N, 2], got shape {points.shape}.")
    kinds = [] if labels is None else sorted(set(np.asarray(labels).tolist()), key=_order)
    if len(kinds) > MOST_LABELS:
        raise OptionError(f"labels: expected at most {MOST_LABELS} different ones, got {len(kinds)}.")
    shown = np.linspace(0, len(points) - 1, min(len(points), _POINTS)).astype(int)
    side = min(width, 5.2)
    figure = style.new_figure(side * 0.86, width)
    axes = figure.subplots()
    looks = style.sources([str(kind) for kind in kinds])
    small = 14 if len(shown) > 800 else 22
    if not kinds:
        axes.scatter(*points[shown].T, s=small, color=style.GUIDE_COLOURS[0], alpha=0.55, linewidths=0)
    for index, kind in enumerate(kinds):
        mine = shown[np.asarray(labels)[shown] == kind]
        look = looks[str(kind)]
        faces = {"facecolors": look.colour, "linewidths": 0.0} if index < len(style.GUIDE_COLOURS) else _hollow(look)
        axes.scatter(*points[mine].T, s=small, marker=look.marker, alpha=0.8, **faces)
    axes.set(xlabel=axes_names[0], ylabel=axes_names[1])
    axes.grid()
    axes.locator_params(nbins=6)
    if kinds:
        style.legend(figure, [_handle(looks[str(kind)], index) for index, kind in enumerate(kinds)])
    if note:
        style.note(figure, note)
    return figure


def _order(kind: object) -> tuple[bool, float, str]:
    """Numbers by size, names by letters."""
    try:
        return False, float(str(kind)), ""
    except ValueError:
        return True, 0.0, str(kind)


def _hollow(look: style.Source) -> dict:
    """The second round of the six colours is drawn as outlines."""
    return {"facecolors": "none", "edgecolors": look.colour, "linewidths": 1.1}


def _handle(look: style.Source, index: int) -> Line2D:
    face = look.colour if index < len(style.GUIDE_COLOURS) else "none"
    return Line2D(
        [], [], color=look.colour, marker=look.marker, linestyle="", markersize=6, markerfacecolor=face,
        label=style.legend_label(look.name),
    )  # fmt: skip
