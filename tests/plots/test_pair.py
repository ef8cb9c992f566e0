"""The pair plot: the worst two parameters, divergences, contours that hold the share of the draws that they say."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pyro_vae.errors import OptionError
from pyro_vae.plots import pair, plot_pair
from pyro_vae.posterior.datatree import build
from tests.plots import trees
from tests.plots.looks import assert_readable


def test_the_worst_two_parameters_are_shown_unless_others_are_asked_for(schools: SimpleNamespace) -> None:
    (axes,) = plot_pair({"auto_normal": schools.posteriors["auto_normal"]}, schools.baseline).axes
    # Mean-field is narrower than the posterior in mu by a factor of two, and tau is its next worst.
    assert {axes.get_xlabel(), axes.get_ylabel()} == {"mu", "tau"}
    (axes,) = plot_pair(schools.posteriors, schools.baseline, parameters=["tau", "theta[Choate]"]).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("tau", "theta[Choate]")


def test_every_divergence_is_marked_and_counted(schools: SimpleNamespace) -> None:
    figure = plot_pair(schools.posteriors, schools.baseline, parameters=["tau", "mu"])
    (crosses,) = (line for line in figure.axes[0].lines if line.get_marker() == "x")
    diverging = schools.baseline["sample_stats"]["diverging"].values
    expected = schools.baseline["posterior"]["tau"].values[diverging]
    assert sorted(crosses.get_xdata()) == pytest.approx(sorted(expected))
    assert f"{diverging.sum()} divergences" in [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("correlation", [0.0, 0.95, 0.999])
def test_the_contours_hold_half_and_nine_tenths_of_a_normal(correlation: float) -> None:
    # Over 20 seeds the shares lay within .04 of .5 and of .9; the kernel widens a normal a little.
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2, 4000))
    z[1] = correlation * z[0] + np.sqrt(1 - correlation**2) * z[1]
    tree = build({"posterior": {"a": z[:1], "b": z[1:]}})
    (axes,) = plot_pair({"mine": tree}, tree, parameters=["a", "b"]).axes
    guide = axes.collections[-1]
    shares = [path.contains_points(z.T).mean() for path in guide.get_paths()]
    assert shares == pytest.approx([0.9, 0.5], abs=0.06)


def test_nothing_is_smeared_below_zero(schools: SimpleNamespace) -> None:
    (axes,) = plot_pair(schools.posteriors, schools.baseline, parameters=["tau", "mu"]).axes
    assert axes.get_xlim()[0] == 0
    assert all(path.vertices[:, 0].min() >= 0 for part in axes.collections for path in part.get_paths() if len(path))


def test_the_density_does_not_sink_towards_a_bound() -> None:
    rng = np.random.default_rng(0)
    drawn = np.stack([rng.exponential(size=4000), rng.normal(size=4000)])
    across, _, heights = pair._surface(drawn, [(0.0, 6.0), (-3.0, 3.0)])  # type: ignore[misc]
    profile = heights.sum(axis=0)
    assert across[0, 0] < 0.1
    assert profile[0] > 0.97 * profile.max()


def test_guides_without_width_are_points() -> None:
    baseline = trees.normal_tree(["a", "b"])
    point = build({"posterior": {name: np.zeros((1, 500)) for name in "ab"}})
    line = np.random.default_rng(0).normal(size=(1, 500))
    on_a_line = build({"posterior": {"a": line, "b": 2 * line}})
    figure = plot_pair({"auto_delta": point, "line": on_a_line}, baseline)
    assert_readable(figure)
    assert pair._surface(np.stack([line[0], 2 * line[0]]), [(-3, 3), (-6, 6)]) is None


def test_three_parameters_are_no_pair(schools: SimpleNamespace) -> None:
    with pytest.raises(OptionError, match="two labels; got 3"):
        plot_pair(schools.posteriors, schools.baseline, parameters=trees.LABELS[:3])
