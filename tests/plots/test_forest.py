"""The forest plot: a row per parameter, an interval per source, one scale that all parameters fit on."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pyro_vae.plots import plot_forest
from pyro_vae.posterior.datatree import build
from tests.plots import trees
from tests.plots.looks import assert_readable


def intervals(axes) -> list[tuple[float, float]]:
    """The ends of the thin lines, top to bottom."""
    thin = [line for line in axes.lines if line.get_linewidth() == 1.2 and len(line.get_xdata()) == 2]
    return [tuple(line.get_xdata()) for line in sorted(thin, key=lambda line: line.get_ydata()[0])]


def test_rows_are_parameters_and_intervals_are_those_of_the_draws(schools: SimpleNamespace) -> None:
    (axes,) = plot_forest(schools.posteriors, schools.baseline).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == trees.LABELS
    found = intervals(axes)
    assert len(found) == 30
    for at, tree in enumerate([schools.baseline, *schools.posteriors.values()]):
        assert found[at] == pytest.approx(tuple(np.quantile(tree["posterior"]["mu"].values, [0.05, 0.95])))


def test_the_first_row_is_on_top(schools: SimpleNamespace) -> None:
    low, high = plot_forest(schools.posteriors, schools.baseline).axes[0].get_ylim()
    assert low > high


def test_parameters_of_different_scale_share_the_baselines_standard_deviations() -> None:
    rng = np.random.default_rng(0)
    scale = np.array([1e-3, 1.0, 1e4])
    baseline = build({"posterior": {"w": 5 * scale + scale * rng.normal(size=(4, 500, 3))}})
    (axes,) = plot_forest({"mine": baseline}, baseline).axes
    assert axes.get_xlabel() == "(value − mean) / sd of NUTS"
    assert all(low == pytest.approx(-1.645, abs=0.15) for low, _ in intervals(axes))


def test_many_parameters_are_cut_to_what_fits_a_page() -> None:
    names = [f"x{i}" for i in range(100)]
    for guides in (1, 6):
        posteriors = {f"guide {i}": trees.normal_tree(names, i + 1, draws=50) for i in range(guides)}
        figure = plot_forest(posteriors, trees.normal_tree(names, draws=50))
        assert figure.get_figheight() < 17
        assert_readable(figure)


def test_exact_means_are_marked(schools: SimpleNamespace) -> None:
    (axes,) = plot_forest(schools.posteriors, schools.baseline, reference={"tau": 3.598}).axes
    assert [
        float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "^" and line.get_color() == "#1b1f24"
    ] == [3.598]
