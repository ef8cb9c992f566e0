"""The rows of the summary and the cells of the parameter tables, from numbers that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pyro_vae.diagnostics import Verdict
from pyro_vae.diagnostics.accuracy import COLUMNS
from pyro_vae.report import ReportContent
from pyro_vae.report.summary import health_facts, rows
from pyro_vae.report.tables import parameter_rows
from tests.report import contents


def test_a_row_says_what_was_measured(schools: ReportContent) -> None:
    first = rows(schools)[0]
    assert (first.guide, first.level) == ("auto_normal", "untrusted")
    assert first.bound == "−33.420 ± 0.020"
    assert first.khat_draws == "4,000"
    assert first.time == "2.1 s"
    table = schools.judgements["auto_normal"].table
    assert first.sd_ratio == f"{table['sd_ratio'][first.worst]:.2f}"


def test_what_is_not_known_stays_empty(bimodal: ReportContent) -> None:
    (row,) = rows(bimodal)
    assert (row.bound, row.time) == ("", "")
    judgement = replace(bimodal.judgements["mine"], weights=None, verdict=Verdict("none", "No baseline.", None))
    content = replace_content(bimodal, judgements={"mine": judgement})
    (row,) = rows(content)
    assert (row.khat, row.khat_draws, row.worst) == ("", "", "x")


def replace_content(content: ReportContent, **changed: object) -> ReportContent:
    fields = {name: getattr(content, name) for name in ReportContent.__dataclass_fields__}
    return ReportContent(**(fields | changed))  # type: ignore[arg-type]


def test_a_fit_that_had_not_finished_is_remarked_once(schools: ReportContent) -> None:
    judgement = schools.judgements["auto_normal"]
    rising = replace(judgement.convergence, converged=False, message="the bound was still rising")  # type: ignore[type-var]
    silent = replace(judgement, convergence=rising)
    said = replace(silent, verdict=Verdict("untrusted", "Off. It may be that the bound was still rising.", "mu"))
    for given, count in ((silent, 1), (said, 0)):
        (row,) = rows(replace_content(schools, judgements={"auto_normal": given}))
        assert sum("still rising" in remark for remark in row.remarks) == count


def test_the_health_of_the_baseline_is_measured_against_its_rules() -> None:
    facts = {
        name.partition(" (")[0]: (value, passes) for name, value, passes in health_facts(contents.eight_schools(True))
    }
    assert facts["divergences"] == ("23", False)
    assert facts["largest R-hat"][1] is True
    assert facts["smallest bulk ESS"][1] is True
    assert facts["draws"] == ("4 chains of 1,000", None)


def table(**columns: list[float]) -> pd.DataFrame:
    count = len(next(iter(columns.values())))
    full = (
        {name: [0.0] * count for name in COLUMNS} | {"sd_ratio": [1.0] * count, "baseline_sd": [1.0] * count} | columns
    )
    return pd.DataFrame(full, index=[f"p{i}" for i in range(count)])


def test_cells_are_marked_where_they_break_the_rule(bimodal: ReportContent) -> None:
    numbers = table(
        delta_mean=[0.1, 0.31, -0.29, 0.0, 0.0, np.nan, np.inf],
        mcse=[0.01, 0.0, 0.01, 0.0, 0.0, np.nan, 0.0],
        sd_ratio=[1.29, 1.0, 1.0, 0.76, 1.31, np.nan, np.inf],
    )
    found = parameter_rows(replace(bimodal.judgements["mine"], table=numbers, corrected=None))
    marks = [(row.cells[0].broken, row.cells[1].broken) for row in found.rows]
    assert marks[:5] == [("", ""), ("high", ""), ("uncertain", ""), ("", "narrow"), ("", "wide")]
    assert all(any(mark) for mark in marks[5:])
    assert found.broken == 6
    assert found.rows[0].cells[0].text == "+0.10 ± 0.01"
    assert [row.broken for row in found.rows] == [False] + [True] * 6
    assert found.rows[0].cells[-1].text == "–"


def test_long_tables_have_their_worst_rows_first(bimodal: ReportContent) -> None:
    numbers = table(delta_mean=[i / 100 for i in range(20)])
    found = parameter_rows(replace(bimodal.judgements["mine"], table=numbers, corrected=numbers))
    assert [row.label for row in found.worst[:2]] == ["p19", "p18"]
    assert [row.label for row in found.rows] == [f"p{i}" for i in range(20)]


@pytest.mark.parametrize(
    ("reference", "evidence", "means"),
    [
        (None, None, {}),
        ({"log_evidence": -3.5}, -3.5, {}),
        (
            {"log_evidence": {"value": -3.5, "source": "exact"}, "parameters": {"a": {"mean": 1.0}, "b": {}}},
            -3.5,
            {"a": 1.0},
        ),
    ],
)
def test_references_are_read_with_and_without_their_source(reference, evidence, means, bimodal: ReportContent) -> None:
    content = replace_content(bimodal, reference=reference)
    assert content.log_evidence == evidence
    assert content.exact_means == means
