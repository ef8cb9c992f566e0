"""Estimators on one scale: the ELBO is drawn, other bounds only beside it, and one that failed flattens nobody."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from pyro_vae.plots import Reached, plot_estimators
from pyro_vae.plots.estimators import start_up, step_seconds
from tests.plots import trees
from tests.plots.looks import assert_readable

HISTORIES = {"reparameterized": trees.history(-33.4), "dreg": trees.history(-31.5, seed=1, gap=1.4, seconds=5.0)}
REACHED = {"reparameterized": Reached(-33.41, 0.01, 0.9), "dreg": Reached(-32.95, 0.02, float("inf"))}


def labels(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def long_lines(figure: Figure, panel: int = 0) -> list[np.ndarray]:
    return [np.asarray(line.get_ydata()) for line in figure.axes[panel].lines if len(line.get_ydata()) > 2]


def test_both_panels_show_the_plain_elbo() -> None:
    figure = plot_estimators(HISTORIES, REACHED, log_evidence=-31.3113)
    by_step, by_time = figure.axes
    assert by_step.get_ylabel() == "plain ELBO (nats)"
    assert (by_step.get_xlabel(), by_time.get_xlabel()) == ("step", "seconds, without start-up")
    assert labels(figure) == ["reparameterized, k̂ 0.90", "dreg, k̂ ∞", "log evidence −31.311"]
    # the line of dreg ends at its ELBO, its own bound is the thin one beside it
    _, elbo, own = long_lines(figure)
    assert elbo[-1] == pytest.approx(-32.9, abs=0.15)  # the median of 60 steps of sd .8: se .13
    assert own[-1] == pytest.approx(elbo[-1] + 1.4)
    assert_readable(figure)


def test_a_bound_that_is_the_elbo_with_other_noise_is_not_drawn_a_second_time() -> None:
    history = trees.history(-33.4)
    noisy = SimpleNamespace(**{**vars(history), "bound": history.elbo + np.random.default_rng(0).normal(size=3000)})
    assert len(long_lines(plot_estimators({"analytic-kl": noisy}))) == 1


def test_the_line_is_the_running_median_so_one_awful_step_does_not_move_it() -> None:
    history = trees.history(-33.4)
    awful = SimpleNamespace(**{**vars(history), "elbo": np.where(np.arange(3000) % 40 == 7, -1e6, history.elbo)})
    (line,) = long_lines(plot_estimators({"a": awful}))
    assert line[-100:].min() > -34.5


def test_the_noise_is_shown_and_not_only_smoothed_away() -> None:
    figure = plot_estimators({"a": trees.history(-33.4)})
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    last = band[band[:, 0] > 2500, 1]
    assert np.ptp(last) > 2 * 1.64 * 0.8 * 0.7  # 5 to 95 % of noise of sd .8 is 2.6 wide; from 60 steps at a time


def test_what_only_the_first_step_does_is_not_in_the_time() -> None:
    history = trees.history(-33.4, seconds=3.0)
    late = SimpleNamespace(**{**vars(history), "seconds": history.seconds + 100})
    across = plot_estimators({"late": late}).axes[1].lines[0].get_xdata()
    assert across[0] == pytest.approx(0.001)
    assert across[-1] == pytest.approx(3.0)
    assert start_up(late.seconds) == pytest.approx(100)
    assert step_seconds(late.seconds) == pytest.approx(0.001)
    assert start_up(np.empty(0)) == 0
    assert np.isnan(step_seconds(np.ones(1)))


def test_one_that_failed_is_named_and_does_not_flatten_the_others() -> None:
    good = {name: trees.history(-33.4, seed=i) for i, name in enumerate("abc")}
    figure = plot_estimators({**good, "lost": trees.history(-900.0)}, {"lost": Reached(-900.5, 1.0, 2.0)})
    low, high = figure.axes[0].get_ylim()
    assert low > -40
    assert high > -33.4
    assert "Below the panels: lost at −900.5." in " ".join(figure._supxlabel.get_text().split())  # type: ignore[attr-defined]


def test_two_are_both_shown_however_far_apart() -> None:
    figure = plot_estimators({"a": trees.history(-33.4), "b": trees.history(-60.0)})
    assert figure.axes[0].get_ylim()[0] < -60


def test_a_fit_that_diverged_ends_in_a_cross() -> None:
    figure = plot_estimators({**HISTORIES, "bad": trees.history(-33.0, steps=40)}, REACHED, diverged=["bad"])
    assert "bad, diverged" in labels(figure)
    assert [line.get_marker() for line in figure.axes[0].lines if len(line.get_xdata()) == 1].count("X") == 1


def test_without_a_recorded_elbo_the_own_bound_is_shown_and_it_is_said() -> None:
    pyros = SimpleNamespace(**{**vars(trees.history(-33.4)), "elbo": np.full(3000, np.nan)})
    figure = plot_estimators({"Trace_ELBO": pyros})
    assert long_lines(figure)[0][-1] == pytest.approx(-33.4, abs=0.3)
    assert "for want of the ELBO: Trace_ELBO." in " ".join(figure._supxlabel.get_text().split())  # type: ignore[attr-defined]


@pytest.mark.parametrize("elbo", [[-1e9, -5.0, -4.0, np.nan, -3.0], [-2.0, -2.0], [-np.inf, -7.0, -6.0]])
def test_short_flat_and_broken_histories_are_drawn(elbo: list[float]) -> None:
    history = SimpleNamespace(bound=np.array(elbo), elbo=np.array(elbo), seconds=np.arange(1, len(elbo) + 1) * 0.1)
    figure = plot_estimators({"a": history})
    assert np.isfinite(figure.axes[0].get_ylim()).all()
    assert_readable(figure)


def test_a_dozen_estimators_all_look_different() -> None:
    looks = {name: trees.history(-33.4 - i / 10, seed=i) for i, name in enumerate("abcdefghijkl")}
    handles = plot_estimators(looks).legends[0].get_lines()
    assert len({(handle.get_color(), str(handle.get_linestyle()), handle.get_marker()) for handle in handles}) == 12
