"""One row per guide: what the report's first table and the terminal say about it, worked out once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pyro_vae.diagnostics.baseline import is_weighted
from pyro_vae.diagnostics.importance import MAX_KHAT
from pyro_vae.diagnostics.misfit import worst_parameter
from pyro_vae.posterior.convergence import MAX_RHAT, MIN_BFMI, MIN_ESS
from pyro_vae.report.words import decimal, seconds, signed, with_error

if TYPE_CHECKING:
    from pyro_vae.diagnostics.judgement import Judgement
    from pyro_vae.report.content import ReportContent


@dataclass(frozen=True)
class Row:
    """A guide in words: every field is ready to be shown, empty where nothing is known."""

    guide: str
    level: str
    reason: str
    bound: str
    khat: str
    khat_draws: str
    worst: str
    delta_mean: str
    sd_ratio: str
    time: str
    remarks: tuple[str, ...]
    evidence: str = ""
    wrong: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    log_evidence: str = ""


def rows(content: ReportContent) -> list[Row]:
    """A row for every guide that was judged, in their order, then for those whose fit diverged."""
    judged = [_row(content, name, judgement) for name, judgement in content.judgements.items()]
    return judged + [_diverged(content, name, why) for name, why in content.diverged.items()]


def _diverged(content: ReportContent, name: str, why: str) -> Row:
    time = seconds(content.fits.get(name, {}).get("seconds"))
    return Row(name, "none", f"The fit diverged. {why}", "", "", "", "", "", "", time, ())


def _row(content: ReportContent, name: str, judgement: Judgement) -> Row:
    attrs = content.posteriors[name].attrs if name in content.posteriors else {}
    table, weights, verdict = judgement.table, judgement.weights, judgement.verdict
    worst = verdict.parameter or (worst_parameter(table) if len(table) else "")
    entry = table.loc[worst].to_dict() if worst in table.index else {}
    return Row(
        guide=name,
        level=verdict.level,
        reason=verdict.reason,
        bound="≤" * bool(attrs.get("upper_bound")) + with_error(attrs.get("bound"), attrs.get("bound_se")),
        khat="" if weights is None else decimal(weights.khat),
        khat_draws="" if weights is None else f"{weights.n:,}" + (", all weights equal" if weights.constant else ""),
        worst=worst,
        delta_mean=signed(entry["delta_mean"]) if entry else "",
        sd_ratio=decimal(entry["sd_ratio"]) if entry else "",
        time=seconds(attrs.get("seconds")),
        remarks=_remarks(judgement),
        evidence=verdict.evidence,
        wrong=tuple(f"{_capital(found.sentence())}." for found in judgement.findings if verdict.level != "trusted"),
        suggestions=tuple(suggestion.sentence() for suggestion in judgement.suggestions),
        log_evidence=_log_evidence(judgement),
    )


def _capital(sentence: str) -> str:
    """With a capital, but for a parameter's name: only what begins with "the" is a sentence of words."""
    return f"T{sentence[1:]}" if sentence.startswith("the ") else sentence


def _log_evidence(judgement: Judgement) -> str:
    """The log evidence by the guide's weights, its error and what to think of it; empty without weights."""
    found = judgement.log_evidence
    if found is None or not np.isfinite(found.value):
        return ""
    return f"{with_error(found.value, found.se)} nats" + (f" ({found.statement})" if found.statement else "")


def _remarks(judgement: Judgement) -> tuple[str, ...]:
    """What else a reader should know: a fit that had not converged, weights that are special."""
    found = []
    convergence, weights, said = judgement.convergence, judgement.weights, judgement.verdict.reason
    if convergence is not None and not convergence.converged and convergence.message not in said:
        found.append(f"The fit may not have been finished: {convergence.message}.")
    if weights is not None and weights.statement and weights.statement not in said:
        found.append(f"Importance weights: {weights.statement}.")
    if judgement.not_compared:
        found.append(f"Not compared: {'; '.join(judgement.not_compared)}.")
    return tuple(found)


def _weights_facts(content: ReportContent) -> list[tuple[str, str, bool | None]]:
    """What was measured of the weights that stand in for a baseline."""
    attrs = content.baseline.attrs
    khat, upper, ess = (float(attrs[name]) for name in ("khat", "khat_upper", "ess"))
    return [
        ("draws", f"{int(attrs['n']):,}, weighted", None),
        ("Pareto k̂", f"{decimal(khat)}", khat < MAX_KHAT),
        ("k̂ and two standard errors", f"{decimal(upper)}", upper < MAX_KHAT),
        ("worth independent draws", f"{ess:,.0f}", ess > MIN_ESS),
    ]


def health_facts(content: ReportContent) -> list[tuple[str, str, bool | None]]:
    """What was measured of the baseline: (name, value, whether it passes; None if there is no rule)."""
    health = content.health
    if health is None:
        return []
    sizes = content.baseline["posterior"].sizes
    if is_weighted(content.baseline):
        return _weights_facts(content)
    facts: list[tuple[str, str, bool | None]] = [
        ("draws", f"{sizes.get('chain', 1)} chains of {sizes.get('draw', 0):,}", None)
    ]
    if health.exact:
        return [("draws", f"{sizes.get('chain', 1) * sizes.get('draw', 0):,}, independent and exact", None)]
    if np.isfinite(health.max_rhat):
        name = f"largest R-hat ({health.worst_rhat})" if health.worst_rhat else "largest R-hat"
        facts.append((name, f"{health.max_rhat:.4f}", health.max_rhat < MAX_RHAT))
    where = f" ({health.worst_ess})" if health.worst_ess else ""
    facts.append((f"smallest bulk ESS{where}", f"{health.min_ess_bulk:,.0f}", health.min_ess_bulk > MIN_ESS))
    facts.append((f"smallest tail ESS{where}", f"{health.min_ess_tail:,.0f}", health.min_ess_tail > MIN_ESS))
    unchecked = health.unchecked
    if "divergences" not in unchecked:
        facts.append(("divergences", f"{health.divergences}", health.divergences == 0))
    if np.isfinite(health.min_bfmi):
        facts.append(("smallest E-BFMI", f"{health.min_bfmi:.2f}", health.min_bfmi > MIN_BFMI))
    facts += [(str(name), "not recorded", None) for name in unchecked]
    return facts
