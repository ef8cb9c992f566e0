"""The table of differences, where each of them is known exactly.

Most draws are quantiles in place of random numbers (``quantile_grid``), whose statistics are the Gaussian's up to .001:
such a test cannot fail by chance.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from pyro_vae.diagnostics import accuracy, parameter_table, pareto_khat
from pyro_vae.errors import OptionError
from pyro_vae.posterior import build
from tests.diagnostics.draws import autoregressive, exact, guide, quantile_grid

N = 20_000
GRID = quantile_grid(N)


@pytest.mark.parametrize("shift", [-2.0, 0.0, 0.3])
@pytest.mark.parametrize("ratio", [0.2, 1.0, 3.0])
def test_a_gaussian_against_a_gaussian(shift: float, ratio: float) -> None:
    """In sds of the baseline N(5, 2^2): the mean is ``shift`` off, quantile p by shift + (ratio - 1) z_p."""
    row = parameter_table(guide(x=5 + 2 * (shift + ratio * GRID)), exact(x=5 + 2 * GRID)).loc["x"]
    expected = {
        "mean": 5 + 2 * shift,
        "sd": 2 * ratio,
        "baseline_mean": 5,
        "baseline_sd": 2,
        "delta_mean": shift,
        "sd_ratio": ratio,
        "delta_q5": shift + (ratio - 1) * norm.ppf(0.05),
        "delta_q50": shift,
        "delta_q95": shift + (ratio - 1) * norm.ppf(0.95),
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, abs=0.003), name


def test_wasserstein_distance_of_gaussians() -> None:
    """A shift d costs d; a ratio s of sds costs |s - 1| E|z| = |s - 1| sqrt(2 / pi)."""
    base = exact(shifted=3 * GRID, scaled=3 * GRID)
    table = parameter_table(guide(shifted=3 * (GRID + 0.7), scaled=3 * 0.4 * GRID), base)
    assert table.loc["shifted", "wasserstein"] == pytest.approx(0.7, abs=1e-3)
    assert table.loc["scaled", "wasserstein"] == pytest.approx(0.6 * np.sqrt(2 / np.pi), abs=1e-3)


def test_importance_weights_correct_what_they_can() -> None:
    """N(.5, 1.5^2) with the weights of N(0, 1): every difference is gone."""
    x = 0.5 + 1.5 * GRID
    weights = pareto_khat(norm.logpdf(x) - norm.logpdf(x, 0.5, 1.5))
    before = parameter_table(guide(x=x), exact(x=GRID))
    after = parameter_table(guide(x=x), exact(x=GRID), weights.log_weights)
    assert before.loc["x", "delta_mean"] == pytest.approx(0.5, abs=1e-3)
    for name in ("delta_mean", "delta_q5", "delta_q50", "delta_q95", "wasserstein"):
        assert after.loc["x", name] == pytest.approx(0, abs=0.01), name
    assert after.loc["x", "sd_ratio"] == pytest.approx(1, abs=0.01)


def test_equal_weights_change_nothing() -> None:
    base, draws = exact(x=GRID[:2000]), guide(x=0.5 + GRID[:1000])
    table = parameter_table(draws, base)
    weighted = parameter_table(draws, base, np.full(1000, -np.log(1000)))
    np.testing.assert_allclose(table.to_numpy(), weighted.to_numpy())


def test_mcse_of_independent_draws_is_that_of_both_sets() -> None:
    row = parameter_table(guide(x=2 * GRID[:400]), exact(x=GRID[:1000])).loc["x"]
    spread = row["sd_ratio"]
    assert row["mcse"] == pytest.approx(np.sqrt(spread**2 / 400 + 1 / 1000), rel=0.01)


def test_mcse_of_chains_allows_for_autocorrelation() -> None:
    """At rho = .8 an ESS of 1/9 of 4000 draws. The estimated MCSE has a relative sd of 5 %, and the band is 30 %."""
    chains = build({"posterior": {"x": autoregressive(0.8, (4, 1000), seed=0)}})
    row = parameter_table(guide(x=quantile_grid(1_000_000)), chains).loc["x"]
    assert row["mcse"] == pytest.approx(np.sqrt(9 / 4000), rel=0.3)
    narrow = exact(x=quantile_grid(1_000_000) / 2)
    assert parameter_table(chains, narrow).loc["x", "mcse"] == pytest.approx(2 * np.sqrt(9 / 4000), rel=0.3)


def test_differences_are_within_their_mcse() -> None:
    """delta / MCSE is N(0, 1): over 500 parameters its sd has a relative error of 3 %, and the band is 15 %."""
    rng = np.random.default_rng(0)
    table = parameter_table(guide(x=rng.normal(size=(400, 500))), exact(x=rng.normal(size=(600, 500))))
    assert (table["delta_mean"] / table["mcse"]).std() == pytest.approx(1, rel=0.15)


def test_every_element_of_a_variable_has_its_own_row() -> None:
    shift = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    base = GRID[:, None, None] + np.zeros((3, 2))
    table = parameter_table(guide(w=base + shift, b=GRID), exact(b=GRID, w=base))
    assert list(table.index) == ["w[0, 0]", "w[0, 1]", "w[1, 0]", "w[1, 1]", "w[2, 0]", "w[2, 1]", "b"]
    np.testing.assert_allclose(table["delta_mean"], [*shift.ravel(), 0], atol=0.02)
    assert list(table.columns) == list(accuracy.COLUMNS)


def test_a_table_made_in_blocks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    posterior, base = guide(x=rng.normal(size=(50, 7))), exact(x=rng.normal(size=(60, 7)))
    whole = parameter_table(posterior, base)
    monkeypatch.setattr(accuracy, "_BLOCK", 220)
    np.testing.assert_allclose(parameter_table(posterior, base).to_numpy(), whole.to_numpy())


def test_a_shift_of_huge_numbers_keeps_its_digits() -> None:
    row = parameter_table(guide(x=1e9 + GRID), exact(x=1e9 + 0.5 + GRID)).loc["x"]
    assert row["delta_mean"] == pytest.approx(-0.5, abs=1e-3)
    assert row["sd_ratio"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("value", [0.0, 0.1, -3e6])
def test_the_same_constant_is_in_full_agreement(value: float) -> None:
    """Computed in 32 bits in one place and in 64 in the other."""
    ours = np.full(N, np.float32(value), dtype=np.float64)
    row = parameter_table(guide(c=ours), exact(c=np.full(N, value))).loc["c"]
    assert row["sd_ratio"] == 1
    assert (row[["delta_mean", "mcse", "delta_q5", "delta_q50", "delta_q95", "wasserstein"]] == 0).all()


def test_another_constant_is_infinitely_far() -> None:
    row = parameter_table(guide(c=np.full(N, 2.0)), exact(c=np.full(N, 3.0))).loc["c"]
    assert row["delta_mean"] == -np.inf
    assert row["wasserstein"] == np.inf
    assert row["mcse"] == 0


def test_a_spread_around_the_baselines_constant_is_infinitely_too_wide() -> None:
    row = parameter_table(guide(c=3 + GRID), exact(c=np.full(N, 3.0))).loc["c"]
    assert row["sd_ratio"] == np.inf
    assert row["mcse"] == 0
    assert not np.isnan(row.to_numpy()).any()


def test_one_value_for_a_spread_has_no_sd() -> None:
    row = parameter_table(guide(x=np.full(N, 0.1)), exact(x=GRID)).loc["x"]
    assert row["sd_ratio"] == 0
    assert row["delta_mean"] == pytest.approx(0.1, abs=1e-3)
    assert row["mcse"] == pytest.approx(1 / np.sqrt(N))


def test_flags_and_counts_are_compared_as_numbers() -> None:
    draws = {"flag": GRID > 0, "count": np.abs(4 * GRID).astype(int)}
    table = parameter_table(guide(flag=GRID > 1, count=draws["count"]), exact(**draws))
    assert table.loc["flag", "delta_mean"] == pytest.approx((norm.sf(1) - 0.5) / 0.5, abs=1e-3)
    assert table.loc["count", "delta_mean"] == 0
    assert table.loc["count", "wasserstein"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["posterior", "baseline"])
def test_draws_that_are_not_finite_make_their_row_nan_and_no_other(value: float, side: str) -> None:
    bad = GRID.copy()
    bad[7] = value
    posterior, base = {"x": GRID, "y": GRID}, {"x": GRID, "y": GRID}
    (posterior if side == "posterior" else base)["x"] = bad
    table = parameter_table(guide(**posterior), exact(**base))
    assert table.loc["x"].isna().all()
    assert not table.loc["y"].isna().any()


def test_what_only_one_side_has_is_said_and_not_compared() -> None:
    table = parameter_table(guide(x=GRID, extra=GRID), exact(x=GRID, z=GRID))
    assert list(table.index) == ["x"]
    assert table.attrs["not_compared"] == ["extra is not in the baseline", "z is only in the baseline"]


def test_nothing_in_common_is_an_error_that_names_both_sides() -> None:
    with pytest.raises(OptionError, match=r"no parameter in common: \['x'\] and \['z'\]"):
        parameter_table(guide(x=GRID), exact(z=GRID))


def test_another_shape_is_an_error_that_names_the_variable() -> None:
    with pytest.raises(OptionError, match=r"theta has shape \(7,\) in the posterior and \(8,\) in the baseline"):
        parameter_table(guide(theta=np.zeros((30, 7))), exact(theta=np.zeros((30, 8))))


def labelled(labels: list[str] | None, draws: np.ndarray):
    coords = None if labels is None else {"school": labels}
    return build({"posterior": {"theta": draws[None]}}, dims={"theta": ["school"]}, coords=coords)


def test_labels_are_matched_whatever_their_order() -> None:
    draws = GRID[:500, None] + np.array([0.0, 10.0])
    table = parameter_table(labelled(["A", "B"], draws), labelled(["B", "A"], draws[:, ::-1]))
    np.testing.assert_allclose(table["delta_mean"], 0, atol=1e-9)


def test_numbers_for_labels_are_matched_by_position() -> None:
    draws = GRID[:500, None] + np.array([0.0, 10.0])
    table = parameter_table(labelled(["A", "B"], draws), labelled(None, draws))
    assert list(table.index) == ["theta[A]", "theta[B]"]
    np.testing.assert_allclose(table["delta_mean"], 0, atol=1e-9)


def test_labels_that_agree_in_part_are_an_error() -> None:
    draws = GRID[:500, None] + np.zeros(2)
    with pytest.raises(OptionError, match=r"share some labels of theta \(theta\[B\]\)"):
        parameter_table(labelled(["A", "B"], draws), labelled(["B", "C"], draws))


def test_a_parameter_without_elements_makes_an_empty_table() -> None:
    assert len(parameter_table(guide(x=np.zeros((30, 0))), exact(x=np.zeros((30, 0))))) == 0
