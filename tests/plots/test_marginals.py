"""Marginals: one panel per parameter, the baseline filled, every guide a line, no mass below zero."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from pyro_vae.plots import plot_marginals, style
from pyro_vae.posterior.datatree import build
from tests.plots import trees
from tests.plots.looks import assert_readable, texts


def test_every_parameter_has_a_panel_with_the_baseline_filled_and_a_line_per_guide(schools: SimpleNamespace) -> None:
    figure = plot_marginals(schools.posteriors, schools.baseline)
    assert [axes.get_title() for axes in figure.axes] == trees.LABELS
    for axes in figure.axes:
        assert len(axes.collections) == 1
        guides = [line for line in axes.lines if to_hex(line.get_color()) in style.GUIDE_COLOURS]
        assert len(guides) == 2
        assert (
            guides[0].get_linestyle() != guides[1].get_linestyle() or guides[0]._dash_pattern != guides[1]._dash_pattern
        )


def test_positive_parameters_have_no_density_below_zero(schools: SimpleNamespace) -> None:
    figure = plot_marginals(schools.posteriors, schools.baseline)
    tau = figure.axes[trees.LABELS.index("tau")]
    assert tau.get_xlim()[0] == 0
    assert min(line.get_xdata().min() for line in tau.lines) >= 0


def test_a_heavy_tail_does_not_hide_the_bulk(schools: SimpleNamespace) -> None:
    tau = plot_marginals(schools.posteriors, schools.baseline).axes[trees.LABELS.index("tau")]
    longest = max(tree["posterior"]["tau"].values.max() for tree in schools.posteriors.values())
    assert longest > 40
    assert 10 < tau.get_xlim()[1] < 25


def test_the_missing_mode_is_in_the_picture() -> None:
    rng = np.random.default_rng(0)
    baseline = build(
        {"posterior": {"x": (rng.choice([-4, 4], 2000) + rng.normal(size=2000))[None]}}, attrs={"exact": True}
    )
    guide = build({"posterior": {"x": (4 + rng.normal(size=2000))[None]}})
    figure = plot_marginals({"auto_normal": guide}, baseline, reference={"x": 0.0})
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    assert low < -6
    assert high > 6
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["exact draws", "auto_normal", "exact mean"]


def test_too_many_parameters_are_cut_to_the_worst_and_counted() -> None:
    names = [f"weight of the feature number {i}" for i in range(40)]
    figure = plot_marginals({"mine": trees.normal_tree(names, 1)}, trees.normal_tree(names))
    assert len(figure.axes) == 15
    assert any("15 worst of 40 parameters; 25 left out" in content for content, _ in texts(figure))
    assert_readable(figure)


def test_a_guide_without_width_is_an_upright_line_and_a_narrow_one_runs_out_of_the_top() -> None:
    baseline = trees.normal_tree(["x"])
    point = build({"posterior": {"x": np.full((1, 100), 0.5)}})
    narrow = trees.normal_tree(["x"], 2, scale=0.01)
    (axes,) = plot_marginals({"auto_delta": point, "narrow": narrow}, baseline).axes
    assert [0.5, 0.5] in [list(line.get_xdata()) for line in axes.lines]
    assert axes.get_ylim()[1] < 2
    assert max(np.max(line.get_ydata()) for line in axes.lines) > 10


def test_a_guide_that_lies_elsewhere_is_named() -> None:
    baseline = trees.normal_tree(["x"])
    (axes,) = plot_marginals({"lost": build({"posterior": {"x": 1e6 + np.arange(100.0)[None]}})}, baseline).axes
    assert [text.get_text() for text in axes.texts] == ["lost: 100% outside"]


def test_draws_that_are_not_finite_are_left_out() -> None:
    values = np.random.default_rng(0).normal(size=(1, 400))
    values[0, ::7] = np.nan
    values[0, ::11] = np.inf
    assert_readable(plot_marginals({"mine": build({"posterior": {"x": values}})}, trees.normal_tree(["x"])))


def test_guides_are_shown_without_a_baseline(schools: SimpleNamespace) -> None:
    figure = plot_marginals(schools.posteriors, parameters=["tau", "theta[Choate]"])
    assert [axes.get_title() for axes in figure.axes] == ["tau", "theta[Choate]"]
    assert all(not axes.collections for axes in figure.axes)
    assert_readable(figure)


@pytest.mark.parametrize("width", [style.WIDTH, style.NARROW])
@pytest.mark.parametrize("guides", [1, 6])
def test_long_names_do_not_collide(guides: int, width: float) -> None:
    names = ["w[mean fractal dimension of the nucleus, worst of three]", "price [$ per $]"]
    posteriors = {f"a guide with quite a long name, number {i}": trees.normal_tree(names, i) for i in range(guides)}
    assert_readable(plot_marginals(posteriors, trees.normal_tree(names), width=width))
