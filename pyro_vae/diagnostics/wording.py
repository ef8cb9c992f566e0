"""What the numbers say, in plain words: the clauses that a verdict's reason is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pyro_vae.diagnostics.coverage import MissingMass
from pyro_vae.diagnostics.importance import MAX_KHAT, ImportanceWeights
from pyro_vae.diagnostics.misfit import MAX_SD_FACTOR, MAX_SHIFT, misfit, worst_parameter

if TYPE_CHECKING:
    import pandas as pd


def fault(row: Mapping[str, float]) -> str:
    """In what way one parameter, a row of the table, is off.

    >>> fault({"delta_mean": -0.9, "mcse": 0.02, "sd_ratio": 0.5, "baseline_sd": 1.0})
    'its mean is 0.90 sd too low and its sd is too small by a factor 2.0'
    """
    if np.isnan(row["delta_mean"]):
        return "its draws are not all finite"
    if row["baseline_sd"] == 0:
        return f"it is {row['baseline_mean']:.4g} in every draw of the baseline, and here {row['mean']:.4g} on average"
    faults = []
    shift = abs(row["delta_mean"])
    if shift >= MAX_SHIFT:
        faults.append(f"its mean is {shift:.2f} sd too {'high' if row['delta_mean'] > 0 else 'low'}")
    elif shift + 2 * row["mcse"] >= MAX_SHIFT:
        faults.append(f"its mean may be off by up to {shift + 2 * row['mcse']:.2f} sd, its Monte-Carlo error included")
    if row["sd_ratio"] == 0:
        faults.append("it has one value where the posterior has a spread")
    elif row["sd_ratio"] <= 1 / MAX_SD_FACTOR:
        faults.append(f"its sd is too small by a factor {_factor(1 / row['sd_ratio'])}")
    elif row["sd_ratio"] >= MAX_SD_FACTOR:
        faults.append(f"its sd is too large by a factor {_factor(row['sd_ratio'])}")
    return " and ".join(faults)


def off(table: pd.DataFrame) -> str:
    """Which parameter is worst, in what way, and how many are beyond the line.

    >>> import pandas as pd
    >>> row = {"delta_mean": 0.0, "mcse": 0.02, "sd_ratio": 2.0, "baseline_sd": 1.0}
    >>> off(pd.DataFrame([row, row], index=["a", "b"]))
    '2 of 2 parameters are off, a the most: its sd is too large by a factor 2.0'
    """
    worst = worst_parameter(table)
    count = int((misfit(table) >= 1).sum())
    which = f"{worst} is off" if count == 1 else f"{count} of {len(table)} parameters are off, {worst} the most"
    return f"{which}: {fault(table.loc[worst].to_dict())}"


def agreement(table: pd.DataFrame, ruler: str = "the baseline") -> str:
    """How closely all parameters agree with ``ruler``, where they do.

    >>> import pandas as pd
    >>> agreement(pd.DataFrame({"delta_mean": [0.1, -0.02], "sd_ratio": [0.9, 1.0]}, index=["a", "b"]))
    'both parameters agree with the baseline: means within 0.10 sd (a), sds within a factor 1.11 (a)'
    """
    shift, spread = table["delta_mean"].abs(), table["sd_ratio"].map(lambda ratio: max(ratio, 1 / ratio))
    many = "both" if len(table) == 2 else f"all {len(table)}"
    who = "the one parameter agrees" if len(table) == 1 else f"{many} parameters agree"
    where = ("", "") if len(table) == 1 else (f" ({shift.idxmax()})", f" ({spread.idxmax()})")
    return (
        f"{who} with {ruler}: means within {shift.max():.2f} sd{where[0]}, "
        f"sds within a factor {spread.max():.2f}{where[1]}"
    )


def khat(weights: ImportanceWeights) -> str:
    """Pareto's k with its sample size.

    >>> khat(ImportanceWeights(0.456, 4000, 900.0, np.zeros(4000)))
    "Pareto's k-hat is 0.46 from 4000 draws"
    """
    if weights.constant:
        return f"the importance weights of {weights.n} draws are constant"
    return f"Pareto's k-hat is {weights.khat:.2f} from {weights.n} draws"


def why_not_reweighted(corrected: pd.DataFrame | None, weights: ImportanceWeights | None, missed: bool) -> str:
    """Why importance weights do not mend the draws.

    >>> why_not_reweighted(None, ImportanceWeights(0.9, 4000, 20.0, np.zeros(4000)), False)
    "reweighting cannot mend it: Pareto's k-hat is 0.90 from 4000 draws, not below 0.7"
    """
    if weights is None:
        return "there are no importance weights (log_p, log_q) that could mend it"
    if np.isinf(weights.khat):
        return f"reweighting cannot mend it: {weights.statement}"
    if not weights.reliable:
        return f"reweighting cannot mend it: {khat(weights)}, not below {MAX_KHAT}"
    still = "" if corrected is None or weights.constant else f"; reweighted, {_off_or_unsure(corrected)}"
    if missed:
        return f"{khat(weights)}, which looks good, but weights know only where the guide has draws{still}"
    return f"reweighting does not mend it, although {khat(weights)}{still}"


def _off_or_unsure(table: pd.DataFrame) -> str:
    """What keeps reweighted draws from the line: a parameter that is off, or one that too few draws determine."""
    if (misfit(table) >= 1).any():
        return off(table)
    return "too few draws carry the weight to know the means within 0.1 sd"


def despite(weights: ImportanceWeights | None) -> str:
    """What the weights say against draws whose marginals are right, or nothing."""
    if weights is None or weights.reliable:
        return ""
    found = weights.statement if np.isinf(weights.khat) else khat(weights)
    return f"{found} all the same: the joint density is off in a way that the marginals do not show"


def sentences(clauses: Sequence[str], keep: str = "") -> str:
    """The clauses as sentences, with a capital and a full stop; a clause that begins with the name ``keep`` keeps it.

    >>> sentences(["tau is off", "", "it has no draws there"], keep="tau")
    'tau is off. It has no draws there.'
    """
    return " ".join(
        f"{clause if keep and clause.startswith(f'{keep} ') else clause[0].upper() + clause[1:]}."
        for clause in clauses
        if clause
    )


def missing_clauses(missing: Sequence[MissingMass], worst: str) -> list[str]:
    """What to say of the missing regions: each mode, and an end or a gap of the worst parameter alone.

    Both ends missing is a matter of the sd, which has been said.
    """
    modes = [region for region in missing if region.kind in ("mode", "value")]
    ends = [region for region in missing if region.kind in ("tail", "gap") and region.parameter == worst]
    return [region.sentence() for region in modes[:3] + (ends if len(ends) == 1 else [])]


def _factor(value: float) -> str:
    return f"{value:.1f}" if value >= 1.35 else f"{value:.2f}"
