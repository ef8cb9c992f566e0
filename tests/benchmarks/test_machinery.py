"""The machinery of the benchmarks: rows, races between processes, tables and pictures. Nothing is timed here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import figures
from tests.benchmarks.__main__ import NAMES, draw, read, write
from tests.benchmarks.contenders.clock import worst_ess
from tests.benchmarks.growth import MEMORY, PARTICLES, WHOLE
from tests.benchmarks.machine import machine
from tests.benchmarks.race import Contender, race
from tests.benchmarks.row import Figures, Result, Row, Target
from tests.benchmarks.table import markdown, number, shown

OURS, PEER = Figures("pyro-vae", (2.0, 1.0, 3.0)), Figures("peer", (8.0, 8.0, 9.0))


def imports(name: str, statement: str, **options: Any) -> Contender:
    """A contender that is quick and needs no library."""
    return Contender(name, "importing:imports", {"statement": statement}, **options)


@pytest.mark.parametrize(
    ("target", "more_is_better", "ratio", "met"),
    [
        (None, False, 4.0, None),
        (Target("at least", 4), False, 4.0, True),
        (Target("at least", 4.1), False, 4.0, False),
        (Target("at most", 0.25), False, 0.25, True),
        (Target("at most", 0.24), False, 0.25, False),
        (Target("at least", 2), True, 0.25, False),
    ],
)
def test_a_ratio_is_of_medians_and_in_the_terms_of_its_target(
    target: Target | None, more_is_better: bool, ratio: float, met: bool | None
) -> None:
    row = Row("a step", "µs", OURS, PEER, target, more_is_better)
    assert (row.ratio, row.met) == (ratio, met)


def test_a_row_without_a_peer_is_held_against_its_target_itself() -> None:
    row = Row("compiling", "s", OURS, target=Target("at most", 1))
    assert (row.ratio, row.met) == (2.0, False)


def test_a_missing_figure_meets_no_target_and_misses_none() -> None:
    row = Row("a step", "µs", OURS, Figures("peer", why_not="not installed"), Target("at most", 1))
    assert row.met is None
    text = markdown([Result("step_times", "One step", (row,), machine())])
    assert "| peer | — |  | ≤ 1 |" in text
    assert "- peer: not installed" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.034567, "0.0346"), (1.0, "1.00"), (12345.6, "12 346"), (999.6, "1000"), (0.0, "0.00"), (56.23, "56.2")],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_a_single_figure_has_no_range() -> None:
    assert shown(Figures("peer", (3.0,))) == "3.00"
    assert shown(OURS) == "2.00 (1.00–3.00)"


def along(series: str) -> Row:
    return Row("K", "µs", OURS, PEER, series=series, x=1.0)


STEPS = Result("step_times", "One step", (Row("a", "µs", OURS, PEER, Target("at most", 1)),), machine(), ("a note",))
GROWING = Result("growth", "Growth", (along(PARTICLES), along(WHOLE), along(MEMORY)), machine(), quick=True)


def test_results_come_back_from_their_files_in_the_order_of_the_benchmarks(tmp_path: Path) -> None:
    for result in (GROWING, STEPS):
        write(result, tmp_path)
    assert read(tmp_path) == [STEPS, GROWING]
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert text == markdown([STEPS, GROWING])
    assert text.index("One step") < text.index("a note") < text.index("Growth") < text.index("mean nothing")


def test_results_are_drawn(tmp_path: Path) -> None:
    draw([STEPS, GROWING], tmp_path)
    assert all((tmp_path / name).stat().st_size > 1000 for name in ("overview.png", "growth.png"))


def test_the_overview_says_how_many_times_better_ours_is() -> None:
    rows = (
        Row("a", "µs", OURS, PEER, Target("at most", 0.5)),
        Row("b", "ESS", OURS, PEER, Target("at least", 2), more_is_better=True),
        Row("no target", "µs", OURS, PEER),
    )
    axes = figures.overview([Result("step_times", "One step", rows)]).axes[0]
    dots = [line.get_xdata()[0] for line in axes.lines if line.get_marker() in "os^"]
    assert dots == [4.0, 0.25]
    assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "|"] == [2.0, 2.0]


def test_contenders_race_in_turn_in_processes_of_their_own() -> None:
    heard: list[str] = []
    contenders = [
        imports("a", "import json"),
        imports("b", "import csv", repeats=1),
        imports("c", "x = 1", needs="nope"),
    ]
    measured = race(contenders, 2, heard.append)
    assert [said for said in heard if "of" in said] == ["a: 1 of 2", "b: 1 of 1", "a: 2 of 2"]
    assert len(measured.of("a", "seconds").values) == 2
    assert len(measured.of("b", "seconds").values) == 1
    assert measured.of("c", "seconds") == Figures("c", (), "nope is not installed")


def test_a_contender_that_fails_says_why_and_the_others_go_on() -> None:
    measured = race([imports("broken", "import no_such_module"), imports("well", "import json")], 1)
    assert measured.of("well", "seconds").values
    assert "CalledProcessError" in measured.of("broken", "seconds").why_not


@pytest.mark.parametrize(("cache", "places"), [("kept", 1), ("empty", 2)])
def test_a_fresh_process_has_the_cache_that_it_was_promised(cache: str, places: int, tmp_path: Path) -> None:
    log = tmp_path / "log"
    leave = f"import os; open({str(log)!r}, 'a').write(os.environ['XDG_CACHE_HOME'] + chr(10))"
    measured = race([imports("a", leave, fresh=True, cache=cache)], 2)
    assert len(set(log.read_text().split())) == places
    assert all(seconds > 0 for seconds in measured.of("a", "process_seconds").values)


def test_the_worst_effective_sample_size_is_that_of_one_scalar() -> None:
    import numpy as np

    # Failure budget: none, the seed is fixed. Independent draws have an ESS near their number.
    draws = np.random.default_rng(0).normal(size=(4, 200, 2))
    sticky = draws.copy()
    sticky[..., 1] = np.repeat(draws[:, ::10, 1], 10, axis=1)
    assert worst_ess({"a": draws[..., 0], "b": draws}) > 500
    assert worst_ess({"a": draws[..., 0], "b": sticky}) < 150


def test_every_committed_result_is_read_and_has_its_place_in_the_table() -> None:
    folder = Path(__file__).parents[2] / "docs" / "benchmarks"
    table = (folder / "table.md").read_text(encoding="utf-8")
    assert {path.stem for path in folder.glob("*.json")} <= set(NAMES)
    assert table == markdown(read(folder))
    assert json.loads((folder / "import_times.json").read_text(encoding="utf-8"))["rows"]
