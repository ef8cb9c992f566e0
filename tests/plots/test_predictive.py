"""The predictive check: intervals for few observations, shares for few values, densities for many."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pyro_vae.plots import plot_predictive, style
from pyro_vae.posterior.datatree import build
from tests.plots import trees
from tests.plots.looks import assert_readable, texts

RNG = np.random.default_rng(0)


def tree(observed: dict[str, np.ndarray], replicated: dict[str, np.ndarray]):
    posterior = {"z": RNG.normal(size=(1, 300))}
    return build({"posterior": posterior, "posterior_predictive": replicated, "observed_data": observed})


def test_eight_schools_have_an_interval_per_school_and_source(schools: SimpleNamespace) -> None:
    figure = plot_predictive(schools.posteriors, schools.baseline)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == trees.SCHOOLS
    assert axes.get_ylabel() == "y"
    data = [float(line.get_xdata()[0]) for line in axes.lines if line.get_linewidth() == 2.2]
    assert data == list(trees.Y)
    ends = [path.vertices[:, 0] for path in axes.collections[0].get_paths()]
    replicated = schools.baseline["posterior_predictive"]["y"].values.reshape(-1, 8)
    assert ends[0] == pytest.approx(np.quantile(replicated[:, 0], [0.05, 0.95]))


def test_a_binary_variable_shows_how_often_each_value_comes() -> None:
    observed = RNG.binomial(1, 0.35, size=200)
    figure = plot_predictive({"mine": tree({"click": observed}, {"click": RNG.binomial(1, 0.3, size=(1, 300, 200))})})
    (axes,) = figure.axes
    assert [bar.get_height() for bar in axes.patches[:2]] == [np.mean(observed == 0), np.mean(observed == 1)]
    assert axes.get_xlabel() == "value of click"
    assert_readable(figure)


def test_many_continuous_values_have_a_panel_of_densities_per_source() -> None:
    observed = RNG.normal(size=(20, 10))
    source = tree({"y": observed}, {"y": RNG.normal(size=(1, 300, 20, 10))})
    figure = plot_predictive({"a": source, "b": source}, source)
    assert [axes.get_title() for axes in figure.axes] == ["NUTS", "a", "b"]
    assert all(10 < len(axes.lines) < 30 for axes in figure.axes)
    assert_readable(figure)


def test_several_variables_stand_below_each_other_and_the_rest_is_counted() -> None:
    names = ["y1", "y2", "y3", "y4", "y5"]
    observed = {name: RNG.normal(size=50) for name in names[:2]} | {name: RNG.poisson(2, size=50) for name in names[2:]}
    replicated = {name: np.repeat(values[None, None], 40, axis=1) for name, values in observed.items()}
    figure = plot_predictive({"mine": tree(observed, replicated)})
    assert any("2 left out" in content for content, _ in texts(figure))
    assert_readable(figure)
    assert_readable(plot_predictive({"mine": tree(observed, replicated)}, width=style.NARROW))


def test_missing_observations_are_left_out() -> None:
    observed = np.array([1.5, np.nan, 2.5])
    source = tree({"y": observed}, {"y": RNG.normal(size=(1, 300, 3))})
    assert [label.get_text() for label in plot_predictive({"mine": source}).axes[0].get_yticklabels()] == ["0", "2"]


def test_one_scalar_observation_is_an_interval() -> None:
    assert_readable(plot_predictive({"mine": tree({"y": np.array(1.5)}, {"y": RNG.normal(size=(1, 300))})}))
