"""Where a baseline can come from, and what cannot be one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pyro_vae.catalogue import load_program
from pyro_vae.errors import OptionError, OutputError, ProgramError
from pyro_vae.posterior import build
from pyro_vae.posterior.datatree import save
from pyro_vae.studies.baselines import baseline_draws, check_baseline_option
from pyro_vae.studies.options import Options, options_of

NUTS = {"engine": "nutpie", "chains": 2, "draws": 300, "warmup": 300, "target_accept": 0.8}


def options() -> Options:
    return options_of(seed=3, refit=True, guide_draws=100, progress=False, stop="auto", fit={}, nuts=NUTS)


def test_exact_draws_are_the_default_where_there_are_any() -> None:
    assert check_baseline_option(None, load_program("bimodal")) == "reference"
    assert check_baseline_option("nuts", load_program("bimodal")) == "nuts"
    assert check_baseline_option(None, load_program("eight_schools")) == "nuts"


def test_exact_draws_come_with_what_the_model_says_about_them() -> None:
    program = load_program("linear_regression")
    tree = baseline_draws("reference", program, program.data, options())
    assert tree["posterior"]["beta"].dims == ("chain", "draw", "column")
    assert tree["posterior"]["beta"].shape == (2, 300, 5)
    assert tree["posterior_predictive"]["y"].shape == (2, 300, 32)
    assert {"log_likelihood", "observed_data", "prior"} <= set(tree.children)
    assert tree.attrs["exact"]
    again = baseline_draws("reference", program, program.data, options())
    np.testing.assert_array_equal(again["posterior"]["beta"], tree["posterior"]["beta"])


@pytest.mark.parametrize("wrong", [lambda n, seed: {}, lambda n, seed: {"v": np.zeros(n), "x": np.zeros((n - 1, 9))}])
def test_exact_draws_that_lack_a_site_or_rows_are_refused(wrong: object) -> None:
    program = replace(load_program("funnel"), exact_draws=wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ProgramError, match=r"funnel\.py: exact_draws\(600, seed\) must give '[vx]' an array \[600"):
        baseline_draws("reference", program, None, options())


def test_a_saved_file_says_where_it_was_read_from(tmp_path: Path) -> None:
    program = load_program("bimodal")
    path = save(build({"posterior": {"x": np.zeros((4, 10))}}), tmp_path / "saved.nc")
    tree = check_baseline_option(str(path), program)
    assert baseline_draws(tree, program, None, options()) is tree
    assert str(path) in tree.attrs["how"]  # pyright: ignore


def test_what_is_not_a_baseline_is_refused(tmp_path: Path) -> None:
    program = load_program("eight_schools")
    with pytest.raises(OptionError, match="eight_schools has no exact draws"):
        check_baseline_option("reference", program)
    with pytest.raises(OutputError, match="no such file"):
        check_baseline_option(tmp_path / "none.nc", program)
    with pytest.raises(OptionError, match="got int"):
        check_baseline_option(3, program)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": -1}, "seed: expected a whole number from 0"),
        ({"guide_draws": 0}, "guide_draws: expected a whole number above 0"),
        ({"nuts": {**NUTS, "chains": 2.5}}, "chains: expected a whole number above 0, got 2.5"),
        ({"refit": False, "fit": {"steps": 10}}, "steps=10 with refit=False"),
    ],
)
def test_options_are_checked_before_the_work(change: dict, message: str) -> None:
    given = {"seed": 0, "refit": True, "guide_draws": 10, "progress": None, "stop": "auto", "fit": {}, "nuts": NUTS}
    with pytest.raises(OptionError, match=message):
        options_of(**{**given, **change})


def test_a_seed_that_nobody_chose_is_drawn_and_recorded() -> None:
    drawn = {
        options_of(seed=None, refit=True, guide_draws=1, progress=None, stop="auto", fit={}, nuts=NUTS).seed
        for _ in range(3)
    }
    assert len(drawn) == 3
    assert min(drawn) >= 0
