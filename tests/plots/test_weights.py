"""The tail of the weights: the curve is the draws' survival function, the line the generalised Pareto of k-hat."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from pyro_vae.plots import plot_weights, weights
from pyro_vae.posterior.datatree import build
from tests.plots.looks import assert_readable


def tree(log_w: np.ndarray):
    stats_group = {"log_p": log_w[None] - 7.0, "log_q": np.zeros((1, len(log_w)))}
    return build({"posterior": {"z": log_w[None]}, "sample_stats": stats_group})


def tail(khat: float, constant: bool = False) -> SimpleNamespace:
    return SimpleNamespace(khat=khat, constant=constant)


@pytest.mark.parametrize("k", [-0.3, 0.0, 0.5, 1.2])
def test_the_survival_function_is_scipys(k: float) -> None:
    exact = stats.genpareto(k, scale=2.0)
    x = np.linspace(0, 8, 40)
    assert weights._survival(x, k, exact.median()) == pytest.approx(exact.sf(x), abs=1e-9)


def test_the_line_lies_on_draws_of_a_known_tail() -> None:
    # The weights are exactly Pareto with k = .5; at a share of 1 % an empirical quantile of 20,000 has an sd of 4 %.
    log_w = np.log(stats.genpareto(0.5).rvs(20_000, random_state=0) + 2.0)
    (axes,) = plot_weights({"mine": tree(log_w)}, {"mine": tail(0.5)}).axes
    dots, line, limit = axes.lines
    at = -2.0  # the axes hold logarithms to base 10
    from_dots = np.interp(at, dots.get_ydata(), dots.get_xdata())  # from the largest weight down
    from_line = np.interp(-at, -line.get_ydata(), line.get_xdata())
    from_limit = np.interp(-at, -limit.get_ydata(), limit.get_xdata())
    assert from_line == pytest.approx(from_dots, abs=0.06)
    assert from_limit > from_line


def test_weights_are_relative_to_their_mean_and_axes_are_logarithmic() -> None:
    log_w = np.random.default_rng(0).normal(size=2000)
    (axes,) = plot_weights({"mine": tree(log_w)}, {"mine": tail(0.4)}).axes
    assert {label.get_text() for label in axes.get_yticklabels()} >= {"1", "10⁻¹", "10⁻²"}
    assert axes.get_title() == "mine\nk̂ = 0.40 from 2,000 draws"
    heaviest = np.exp(log_w.max()) / np.exp(log_w).mean()
    assert axes.lines[0].get_xdata().max() == pytest.approx(np.log10(heaviest))


def test_equal_weights_are_the_best_case_and_said_so() -> None:
    figure = plot_weights({"perfect": tree(np.full(500, 3.0))}, {"perfect": tail(-np.inf, constant=True)})
    assert "all 500 weights equal" in figure.axes[0].get_title()
    assert_readable(figure)


@pytest.mark.parametrize("guides", [1, 2, 5])
def test_panels_of_very_different_tails_are_readable(guides: int) -> None:
    rng = np.random.default_rng(0)
    widths = [1.0, 6.0, 200.0, 0.01, 30.0][:guides]
    posteriors = {f"guide {width}": tree(width * rng.standard_t(2, size=900) - 900) for width in widths}
    assert_readable(plot_weights(posteriors, {name: tail(1.8) for name in posteriors}))


def test_zero_weights_are_kept_and_nan_left_out() -> None:
    log_w = np.random.default_rng(0).normal(size=100)
    log_w[:5], log_w[5] = -np.inf, np.nan
    kept = weights._log_weights(tree(log_w))
    assert len(kept) == 99
    assert np.exp(kept).mean() == pytest.approx(1.0)
    assert_readable(plot_weights({"mine": tree(log_w)}, {"mine": tail(0.4)}))
