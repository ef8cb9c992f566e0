"""The bound's terms over training: the KL of every latent, and how well the data are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pyro_vae.errors import OptionError
from pyro_vae.plots import style

_NAMED = 6


class BoundTerms(Protocol):
    """What is read: ``steps`` ``[checks]``, ``names`` of the components, ``reconstruction`` ``[checks]`` and ``kl``
    ``[checks, C]`` in nats per row."""

    @property
    def steps(self) -> np.ndarray: ...
    @property
    def names(self) -> Sequence[str]: ...
    @property
    def reconstruction(self) -> np.ndarray: ...
    @property
    def kl(self) -> np.ndarray: ...


@style.styled
def plot_terms(terms: BoundTerms | None, *, width: float = style.WIDTH) -> Figure:
    """KL by component against steps, the six largest at the end in colour, and beside it the reconstruction term.

    The last check, which is that of the values kept, is a marker.

    Args:
        terms: of a fit with ``validation=Validation(..., terms=True)``.
        width: of the figure in inches; a narrow one has the panels one above the other.

    Raises:
        OptionError: the fit has recorded no terms.

    >>> from types import SimpleNamespace
    >>> kl = np.array([[0.1, 0.1], [0.9, 0.0], [0.9, 0.0]])
    >>> terms = SimpleNamespace(steps=np.array([10, 20, 20]), names=["z[0]", "z[1]"], reconstruction=kl[:, 0], kl=kl)
    >>> [axes.get_xlabel() for axes in plot_terms(terms).axes]
    ['step', 'step']
    """
    if terms is None or len(terms.steps) < 2:
        raise OptionError("the fit recorded no terms: give it validation=pv.Validation(x, terms=True)")
    wide = width > 5
    figure = style.new_figure(2.7 if wide else 4.8, width)
    left, right = figure.subplots(1 if wide else 2, 2 if wide else 1)
    order: list[int] = list(np.argsort(-np.asarray(terms.kl)[-1], kind="stable"))
    looks = style.sources([terms.names[index] for index in order[:_NAMED]])
    for index in order[_NAMED:][::-1]:
        _line(left, terms.steps, terms.kl[:, index], style.BASELINE_LINE, "-", 0.9)
    for index in order[:_NAMED][::-1]:
        look = looks[terms.names[index]]
        _line(left, terms.steps, terms.kl[:, index], look.colour, look.line, 1.8, look.marker)
    _line(right, terms.steps, terms.reconstruction, style.INK, "-", 1.8, "o")
    bottom, top = np.quantile(terms.reconstruction[len(terms.steps) // 8 :], [0.0, 1.0])
    pad = 0.08 * max(top - bottom, 1e-3 * max(1.0, abs(top)))
    right.set(xlabel="step", ylabel="log p(x | z) (nats per row)", ylim=(bottom - pad, top + pad))
    left.set(xlabel="step", ylabel="KL (nats per row)", ylim=(0, max(1.08 * float(np.max(terms.kl)), 0.02)))
    for axes in (left, right):
        axes.grid(axis="y")
        axes.set_xlim(left=0)
        axes.locator_params(axis="x", nbins=5)
        axes.locator_params(axis="y", nbins=6)
    handles = [
        Line2D([], [], color=look.colour, linestyle=look.line, marker=look.marker, markersize=5, label=look.name)
        for look in looks.values()
    ]
    if len(order) > _NAMED:
        handles.append(Line2D([], [], color=style.BASELINE_LINE, linewidth=0.9, label=f"{len(order) - _NAMED} others"))
    style.legend(figure, handles)
    return figure


def _line(
    axes: Axes, steps: np.ndarray, values: np.ndarray, colour: str, line: str, width: float, end: str = ""
) -> None:
    """The checks on the way, and the values that were kept as a marker at the end."""
    axes.plot(steps[:-1], values[:-1], color=colour, linestyle=line, linewidth=width)
    if end:
        axes.plot(steps[-1:], values[-1:], end, color=colour, markersize=5, clip_on=False, zorder=4)
