"""A verdict without MCMC: the best guide's weighted draws in place of a baseline, and what they can decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from pyro_vae.diagnostics import wording
from pyro_vae.diagnostics.baseline import check_baseline
from pyro_vae.diagnostics.bounds import ErrorBounds
from pyro_vae.diagnostics.correction import EVIDENCE, reweight
from pyro_vae.diagnostics.coverage import MissingMass
from pyro_vae.diagnostics.evidence import evidence_from_weights
from pyro_vae.diagnostics.importance import (
    MAX_KHAT,
    ImportanceWeights,
    log_importance_weights,
    pareto_khat,
)
from pyro_vae.diagnostics.misfit import MAX_SD_FACTOR
from pyro_vae.diagnostics.verdict import Verdict, decide
from pyro_vae.errors import OptionError
from pyro_vae.posterior.convergence import MIN_ESS, ChainHealth
from pyro_vae.posterior.datatree import scalar_parameters

if TYPE_CHECKING:
    import pandas as pd

UNSEEN = "This rests on importance weights alone: a mode where no guide has draws cannot be seen"
# Two estimates of the evidence that differ by less say nothing about mass that one guide misses.
_SAME_EVIDENCE = 0.1


def weights_baseline(posteriors: Mapping[str, xr.DataTree], seed: int = 0) -> xr.DataTree:
    """The draws of the guide whose weights are best, drawn again by them: what stands in for NUTS.

    Of the guides with a k-hat below 0.7 and weights worth more than 400 draws: those whose weights find the most
    evidence, within their errors (one that finds less has missed mass), and of these the one with the smallest k-hat.
    If there is none, the guide with the smallest k-hat, whose draws then do not count (:func:`check_baseline`).
    ``attrs`` name the ``guide``, and say ``how``.

    Raises: ``OptionError`` without draws of any guide.

    >>> from pyro_vae.posterior import build
    >>> z = np.random.default_rng(0).normal(size=(1, 10_000))  # two guides N(0, s^2) for the posterior N(0, 1)
    >>> def guide(s):
    ...     return build({"posterior": {"x": s * z}, "sample_stats": {"log_p": -0.5 * (s * z) ** 2,
    ...                   "log_q": -0.5 * z**2 - np.log(s)}})
    >>> weights_baseline({"narrow": guide(0.7), "wide": guide(1.2)}).attrs["guide"]
    'wide'
    """
    if not posteriors:
        raise OptionError("weights_baseline: expected the draws of at least one guide, got none.")
    found = {name: _weights(tree) for name, tree in posteriors.items()}
    usable = {name: weights for name, weights in found.items() if weights is not None and np.isfinite(weights.khat)}
    if not usable:
        name = next(iter(posteriors))
        tree = posteriors[name].copy()
        tree.attrs = {**tree.attrs, "evidence": EVIDENCE, "khat": np.inf, "khat_upper": np.inf, "n": 0, "ess": 0.0}
    else:
        name = _best(usable, posteriors)
        tree = reweight(posteriors[name], seed=seed, weights=usable[name])
    tree.attrs = {**tree.attrs, "guide": name, "engine": "importance weights", "how": _how(name, found[name])}
    return tree


def _weights(tree: xr.DataTree) -> ImportanceWeights | None:
    log_w = log_importance_weights(tree)
    return None if log_w is None else pareto_khat(log_w)


def _best(usable: Mapping[str, ImportanceWeights], posteriors: Mapping[str, xr.DataTree]) -> str:
    able = {name: weights for name, weights in usable.items() if weights.reliable and weights.ess > MIN_ESS}
    if not able:
        return min(usable, key=lambda name: usable[name].khat)
    evidence = {}
    for name, weights in able.items():
        log_w = log_importance_weights(posteriors[name])
        assert log_w is not None
        evidence[name] = evidence_from_weights(log_w, weights)
    most = max(evidence.values(), key=lambda found: found.value)
    whole = [
        name
        for name, found in evidence.items()
        if most.value - found.value <= _SAME_EVIDENCE + 3 * np.hypot(most.se, found.se)
    ]
    return min(whole, key=lambda name: able[name].khat_upper)


def _how(name: str, weights: ImportanceWeights | None) -> str:
    if weights is None or not np.isfinite(weights.khat):
        return "no guide's draws have importance weights that could be used"
    return (
        f"no MCMC: the draws of {name}, drawn again by their importance weights ({wording.khat(weights)}; they are "
        f"worth {weights.ess:.0f} independent draws)"
    )


def decide_by_weights(
    table: pd.DataFrame,
    corrected: pd.DataFrame | None,
    weights: ImportanceWeights | None,
    bounds: ErrorBounds | None,
    baseline: xr.DataTree,
    missing: Sequence[MissingMass] = (),
    health: ChainHealth | None = None,
) -> Verdict:
    r"""The verdict on a guide from the weighted draws of :func:`weights_baseline`.

    =========  ========================================================================================================
    trusted    the line of :func:`decide` is met, with two errors of each sd, and :math:`\hat k` of the weighted draws
               is below .7 by two of its errors; or the bounds alone (:func:`error_bounds`) meet it
    reweight   the guide's own :math:`\hat k < .7`, and its reweighted draws meet the line
    untrusted  neither; also where no guide's weights count, and this one's :math:`\hat k \ge .7`
    none       too few draws to tell, or no weights
    =========  ========================================================================================================

    >>> from pyro_vae.diagnostics import judge
    >>> from pyro_vae.posterior import build
    >>> z = np.random.default_rng(0).normal(size=(1, 10_000))
    >>> tree = build({"posterior": {"x": z}, "sample_stats": {"log_p": -0.5 * (z - 0.1) ** 2, "log_q": -0.5 * z**2}})
    >>> verdict = judge("close", tree, weights_baseline({"close": tree})).verdict
    >>> verdict.level, verdict.evidence
    ('trusted', 'importance weights alone')
    """
    health = check_baseline(baseline) if health is None else health
    if not health.counts:
        return _without_a_ruler(weights, health)
    verdict = decide(table, corrected, weights, health, missing, ruler=_ruler(baseline))
    clauses = [_bounds_clause(bounds), UNSEEN]
    if (
        verdict.level == "trusted"
        and not (bounds is not None and bounds.within)
        and (why := _not_firm(table, baseline))
    ):
        mended = corrected is not None and weights is not None and weights.reliable
        clauses = [why, "use the reweighted draws, or take more" if mended else "take more draws", *clauses]
        verdict = replace(verdict, level="reweight" if mended else "none")
    elif verdict.level == "reweight" and weights is not None and weights.khat_upper >= MAX_KHAT:
        what = f"k-hat may be up to {weights.khat_upper:.2f} by its standard errors, and is low in heavy tails"
        clauses = [f"{what}: without NUTS, take more draws to be sure of them", *clauses]
    reason = f"{verdict.reason} {wording.sentences(clauses, keep=verdict.parameter or '')}"
    return replace(verdict, reason=reason, evidence=EVIDENCE)


def _ruler(baseline: xr.DataTree) -> str:
    guide = baseline.attrs.get("guide")
    return f"the weighted draws of {guide}" if guide else "the weighted draws"


def _without_a_ruler(weights: ImportanceWeights | None, health: ChainHealth) -> Verdict:
    """No guide's weights count: this one's tail may still say that it is far from the posterior."""
    if weights is None:
        why = "the guide's draws carry no densities (log_p, log_q), so there are no weights to judge it by"
        return Verdict("none", wording.sentences([why]), None, EVIDENCE)
    if weights.reliable:
        return Verdict("none", wording.sentences([*health.reasons, "take more draws"]), None, EVIDENCE)
    what = weights.statement if np.isinf(weights.khat) else f"{wording.khat(weights)}, not below {MAX_KHAT}"
    clauses = [
        what,
        "so the guide is far from the posterior in some direction, and its weights can neither say in which",
    ]
    return Verdict("untrusted", f"{wording.sentences([', '.join(clauses)])[:-1]} nor mend it.", None, EVIDENCE)


def _not_firm(table: pd.DataFrame, baseline: xr.DataTree) -> str:
    """Why the weighted draws are not good enough to vouch for a guide, or nothing."""
    upper = float(baseline.attrs["khat_upper"])
    if upper >= MAX_KHAT:
        return f"k-hat is below {MAX_KHAT}, but not by two of its standard errors (up to {upper:.2f})"
    error = _errors_of_log_sd(baseline, float(baseline.attrs["ess"]))
    spread = {name: abs(np.log(ratio)) + 2 * error.get(str(name), 0.0) for name, ratio in table["sd_ratio"].items()}
    worst = max(spread, key=lambda name: spread[name])
    if spread[worst] >= np.log(MAX_SD_FACTOR):
        return f"the weights know the sd of {worst} only within a factor {np.exp(2 * error[str(worst)]):.2f}"
    return ""


def _errors_of_log_sd(baseline: xr.DataTree, ess: float) -> dict[str, float]:
    """The standard error of each log sd, sqrt((kurtosis - 1) / (4 ESS))."""
    from pyro_vae.diagnostics.bounds import kurtosis

    return {
        name: float(np.sqrt(max(kurtosis(draws) - 1, 0.0) / (4 * ess)))
        for name, draws in scalar_parameters(baseline).items()
    }


def _bounds_clause(bounds: ErrorBounds | None) -> str:
    """What the bounds say: they settle it, or are too wide to."""
    if bounds is None or not len(bounds.table):
        return ""
    if not np.isfinite(bounds.chi2):
        return "the weights' tail is too heavy for bounds on the errors"
    mean, low, high = (
        bounds.table["mean_error"].max(), bounds.table["sd_ratio_low"].min(), bounds.table["sd_ratio_high"].max()
    )  # fmt: skip
    if bounds.within:
        return (
            f"the weights bound every mean's error at {mean:.2f} sd and every sd's at a factor {max(high, 1 / low):.2f}"
        )
    if not np.isfinite(mean):
        return "bounds on the errors, from the weights' variance, are too wide to say anything"
    return f"bounds on the errors are wider: means within {mean:.2f} sd, sds within a factor {max(high, 1 / low):.2f}"
