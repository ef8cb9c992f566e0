"""The measured figures of the estimators' pages, made while the pages are built. In a page:

    ```{measured} bits
    :highlight: DisARM, ARM

    What to see in it.
    ```

The first page that asks for a figure has its problem measured, with a fixed seed; a few seconds on one core. What goes
wrong there stops the build. Without ``highlight`` every estimator has its colour.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pyro
import torch
from docutils import nodes
from docutils.parsers.rst import Directive, directives
from estimator_problems import (
    Problem,
    belief_network,
    bound,
    check_mean,
    cosine,
    cosine_variances,
    gaussian,
    gradients,
    logistic_regression,
    runs_per_particle,
    trained_control,
)
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sphinx.application import Sphinx

import pyro_vae as pv
from pyro_vae.estimators import Estimator
from pyro_vae.plots import style
from pyro_vae.report.svg import colour_variables, inline_svg

PARTICLES = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Curve:
    """One estimator in one panel; a panel with a known law has ``line``, else the points are joined."""

    x: Sequence[float]
    y: Sequence[float]
    line: tuple[Sequence[float], Sequence[float]] | None = None


@dataclass(frozen=True)
class Panel:
    """One pair of axes, both logarithmic."""

    title: str
    across: str
    up: str
    curves: Mapping[str, Curve]
    known: Mapping[str, Curve] = field(default_factory=dict)


Sheet = tuple[Panel, Panel]


def _curve(estimator: Estimator, measure: Callable[[int], float]) -> Curve:
    """A measurement at every K that the estimator can work with."""
    Ks = PARTICLES[bisect_left(PARTICLES, estimator.min_particles) :]
    return Curve(Ks, [measure(K) for K in Ks])


def _variance(problem: Problem, estimator: Estimator, K: int, control: Any = None) -> float:
    """Summed over the parameters, times K: level where K particles are no more than K times one."""
    return K * gradients(problem, estimator, K, min(4000, 40_000 // K), control).var(0).sum().item()


def continuous() -> Sheet:
    """Bayesian logistic regression: pathwise estimators, score functions, measure-valued gradients."""
    estimators = {
        "Reparameterized": pv.Reparameterized(),
        "StickingTheLanding": pv.StickingTheLanding(),
        "AnalyticKL": pv.AnalyticKL(),
        "ScoreFunction": pv.ScoreFunction(),
        "… leave-one-out": pv.ScoreFunction("leave-one-out"),
        "… optimal": pv.ScoreFunction("optimal"),
        "MeasureValued": pv.MeasureValued(),
        "ClosedFormEntropy": pv.ClosedFormEntropy(),
    }
    panels = []
    for title, steps in (("start of the fit", 0), ("end of the fit", 400)):
        problem = logistic_regression(steps)
        curves = {
            name: _curve(e, lambda K, problem=problem, e=e: _variance(problem, e, K)) for name, e in estimators.items()
        }
        panels.append(Panel(title, "particles K", "variance × K", curves))
    return panels[0], panels[1]


def bits() -> Sheet:
    """A sigmoid belief network half-way through its fit, against particles and against runs of the model."""
    estimators = {
        "ScoreFunction": pv.ScoreFunction(),
        "… moving-average": pv.ScoreFunction("moving-average"),
        "… leave-one-out": pv.ScoreFunction("leave-one-out"),
        "… optimal": pv.ScoreFunction("optimal"),
        "… Network": pv.ScoreFunction(pv.Network()),
        "ARM": pv.ARM(),
        "DisARM": pv.DisARM(),
        "REBAR": pv.REBAR(),
        "RELAX": pv.RELAX(),
        "MeasureValued": pv.MeasureValued(),
    }
    problem, exact = belief_network()
    by_particles, by_runs = {}, {}
    for name, estimator in estimators.items():
        control = trained_control(problem, estimator)
        check_mean(name, gradients(problem, estimator, 4, 4000, control), exact)
        runs = runs_per_particle(problem, estimator, control)
        found = _curve(estimator, lambda K, e=estimator, c=control: _variance(problem, e, K, c))
        by_particles[name], by_runs[name] = found, Curve([runs * K for K in found.x], [runs * y for y in found.y])
    return (
        Panel("by particles", "particles K", "variance × K", by_particles),
        Panel("by cost", "runs of the model", "variance × runs", by_runs),
    )


def importance_weighted() -> Sheet:
    """Bounds of K samples on a Gaussian: how clear the guide's gradient is, how far the bound is from the evidence."""
    estimators = {
        "IWAE": pv.IWAE(),
        "IWAE (landing stuck)": pv.IWAE(sticking_the_landing=True),
        "DReG": pv.DReG(),
        "VIMCO": pv.VIMCO(),
        "Renyi(0.5)": pv.Renyi(0.5),
        "WakeWake": pv.WakeWake(),
        "TailAdaptive": pv.TailAdaptive(),
        "CUBO(2)": pv.CUBO(2),
    }
    problem, evidence = gaussian()

    def clarity(estimator: Estimator, K: int) -> float:
        each = gradients(problem, estimator, K, 4000)
        # DReG has the mean of IWAE and VIMCO, and next to no noise in it
        shared = estimator in (pv.IWAE(), pv.VIMCO())
        mean = (gradients(problem, pv.DReG(), K, 4000) if shared else each).mean(0)
        return (mean.abs() / each.std(0)).mean().item()

    clear = {name: _curve(e, lambda K, e=e: clarity(e, K)) for name, e in estimators.items()}
    gaps = {
        name: _curve(e, lambda K, e=e: evidence - bound(problem, e, K, 400_000 // K + 10_000))
        for name, e in (("IWAE", pv.IWAE()), ("Renyi(0.5)", pv.Renyi(0.5)), ("ELBO", pv.Reparameterized()))
    }
    known = {"ELBO": gaps.pop("ELBO")}
    gaps |= dict.fromkeys(("IWAE (landing stuck)", "DReG", "VIMCO", "WakeWake"), gaps["IWAE"])
    return (
        Panel("the guide's gradient", "particles K", "signal to noise", clear),
        Panel("the bound", "particles K", "nats below the evidence", gaps, known),
    )


def waves() -> Sheet:
    """E cos(kz) under N(1, 1): where the score function beats the pathwise gradient. The lines are closed forms."""
    estimators = {
        "score function": pv.ScoreFunction(),
        "pathwise": pv.Reparameterized(),
        "measure-valued": pv.MeasureValued(),
    }
    ks, fine = [0.25, 0.5, 1.0, 1.5, 2.0, 2.75, 4.0], torch.logspace(-0.7, 0.7, 200, dtype=torch.float64)
    exact = cosine_variances(fine)
    found = {
        name: torch.stack([gradients(cosine(k), estimator, 1, 20_000).var(0) for k in ks])
        for name, estimator in estimators.items()
    }

    def panel(title: str, index: int) -> Panel:
        curves = {
            name: Curve(ks, y[:, index].tolist(), (fine.tolist(), exact[name][index].tolist()))
            for name, y in found.items()
        }
        return Panel(title, "frequency k", "variance of one draw", curves)

    return panel("for the mean", 0), panel("for the sd", 1)


SHEETS = {"continuous": continuous, "bits": bits, "importance-weighted": importance_weighted, "waves": waves}


@cache
def measured(name: str) -> Sheet:
    """The sheet of that name; random numbers and the param store are left alone."""
    with torch.random.fork_rng(devices=[]), pyro.get_param_store().scope():
        torch.manual_seed(0)
        return SHEETS[name]()


@style.styled
def drawn(sheet: Sheet, highlight: Sequence[str]) -> Figure:
    """Both panels; what is not highlighted is grey."""
    figure = style.new_figure(2.5, 4.7)
    same = sheet[0].up == sheet[1].up
    for axes, panel in zip(figure.subplots(1, 2, sharey=same), sheet, strict=True):
        looks = _looks(sheet[0].curves)
        for name, curve in panel.curves.items():
            _draw(axes, curve, looks[name] if name in highlight else None)
        for curve in panel.known.values():
            axes.plot(curve.x, curve.y, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=2)
        axes.set(xscale="log", yscale="log", title=panel.title, xlabel=panel.across)
        _plain_ticks(axes)
        axes.set_ylabel(panel.up if axes.get_subplotspec().is_first_col() or not same else "")
        axes.grid()
    style.legend(figure, _handles(sheet, highlight))
    return figure


def _looks(names: Iterable[str]) -> dict[str, style.Source]:
    """Eight colours, then the first ones with other dashes and markers."""
    colours, lines, markers = (*style.GUIDE_COLOURS, style.INK, style.MUTED), style.LINES, style.MARKERS
    return {
        name: style.Source(name, colours[i % 8], lines[(i + i // 8) % 6], markers[(i + i // 8) % 6])
        for i, name in enumerate(names)
    }


def _draw(axes: Any, curve: Curve, look: style.Source | None) -> None:
    line = curve.line or (curve.x, curve.y)
    if look is None:
        axes.plot(*line, color=style.BASELINE_LINE, linewidth=0.8, zorder=1)
        return
    axes.plot(*line, color=look.colour, linestyle=look.line, zorder=3)
    axes.plot(curve.x, curve.y, look.marker, color=look.colour, markersize=4.5, zorder=4)


def _plain_ticks(axes: Any) -> None:
    low, high = axes.get_xlim()
    axes.set_xticks([tick for tick in (0.25, 0.5, 1, 2, 4, 16, 64, 256) if low <= tick <= high and _kept(tick, high)])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_locator(style.mpl.ticker.NullLocator())
    axes.yaxis.set_minor_locator(style.mpl.ticker.NullLocator())


def _kept(tick: float, high: float) -> bool:
    """2 and halves only where the axis is short."""
    return high < 10 or tick not in (0.25, 0.5, 2)


def _handles(sheet: Sheet, highlight: Sequence[str]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=look.colour, linestyle=look.line, marker=look.marker, markersize=4.5, label=name)
        for name, look in _looks(sheet[0].curves).items()
        if name in highlight
    ]
    if len(handles) < len(sheet[0].curves):
        handles.append(Line2D([], [], color=style.BASELINE_LINE, linewidth=0.8, label="the others"))
    known = {name for panel in sheet for name in panel.known}
    return handles + [
        Line2D([], [], color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), label=name) for name in sorted(known)
    ]


class Measured(Directive):
    """``measured``: a figure by name, inline, with the directive's text as its caption."""

    required_arguments = 1
    has_content = True
    option_spec = {"highlight": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """The figure, in the page's own colours, and its caption."""
        name = directives.choice(self.arguments[0], tuple(SHEETS))
        sheet = measured(name)
        known = list(sheet[0].curves)
        highlight = [label.strip() for label in self.options.get("highlight", ",".join(known)).split(",")]
        if unknown := set(highlight) - set(known):
            raise self.error(f"The figure {name!r} has no {sorted(unknown)}; it has {known}.")
        label = f"{SHEETS[name].__doc__} Highlighted: {', '.join(highlight)}."
        svg = inline_svg(drawn(sheet, highlight), f"{name}-{self.lineno}", label)
        block = nodes.container(classes=["measured"])
        block += nodes.raw("", svg, format="html")
        self.state.nested_parse(self.content, self.content_offset, block)
        return [block]


def _colours(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """The figures' two sets of colours, by furo's switch or the reader's system."""
    dark = colour_variables(dark=True)
    css = (
        f"body{{{colour_variables(dark=False)}}}body[data-theme=dark]{{{dark}}}"
        f"@media(prefers-color-scheme:dark){{body:not([data-theme=light]){{{dark}}}}}"
    )
    context["metatags"] = f"{context.get('metatags', '')}<style>{css}</style>"


def setup(app: Sphinx) -> dict[str, Any]:
    """What Sphinx calls."""
    app.add_directive("measured", Measured)
    app.connect("html-page-context", _colours)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
