"""Where true values stood among the draws of their posteriors: ranks in their bands, or both sides mirrored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pyro_vae.diagnostics.calibration import LEVEL
from pyro_vae.diagnostics.symmetry import symmetry_test
from pyro_vae.diagnostics.uniformity import uniformity_bands, uniformity_test
from pyro_vae.errors import OptionError
from pyro_vae.plots import style

LIMIT = 12
_PANEL = 1.7
_BINS = 20

Pits = Mapping[str, np.ndarray]
Draw = Callable[[Axes, np.ndarray], None]


@style.styled
def plot_sbc(
    pits: Pits, *, level: float = LEVEL, parameters: Sequence[str] | None = None, width: float = style.WIDTH
) -> Figure:
    r"""The ranks' distribution function minus that of uniform ranks, in bands that all panels leave at ``level``.

    A line above zero at the left lies where the posterior is too high, a line that rises first and falls below zero
    then where it is too narrow. A line that leaves its band is drawn in colour: the test of
    :func:`~pyro_vae.diagnostics.calibration.judge_calibration` rejects just these.

    Args:
        pits: ``{label: [simulations]}`` in (0, 1), as ``Calibration.pits`` has them.
        level: how often a study that is right may leave the bands of any panel.
        parameters: labels to show, in this order. None shows the 12 with the smallest p-values.
        width: of the figure in inches.

    Raises:
        OptionError: a label is not there, or there are fewer than 2 simulations.

    Source: Säilynoja, Bürkner, Vehtari, Statistics and Computing 32 (2022).

    >>> rng = np.random.default_rng(0)
    >>> figure = plot_sbc({"mu": rng.uniform(size=100), "tau": rng.beta(1, 2, size=100)})
    >>> [axes.get_title().split("\n") for axes in figure.axes]
    [['tau', 'p < 0.001'], ['mu', 'p = 0.24']]
    """
    tests = {label: uniformity_test(pits[label]) for label in _known(pits, parameters)}
    corrected = level / len(pits)

    def draw(axes: Axes, values: np.ndarray) -> None:
        bands = uniformity_bands(len(values), corrected)
        z = np.r_[0, bands.points, 1]
        lower, upper = np.r_[0, bands.lower, 1] - z, np.r_[0, bands.upper, 1] - z
        axes.fill_between(z, lower, upper, color=style.BASELINE_FILL, linewidth=0, zorder=1)
        line = np.searchsorted(np.sort(values), bands.points, side="right") / len(values)
        line = np.r_[0, line, 1] - z
        out = bool(((line < lower - 1e-12) | (line > upper + 1e-12)).any())
        axes.plot(z, line, color=style.GUIDE_COLOURS[1] if out else style.INK, linewidth=1.6, zorder=3)
        axes.axhline(0, color=style.MUTED, linewidth=0.8, zorder=2)
        axes.locator_params(axis="y", nbins=4)

    handles = [
        Patch(color=style.BASELINE_FILL, label=f"where uniform ranks stay, in {100 * (1 - level):g} % of studies"),
        Line2D([], [], color=style.INK, linewidth=1.6, label="ranks"),
        Line2D([], [], color=style.GUIDE_COLOURS[1], linewidth=1.6, label="ranks that are not uniform"),
    ]
    return _panels(pits, tests, parameters, width, draw, handles, "share of the draws below the truth", "difference")


@style.styled
def plot_vsbc(
    pits: Pits, *, level: float = LEVEL, parameters: Sequence[str] | None = None, width: float = style.WIDTH
) -> Figure:
    r"""Histograms of the probability of the guide below the truth, each with its mirror image.

    Where the two agree, the guide is not biased. More mass at the left means that it lies too high, mass at both ends
    that it is too narrow. Bars in colour are those of an asymmetry that the test rejects.

    Args: and Raises: as :func:`plot_sbc`.

    Source: Yao, Vehtari, Simpson, Gelman, "Yes, but did it work?", ICML 2018.

    >>> rng = np.random.default_rng(0)
    >>> figure = plot_vsbc({"mu": rng.uniform(size=100), "tau": rng.beta(1, 2, size=100)})
    >>> [axes.get_title().split("\n") for axes in figure.axes]
    [['tau', 'p = 0.0013'], ['mu', 'p = 0.22']]
    """
    tests = {label: symmetry_test(pits[label])[0] for label in _known(pits, parameters)}
    corrected = level / len(pits)

    def draw(axes: Axes, values: np.ndarray) -> None:
        bins = max(4, min(_BINS, 2 * (len(values) // 20)))
        heights, edges = np.histogram(values, np.linspace(0, 1, bins + 1))
        heights = heights * bins / len(values)
        wrong = symmetry_test(values)[0] <= corrected
        colour = style.GUIDE_COLOURS[1] if wrong else style.BASELINE_LINE
        axes.stairs(heights, edges, fill=True, color=colour, zorder=2)
        axes.stairs(heights[::-1], edges, color=style.INK, linewidth=1.2, linestyle=(0, (4, 2)), zorder=4)
        axes.axvline(0.5, color=style.INK, linewidth=0.8, zorder=3)
        axes.set_ylim(0, 1.08 * max(heights.max(), 1.5))
        axes.locator_params(axis="y", nbins=3)

    handles = [
        Patch(color=style.BASELINE_LINE, label="guide's probability below the truth"),
        Patch(color=style.GUIDE_COLOURS[1], label="the same, where it is biased"),
        Line2D([], [], color=style.INK, linestyle=(0, (4, 2)), linewidth=1.2, label="mirrored"),
    ]
    return _panels(pits, tests, parameters, width, draw, handles, "p = q(parameter < truth)", "density")


def _known(pits: Pits, parameters: Sequence[str] | None) -> list[str]:
    """The labels asked for, or all. Raises ``OptionError`` naming one that is not there."""
    if not pits or any(len(values) < 2 for values in pits.values()):
        raise OptionError("a picture of ranks needs at least one quantity and 2 simulations")
    for label in parameters or ():
        if label not in pits:
            raise OptionError(f"parameter {label!r} is not in the study; it has: {', '.join(list(pits)[:12])}")
    return list(parameters or pits)


def _panels(
    pits: Pits,
    tests: Mapping[str, float],
    parameters: Sequence[str] | None,
    width: float,
    draw: Draw,
    handles: list,
    below: str,
    beside: str,
) -> Figure:
    """One panel for each of the worst, the legend above, and a remark on what is left out."""
    order = list(parameters) if parameters is not None else sorted(tests, key=lambda label: tests[label])
    shown = order[:LIMIT]
    columns = min(len(shown), 4 if width > 5 else 2)
    rows = -(-len(shown) // columns)
    figure = style.new_figure(0.35 + _PANEL * rows, width)
    for place, label in enumerate(shown):
        axes = figure.add_subplot(rows, columns, place + 1)
        draw(axes, np.asarray(pits[label], dtype=float))
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.grid(axis="y")
        axes.set_title(f"{style.fitted(label, width / columns - 0.35, 9.0)}\n{_p(tests[label])}", fontsize=9)
        if place % columns == 0:
            axes.set_ylabel(beside)
    figure.supxlabel(below, fontsize=9, color=style.INK)
    style.legend(figure, handles)
    if len(order) > LIMIT:
        figure.supxlabel("")
        style.note(
            figure, f"Across: {below}. The {LIMIT} smallest p-values of {len(order)}; {len(order) - LIMIT} left out."
        )
    return figure


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"
