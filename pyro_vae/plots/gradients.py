"""Gradient estimators side by side: how noisy one gradient is, and how noisy for the time that it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from pyro_vae.diagnostics.gradient_noise import groups
from pyro_vae.errors import OptionError
from pyro_vae.plots import style

_LOOKS = {"start": ("o", style.GUIDE_COLOURS[0]), "fit": ("D", style.GUIDE_COLOURS[1])}
_SAID = {"start": "at the start", "fit": "at the fit"}
_DECADES = 9.0  # below the largest: what lies lower is no noise to speak of, and is drawn at the edge
_MARKS = {"yes": " (biased)", "by design": "*"}


class _Moments(Protocol):
    @property
    def total_variance(self) -> float: ...


class Noise(Protocol):
    """What is read of a finding: see :class:`~pyro_vae.diagnostics.gradient_noise.EstimatorNoise`."""

    @property
    def estimator(self) -> str: ...
    @property
    def place(self) -> str: ...
    @property
    def part(self) -> str: ...
    @property
    def objective(self) -> str: ...
    @property
    def biased(self) -> str: ...
    @property
    def moments(self) -> _Moments: ...
    @property
    def variance_seconds(self) -> float: ...


@style.styled
def plot_gradients(rows: Sequence[Noise], *, of: str | None = None, width: float = style.WIDTH) -> Figure:
    """A line per estimator, grouped by the objective that it follows: within a group, further left is better.

    Left, the variance of one gradient summed over the parameters; right, times the seconds that one takes. A triangle
    at the left edge is no noise, or next to none. A star marks what is biased by design.

    Args:
        rows: findings, see :class:`~pyro_vae.diagnostics.gradient_noise.EstimatorNoise`.
        of: the part of the parameters: ``"guide"``, ``"model"`` or ``"both"``; default the first that there is.
        width: of the figure in inches; a narrow one has the two panels one above the other.

    Raises:
        OptionError: there is no such part, or nothing was measured.

    >>> from types import SimpleNamespace as Row
    >>> common = {"place": "fit", "part": "guide", "objective": "ELBO", "biased": "no"}
    >>> figure = plot_gradients([
    ...     Row(estimator="plain", moments=Row(total_variance=10.0), variance_seconds=0.02, **common),
    ...     Row(estimator="quiet", moments=Row(total_variance=1.0), variance_seconds=0.003, **common),
    ... ])
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['quiet', 'plain']
    """
    parts = list(dict.fromkeys(row.part for row in rows))
    wanted = of or next(iter(parts), "guide")
    chosen = [row for row in rows if row.part == wanted]
    if not chosen:
        raise OptionError(f"a plot of gradients of {wanted!r}: expected one of {parts or 'at least one estimator'}.")
    lines = _lines(chosen)
    height = 0.5 + 0.235 * (lines[-1].at + 1)
    wide = width > 5
    figure = style.new_figure(height if wide else 2 * height, width)
    left, right = figure.subplots(1 if wide else 2, 2 if wide else 1, sharey=True)
    panels: tuple[tuple[Axes, str, Callable[[Noise], float]], ...] = (
        (left, "variance of one gradient", lambda row: row.moments.total_variance),
        (right, "variance × seconds", lambda row: row.variance_seconds),
    )
    for axes, label, value in panels:
        _draw(axes, lines, chosen, value)
        axes.set_xlabel(label)
    _label(left, lines, width, wide)
    if not wide:
        _label(right, lines, width, wide)
        right.tick_params(labelleft=True)
    style.legend(figure, _handles(chosen))
    note = _note(chosen, wanted)
    if note:
        style.note(figure, note)
    return figure


class _Line:
    """An estimator's place on the vertical axis; the first of an objective has its heading above it."""

    def __init__(self, estimator: str, heading: str, mark: str, at: float, first: bool):
        self.estimator, self.heading, self.mark, self.at, self.first = estimator, heading, mark, at, first


def _lines(rows: Sequence[Noise]) -> list[_Line]:
    """By objective, within one the quietest for its time first, at the last place."""
    found = groups(list({row.estimator: row for row in rows}.values()))
    flagged = {row.estimator for row in rows if row.biased == "yes"}
    headed = len(found) > 1
    lines: list[_Line] = []
    at = 0.0
    for heading, group in found.items():
        at += 1.0 if headed else 0.0
        for index, row in enumerate(group):
            mark = _MARKS["yes"] if row.estimator in flagged else _MARKS.get(row.biased, "")
            lines.append(_Line(row.estimator, heading, mark, at, headed and index == 0))
            at += 1.0
    return lines


def _draw(axes: Axes, lines: Sequence[_Line], rows: Sequence[Noise], value: Callable[[Noise], float]) -> None:
    numbers = np.array([value(row) for row in rows])
    highest = numbers.max() if (numbers > 0).any() else 1.0
    edge = highest * 10.0**-_DECADES
    where = {line.estimator: line.at for line in lines}
    seen = numbers[numbers > edge]
    low = 10.0 ** np.floor(np.log10(seen.min()) - 0.3) if len(seen) else edge
    if (numbers <= edge).any():
        low /= 10.0
    for line in lines:
        axes.axhline(line.at, color=style.GRID, linewidth=0.7, zorder=1)
    for row, number in zip(rows, numbers, strict=True):
        marker, colour = _LOOKS[row.place]
        silent = number <= edge
        axes.plot(
            [low * 1.25 if silent else number], [where[row.estimator]], "<" if silent else marker, color=colour,
            markersize=5.5, markerfacecolor=colour if row.place == "start" else style.PAPER, markeredgewidth=1.4,
            zorder=4 if row.place == "start" else 5,
        )  # fmt: skip
    axes.set(
        xscale="log", xlim=(low, highest * 3), ylim=(lines[-1].at + 0.7, lines[0].at - (1.5 if lines[0].first else 0.7))
    )
    axes.grid(axis="x")
    axes.xaxis.set_major_locator(LogLocator(numticks=6))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _label(axes: Axes, lines: Sequence[_Line], width: float, wide: bool) -> None:
    inches = width * (0.32 if wide else 0.5)
    names = [style.fitted(line.estimator, inches) + line.mark for line in lines]
    heads = [line for line in lines if line.first]
    axes.set_yticks(
        [line.at for line in lines] + [line.at - 1 for line in heads],
        names + [style.fitted(line.heading, inches) for line in heads],
    )
    for label in axes.get_yticklabels()[len(lines) :]:
        label.set_fontweight("bold")


def _handles(rows: Sequence[Noise]) -> list[Line2D]:
    return [
        Line2D([], [], color=_LOOKS[place][1], marker=_LOOKS[place][0], linestyle="none", markersize=5.5,
               markerfacecolor=_LOOKS[place][1] if place == "start" else style.PAPER, markeredgewidth=1.4,
               label=_SAID[place])
        for place in dict.fromkeys(row.place for row in rows)
    ]  # fmt: skip


def _note(rows: Sequence[Noise], part: str) -> str:
    said = [] if part == "guide" else [f"Gradients of the parameters of {'both' if part == 'both' else 'the ' + part}."]
    if any(row.biased == "by design" for row in rows):
        said.append("* biased by design.")
    if len({row.objective for row in rows}) > 1:
        said.append("Only estimators of one objective can be compared.")
    return " ".join(said)
