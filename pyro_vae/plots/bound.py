"""The evidence lower bound of every fit against steps and against time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pyro_vae.errors import OptionError
from pyro_vae.plots import style

_POINTS = 400


class BoundHistory(Protocol):
    """What is read of a fit's history: the bound after each step and the seconds since the start, ``[steps]`` each."""

    @property
    def bound(self) -> np.ndarray: ...

    @property
    def seconds(self) -> np.ndarray: ...


@style.styled
def plot_bound(
    histories: Mapping[str, BoundHistory],
    *,
    names: Sequence[str] | None = None,
    log_evidence: float | None = None,
    width: float = style.WIDTH,
) -> Figure:
    """The smoothed bound of every fit as a line, the single steps as a faint band around it.

    The vertical range is that of the fits after their first steps, which start far below.

    Args:
        histories: By guide, what has ``bound`` and ``seconds``, arrays ``[steps]``; ``bound`` in nats.
        names: All guides of a report, so that each has the colour that it has in the other figures.
        log_evidence: The exact log evidence where it is known: no bound can lie above it.
        width: Of the figure in inches; a narrow one has the two panels one above the other.

    Raises:
        OptionError: no history has a finite bound.

    >>> from types import SimpleNamespace
    >>> steps = np.arange(1000)
    >>> fit = SimpleNamespace(bound=-np.exp(-steps / 50), seconds=steps / 500)
    >>> [axes.get_xlabel() for axes in plot_bound({"mine": fit}, log_evidence=0.0).axes]
    ['step', 'seconds']
    """
    tracks = {name: _track(history) for name, history in histories.items()}
    drawn = {name: track for name, track in tracks.items() if track is not None}
    if not drawn:
        raise OptionError("a plot of the bound needs at least one history with a finite bound")
    looks = style.sources([*(names or ()), *(name for name in histories if name not in (names or ()))])
    wide = width > 5
    figure = style.new_figure(2.8 if wide else 4.6, width)
    by_step, by_time = figure.subplots(1 if wide else 2, 2 if wide else 1, sharey=True)
    for name, track in drawn.items():
        for axes, across in ((by_step, track.steps), (by_time, track.seconds)):
            look = looks[name]
            axes.fill_between(across, track.low, track.high, color=look.colour, alpha=0.16, linewidth=0, zorder=2)
            axes.plot(across, track.middle, color=look.colour, linestyle=look.line, zorder=3)
            axes.plot(
                across[-1:], track.middle[-1:], look.marker, color=look.colour, markersize=5, clip_on=False, zorder=4
            )
    for axes in (by_step, by_time):
        axes.grid(axis="y")
        axes.set_ylim(*_limits(list(drawn.values()), log_evidence))
        axes.set_xlim(left=0)
        axes.locator_params(axis="x", nbins=5)
        if log_evidence is not None:
            axes.axhline(log_evidence, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=2)
    by_step.set(xlabel="step", ylabel="bound (nats)")
    by_time.set(xlabel="seconds", ylabel="" if wide else "bound (nats)")
    style.legend(figure, _handles({name: looks[name] for name in drawn}, log_evidence))
    return figure


class _Track:
    """A bound in at most 400 windows: their end, their mean smoothed, and the 5 to 95 % range of their steps."""

    def __init__(self, bound: np.ndarray, seconds: np.ndarray):
        steps = np.arange(1, len(bound) + 1)
        finite = np.isfinite(bound)
        steps, seconds, bound = steps[finite], seconds[finite], bound[finite]
        windows = np.array_split(np.arange(len(bound)), min(_POINTS, len(bound)))
        ends = np.array([window[-1] for window in windows])
        self.steps, self.seconds = steps[ends], seconds[ends]
        smooth = _smooth(bound, max(1, len(bound) // 50))
        self.middle = smooth[ends]
        spread = [
            np.quantile(bound[window[0] - min(10, window[0] // 10) : window[-1] + 1], [0.05, 0.95])
            for window in windows
        ]
        self.low, self.high = np.array(spread).T


def _track(history: BoundHistory) -> _Track | None:
    bound = np.asarray(history.bound, dtype=float).ravel()
    seconds = np.asarray(history.seconds, dtype=float).ravel()
    if len(bound) < 2 or len(seconds) != len(bound) or np.isfinite(bound).sum() < 2:
        return None
    return _Track(bound, seconds)


def _smooth(bound: np.ndarray, window: int) -> np.ndarray:
    """The mean of the last ``window`` steps, of fewer at the start (where the bound still climbs fast)."""
    total = np.concatenate([[0.0], np.cumsum(bound - bound[-1])])
    stop = np.arange(1, len(bound) + 1)
    # A window never reaches back over more than a tenth of the steps so far, else the climb would look slow.
    start = np.maximum(stop - np.minimum(window, np.maximum(1, stop // 10)), 0)
    return (total[stop] - total[start]) / (stop - start) + bound[-1]


def _limits(tracks: list[_Track], log_evidence: float | None) -> tuple[float, float]:
    settled = [slice(len(track.middle) // 4, None) for track in tracks]
    low = min(float(np.quantile(track.low[part], 0.1)) for track, part in zip(tracks, settled, strict=True))
    high = max(float(np.quantile(track.high[part], 0.95)) for track, part in zip(tracks, settled, strict=True))
    ends = [float(track.middle[-1]) for track in tracks]
    low, high = min([low, *ends]), max([high, *ends])
    if log_evidence is not None and np.isfinite(log_evidence):
        high = max(high, log_evidence)
    pad = 0.08 * max(high - low, 1e-3 * max(1.0, abs(high)))
    return low - 2 * pad, high + pad


def _handles(looks: Mapping[str, style.Source], log_evidence: float | None) -> list[Line2D]:
    handles = [
        Line2D([], [], color=look.colour, linestyle=look.line, marker=look.marker, markersize=5,
               label=style.legend_label(name))
        for name, look in looks.items()
    ]  # fmt: skip
    if log_evidence is not None:
        label = f"log evidence {log_evidence:.3f}".replace("-", "−")
        handles.append(Line2D([], [], color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), label=label))
    return handles
