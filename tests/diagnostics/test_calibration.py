"""The verdict of a calibration study: right at its level where the sampler is exact, and in words where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pyro_vae.diagnostics import calibration_table, judge_calibration, rank_among
from pyro_vae.diagnostics.ranks import thinned


def study(rng: np.random.Generator, simulations: int, draws: int, *, wide: float = 1.0, shift: float = 0.0) -> dict:
    """Pits of a conjugate model, z ~ N(0, 1), x ~ N(z, 1): the posterior is N(x / 2, 1 / 2), or that made wrong."""
    z = rng.normal(size=simulations)
    x = z + rng.normal(size=simulations)
    q = x[:, None] / 2 + shift + wide * np.sqrt(0.5) * rng.normal(size=(simulations, draws))
    score = stats.norm.logpdf(x[:, None], q, 1.0)
    truth = stats.norm.logpdf(x, z, 1.0)
    return {
        "z": np.array([rank_among(z[i], q[i], rng).pit for i in range(simulations)]),
        "log-likelihood": np.array([rank_among(truth[i], score[i], rng).pit for i in range(simulations)]),
    }


@pytest.mark.parametrize("method", ["sbc", "vsbc"])
def test_an_exact_sampler_is_called_wrong_at_most_at_the_stated_level(method: str) -> None:
    rng = np.random.default_rng(11)
    wrong = sum(
        not judge_calibration(calibration_table(study(rng, 40, 19)), method, level=0.1).calibrated for _ in range(200)
    )
    # Bonferroni may be less than the level, and never more: fails by chance once in 10 000.
    assert stats.binomtest(wrong, 200, 0.1, alternative="greater").pvalue > 1e-4
    assert wrong >= 3


@pytest.mark.parametrize(
    ("how", "said", "not_said"),
    [
        ({"wide": 0.5}, "a posterior that is too narrow", "biased"),
        ({"wide": 2.0}, "a posterior that is too wide", "biased"),
        ({"shift": 0.5}, "z is biased up (its truth lies below the posterior's median", "biased down"),
        ({"shift": -0.5}, "z is biased down (its truth lies above the posterior's median", "biased up"),
    ],
    ids=["narrow", "wide", "up", "down"],
)
def test_what_is_wrong_is_said(how: dict, said: str, not_said: str) -> None:
    pits = {"z": study(np.random.default_rng(2), 300, 99, **how)["z"]}
    verdict = judge_calibration(calibration_table(pits), "sbc")
    assert not verdict.calibrated
    assert verdict.faulty == ("z",)
    assert said in verdict.reason
    assert not_said not in verdict.reason


def test_the_prior_as_posterior_is_caught_by_the_likelihood_alone() -> None:
    # A sampler that ignores the data and draws from the prior: every parameter's ranks are uniform.
    rng = np.random.default_rng(3)
    z, q = rng.normal(size=300), rng.normal(size=(300, 99))
    x = z + rng.normal(size=300)
    scores = stats.norm.logpdf(x[:, None], q, 1.0)
    pits = {
        "z": np.array([rank_among(z[i], q[i], rng).pit for i in range(300)]),
        "log-likelihood": np.array(
            [rank_among(stats.norm.logpdf(x[i], z[i], 1.0), scores[i], rng).pit for i in range(300)]
        ),
    }
    assert judge_calibration(calibration_table(pits), "sbc").faulty == ("log-likelihood",)


def test_a_guide_that_is_narrow_and_unbiased_passes_vsbc_and_not_sbc() -> None:
    table = calibration_table(study(np.random.default_rng(4), 300, 99, wide=0.5))[:1]
    assert judge_calibration(table, "vsbc").calibrated
    assert not judge_calibration(table, "sbc").calibrated
    assert table.loc["z", "cover_90"] < 0.75


def test_the_coverage_of_an_exact_posterior_is_nominal() -> None:
    row = calibration_table(study(np.random.default_rng(6), 2000, 99)).loc["z"]
    for percent in (50, 90):
        assert abs(row[f"cover_{percent}"] - percent / 100) < 4 * row[f"cover_{percent}_se"]
        share = percent / 100
        assert row[f"cover_{percent}_se"] == pytest.approx(np.sqrt(share * (1 - share) / 2000), rel=0.1)


def test_many_faults_are_named_and_counted() -> None:
    rng = np.random.default_rng(7)
    pits = {f"theta[{i}]": rng.beta(1, 3, size=100) for i in range(7)} | {"mu": rng.uniform(size=100)}
    table = calibration_table(pits)
    reason = judge_calibration(table, "vsbc").reason
    assert reason.count("up (its truth lies below") == 3
    assert "up too theta[" in reason
    assert "Not biased, as far as they can tell: mu." in reason
    assert "7 of 8 quantities are not uniform" in judge_calibration(table, "sbc").reason


def test_ties_fall_on_either_side_so_that_ranks_stay_uniform() -> None:
    rng = np.random.default_rng(8)
    truths, draws = rng.integers(3, size=2000), rng.integers(3, size=(2000, 9))
    ranks = [rank_among(truth, row, rng).rank for truth, row in zip(truths, draws, strict=True)]
    counts = np.bincount(ranks, minlength=10)
    assert stats.chisquare(counts).pvalue > 1e-4
    assert rank_among(1.0, np.ones(5), np.random.default_rng(0)).draws == 5


def test_chains_are_thinned_to_what_they_are_worth() -> None:
    rng = np.random.default_rng(9)
    noise = rng.normal(size=(2, 4000))
    slow = np.zeros_like(noise)
    for t in range(1, 4000):
        slow[:, t] = 0.9 * slow[:, t - 1] + noise[:, t]
    kept = thinned(slow)
    assert 8000 / 19 / 2 < kept.size < 2 * 8000 / 19  # (1 + 0.9) / (1 - 0.9) = 19 draws are worth one
    assert thinned(np.ones((1, 50))).shape == (1, 50)
