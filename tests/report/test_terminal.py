"""The table in the terminal: 80 columns, plain where it is piped, nothing taken for markup."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pyro_vae.report import ReportContent, print_report


def printed(content: ReportContent, encoding: str = "utf-8", **options: object) -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    print_report(content, Console(file=stream, **{"width": 200, **options}))  # type: ignore[arg-type]
    stream.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("name", ["schools", "bimodal", "many", "estimators"])
def test_it_fits_80_columns_and_is_plain_when_piped(name: str, request: pytest.FixtureRequest) -> None:
    text = printed(request.getfixturevalue(name))
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "\x1b" not in text


def test_every_guide_has_a_row_and_a_verdict_in_words(schools: ReportContent) -> None:
    text = printed(schools)
    words = " ".join(text.split())
    for name, judgement in schools.judgements.items():
        assert f"{name}: {judgement.verdict.level}. {judgement.verdict.reason}" in words
        row = next(line for line in text.splitlines() if line.startswith(f"{name} "))
        assert judgement.verdict.level in row
        assert f"{judgement.weights.khat:.2f}" in row  # type: ignore[union-attr]
        assert "−33.420" in row
    assert "Baseline: NUTS on the model as it is had 212 divergences" in words


def test_names_in_brackets_are_no_markup(many: ReportContent) -> None:
    assert "w[mean fractal" in printed(many)


def test_it_is_coloured_on_a_terminal(schools: ReportContent) -> None:
    assert "\x1b[1;31m" in printed(schools, force_terminal=True, color_system="standard")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_other_encodings_get_what_they_can_show(schools: ReportContent, encoding: str) -> None:
    assert "-33.420" in printed(schools, encoding)


def test_a_narrow_terminal_is_respected(schools: ReportContent) -> None:
    assert max(len(line) for line in printed(schools, width=60).splitlines()) <= 60


def test_standard_output_is_the_default(bimodal: ReportContent, capsys: pytest.CaptureFixture[str]) -> None:
    print_report(bimodal)
    assert "misses a mode" in " ".join(capsys.readouterr().out.split())
