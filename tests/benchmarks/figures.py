"""Results as pictures: how many times better each figure of ours is than the peer's; and the curves of growth."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pyro_vae.plots import style
from tests.benchmarks.growth import MEMORY, PARTICLES, SUBSAMPLED, WHOLE
from tests.benchmarks.row import Result, Row, Target

_LOOKS = style.sources(("met", "missed"))


@style.styled
def overview(results: Sequence[Result]) -> Figure:
    """Every row with a peer and a target: a dot at how many times better ours is, a tick at what is to be reached."""
    rows = [row for result in results for row in result.rows if row.target and row.peer and isfinite(row.ratio)]
    figure = style.new_figure(0.6 + 0.23 * len(rows), style.WIDTH)
    axes = figure.subplots()
    axes.axvline(1.0, color=style.INK, linewidth=1.0)
    for place, row in enumerate(rows):
        look = _LOOKS["met" if row.met else "missed"]
        axes.plot([_better(row, row.target)], [place], "|", color=style.INK, markersize=11, markeredgewidth=1.6)
        axes.plot(_range(row), [place, place], color=look.colour, linewidth=1.6)
        axes.plot([_better(row)], [place], look.marker, color=look.colour, markersize=6)
    axes.set_yticks(range(len(rows)), [_label(row) for row in rows])
    axes.set(xscale="log", xlabel="times better than the peer", ylim=(len(rows) - 0.4, -0.6))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(axis="x")
    style.legend(figure, [_handle(name) for name in ("met", "missed")] + [_tick()])
    _own_up(figure, results)
    return figure


def _own_up(figure: Figure, results: Sequence[Result]) -> None:
    if any(result.quick for result in results):
        style.note(figure, "From a quick run, to see that it runs: these figures mean nothing.")


def _better(row: Row, target: Target | None = None) -> float:
    """A ratio, or a target, as how many times better."""
    assert row.target is not None
    value = row.ratio if target is None else target.value
    return 1 / value if row.target.kind == "at most" else value


def _range(row: Row) -> list[float]:
    """From the least to the most of ours, beside the peer's median."""
    ends = min(row.ours.values), max(row.ours.values)
    return [_better(row) * (value / row.ours.median) ** (1 if row.more_is_better else -1) for value in ends]


def _label(row: Row) -> str:
    assert row.peer is not None
    unit = "" if row.unit == "s" else f", {row.unit}"
    return f"{row.what}{unit} | {row.peer.name}"


def _handle(name: str) -> Line2D:
    look = _LOOKS[name]
    return Line2D([], [], color=look.colour, marker=look.marker, label=f"target {name}")


def _tick() -> Line2D:
    return Line2D([], [], color=style.INK, marker="|", linestyle="", markersize=11, markeredgewidth=1.6, label="target")


@style.styled
def growth(result: Result) -> Figure:
    """Time per particle against K; time of a step and memory against the rows; both axes logarithmic."""
    figure = style.new_figure(2.6, style.WIDTH)
    panels = {
        (PARTICLES,): ("particles K", "µs per step and particle"),
        (WHOLE, SUBSAMPLED): ("rows", "µs per step"),
        (MEMORY,): ("rows", "MB beyond the data"),
    }
    names = dict.fromkeys(figures.name for row in result.rows if row.series for figures in (row.ours, row.peer))
    looks = style.sources(names)
    for axes, (series, (across, up)) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        for each in series:
            _curves(axes, [row for row in result.rows if row.series == each], looks, hollow=each == SUBSAMPLED)
        axes.set(xscale="log", yscale="log", xlabel=across, title=up)
        axes.grid()
    handles = [Line2D([], [], color=look.colour, marker=look.marker, label=name) for name, look in looks.items()]
    hollow = Line2D([], [], color=style.MUTED, marker="o", markerfacecolor=style.PAPER, label="subsampled")
    style.legend(figure, [*handles, hollow])
    _own_up(figure, [result])
    return figure


def _curves(axes: Any, rows: Sequence[Row], looks: dict[str, style.Source], hollow: bool) -> None:
    for side in ("ours", "peer"):
        points = [(row.x, getattr(row, side)) for row in rows if getattr(row, side).values]
        if not points:
            continue
        look = looks[points[0][1].name]
        axes.plot(
            [x for x, _ in points], [figures.median for _, figures in points], color=look.colour, linestyle=look.line,
            marker=look.marker, markersize=4.5, markerfacecolor=style.PAPER if hollow else look.colour,
        )  # fmt: skip
