"""ESS and rank plots: the worst parameters first, the 400 line in view, bars that show a chain that is apart."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from pyro_vae.plots import plot_ranks, style
from pyro_vae.posterior.datatree import build
from tests.plots import trees
from tests.plots.looks import assert_readable, texts


def slow_chains(steps: int = 500) -> np.ndarray:
    """Four autoregressive chains with about a fortieth as many effective draws, the last one shifted."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(4, steps))
    values = np.zeros((4, steps))
    for t in range(1, steps):
        values[:, t] = 0.95 * values[:, t - 1] + noise[:, t]
    values[3] += 9
    return values


def heights(figure: Figure) -> np.ndarray:
    """The bars of the first parameter's rank plot above their feet, ``[chain, bin]``."""
    stairs = [patch.get_data() for patch in figure.axes[1].patches]
    return np.array([data.values - data.baseline for data in stairs])


def test_the_worst_parameter_is_on_top_and_the_line_at_400_in_view() -> None:
    rng = np.random.default_rng(1)
    tree = build({"posterior": {"good": rng.normal(size=(4, 500)), "slow": slow_chains()}})
    sizes, first, *_ = plot_ranks(tree).axes
    assert [label.get_text() for label in sizes.get_yticklabels()] == ["slow", "good"]
    assert first.get_title().startswith("slow (R-hat ")
    low, high = sizes.get_xlim()
    assert low <= 400 <= high
    assert any(list(line.get_xdata()) == [400, 400] for line in sizes.lines)
    bulk = next(line.get_xdata()[0] for line in sizes.lines if line.get_marker() == "o")
    assert bulk < 100


def test_bars_of_a_chain_that_is_apart_lean_to_one_side() -> None:
    figure = plot_ranks(build({"posterior": {"slow": slow_chains()}}))
    apart = heights(figure)[3]
    assert sum(apart[:10]) < 0.2 * sum(apart[10:])


def test_even_ranks_reach_the_line() -> None:
    figure = plot_ranks(build({"posterior": {"x": np.random.default_rng(0).normal(size=(4, 5000))}}))
    found = heights(figure)
    assert found.mean() == pytest.approx(0.6, abs=0.01)
    # Each of the 80 bars is binomial with sd 6 % of the line: beyond 30 % with probability 1e-5.
    assert np.abs(found / 0.6 - 1).max() < 0.3


@pytest.mark.parametrize("width", [style.WIDTH, style.NARROW])
def test_many_parameters_with_long_names_are_cut_and_counted(width: float) -> None:
    names = [f"w[mean fractal dimension, number {i}]" for i in range(40)]
    figure = plot_ranks(trees.normal_tree(names), width=width)
    assert_readable(figure)
    assert any("28 left out" in content.replace("\n", " ") for content, _ in texts(figure))


@pytest.mark.parametrize("chains", [1, 2, 16])
def test_any_number_of_chains_is_readable(chains: int) -> None:
    assert_readable(plot_ranks(trees.normal_tree(["a", "b", "c", "d"], chains=chains)))


def test_constant_parameters_are_left_out() -> None:
    tree = build({"posterior": {"x": np.random.default_rng(0).normal(size=(4, 100)), "c": np.ones((4, 100))}})
    assert [label.get_text() for label in plot_ranks(tree).axes[0].get_yticklabels()] == ["x"]
