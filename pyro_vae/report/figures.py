"""The figures of a report, in their order, with the words that say how to read them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyro_vae.errors import OptionError, OutputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pyro_vae.report.content import ReportContent
    from pyro_vae.report.vae_content import VAEContent


@dataclass(frozen=True)
class Caption:
    """A figure's name (also its file's), title, and how to read it; ``{baseline}`` stands for the baseline's name."""

    name: str
    title: str
    reading: str


@dataclass(frozen=True)
class Drawn:
    """The figures by name, and why the others could not be drawn."""

    figures: dict[str, Figure]
    not_drawn: dict[str, str]


CAPTIONS = (
    Caption(
        "marginals",
        "Marginal posteriors",
        "Each panel is one parameter. The filled shape is {baseline}, the lines are the guides: a guide that can "
        "be trusted follows the shape. Too narrow means false certainty. Long tails are cut off so that the bulk "
        "can be seen.",
    ),
    Caption(
        "forest",
        "Intervals side by side",
        "Median, 50 % interval (thick) and 90 % interval (thin) of each parameter: {baseline} on top, then every "
        "guide. Look for guides whose intervals are shorter, longer or shifted.",
    ),
    Caption(
        "pair",
        "The two worst parameters together",
        "Points and shaded regions (50 and 90 %) are {baseline}; each guide is two contours that hold 50 and 90 %"
        " of its draws. Guides without correlations draw upright ovals. Crosses mark divergences, where NUTS "
        "could not follow the posterior.",
    ),
    Caption(
        "bound",
        "The bound of each fit",
        "Smoothed evidence lower bound (line) and the range of single steps (band), against steps and against "
        "time. A fit has converged when its line is flat. Higher is better, and no true bound is above the log "
        "evidence (of an upper bound, marked ≤ in the summary, the reverse). The first steps lie far below and are "
        "cut off.",
    ),
    Caption(
        "estimators",
        "Gradient estimators on one scale",
        "The plain ELBO of the guide at every step, against steps and against time: the running median of the steps "
        "(line) and the range of single ones (band). The marker at the end is the fitted guide's ELBO from fresh "
        "draws; it lies below its line where the weights have a long tail, which pulls at the mean. Estimators "
        "maximise different objectives, and only this number can be compared between them; a thin line is an "
        "estimator's own bound, where that is another one. Time does not include what the first step took beyond a "
        "usual one.",
    ),
    Caption(
        "weights",
        "The tail of the importance weights",
        "How often a weight p/q exceeds a value. Pareto's k̂ is the slope of the tail: a tail flatter than the "
        "dotted line (k = 0.7) means that a few draws carry all the weight, and weighting cannot repair the "
        "guide. k̂ sees only where the guide has draws: it can look good although a whole mode is missing.",
    ),
    Caption(
        "ranks",
        "Did the chains of NUTS mix?",
        "First, effective sample sizes of the worst parameters, which have to pass the dashed line at 400. Then, "
        "how the draws of each chain rank among all draws; bars that reach the dashed line evenly mean that the "
        "chains agree.",
    ),
    Caption(
        "predictive",
        "Posterior predictive check",
        "Data simulated from each posterior (50 % interval thick, 90 % thin, or thin lines) beside the data that "
        "were observed (black). Data outside nearly all that is simulated speak against the model, not against "
        "the guide.",
    ),
)


def all_figures(content: ReportContent) -> dict[str, Figure]:
    """Every figure that can be drawn from the content, by name, in the order of the report. Drawn once per content."""
    return dict(content.drawn.figures)


def save_figures(content: ReportContent | VAEContent, folder: str | Path) -> list[Path]:
    """Write every figure as ``folder/NAME.png``; returns the paths.

    Raises: ``OutputError`` naming the path that cannot be written.
    """
    from pyro_vae.plots import style

    folder = Path(folder)
    paths = []
    for name, figure in content.drawn.figures.items():
        path = folder / f"{name}.png"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            style.save(figure, path, "png")
        except OSError as error:
            raise OutputError(
                f"cannot write the figure {path}: {error}. Choose a folder that can be written to."
            ) from error
        paths.append(path)
    return paths


def draw(content: ReportContent, width: float) -> Drawn:
    """Draw all figures, ``width`` inches wide; one that lacks its data (no history of a fit, say) says so instead."""
    return drawn(_plots(content, width))


def drawn(plots: Mapping[str, Callable[[], Figure]]) -> Drawn:
    """Those that have what they show, and why the others have not."""
    figures: dict[str, Figure] = {}
    not_drawn: dict[str, str] = {}
    for name, plot in plots.items():
        try:
            figures[name] = plot()
        except OptionError as error:
            not_drawn[name] = str(error)
    return Drawn(figures, not_drawn)


def _plots(content: ReportContent, width: float) -> dict[str, Callable[[], Figure]]:
    from pyro_vae import plots

    posteriors, baseline, exact = content.posteriors, content.baseline, content.exact_means
    tails = {name: judged.weights for name, judged in content.judgements.items() if judged.weights is not None}
    # Colours go by the order of the guides, so a guide that was not fitted keeps its place in the plot of the bounds.
    bounds = {"names": content.names, "log_evidence": content.log_evidence, "width": width}
    reached = {
        name: plots.Reached(judged.elbo, judged.elbo_se, math.nan if judged.weights is None else judged.weights.khat)
        for name, judged in content.judgements.items()
    }
    found: dict[str, Callable[[], Figure]] = {
        "marginals": lambda: plots.plot_marginals(posteriors, baseline, reference=exact, width=width),
        "forest": lambda: plots.plot_forest(posteriors, baseline, reference=exact, width=width),
        "pair": lambda: plots.plot_pair(posteriors, baseline, width=width),
        "bound": lambda: plots.plot_bound(content.histories, **bounds),
        "estimators": lambda: plots.plot_estimators(
            content.histories, reached, diverged=list(content.diverged), **bounds
        ),
        "weights": lambda: plots.plot_weights(posteriors, tails, width=width),
        "ranks": lambda: plots.plot_ranks(baseline, width=width),
        "predictive": lambda: plots.plot_predictive(posteriors, baseline, width=width),
    }
    del found["bound" if content.several else "estimators"]
    if baseline.attrs.get("exact") or content.without_mcmc:
        del found["ranks"]  # Independent draws have no chains that could disagree.
    return found
