"""NUTS against the reference draws of posteriordb, where a copy of it lies beside the project."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arviz_stats.base import array_stats

import pyro_vae as pv
from pyro_vae.posterior import build, scalar_parameters
from tests.posteriordb.clones import TWELVE, real_database


def summary(draws: np.ndarray) -> dict[str, Any]:
    """Mean and sd of ``[chain, draw]`` with their Monte-Carlo errors."""
    sd = draws.std()
    mean, spread = (float(np.asarray(array_stats.ess(draws, method=kind))) for kind in ("mean", "sd"))
    return {"mean": draws.mean(), "sd": sd, "mcse_mean": sd / mean**0.5, "mcse_sd": sd / (2 * spread) ** 0.5}


@pytest.mark.slow
@pytest.mark.skipif(real_database() is None, reason="no posteriordb: set POSTERIORDB to a clone of it")
@pytest.mark.parametrize("name", TWELVE)
def test_nuts_agrees_with_the_reference_draws(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every mean within .1 sd, every sd within 10 %, and 4 standard errors more: a false alarm in 1e-4 at most."""
    monkeypatch.delenv("PYRO_VAE_COMPILE")
    program = pv.load_program(f"posteriordb:{name}", posteriordb=real_database())
    assert program.reference_draws is not None
    labels = {"coords": dict(program.coords), "dims": dict(program.dims)}
    only = {"predictive": False, "log_likelihood": False, "prior": 0}
    tree = pv.nuts(program.model, program.data, baseline_model=program.baseline_model, seed=1, **only, **labels)
    ours = scalar_parameters(tree)
    theirs = scalar_parameters(build({"posterior": dict(program.reference_draws())}, **labels))
    assert set(theirs) <= set(ours)
    for label, draws in theirs.items():
        one, other = summary(ours[label]), summary(draws)
        error = np.hypot(one["mcse_mean"], other["mcse_mean"])
        assert abs(one["mean"] - other["mean"]) < 0.1 * other["sd"] + 4 * error, label
        error = np.hypot(one["mcse_sd"], other["mcse_sd"])
        assert abs(one["sd"] - other["sd"]) < 0.1 * other["sd"] + 4 * error, label
