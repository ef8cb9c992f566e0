"""NUTS in a process of its own gives the draws that it gives here; what goes wrong there is said here."""

from __future__ import annotations

import argparse
import multiprocessing
from pathlib import Path

import pyro
import pytest
import xarray as xr

from pyro_vae.catalogue import load_program
from pyro_vae.commands import alongside
from pyro_vae.errors import ModelError, SamplerError
from pyro_vae.mcmc import nuts

PROGRAM = """import multiprocessing, os
import pyro, torch
import pyro.distributions as dist

def load():
    return {"x": torch.tensor([1.0, 2.0, 3.0])}

def model(x):
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    with pyro.plate("row", 3):
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)

def dying(x):
    if multiprocessing.parent_process():
        os._exit(7)
    model(x)

def learning(x):
    noise = pyro.param("noise", torch.tensor(1.0), constraint=dist.constraints.positive)
    pyro.sample("x", dist.Normal(pyro.sample("z", dist.Normal(0.0, 1.0)), noise).expand([3]).to_event(1), obs=x)

def discrete(x):
    pyro.sample("z", dist.Poisson(3.0))
"""
OPTIONS = {"engine": "nutpie", "chains": 2, "draws": 200, "warmup": 200, "target_accept": 0.8, "seed": 4}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(alongside, "_cores", lambda: 2)
    path = tmp_path / "mine.py"
    path.write_text(PROGRAM)
    return path


def arguments(source: str, baseline: str | None = None) -> argparse.Namespace:
    return argparse.Namespace(program=source, posteriordb=None, baseline=baseline, **OPTIONS)


@pytest.mark.slow
def test_the_draws_are_those_of_nuts_in_this_process(path: Path) -> None:
    program = load_program(path)
    with alongside.nuts_alongside(program, arguments(str(path))) as baseline:
        there = baseline()
    here = nuts(program.model, program.data, **OPTIONS, progress=False)
    xr.testing.assert_identical(there["posterior"].to_dataset(), here["posterior"].to_dataset())


def test_an_error_there_is_raised_here(path: Path) -> None:
    source = f"{path}:discrete"
    with (
        alongside.nuts_alongside(load_program(source), arguments(source)) as baseline,
        pytest.raises(ModelError, match="'z'"),
    ):
        baseline()


def test_a_process_that_dies_is_an_error_that_says_so(path: Path) -> None:
    source = f"{path}:dying"
    with (
        alongside.nuts_alongside(load_program(source), arguments(source)) as baseline,
        pytest.raises(SamplerError, match=r"exit code 7.*pyro-vae nuts"),
    ):
        baseline()


def test_the_process_is_gone_when_the_comparison_ends_early(path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        alongside.nuts_alongside(load_program(path), arguments(str(path))),
    ):
        raise ZeroDivisionError
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("baseline", ["reference", "saved.nc"])
def test_there_is_no_process_for_another_baseline(path: Path, baseline: str) -> None:
    with alongside.nuts_alongside(load_program(path), arguments(str(path), baseline)) as given:
        assert given == baseline
        assert not multiprocessing.active_children()


def test_there_is_no_process_for_a_model_that_the_fit_changes(path: Path) -> None:
    source = f"{path}:learning"
    with alongside.nuts_alongside(load_program(source), arguments(source)) as given:
        assert given is None
    assert not list(pyro.get_param_store())


def test_there_is_no_process_on_one_core(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alongside, "_cores", lambda: 1)
    with alongside.nuts_alongside(load_program(path), arguments(str(path))) as given:
        assert given is None
