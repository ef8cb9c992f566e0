"""What was found out about a VAE, as judgements in words: its code, its encoder, its samples, its evidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyro_vae.diagnostics import Collapse, Distances, RowCheck, Surgery
from pyro_vae.diagnostics.verdict import Level
from pyro_vae.report.vae_content import Remark, RowEvidence
from pyro_vae.report.words import decimal

NEAR = 0.1  # nats: an aggregated posterior this close to the prior is the prior, and a gap this small is none
SHARE = 0.1  # of the KL
_MORE = "Take more draws (num_particles), or a better encoder."


def findings(
    collapse: Collapse,
    evidence: RowEvidence,
    surgery: Surgery,
    distances: Distances,
    checks: Sequence[RowCheck],
    why: str,
) -> tuple[Remark, ...]:
    """In the order in which a reader asks."""
    return (
        Remark("untrusted" if collapse.collapsed else "trusted", "the code", collapse.reason, collapse.advice),
        _encoder(evidence, checks, why),
        _samples(surgery, distances),
        _evidence(evidence, checks),
    )


def _encoder(evidence: RowEvidence, checks: Sequence[RowCheck], why: str) -> Remark:
    """By the worst verdict of NUTS; without one, by the gap."""
    parts = [f"q(z | x) costs at least {decimal(evidence.inference_gap)} nats per row of evidence."]
    if evidence.gap is not None:
        parts.append(
            f"The same family, optimised for each of {evidence.gap_rows} rows, has an ELBO higher by "
            f"{decimal(evidence.gap)} ± {evidence.gap_error:.2f}: the amortisation gap, what the encoder's net costs."
        )
    else:
        parts.append(f"The amortisation gap was not measured: {evidence.gap_missing}.")
    advice = ""
    if evidence.gap is not None and evidence.gap > NEAR:
        rest = "the rest is the family's (a flow or a full-covariance Gaussian is richer)"
        advice = f"A larger encoder, or training it longer, closes the amortisation gap; {rest}."
    if not checks:
        return Remark("none", "the encoder", " ".join([*parts, f"No row was judged on NUTS: {why}."]), advice)
    levels: tuple[Level, ...] = ("untrusted", "reweight", "trusted", "none")
    counts = {level: sum(check.level == level for check in checks) for level in levels}
    said = {"trusted": "trusted", "reweight": "to be reweighted", "untrusted": "untrusted", "none": "without a verdict"}
    listed = ", ".join(f"{count} {said[level]}" for level, count in counts.items() if count)
    parts.append(f"Judged on NUTS, q(z | x) of {len(checks)} single row{'s' * (len(checks) > 1)} is: {listed}.")
    level: Level = next(level for level in levels if counts[level])
    return Remark(level, "the encoder", " ".join(parts), advice)


def _samples(surgery: Surgery, distances: Distances) -> Remark:
    total = surgery.marginal + surgery.information
    near = surgery.marginal - 2 * surgery.marginal_error < max(NEAR, SHARE * total)
    marginal, information, whole = (decimal(value) for value in (surgery.marginal, surgery.information, total))
    reason = (
        f"Of {whole} nats of KL, {marginal} ± {surgery.marginal_error:.2f} are the distance of the codes as a whole "
        f"from the prior, KL(q(z) ‖ p(z)), and {information} ± {surgery.information_error:.2f} are what a code says of "
        "its row."
    )
    off = int(distances.differs.sum())
    count = len(distances.distance)
    reason += (
        f" {off} of {count} dimension{'s' * (count > 1)} {'differs' if off == 1 else 'differ'} from the prior already "
        f"{'by itself' if off == 1 else 'by themselves'}."
        if off
        else " No dimension by itself differs from the prior."
    )
    if near:
        return Remark("trusted", "the samples", reason)
    if surgery.saturated and not off:
        told = f"{surgery.rows} rows tell no more than ln {surgery.rows} = {np.log(surgery.rows):.2f} nats"
        reason += f" But {told} about their codes, so the first is at most that."
        return Remark("none", "the samples", reason, "Look at more rows (rows=...).")
    advice = (
        "Samples start from codes that the decoder has not seen, and may look worse than reconstructions. A learned "
        "prior (pv.vae.priors: a mixture, VampPrior, a flow) takes the codes as they are."
    )
    return Remark("reweight", "the samples", reason, advice)


def _evidence(evidence: RowEvidence, checks: Sequence[RowCheck]) -> Remark:
    reason = (
        f"log p(x) is at least {decimal(evidence.iwae, 3)} ± {evidence.population_error:.3f} nats per row (K = "
        f"{evidence.K}; ± {evidence.iwae_error:.3f} by the draws alone); the ELBO is {decimal(evidence.elbo, 3)}."
    )
    if evidence.short > NEAR:
        reason += (
            f" But the ELBO of q(z) optimised for each of {evidence.gap_rows} rows, which is a bound too, is higher by "
            f"{evidence.short:.2f} on the same rows."
        )
        return Remark("reweight", "the evidence", reason, _MORE)
    judged = [check for check in checks if check.level != "none"]
    if not judged:
        return Remark("none", "the evidence", reason + " Nothing independent was there to check it by.")
    apart = max(judged, key=lambda check: abs(check.difference))
    if all(check.agrees for check in judged):
        near = f"{abs(apart.difference):.3f}"
        return Remark(
            "trusted",
            "the evidence",
            f"{reason} NUTS with bridge sampling finds the same for the single rows, to {near} nats.",
        )
    ours, theirs = decimal(apart.iwae, 3), decimal(apart.evidence, 3)
    reason += (
        f" For row {apart.row} NUTS with bridge sampling finds {theirs} ± {apart.evidence_error:.3f}, and importance "
        f"sampling {ours} ± {apart.iwae_error:.3f}."
    )
    return Remark("reweight", "the evidence", reason, _MORE)
