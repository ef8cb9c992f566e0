"""The bound: against steps and time, with limits that the first steps do not ruin."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pyro_vae.plots import plot_bound
from tests.plots import trees
from tests.plots.looks import assert_readable


def test_both_axes_and_all_fits_are_there() -> None:
    histories = {"a": trees.history(-33.4, seconds=2.0), "b": trees.history(-32.2, 5000, 1, seconds=2.7)}
    figure = plot_bound(histories, log_evidence=-31.3113)
    by_step, by_time = figure.axes
    assert (by_step.get_xlabel(), by_time.get_xlabel()) == ("step", "seconds")
    assert by_step.get_ylabel() == "bound (nats)"
    assert max(line.get_xdata()[-1] for line in by_step.lines if len(line.get_xdata()) > 2) == 5000
    assert max(line.get_xdata()[-1] for line in by_time.lines if len(line.get_xdata()) > 2) == pytest.approx(2.7)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "log evidence −31.311"]


def test_the_first_steps_do_not_set_the_limits() -> None:
    figure = plot_bound({"a": trees.history(-33.4)}, log_evidence=-31.3113)
    low, high = figure.axes[0].get_ylim()
    assert trees.history(-33.4).bound[0] < -9000
    assert low > -45
    assert -31.3113 < high < -25


def test_the_line_ends_at_the_mean_of_the_last_steps() -> None:
    history = trees.history(-33.4)
    line = next(line for line in plot_bound({"a": history}).axes[0].lines if len(line.get_xdata()) > 2)
    assert line.get_ydata()[-1] == pytest.approx(history.bound[-60:].mean())
    assert len(line.get_xdata()) <= 400


@pytest.mark.parametrize("bound", [[-1e9, -5.0, -4.0, np.nan, -3.0], [-2.0, -2.0], [-np.inf, -7.0, -6.0]])
def test_short_flat_and_broken_histories_are_drawn(bound: list[float]) -> None:
    history = SimpleNamespace(bound=np.array(bound), seconds=np.arange(len(bound)) * 0.1)
    figure = plot_bound({"a": history})
    low, high = figure.axes[0].get_ylim()
    assert np.isfinite([low, high]).all()
    assert low > -100
    assert_readable(figure)


def test_a_fit_without_history_is_left_out_of_the_legend_but_keeps_the_others_colours() -> None:
    empty = SimpleNamespace(bound=np.empty(0), seconds=np.empty(0))
    figure = plot_bound({"refit=False": empty, "b": trees.history(-32.0)})
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["b"]
    assert figure.axes[0].lines[0].get_color() == "#d1580a"
