"""The table of findings: one row, one code, one function; and the docs page has all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyro_vae.studies.checking.registry import ROWS

PAGE = Path(__file__).parents[3] / "docs" / "checking.md"


def test_codes_and_functions_are_told_apart():
    assert len({one.code for one in ROWS}) == len(ROWS) >= 30
    assert len({one.find for one in ROWS}) == len(ROWS)


@pytest.mark.parametrize("one", ROWS, ids=lambda one: one.code)
def test_a_row_is_in_words(one):
    assert one.code == one.code.lower().replace(" ", "-").replace("_", "-")
    assert one.severity in ("error", "warning")
    assert one.meaning[0].isupper()
    assert not one.meaning.endswith(".")
    assert one.why.endswith(".")
    assert one.find.__doc__


def test_the_docs_page_has_the_table_as_it_is():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert rows == [f"| `{one.code}` | {one.severity} | {one.meaning} | {one.why} |" for one in ROWS]
