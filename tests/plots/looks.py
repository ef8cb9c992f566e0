"""What every figure is held to: all text readable, inside the canvas, and not over other text."""

from __future__ import annotations

from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

SMALLEST_FONT = 7.5


def texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """Every visible text of the drawn figure with its box in pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    idle = _idle_ticks(figure)
    found = []
    for text in figure.findobj(Text):
        content = text.get_text().strip()
        if not content or not text.get_visible() or text in idle:
            continue
        found.append((content, text.get_window_extent(renderer)))
    return found


def _idle_ticks(figure: Figure) -> set[Text]:
    """Tick labels outside an axis' limits exist but are not drawn."""
    idle: set[Text] = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            ticks = {*axis.get_major_ticks(), *axis.get_minor_ticks()}
            idle |= {label for tick in ticks - set(axis._update_ticks()) for label in (tick.label1, tick.label2)}
    return idle


def assert_readable(figure: Figure) -> None:
    """No text is cut at the figure's edge, lies over another one, or is too small to read."""
    found = texts(figure)
    assert found, "the figure has no text at all"
    width, height = figure.canvas.get_width_height()
    for content, box in found:
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        assert inside, f"{content!r} is cut at the edge: {box}"
    for (one, first), (two, second) in combinations(found, 2):
        over_x = min(first.x1, second.x1) - max(first.x0, second.x0)
        over_y = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert over_x < 1.5 or over_y < 1.5, f"{one!r} and {two!r} lie over each other"
    for text in figure.findobj(Text):
        if text.get_text().strip():
            assert text.get_fontsize() >= SMALLEST_FONT, f"{text.get_text()!r} is too small"
