"""Whether draws can serve as a baseline, and how precisely they know a mean."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pyro_vae.diagnostics.importance import MAX_KHAT
from pyro_vae.posterior.convergence import MIN_ESS, ChainHealth, chain_health, health_of_independent


def check_baseline(tree: xr.DataTree) -> ChainHealth:
    """The health of the chains in ``tree``: R-hat < 1.01, ESS > 400, no divergences, E-BFMI > 0.2, or why not.

    Draws that are independent and exact (``tree.attrs["exact"]``) count as they are; a guide's draws drawn again by
    their importance weights (:func:`reweight`), if k-hat is below 0.7 and they are worth more than 400. See
    :func:`pyro_vae.posterior.chain_health`.

    >>> from pyro_vae.posterior import build
    >>> draws = np.random.default_rng(0).normal(size=(1, 500))
    >>> check_baseline(build({"posterior": {"x": draws}})).counts
    False
    >>> check_baseline(build({"posterior": {"x": draws}}, attrs={"exact": True})).counts
    True
    """
    return _weighted_health(tree) if is_weighted(tree) else chain_health(tree)


def is_weighted(tree: xr.DataTree) -> bool:
    """Whether the draws are a guide's, drawn again by their importance weights."""
    return {"khat", "ess"} <= set(tree.attrs)


def evidence_of(tree: xr.DataTree) -> str:
    """What kind of evidence draws are: "NUTS", "exact draws", "reference draws" or "importance weights alone"."""
    if is_weighted(tree):
        return "importance weights alone"
    return next((f"{kind} draws" for kind in ("exact", "reference") if tree.attrs.get(kind)), "NUTS")


def _weighted_health(tree: xr.DataTree) -> ChainHealth:
    khat, ess, reasons = float(tree.attrs["khat"]), float(tree.attrs["ess"]), []
    if np.isinf(khat):
        reasons.append("the guide's importance weights cannot be used")
    elif khat >= MAX_KHAT:
        reasons.append(f"Pareto's k-hat is {khat:.2f}, not below {MAX_KHAT}")
    if ess <= MIN_ESS and not reasons:
        reasons.append(f"the weighted draws are worth {ess:.0f} independent ones, not above {MIN_ESS}")
    return health_of_independent(ess, reasons)


def independent_draws(tree: xr.DataTree) -> float | None:
    """How many independent draws a tree's are worth, if it is known: all exact ones, all of a guide (which carry its
    density ``log_q``), and as many as their weights say of weighted ones. None for chains, whose ESS is estimated."""
    if is_weighted(tree):
        return max(float(tree.attrs["ess"]), 1.0)
    stats = tree.children.get("sample_stats")
    if tree.attrs.get("exact") or (stats is not None and "log_q" in stats.data_vars):
        sizes = tree["posterior"].sizes
        return float(sizes.get("chain", 1) * sizes.get("draw", 1))
    return None


def relative_mcse(draws: np.ndarray, *, independent: float | None) -> np.ndarray:
    r"""The Monte-Carlo standard error of each mean, in standard deviations: :math:`1 / \sqrt{\text{ESS}}`.

    Shapes: ``draws`` ``[parameter, chain, draw]``, result ``[parameter]``; NaN for fewer than four draws per chain.
    ``independent``: how many independent draws they are worth; None estimates it.

    >>> float(relative_mcse(np.zeros((1, 1, 400)), independent=400)[0])
    0.05
    """
    from arviz_stats.base import array_stats

    if independent is not None:
        return np.full(len(draws), 1 / np.sqrt(independent))
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 / np.sqrt(np.asarray(array_stats.ess(draws, method="mean"), dtype=np.float64))
