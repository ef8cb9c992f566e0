"""Densities of three weights and of pairs, and what a straight-through draw is made of: two-dimensional figures.

``distribution_figures`` writes them beside the pages. Weights are drawn on the triangle of the simplex, logarithms of
weights in the plane of their log-ratios, each by the density that ``log_prob`` gives.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from pyro_vae import distributions as d
from pyro_vae.plots.style import GUIDE_COLOURS, INK, MUTED, PAPER, sources, styled

Panels = tuple[tuple[str, Callable[[], d.FromNoise]], ...]

TINT = LinearSegmentedColormap.from_list("density", [PAPER, "#9fc4e3", GUIDE_COLOURS[0]])
STEPS = 140  # along a side of the triangle


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def minus(label: str) -> str:
    return label.replace("-", "−")


def concentrations(family: type) -> Panels:
    return tuple(
        ("a = " + ", ".join(f"{each:g}" for each in a), partial(family, vector(*a)))
        for a in ((2, 2, 2), (0.6, 0.6, 0.6), (8, 4, 2))
    )


def temperatures(family: type) -> Panels:
    logits = vector(0.7, 0.0, -0.5)
    return tuple((f"T = {T:g}", partial(family, vector(T), logits=logits)) for T in (0.5, 1.0, 2.0))


def sticks(family: type) -> Panels:
    def broken(alpha: float) -> d.FromNoise:
        return family.gem(vector(alpha).squeeze(), 3)

    def kumaraswamy() -> d.FromNoise:
        return family(d.LogKumaraswamy(vector(3.0, 2.0), vector(6.0, 2.0)))

    return (
        ("GEM, α = 0.7", partial(broken, 0.7)),
        ("GEM, α = 3", partial(broken, 3.0)),
        ("Kumaraswamy fractions", kumaraswamy),
    )


def normals(family: type) -> Panels:
    settings = (((0.0, 0.0), (1.0, 1.0)), ((1.0, -0.5), (0.5, 0.5)), ((0.0, 0.0), (2.5, 2.5)))
    return tuple(
        (minus(f"μ = {loc[0]:g}, {loc[1]:g}; σ = {scale[0]:g}"), partial(family, vector(*loc), vector(*scale)))
        for loc, scale in settings
    )


def full_normal(rho: float) -> d.MultivariateNormal:
    covariance = torch.tensor([[1.0, rho], [rho, 1.0]], dtype=torch.float64)
    return d.MultivariateNormal(vector(0.0, 0.0), covariance_matrix=covariance)


@styled
def on_simplex(panels: Panels, weight: str = "x") -> Figure:
    """The densities of three weights: the nearer to a corner, the larger that weight."""
    figure = Figure(figsize=(5.6, 2.2), layout="constrained")
    i, j = torch.meshgrid(torch.arange(STEPS), torch.arange(STEPS), indexing="ij")
    # Points inside the triangle, none on its edges, where a density may be infinite.
    first, second = ((each[i + j < STEPS].double() + 1 / 3) / STEPS for each in (i, j))
    x = torch.stack([first, second, 1 - first - second], -1)
    across, up = x[:, 1] + x[:, 0] / 2, x[:, 0] * 3**0.5 / 2
    for axes, (title, make) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        density = make().log_prob(x).exp()
        density = density.clamp(max=float(density.quantile(0.97)))  # it may rise to infinity at an edge
        axes.tricontourf(across, up, density, levels=18, cmap=TINT)
        axes.plot([0, 1, 0.5, 0], [0, 0, 3**0.5 / 2, 0], color=MUTED, linewidth=0.8)
        for index, (left, height) in enumerate(((0.5, 0.94), (1.06, -0.07), (-0.06, -0.07)), start=1):
            axes.text(left, height, f"${weight}_{index}$", ha="center", va="center", fontsize=8.5, color=INK)
        axes.set(aspect="equal", xlim=(-0.12, 1.12), ylim=(-0.14, 1.0))
        axes.set_title(title, fontsize=8.5)
        axes.axis("off")
    return figure


@styled
def in_plane(panels: Panels, reach: float, labels: tuple[str, str], point: Callable[[Tensor], Tensor]) -> Figure:
    """The densities at ``point`` of a pair, for pairs out to ``reach``."""
    figure = Figure(figsize=(5.6, 2.2), layout="constrained")
    line = torch.linspace(-reach, reach, 121, dtype=torch.float64)
    pairs = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
    for number, (axes, (title, make)) in enumerate(zip(figure.subplots(1, len(panels)), panels, strict=True)):
        axes.contourf(line, line, make().log_prob(point(pairs)).exp(), levels=18, cmap=TINT)
        axes.set(aspect="equal", xlabel=labels[0], ylabel=labels[1] if number == 0 else "")
        axes.set_title(title, fontsize=8.5)
    return figure


def log_weights(ratios: Tensor) -> Tensor:
    """The log-weights whose log-ratios to the last one are these."""
    return torch.nn.functional.pad(ratios, (0, 1)).log_softmax(-1)


@styled
def straight_through_one_hot() -> Figure:
    """The probabilities of the classes, and the relaxed draws, on average, whose gradient a draw carries."""
    figure = Figure(figsize=(5.4, 2.4), layout="constrained")
    axes = figure.subplots()
    logits = vector(1.5, 0.5, 0.0, -1.0)
    generator = torch.Generator().manual_seed(0)
    noise = torch.empty(20_000, 4, dtype=torch.float64).exponential_(generator=generator)
    heights = {"the draw: probabilities": logits.softmax(-1)}
    for temperature in (0.5, 3.0):
        relaxed = d.Concrete(vector(temperature), logits=logits).sample_from_noise(noise)
        heights[f"its gradient: mean of Concrete, T = {temperature:g}"] = relaxed.mean(0)
    for number, look in enumerate(sources(heights).values()):
        left = torch.arange(4) + 0.27 * (number - 1)
        axes.bar(left.numpy(), heights[look.name].numpy(), width=0.24, color=look.colour, label=look.name)
    axes.set(xticks=range(4), xlabel="class", ylabel="probability, or mean weight")
    axes.legend(fontsize=7.5)
    return figure


@styled
def straight_through_bernoulli() -> Figure:
    """The probabilities of 0 and 1, and the densities of the relaxed draws whose gradient a draw carries."""
    figure = Figure(figsize=(5.4, 2.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 2))
    logits = vector(0.8).squeeze()
    one = logits.sigmoid().item()
    left.bar(["0", "1"], [1 - one, one], width=0.5, color=GUIDE_COLOURS[0])
    left.set(title="the draw", ylabel="probability", ylim=(0, 1))
    x = torch.linspace(0, 1, 803, dtype=torch.float64)[1:-1]
    for look in sources([f"T = {T:g}" for T in (0.5, 1, 2)]).values():
        law = d.RelaxedBernoulli(float(look.name.removeprefix("T = ")), logits=logits)
        right.plot(x, law.log_prob(x).exp(), color=look.colour, linestyle=look.line, label=look.name)
    right.set(title="its gradient: RelaxedBernoulli", xlabel="x", ylabel="density", xlim=(0, 1), ylim=(0, 3))
    right.legend(fontsize=7.5)
    return figure


def of_log_ratios(panels: Panels, weight: str = "x") -> Figure:
    first, second = (rf"$\log\, {weight}_{index} / {weight}_3$" for index in (1, 2))
    return in_plane(panels, 8.0, (first, second), log_weights)


FIGURES: dict[str, Callable[[], Figure]] = {
    "concrete": lambda: on_simplex(temperatures(d.Concrete)),
    "dirichlet": lambda: on_simplex(concentrations(d.Dirichlet)),
    "logistic_normal": lambda: on_simplex(normals(d.LogisticNormal)),
    "stick_breaking": lambda: on_simplex(sticks(d.StickBreaking), weight="w"),
    "exp_concrete": lambda: of_log_ratios(temperatures(d.ExpConcrete)),
    "log_dirichlet": lambda: of_log_ratios(concentrations(d.LogDirichlet)),
    "log_stick_breaking": lambda: of_log_ratios(sticks(d.LogStickBreaking), weight="w"),
    "multivariate_normal": lambda: in_plane(
        tuple((minus(f"ρ = {rho:g}"), partial(full_normal, rho)) for rho in (0.0, 0.8, -0.5)),
        3.0,
        ("$x_1$", "$x_2$"),
        lambda pairs: pairs,
    ),
    "straight_through_one_hot": straight_through_one_hot,
    "straight_through_bernoulli": straight_through_bernoulli,
}
