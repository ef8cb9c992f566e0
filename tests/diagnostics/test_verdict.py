"""The rules of the verdict, each side of each line, and that the reason says which line was crossed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pyro_vae.diagnostics import ImportanceWeights, MissingMass, check_baseline, decide
from pyro_vae.diagnostics.misfit import misfit, worst_parameter
from tests.diagnostics.draws import exact

HEALTHY = check_baseline(exact(x=np.arange(9.0)))
GOOD = {"delta_mean": 0.0, "mcse": 0.02, "sd_ratio": 1.0, "baseline_mean": 0.0, "baseline_sd": 1.0, "mean": 0.0}
FINE = ImportanceWeights(0.4, 4000, 900.0, np.zeros(4000))
BAD = ImportanceWeights(0.9, 4000, 9.0, np.zeros(4000))
MODE = MissingMass("x", "mode", -np.inf, 0.0, -4.0, 0.5)
TAIL = MissingMass("x", "tail", -np.inf, 0.0, -1.0, 0.2)


def table(**rows: dict[str, float]) -> pd.DataFrame:
    return pd.DataFrame([{**GOOD, **row} for row in rows.values()], index=list(rows))


OFF = {"delta_mean": -0.9, "sd_ratio": 0.5}


@pytest.mark.parametrize(
    ("row", "level"),
    [
        ({}, "trusted"),
        ({"delta_mean": 0.25}, "trusted"),
        ({"delta_mean": -0.25}, "trusted"),
        ({"delta_mean": 0.27}, "untrusted"),  # .27 + 2 x .02
        ({"delta_mean": -0.27}, "untrusted"),
        ({"delta_mean": 0.29, "mcse": 0.004}, "trusted"),
        ({"delta_mean": 0.31, "mcse": 0.0}, "untrusted"),
        ({"delta_mean": 0.05, "mcse": 0.1}, "trusted"),
        ({"delta_mean": 0.11, "mcse": 0.1}, "untrusted"),
        ({"mcse": 0.101}, "none"),
        ({"sd_ratio": 1.29}, "trusted"),
        ({"sd_ratio": 1.31}, "untrusted"),
        ({"sd_ratio": 1 / 1.29}, "trusted"),
        ({"sd_ratio": 1 / 1.31}, "untrusted"),
        ({"sd_ratio": 0.0}, "untrusted"),
        ({"sd_ratio": np.inf, "baseline_sd": 0.0, "mcse": 0.0}, "untrusted"),
        ({"mcse": np.nan}, "none"),
        (dict.fromkeys(GOOD, np.nan), "untrusted"),
        # The guide is 100 times too wide, and its mean therefore not known within .1 of the baseline's sd.
        ({"sd_ratio": 100.0, "mcse": 1.5}, "untrusted"),
        ({"sd_ratio": 100.0, "mcse": 11.0}, "none"),
    ],
)
def test_the_line_for_trusted(row: dict[str, float], level: str) -> None:
    for rows in ({"x": row}, {"y": {}, "x": row}, {"x": row, "y": {}}):
        verdict = decide(table(**rows), None, None, HEALTHY)
        assert verdict.level == level
        assert verdict.parameter == "x" or (level == "trusted" and not row)


def test_an_imprecise_parameter_is_seen_beside_one_that_is_not_finite() -> None:
    verdict = decide(table(a=dict.fromkeys(GOOD, np.nan), x={"mcse": 0.2}), None, None, HEALTHY)
    assert (verdict.level, verdict.parameter) == ("none", "x")


@pytest.mark.parametrize(
    ("corrected", "weights", "level"),
    [
        ({}, FINE, "reweight"),
        ({}, replace(FINE, khat=0.699), "reweight"),
        ({}, replace(FINE, khat=0.7), "untrusted"),
        ({}, replace(FINE, khat=np.nan), "untrusted"),
        ({}, BAD, "untrusted"),
        ({"delta_mean": 0.3}, FINE, "untrusted"),
        ({"sd_ratio": 1.4}, FINE, "untrusted"),
        ({"mcse": 0.11}, FINE, "untrusted"),
        ({"mcse": np.nan}, FINE, "untrusted"),
        (None, replace(BAD, khat=np.inf), "untrusted"),
        (None, None, "untrusted"),
    ],
)
def test_the_line_for_reweight(corrected, weights, level: str) -> None:
    after = None if corrected is None else table(x=corrected)
    assert decide(table(x=OFF), after, weights, HEALTHY).level == level


def test_reweighted_draws_must_be_right_in_every_parameter() -> None:
    assert decide(table(x=OFF, y=OFF), table(x={}, y=OFF), FINE, HEALTHY).level == "untrusted"


def test_a_trusted_guide_needs_no_weights() -> None:
    for weights in (None, FINE, BAD):
        assert decide(table(x={}), table(x=OFF), weights, HEALTHY).level == "trusted"


def test_a_baseline_that_does_not_count_ends_it() -> None:
    sick = replace(HEALTHY, counts=False, reasons=("12 transitions diverged", "R-hat of tau is 1.100, not below 1.01"))
    verdict = decide(table(x={}), table(x={}), FINE, sick)
    assert verdict.level == "none"
    assert "12 transitions diverged; R-hat of tau is 1.100" in verdict.reason


def test_without_parameters_there_is_no_verdict() -> None:
    assert decide(table(x={}).iloc[:0], None, None, HEALTHY).level == "none"


def test_the_worst_parameter_is_the_one_furthest_beyond_its_line() -> None:
    rows = {
        "a": {"delta_mean": 0.5},
        "b": {"sd_ratio": 0.4},
        "c": {"sd_ratio": 2.4},
        "d": {"delta_mean": -0.6, "sd_ratio": 0.7},
    }
    assert misfit(table(**rows)).to_dict() == pytest.approx(
        {
            "a": 0.54 / 0.3,
            "b": np.log(2.5) / np.log(1.3),
            "c": np.log(2.4) / np.log(1.3),
            "d": 0.64 / 0.3,
        }
    )
    assert worst_parameter(table(**rows)) == "b"
    assert worst_parameter(table(**rows, e={"sd_ratio": np.inf})) == "e"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"delta_mean": 0.9}, "x is off: its mean is 0.90 sd too high."),
        ({"delta_mean": -0.9}, "x is off: its mean is 0.90 sd too low."),
        ({"sd_ratio": 0.5}, "x is off: its sd is too small by a factor 2.0."),
        ({"sd_ratio": 1.32}, "x is off: its sd is too large by a factor 1.32."),
        (OFF, "x is off: its mean is 0.90 sd too low and its sd is too small by a factor 2.0."),
        ({"delta_mean": 0.2, "mcse": 0.08}, "x is off: its mean may be off by up to 0.36 sd, its Monte-Carlo error"),
        ({"sd_ratio": 0.0}, "x is off: it has one value where the posterior has a spread."),
        (dict.fromkeys(GOOD, np.nan), "x is off: its draws are not all finite."),
        (
            {"sd_ratio": 1.0, "baseline_sd": 0.0, "baseline_mean": 3.0, "mean": 2.0, "delta_mean": -np.inf},
            "x is off: it is 3 in every draw of the baseline, and here 2 on average.",
        ),
    ],
)
def test_the_reason_says_in_what_way_the_worst_parameter_is_off(row: dict[str, float], said: str) -> None:
    assert decide(table(y={}, x=row), None, None, HEALTHY).reason.startswith(said)


def test_the_reason_counts_the_parameters_that_are_off() -> None:
    verdict = decide(table(a={"delta_mean": 0.4}, x=OFF, b={}), None, None, HEALTHY)
    assert verdict.reason.startswith("2 of 3 parameters are off, x the most: its mean is 0.90 sd too low")


@pytest.mark.parametrize(
    ("corrected", "weights", "said"),
    [
        (None, None, "There are no importance weights (log_p, log_q) that could mend it."),
        ({}, BAD, "Reweighting cannot mend it: Pareto's k-hat is 0.90 from 4000 draws, not below 0.7."),
        (
            None,
            replace(BAD, khat=np.inf, statement="1 of 9 importance weights is NaN"),
            "Reweighting cannot mend it: 1 of 9 importance weights is NaN.",
        ),
        (
            {"sd_ratio": 0.7},
            FINE,
            "Reweighting does not mend it, although Pareto's k-hat is 0.40 from 4000 draws; reweighted, x is off: its "
            "sd is too small by a factor 1.4.",
        ),
        ({"mcse": 0.11}, FINE, "reweighted, too few draws carry the weight to know the means within 0.1 sd."),
    ],
)
def test_the_reason_says_why_weights_do_not_mend_it(corrected, weights, said: str) -> None:
    after = None if corrected is None else table(x=corrected)
    assert decide(table(x=OFF), after, weights, HEALTHY).reason.endswith(said)


def test_a_missing_mode_is_said_although_khat_looks_good() -> None:
    reason = decide(table(x=OFF), table(x=OFF), FINE, HEALTHY, [MODE]).reason
    assert "It misses a mode of x near -4 that holds 50 % of the posterior." in reason
    assert "k-hat is 0.40 from 4000 draws, which looks good, but weights know only where the guide has draws" in reason


def test_a_missing_mode_is_said_at_every_level() -> None:
    assert "But it misses a mode" in decide(table(x={}), None, None, HEALTHY, [MODE]).reason
    assert "But it misses a mode" in decide(table(x=OFF), table(x={}), FINE, HEALTHY, [MODE]).reason


def test_one_missing_end_of_the_worst_parameter_is_said_and_two_are_a_matter_of_the_sd() -> None:
    other_end = replace(TAIL, low=1.0, high=np.inf)
    elsewhere = replace(TAIL, parameter="y")
    assert "no draws of x below 0" in decide(table(x=OFF, y={}), None, None, HEALTHY, [TAIL]).reason
    assert "no draws" not in decide(table(x=OFF, y={}), None, None, HEALTHY, [TAIL, other_end]).reason
    assert "no draws" not in decide(table(x=OFF, y={}), None, None, HEALTHY, [elsewhere]).reason


def test_a_trusted_guide_with_a_bad_khat_is_told_so() -> None:
    verdict = decide(table(x={"delta_mean": 0.1}, y={"sd_ratio": 1.1}), None, BAD, HEALTHY)
    assert verdict.reason == (
        "Both parameters agree with the baseline: means within 0.10 sd (x), sds within a factor 1.10 (y). "
        "Pareto's k-hat is 0.90 from 4000 draws all the same: the joint density is off in a way that the marginals do "
        "not show."
    )


def test_how_closely_reweighted_draws_agree_is_said() -> None:
    verdict = decide(table(x=OFF), table(x={"delta_mean": 0.05, "sd_ratio": 0.9}), FINE, HEALTHY)
    assert verdict.reason == (
        "x is off: its mean is 0.90 sd too low and its sd is too small by a factor 2.0. Reweighted by importance, the "
        "one parameter agrees with the baseline: means within 0.05 sd, sds within a factor 1.11. Pareto's k-hat is "
        "0.40 from 4000 draws: use the reweighted draws."
    )


def test_a_parameters_name_keeps_its_case() -> None:
    assert decide(table(alpha=OFF), None, None, HEALTHY).reason.startswith("alpha is off")
