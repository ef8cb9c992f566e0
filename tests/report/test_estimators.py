"""Estimators in the report: what each reached and what it cost, in the terminal and on the page."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from pyro_vae.report import ReportContent, all_figures
from pyro_vae.report.estimators import estimator_rows, numbers
from pyro_vae.report.html import render
from pyro_vae.report.words import with_error
from tests.report.test_terminal import printed

LEAVE_ONE_OUT = "score-function:leave-one-out"
BAD = "auto_low_rank / exploding"


def test_a_row_says_what_was_reached_and_what_it_cost(estimators: ReportContent) -> None:
    first = estimator_rows(estimators)[0]
    judged = estimators.judgements["reparameterized"]
    assert (first.name, first.level, first.converged) == ("reparameterized", judged.verdict.level, "yes")
    assert first.bound == "−33.416 ± 0.012"
    assert first.khat == f"{judged.weights.khat:.2f}"  # type: ignore[union-attr]
    stats = estimators.posteriors["reparameterized"]["sample_stats"]
    log_w = (stats["log_p"] - stats["log_q"]).values
    assert first.elbo == with_error(judged.elbo, judged.elbo_se)
    assert (judged.elbo, judged.elbo_se) == pytest.approx((log_w.mean(), log_w.std(ddof=1) / np.sqrt(log_w.size)))
    assert (first.steps, first.per_step, first.seconds, first.start_up) == ("3,000", "0.67", "2.0", "0.0")


def test_a_fit_that_diverged_has_neither_bound_nor_verdict(estimators: ReportContent) -> None:
    row = estimator_rows(estimators)[-1]
    assert (row.name, row.level, row.converged, row.bound, row.elbo, row.khat) == (BAD, "diverged", "no", "", "", "")


def test_an_upper_bound_is_marked(estimators: ReportContent) -> None:
    upper = replace(estimators, fits={name: {**fit, "upper_bound": 1} for name, fit in estimators.fits.items()})
    assert estimator_rows(upper)[0].bound == "≤ −33.416 ± 0.012"
    assert "<= -33.416 +- 0.012" in printed(upper, "ascii")


def test_what_is_not_known_stays_empty(estimators: ReportContent) -> None:
    bare = replace(estimators, fits={}, histories={}, judgements={}, diverged={})
    row = estimator_rows(bare)[0]
    assert {row.bound, row.elbo, row.khat, row.level, row.converged, row.steps, row.per_step, row.seconds} == {""}
    assert numbers(bare)[0]["level"] is None


def test_the_terminal_has_both_tables_and_says_what_can_be_compared(estimators: ReportContent) -> None:
    text = printed(estimators)
    words = " ".join(text.split())
    assert "own bound ELBO k-hat verdict" in words
    assert "converged steps ms/step seconds start-up" in words
    assert "cannot be compared; the ELBO of the fitted guide, from fresh draws, can" in words
    reached, cost = (line for line in text.splitlines() if line.startswith(LEAVE_ONE_OUT) and ":" not in line[29:])
    assert "−33.416 ± 0.012" in reached
    assert cost.split()[1:4] == ["yes", "3,000", "0.67"]
    assert f"{BAD}: no verdict. The fit diverged." in words


def test_the_page_has_a_row_per_estimator_and_their_figure_instead_of_that_of_the_bounds(
    estimators: ReportContent,
) -> None:
    page = render(estimators)
    table = page.partition('<section id="estimators">')[2].partition("</section>")[0]
    assert len(re.findall(r"<tr><th scope=\"row\"", table)) == 4
    assert "own bounds cannot be compared" in table
    assert "badge diverged" in table
    assert 'id="figure-estimators"' in page
    assert 'id="figure-bound"' not in page
    assert "the gap of an ELBO to it" in page
    assert "estimators" in all_figures(estimators)


def test_without_several_estimators_the_page_is_as_it_was(schools: ReportContent, schools_page: str) -> None:
    assert "Gradient estimators" not in schools_page
    assert '<th scope="col">guide</th>' in schools_page
    assert "the gap of a bound to it" in schools_page
    assert "own bound" not in printed(schools)
