"""One row of the table: how far a guide's draws are from the reference of one posterior."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

import pyro_vae as pv
from pyro_vae.diagnostics import judge, parameter_table, pareto_khat, weighted
from pyro_vae.diagnostics.importance import log_importance_weights
from pyro_vae.posterior import build

COLUMNS = (
    "posterior",
    "guide",
    "mean_error",
    "sd_ratio",
    "wasserstein",
    "khat",
    "psis_mean_error",
    "psis_sd_ratio",
    "psis_wasserstein",
    "verdict",
    "steps",
    "seconds",
    "nuts_seconds",
)
DRAWS = 10_000  # of a guide
Summary = Mapping[str, Mapping[str, Any]]


def rows_of(
    program: Any, summary: Summary, guides: list[str], *, seed: int = 0, nuts: bool = True, say: Any = print
) -> list[dict]:
    """One row for each guide, ``program`` being one of posteriordb's with its reference.

    Errors of means are in the reference's standard deviations. The verdict is that on NUTS's draws, or without them
    on the reference's own; the figures are those against the summary of the reference.
    """
    begin = time.perf_counter()
    data, options = program.data, {"seed": seed, "progress": False}
    baseline = pv.nuts(program.model, data, baseline_model=program.baseline_model, **options) if nuts else None
    nuts_seconds = time.perf_counter() - begin if nuts else float("nan")
    rows = []
    for guide in guides:
        say(f"{program.name}: {guide}")
        begin = time.perf_counter()
        fit = pv.fit(program.model, guide, data, compile=False, **options)
        seconds = time.perf_counter() - begin
        tree = fit.posterior(draws=DRAWS, seed=seed + 1, predictive=False, log_likelihood=False, prior=0)
        known = {"posterior": program.name.partition(":")[2], "guide": guide, "steps": fit.steps, "seconds": seconds}
        verdict = judge(guide, tree, reference_draws(program, tree) if baseline is None else baseline).verdict.level
        rows.append({**known, **errors(tree, program, summary), "verdict": verdict, "nuts_seconds": nuts_seconds})
    return rows


def errors(tree: xr.DataTree, program: Any, summary: Summary) -> dict[str, float]:
    """The worst errors over the parameters, of the draws as they are and after Pareto-smoothed importance sampling."""
    weights = pareto_khat(log_importance_weights(tree))
    found = {"khat": weights.khat}
    draws = {name: values.values[0] for name, values in tree["posterior"].data_vars.items()}
    stan = reference_draws(program, tree)
    for label, log_weights in (("", None), ("psis_", weights.log_weights)):
        if log_weights is not None and np.isnan(log_weights).any():
            log_weights = np.full(len(log_weights), -np.log(len(log_weights)))
        mean, sd = worst(draws, summary, log_weights)
        distances = parameter_table(tree, stan, log_weights)["wasserstein"]
        found |= {f"{label}mean_error": mean, f"{label}sd_ratio": sd, f"{label}wasserstein": float(distances.max())}
    return found


def reference_draws(program: Any, tree: xr.DataTree) -> xr.DataTree:
    """The reference's draws of those variables that the guide has."""
    draws = {name: values for name, values in program.reference_draws().items() if name in tree["posterior"].data_vars}
    return build({"posterior": draws})


def worst(draws: Mapping[str, np.ndarray], known: Summary, log_weights: np.ndarray | None) -> tuple[float, float]:
    """The largest error of a mean, in standard deviations, and the ratio of standard deviations furthest from 1.

    ``draws`` ``{site: [S, *shape]}``; ``known`` ``{"mean": {site: [*shape]}, "sd": {site: [*shape]}}``.
    """
    means, ratios = [], []
    for name, values in draws.items():
        if name not in known["mean"]:
            continue
        flat = values.reshape(len(values), -1).T
        w = np.full(len(values), 1 / len(values)) if log_weights is None else np.exp(log_weights)
        mean, sd = weighted.mean_and_sd(flat, w)
        true_mean, true_sd = (np.ravel(known[key][name]) for key in ("mean", "sd"))
        means.extend(np.abs(mean - true_mean) / true_sd)
        ratios.extend(sd / true_sd)
    return float(max(means)), float(max(ratios, key=lambda ratio: abs(np.log(ratio))))
