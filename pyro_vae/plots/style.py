"""The look of every figure, in one place: colours, lines, fonts, sizes, the legend.

The guides' colours differ in lightness as well as in hue, and every guide has its own dash pattern and marker, so a
figure reads for colour-blind people and on a grey print. All colours are distinct strings, because the HTML report
gives each of them a second value for dark pages by replacing that string in the SVG (``DARK``).
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.figure import Figure

P = ParamSpec("P")

INK = "#1b1f24"
MUTED = "#596270"
GRID = "#dde1e7"
PAPER = "#fefefe"
BASELINE_FILL = "#ccd2da"
BASELINE_LINE = "#7b8492"
GUIDE_COLOURS = ("#0b4f8a", "#d1580a", "#2a9d86", "#a8437f", "#c29500", "#5b9fd6")

DARK = {
    INK: "#e8eaed",
    MUTED: "#a4adb9",
    GRID: "#333a44",
    PAPER: "#171b21",
    BASELINE_FILL: "#434b57",
    BASELINE_LINE: "#8f99a8",
    "#0b4f8a": "#79b8f5",
    "#d1580a": "#ff9a57",
    "#2a9d86": "#66d6bd",
    "#a8437f": "#e993c7",
    "#c29500": "#ebc54f",
    "#5b9fd6": "#b5d9f7",
}
"""Light colour to dark colour, for the report on a dark page."""

LINES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.6)),
    (0, (1.2, 1.2)),
    (0, (6, 1.6, 1.2, 1.6)),
    (0, (9, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
)
MARKERS = ("o", "s", "^", "D", "v", "P")

WIDTH = 7.2
NARROW = 3.7
"""Widths of figures in inches, for a page and for a phone: text of 9 points is legible on both."""

_RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 9.0,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "savefig.edgecolor": PAPER,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "axes.grid": False,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.xmargin": 0.02,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 5),
    "axes.unicode_minus": True,
    "lines.linewidth": 1.8,
    "patch.linewidth": 0.8,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "figure.dpi": 100.0,
    "savefig.dpi": 150.0,
    "svg.fonttype": "path",
    "svg.hashsalt": "pyro-vae",
    "path.simplify_threshold": 0.2,
}


@dataclass(frozen=True)
class Source:
    """How the draws of one guide are drawn: its name, colour, dash pattern and marker."""

    name: str
    colour: str
    line: Any
    marker: str


def sources(names: Iterable[str]) -> dict[str, Source]:
    """A look for each name, the same in every figure of a report as long as the order of the names is the same.

    After six, the colours come again with the next dash pattern and marker: no look is there twice before the 37th.
    """
    return {
        name: Source(name, GUIDE_COLOURS[i % 6], LINES[(i + i // 6) % 6], MARKERS[(i + i // 6) % 6])
        for i, name in enumerate(names)
    }


def styled(plot: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw with this module's settings, and leave matplotlib's global ones as they were."""

    @wraps(plot)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context():
            # What a person has in a matplotlibrc must not mix with this style.
            mpl.rcParams.update({key: value for key, value in mpl.rcParamsDefault.items() if not _keep(key)})
            mpl.rcParams.update(_RC)
            return plot(*args, **kwargs)

    return drawn


def save(figure: Figure, target: Any, form: str) -> None:
    """Write a figure to a path or stream as ``"png"`` or ``"svg"``, the same bytes for the same figure."""
    with mpl.rc_context(_RC):
        if (engine := figure.get_layout_engine()) is not None:
            engine.execute(figure)
            figure.set_layout_engine("none")  # Once is enough, however often the figure is written.
        figure.savefig(target, format=form, metadata={"Date": None} if form == "svg" else None)


def _keep(key: str) -> bool:
    return key.startswith(("backend", "interactive", "toolbar", "webagg", "tk.", "macosx"))


def new_figure(height: float, width: float) -> Figure:
    """An empty figure in inches with constrained layout: nothing overlaps, whatever the length of the labels.

    ``height`` is that of the panels; :func:`legend` and :func:`note` add their own.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.05, wspace=0.03, hspace=0.04)  # type: ignore[union-attr]
    return figure


def legend(figure: Figure, handles: Sequence[Any]) -> None:
    """A legend above the panels, in as many columns as fit into the figure's width."""
    widths = [0.6 + 0.083 * len(str(handle.get_label())) for handle in handles]
    columns = len(handles)
    while columns > 1 and _legend_width(widths, columns) > figure.get_figwidth() - 0.3:
        columns -= 1
    rows = -(-len(handles) // columns)
    figure.set_figheight(figure.get_figheight() + 0.1 + 0.2 * rows)
    figure.legend(handles=handles, loc="outside upper left", ncols=columns, borderaxespad=0.2, columnspacing=1.4)


def _legend_width(widths: Sequence[float], columns: int) -> float:
    """matplotlib fills a legend column by column; each is as wide as its widest entry."""
    long, more = divmod(len(widths), columns)
    rows = [long + (column < more) for column in range(columns)]
    starts = [sum(rows[:column]) for column in range(columns)]
    return sum(max(widths[start : start + count], default=0.0) for start, count in zip(starts, rows, strict=True))


def note(figure: Figure, text: str) -> None:
    """A remark in small type below the panels."""
    lines = textwrap.wrap(text, int(figure.get_figwidth() / 0.072))
    figure.set_figheight(figure.get_figheight() + 0.15 * len(lines) + 0.05)
    figure.supxlabel("\n".join(lines), fontsize=8.5, color=MUTED, x=0.01, ha="left")


def shorten(label: str, length: int = 26) -> str:
    """The label, with an ellipsis in its middle when it is longer than ``length`` characters.

    >>> shorten("theta[Phillips Andover]", 16)
    'theta[Ph…ndover]'
    """
    if len(label) <= length:
        return label
    head = length // 2
    return f"{label[:head]}…{label[len(label) - (length - head - 1) :]}"


def fitted(label: str, inches: float, points: float = 9.0) -> str:
    """The label, shortened so that it is no wider than this in a font of that size, and safe to draw."""
    return plain(shorten(label, max(4, int(inches / (0.0083 * points)))))


def legend_label(name: str) -> str:
    """A source's name as a legend shows it."""
    return plain(shorten(name, 30))


def plain(text: str) -> str:
    """The text with dollar signs escaped, so that a site's name is never read as mathematics."""
    return text.replace("$", r"\$")
