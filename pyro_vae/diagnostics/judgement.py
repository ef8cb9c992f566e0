"""All that is found out about one guide, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import xarray as xr
from numpy.typing import ArrayLike

from pyro_vae.diagnostics.accuracy import parameter_table
from pyro_vae.diagnostics.baseline import check_baseline, evidence_of, is_weighted
from pyro_vae.diagnostics.bounds import ErrorBounds, error_bounds
from pyro_vae.diagnostics.by_weights import decide_by_weights
from pyro_vae.diagnostics.convergence import FitConvergence, fit_convergence
from pyro_vae.diagnostics.coverage import MissingMass, missing_mass
from pyro_vae.diagnostics.evidence import Evidence, evidence_from_weights
from pyro_vae.diagnostics.findings import Symptom, find
from pyro_vae.diagnostics.importance import (
    ImportanceWeights,
    log_importance_weights,
    mean_log_weight,
    pareto_khat,
)
from pyro_vae.diagnostics.suggestions import Suggestion, suggest
from pyro_vae.diagnostics.verdict import Verdict, decide
from pyro_vae.posterior.convergence import ChainHealth

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Judgement:
    """A guide's draws against a baseline's: the numbers, and the verdict.

    ``table`` and ``corrected`` (the same draws, importance-weighted) are as :func:`parameter_table` makes them.
    ``corrected`` and ``weights`` are None for draws that carry no ``log_p`` and ``log_q``, ``corrected`` also if the
    weights are unusable; ``convergence`` is None for a guide that was trained elsewhere. ``missing``: where the guide
    has no draws. ``not_compared``: what only one of the two has, in words. ``elbo``: the guide's plain ELBO with its
    standard error, in nats, from the draws; NaN where they carry no ``log_p`` and ``log_q``. ``bounds``: what the
    guide's own weights prove about its errors, None where there are none. ``findings``: where it is wrong beyond means
    and sds. ``suggestions``: what to try next, none for a guide that is trusted.
    ``log_evidence``: log p(x) by the guide's weights.
    """

    name: str
    table: pd.DataFrame
    corrected: pd.DataFrame | None
    weights: ImportanceWeights | None
    convergence: FitConvergence | None
    verdict: Verdict
    health: ChainHealth
    missing: tuple[MissingMass, ...] = ()
    not_compared: tuple[str, ...] = ()
    elbo: float = float("nan")
    elbo_se: float = float("nan")
    bounds: ErrorBounds | None = None
    findings: tuple[Symptom, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    log_evidence: Evidence | None = None


def judge(
    name: str,
    posterior: xr.DataTree,
    baseline: xr.DataTree,
    history: ArrayLike | None = None,
    exact_baseline: bool = False,
    health: ChainHealth | None = None,
    guides: Sequence[str] = (),
) -> Judgement:
    """Judge the draws of the guide ``name`` on a baseline: NUTS, exact draws, or those of :func:`weights_baseline`.

    ``history``: the bound at each step of the fit, ``[steps]``. ``exact_baseline``: the baseline's draws are
    independent and exact, and no convergence is asked of them (as is ``baseline.attrs["exact"]``). ``health``: what
    :func:`check_baseline` says, if it has been asked already. ``guides``: the names of guides that may be suggested.

    Raises: ``OptionError`` if the two trees do not hold the same parameters; ``DataError`` for fewer than 25 draws.

    >>> from pyro_vae.posterior import build
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> exact, guide = rng.normal(size=(1, 4000)), 0.7 * rng.normal(size=(1, 4000))
    >>> log_p, log_q = -0.5 * guide**2, -0.5 * (guide / 0.7) ** 2
    >>> posterior = build({"posterior": {"x": guide}, "sample_stats": {"log_p": log_p, "log_q": log_q}})
    >>> judgement = judge("narrow", posterior, build({"posterior": {"x": exact}}), exact_baseline=True)
    >>> judgement.verdict.level
    'reweight'
    """
    baseline = _exact(baseline) if exact_baseline else baseline
    health = check_baseline(baseline) if health is None else health
    log_w = log_importance_weights(posterior)
    weights = None if log_w is None else pareto_khat(log_w)
    elbo, elbo_se = (float("nan"), float("nan")) if log_w is None else mean_log_weight(log_w)
    table = parameter_table(posterior, baseline)
    corrected = None
    if weights is not None and weights.khat < float("inf"):
        corrected = parameter_table(posterior, baseline, weights.log_weights)
    missing = tuple(missing_mass(posterior, baseline))
    convergence = None if history is None else fit_convergence(history)
    bounds = error_bounds(posterior, weights) if weights is not None else None
    if is_weighted(baseline):
        verdict = decide_by_weights(table, corrected, weights, bounds, baseline, missing, health)
    else:
        verdict = replace(decide(table, corrected, weights, health, missing), evidence=evidence_of(baseline))
    judgement = Judgement(
        name=name,
        table=table,
        corrected=corrected,
        weights=weights,
        convergence=convergence,
        verdict=_of_this_fit(verdict, convergence),
        health=health,
        missing=missing,
        not_compared=tuple(table.attrs["not_compared"]),
        elbo=elbo,
        elbo_se=elbo_se,
        bounds=bounds,
        log_evidence=None if log_w is None else evidence_from_weights(log_w, weights),
        findings=find(posterior, baseline, table) if health.counts and len(table) else (),
    )
    return replace(judgement, suggestions=suggest(judgement, guides))


def _exact(baseline: xr.DataTree) -> xr.DataTree:
    """The same draws, marked as independent and exact."""
    marked = baseline.copy()
    marked.attrs = {**baseline.attrs, "exact": 1}
    return marked


def _of_this_fit(verdict: Verdict, convergence: FitConvergence | None) -> Verdict:
    """The verdict, with what may lie behind it where a fit was not finished."""
    if convergence is None or convergence.converged or verdict.level not in ("reweight", "untrusted"):
        return verdict
    return replace(verdict, reason=f"{verdict.reason} The fit may not have been finished: {convergence.message}.")
