"""Gradient estimators on one scale: the plain ELBO of every fit against steps and against time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pyro_vae.errors import OptionError
from pyro_vae.plots import style

_POINTS = 300
_FAR = 4  # times as far below the best as half of the fits, and
_FAR_NATS = 3.0  # at least so far: not shown whole, and said in words
_ONE_SIDE = 0.9  # of the steps


class EstimatorHistory(Protocol):
    """What is read of a fit's history, ``[steps]`` each: its own bound and the plain ELBO of the same draws, in nats,
    and the seconds since the first step began."""

    @property
    def bound(self) -> np.ndarray: ...

    @property
    def elbo(self) -> np.ndarray: ...

    @property
    def seconds(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Reached:
    """The plain ELBO of a fitted guide from fresh draws, with its standard error, in nats; and its Pareto k-hat."""

    elbo: float
    elbo_se: float
    khat: float


def step_seconds(seconds: np.ndarray) -> float:
    """The median time of a step, from the clock after each, ``[steps]``; NaN from fewer than two steps.

    >>> step_seconds(np.array([2.0, 2.5, 3.0, 3.5]))
    0.5
    """
    return float(np.median(np.diff(seconds))) if len(seconds) > 1 else float("nan")


def start_up(seconds: np.ndarray) -> float:
    """What the first step took beyond a usual one: what is done once, such as importing and compiling.

    >>> start_up(np.array([2.0, 2.5, 3.0, 3.5]))
    1.5
    """
    return max(float(seconds[0]) - step_seconds(seconds), 0.0) if len(seconds) > 1 else 0.0


@style.styled
def plot_estimators(
    histories: Mapping[str, EstimatorHistory],
    reached: Mapping[str, Reached] | None = None,
    *,
    names: Sequence[str] | None = None,
    diverged: Sequence[str] = (),
    log_evidence: float | None = None,
    width: float = style.WIDTH,
) -> Figure:
    r"""The plain ELBO of every fit, smoothed, with the range of the single steps as a faint band around it.

    Estimators maximise different objectives, so their own bounds cannot be compared. What can is
    :math:`E_q[\log p - \log q]` of the guide that each has at a step. A line is the running median of the estimates
    from the steps' own draws, a band their 5 to 95 % range. Where the weights have a long tail the mean, which is the
    ELBO, lies below the median: the marker at the end, with two standard errors, is the mean for the fitted guide from
    fresh draws. A thin line is the estimator's own bound, where that is another quantity (on the same side of the ELBO
    in nine of ten steps). What the first step took beyond a usual one is not in the time.

    Args:
        histories: By estimator, what has ``bound``, ``elbo`` and ``seconds``, arrays ``[steps]``. Where ``elbo`` is
            NaN throughout, the line shows ``bound`` and a note says so.
        reached: By estimator, what the fitted guide came to.
        names: All estimators of a report, so that each has the colour that it has in the other figures.
        diverged: Those whose fit diverged: their lines end in a cross.
        log_evidence: The exact log evidence where it is known: no ELBO can lie above it.
        width: Of the figure in inches; a narrow one has the two panels one above the other.

    Raises:
        OptionError: no history has a finite bound.

    >>> from types import SimpleNamespace
    >>> steps = np.arange(1000)
    >>> elbo = -np.exp(-steps / 50)
    >>> fit = SimpleNamespace(bound=elbo + 0.3, elbo=elbo, seconds=steps / 500)
    >>> figure = plot_estimators({"dreg": fit}, {"dreg": Reached(-0.01, 0.001, 0.2)}, log_evidence=0.4)
    >>> [axes.get_xlabel() for axes in figure.axes], [text.get_text() for text in figure.legends[0].get_texts()]
    (['step', 'seconds, without start-up'], ['dreg, k̂ 0.20', 'log evidence 0.400'])
    """
    looks = style.sources(dict.fromkeys([*(names or ()), *histories]))
    lines = _lines(histories, looks, reached or {}, diverged)
    if not lines:
        raise OptionError("a plot of estimators needs at least one history with a finite bound")
    wide = width > 5
    figure = style.new_figure(3.0 if wide else 5.0, width)
    by_step, by_time = figure.subplots(1 if wide else 2, 2 if wide else 1, sharey=True)
    limits, below = _limits(lines, log_evidence)
    for axes, clock in ((by_step, "steps"), (by_time, "seconds")):
        for line in lines.values():
            _draw(axes, line, clock)
        axes.grid(axis="y")
        axes.set_ylim(*limits)
        axes.set_xlim(left=0)
        axes.locator_params(axis="x", nbins=5)
        if log_evidence is not None:
            axes.axhline(log_evidence, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=2)
    by_step.set(xlabel="step", ylabel="plain ELBO (nats)")
    by_time.set(xlabel="seconds, without start-up", ylabel="" if wide else "plain ELBO (nats)")
    style.legend(figure, _handles(lines, log_evidence, wide))
    remarks = _remarks(lines, below)
    if remarks:
        style.note(figure, " ".join(remarks))
    return figure


class _Track:
    """A noisy series at no more than 300 of its steps: running median, and the 5 to 95 % range of the same steps."""

    def __init__(self, values: np.ndarray, seconds: np.ndarray):
        finite = np.flatnonzero(np.isfinite(values))
        values = values[finite]
        ends = np.unique(np.linspace(0, len(values) - 1, min(_POINTS, len(values))).astype(int))
        # A window is a fiftieth of the run. It never reaches back over more than a tenth of the steps so far, else the
        # climb at the start would look slow.
        sizes = np.maximum(np.minimum(len(values) // 50, ends // 10), 1)
        spans = [values[end + 1 - size : end + 1] for end, size in zip(ends, sizes, strict=True)]
        self.low, self.middle, self.high = np.array([np.quantile(span, [0.05, 0.5, 0.95]) for span in spans]).T
        self.steps = finite[ends] + 1
        self.seconds = seconds[finite[ends]] - start_up(seconds)


def _track(values: np.ndarray, seconds: np.ndarray) -> _Track | None:
    values, seconds = (np.asarray(given, dtype=float).ravel() for given in (values, seconds))
    if len(seconds) != len(values) or np.isfinite(values).sum() < 2:
        return None
    return _Track(values, seconds)


@dataclass(frozen=True)
class _Line:
    """All that is drawn of one estimator. ``recorded``: ``elbo`` is the ELBO, and not its own bound for want of it."""

    look: style.Source
    elbo: _Track
    own: _Track | None
    reached: Reached | None
    diverged: bool
    recorded: bool

    @property
    def mark(self) -> Reached | None:
        """What the fitted guide came to, if it is a number."""
        return self.reached if self.reached is not None and np.isfinite(self.reached.elbo) else None

    @property
    def end(self) -> float:
        return float(self.elbo.middle[-1]) if self.mark is None else self.mark.elbo

    @property
    def settled(self) -> np.ndarray:
        """The line without the climb."""
        return self.elbo.middle[len(self.elbo.middle) // 4 :]

    @property
    def lowest(self) -> float:
        return min(self.end, float(np.quantile(self.settled, 0.05)))

    @property
    def highest(self) -> float:
        top = float(np.quantile(self.elbo.high[len(self.elbo.high) // 4 :], 0.9))
        return max(self.end, top if self.own is None else max(top, float(self.own.middle[-1])))


def _lines(
    histories: Mapping[str, EstimatorHistory],
    looks: Mapping[str, style.Source],
    reached: Mapping[str, Reached],
    diverged: Sequence[str],
) -> dict[str, _Line]:
    lines = {}
    for name, history in histories.items():
        elbo, own = _track(history.elbo, history.seconds), _track(history.bound, history.seconds)
        shown = elbo or own
        if shown is not None:
            other = own if elbo is not None and _another(history.bound, history.elbo) else None
            lines[name] = _Line(looks[name], shown, other, reached.get(name), name in diverged, elbo is not None)
    return lines


def _another(bound: np.ndarray, elbo: np.ndarray) -> bool:
    """Whether a bound is another quantity than the ELBO and not the same with other noise."""
    bound, elbo = (np.asarray(given, dtype=float).ravel() for given in (bound, elbo))
    both = np.isfinite(bound) & np.isfinite(elbo)
    gap = bound[both] - elbo[both]
    return len(gap) > 20 and max((gap > 1e-3).mean(), (gap < -1e-3).mean()) > _ONE_SIDE


def _draw(axes: Axes, line: _Line, clock: str) -> None:
    look, elbo, across = line.look, line.elbo, getattr(line.elbo, clock)
    axes.fill_between(across, elbo.low, elbo.high, color=look.colour, alpha=0.11, linewidth=0, zorder=2)
    axes.plot(across, elbo.middle, color=look.colour, linestyle=look.line, linewidth=1.6, zorder=3)
    if line.own is not None:
        axes.plot(getattr(line.own, clock), line.own.middle, color=look.colour, linewidth=0.8, zorder=3)
    end: dict[str, Any] = {"color": look.colour, "zorder": 5, "clip_on": True}
    if line.diverged:
        axes.plot(across[-1:], elbo.middle[-1:], "X", markersize=8, **end)
    elif line.mark is not None:
        axes.errorbar(
            across[-1:], [line.end], 2 * np.nan_to_num(line.mark.elbo_se), fmt=look.marker, markersize=6,
            markerfacecolor=style.PAPER, markeredgewidth=1.5, capsize=3, **end,
        )  # fmt: skip


def _limits(lines: Mapping[str, _Line], log_evidence: float | None) -> tuple[tuple[float, float], list[str]]:
    """The vertical range, and the estimators that end below it: one that failed must not flatten all the others."""
    best = max(line.end for line in lines.values())
    gaps = np.array([best - line.lowest for line in lines.values()])
    shown = gaps <= max(_FAR * float(np.median(gaps)), _FAR_NATS, float(gaps.min()))
    low = best - float(gaps[shown].max())
    high = max([best, *(line.highest for line, kept in zip(lines.values(), shown, strict=True) if kept)])
    if log_evidence is not None and np.isfinite(log_evidence):
        high = max(high, log_evidence)
    pad = 0.06 * max(high - low, 1e-3 * max(1.0, abs(high)))
    below = [name for name, line in lines.items() if line.end < low - 2 * pad]
    return (low - 2 * pad, high + pad), below


def _handles(lines: Mapping[str, _Line], log_evidence: float | None, wide: bool) -> list[Line2D]:
    handles = [
        Line2D([], [], color=line.look.colour, linestyle=line.look.line, marker=line.look.marker, markersize=5,
               markerfacecolor=style.PAPER, label=style.plain(style.shorten(name, 30 if wide else 23)) + _said(line))
        for name, line in lines.items()
    ]  # fmt: skip
    if log_evidence is not None:
        label = f"log evidence {log_evidence:.3f}".replace("-", "−")
        handles.append(Line2D([], [], color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), label=label))
    return handles


def _said(line: _Line) -> str:
    if line.diverged:
        return ", diverged"
    if line.reached is None or np.isnan(line.reached.khat):
        return ""
    return f", k̂ {line.reached.khat:.2f}".replace("-", "−").replace("inf", "∞")


def _remarks(lines: Mapping[str, _Line], below: Sequence[str]) -> list[str]:
    own = ", ".join(style.plain(name) for name, line in lines.items() if line.own is not None)
    unknown = ", ".join(style.plain(name) for name, line in lines.items() if not line.recorded)
    found = ["Lines: running median of single steps; bands: their 5 to 95 %; markers: fitted guides, ± 2 se."]
    if own:
        found.append(f"Thin lines: what the estimator maximises, where that is not the ELBO ({own}).")
    if unknown:
        found.append(f"Own bound, for want of the ELBO: {unknown}.")
    if below:
        ends = ", ".join(f"{style.plain(name)} at {lines[name].end:.4g}".replace(" -", " −") for name in below)
        found.append(f"Below the panels: {ends}.")
    return found
