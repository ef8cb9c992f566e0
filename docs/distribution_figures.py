"""Draw the densities on the pages of the distributions, before Sphinx reads them.

A page shows its figure by ``![density](figures/NAME.png)``; NAME is the page's own, and a line of ``FIGURES`` says what
is drawn, or a line of ``distribution_planes.FIGURES``, where the densities in two dimensions are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import distribution_planes
import torch
from matplotlib.figure import Figure
from sphinx.application import Sphinx

from pyro_vae import distributions
from pyro_vae.plots.style import save, sources, styled

# Page: class, the ends of the axis, the settings that are drawn.
FIGURES: dict[str, tuple[str, tuple[float, float], tuple[dict[str, float], ...]]] = {
    page: (name, ends, tuple(dict(zip(names, setting, strict=True)) for setting in settings))
    for page, name, ends, names, settings in (
        ("beta", "Beta", (0, 1), ("concentration1", "concentration0"), ((2, 3), (0.5, 0.5), (8, 2))),
        ("gamma", "Gamma", (0, 6), ("concentration", "rate"), ((0.5, 1), (2, 1), (9, 3))),
        ("gumbel", "Gumbel", (-3, 8), ("loc", "scale"), ((0, 1), (1, 0.5), (2, 1.5))),
        ("gumbel_min", "GumbelMin", (-8, 3), ("loc", "scale"), ((0, 1), (-1, 0.5), (-2, 1.5))),
        ("kumaraswamy", "Kumaraswamy", (0, 1), ("concentration1", "concentration0"), ((2, 3), (0.5, 0.5), (8, 2))),
        ("log_gamma", "LogGamma", (-12, 4), ("concentration", "rate"), ((0.3, 1), (2, 1), (9, 3))),
        (
            "log_kumaraswamy",
            "LogKumaraswamy",
            (-12, 12),
            ("concentration1", "concentration0"),
            ((2, 3), (0.5, 0.5), (8, 0.3)),
        ),
        ("log_normal", "LogNormal", (0, 6), ("loc", "scale"), ((0, 0.3), (0, 1), (1, 0.5))),
        ("logit_beta", "LogitBeta", (-12, 12), ("concentration1", "concentration0"), ((2, 3), (0.5, 0.5), (8, 0.3))),
        (
            "logit_relaxed_bernoulli",
            "LogitRelaxedBernoulli",
            (-12, 12),
            ("temperature", "logits"),
            ((0.5, 0), (1, 2), (2, -2)),
        ),
        ("normal", "Normal", (-4, 4), ("loc", "scale"), ((0, 1), (1, 0.5), (-1, 1.5))),
        ("relaxed_bernoulli", "RelaxedBernoulli", (0, 1), ("temperature", "logits"), ((0.4, 0), (1, 1), (2, -1))),
    )
}


@styled
def density(name: str, ends: tuple[float, float], settings: tuple[dict[str, float], ...]) -> Figure:
    """The density of each setting between the ends."""
    figure = Figure(figsize=(5.4, 2.6), layout="constrained")
    axes = figure.subplots()
    x = torch.linspace(*ends, 803, dtype=torch.float64)[1:-1]
    labels = [", ".join(f"{key} = {value:g}" for key, value in setting.items()) for setting in settings]
    highest = 0.0
    for setting, look in zip(settings, sources(labels).values(), strict=True):
        parameters = {key: torch.tensor(value, dtype=torch.float64) for key, value in setting.items()}
        values = getattr(distributions, name)(**parameters).log_prob(x).exp()
        # A density that rises to infinity at an end is cut, so that the others can be seen.
        highest = max(highest, float(values.quantile(0.98)))
        axes.plot(x, values, color=look.colour, linestyle=look.line, label=look.name)
    axes.set(xlim=ends, ylim=(0, 1.15 * highest), xlabel="v" if ends[0] < 0 else "x", ylabel="density")
    axes.legend(fontsize=7.5)
    return figure


def draw_all(app: Sphinx) -> None:
    """Write every figure beside the pages, where Sphinx looks for it."""
    folder = Path(app.srcdir) / "distributions" / "figures"
    folder.mkdir(exist_ok=True)
    for page, (name, ends, settings) in FIGURES.items():
        save(density(name, ends, settings), folder / f"{page}.png", "png")
    for page, draw in distribution_planes.FIGURES.items():
        save(draw(), folder / f"{page}.png", "png")


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx calls this because conf.py names the module as an extension."""
    app.connect("builder-inited", draw_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
