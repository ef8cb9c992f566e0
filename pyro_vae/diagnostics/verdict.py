"""The verdict on one guide: trusted, to be reweighted, untrusted, or none; and why, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from pyro_vae.diagnostics import wording
from pyro_vae.diagnostics.coverage import MissingMass
from pyro_vae.diagnostics.importance import ImportanceWeights
from pyro_vae.diagnostics.misfit import MAX_MCSE, all_within, least_precise, misfit, worst_parameter
from pyro_vae.posterior.convergence import ChainHealth

if TYPE_CHECKING:
    import pandas as pd

Level = Literal["trusted", "reweight", "untrusted", "none"]


@dataclass(frozen=True)
class Verdict:
    """``level``, the sentences that say why, and the ``parameter`` that decided it: the one furthest off.

    ``evidence``: what it rests on, "NUTS", "exact draws" or "importance weights alone"; empty where nothing was judged.
    """

    level: Level
    reason: str
    parameter: str | None
    evidence: str = ""


def decide(
    table: pd.DataFrame,
    corrected: pd.DataFrame | None,
    weights: ImportanceWeights | None,
    health: ChainHealth,
    missing: Sequence[MissingMass] = (),
    ruler: str = "the baseline",
) -> Verdict:
    r"""The verdict by rule, from tables as :func:`parameter_table` makes them.

    =========  ========================================================================================================
    trusted    every :math:`|\Delta\text{mean}| + 2\,\text{MCSE} < .3` sd, and every ratio of sds within a factor 1.3
    reweight   :math:`\hat k < .7`, and the reweighted draws (``corrected``) meet the line above
    untrusted  neither
    none       the baseline does not count, or an MCSE exceeds .1 sd (of the wider of the two marginals)
    =========  ========================================================================================================

    ``missing`` is what :func:`missing_mass` found. It does not change the level, and is said in the reason, in
    which ``ruler`` is what the draws are compared with.

    >>> import pandas as pd
    >>> from pyro_vae.diagnostics import check_baseline
    >>> from pyro_vae.posterior import build
    >>> health = check_baseline(build({"posterior": {"x": np.zeros((1, 9))}}, attrs={"exact": True}))
    >>> row = {"delta_mean": 0.9, "mcse": 0.02, "sd_ratio": 0.5, "baseline_sd": 1.0}
    >>> weights = ImportanceWeights(0.9, 4000, 20.0, np.zeros(4000))
    >>> print(decide(pd.DataFrame([row], index=["x"]), None, weights, health).reason)
    x is off: its mean is 0.90 sd too high and its sd is too small by a factor 2.0.
    Reweighting cannot mend it: Pareto's k-hat is 0.90 from 4000 draws, not below 0.7.
    """
    if not health.counts:
        return Verdict("none", wording.sentences([f"the baseline does not count: {'; '.join(health.reasons)}"]), None)
    if not len(table):
        return Verdict("none", "There is no parameter to compare.", None)
    if (imprecise := least_precise(table)) is not None:
        return Verdict("none", _too_noisy(table, imprecise), imprecise)
    worst = worst_parameter(table)
    found = wording.missing_clauses(missing, worst)
    if (misfit(table) < 1).all():
        level: Level = "trusted"
        clauses = [wording.agreement(table, ruler), wording.despite(weights), *(f"but {clause}" for clause in found)]
    elif corrected is not None and weights is not None and weights.reliable and all_within(corrected):
        level = "reweight"
        clauses = [
            wording.off(table),
            f"reweighted by importance, {wording.agreement(corrected, ruler)}",
            f"{wording.khat(weights)}: use the reweighted draws",
            *(f"but {clause}" for clause in found),
        ]
    else:
        level = "untrusted"
        clauses = [wording.off(table), *found, wording.why_not_reweighted(corrected, weights, bool(found))]
    return Verdict(level, wording.sentences(clauses, keep=worst), worst)


def _too_noisy(table: pd.DataFrame, name: str) -> str:
    error = table["mcse"][name]
    size = f"is {error:.2f} sd, above {MAX_MCSE}" if np.isfinite(error) else "cannot be computed from so few draws"
    return f"The Monte-Carlo error of the mean of {name} {size}: take more draws."
