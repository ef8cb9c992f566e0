"""Whether draws can serve as a baseline, and how precisely they know a mean."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pyro_vae.posterior.convergence import ChainHealth, chain_health


def check_baseline(tree: xr.DataTree) -> ChainHealth:
    """The health of the chains in ``tree``: R-hat < 1.01, ESS > 400, no divergences, E-BFMI > 0.2, or why not.

    Draws that are independent and exact (``tree.attrs["exact"]``) count as they are. See
    :func:`pyro_vae.posterior.chain_health`.

    >>> from pyro_vae.posterior import build
    >>> draws = np.random.default_rng(0).normal(size=(1, 500))
    >>> check_baseline(build({"posterior": {"x": draws}})).counts
    False
    >>> check_baseline(build({"posterior": {"x": draws}}, attrs={"exact": True})).counts
    True
    """
    return chain_health(tree)


def is_independent(tree: xr.DataTree) -> bool:
    """Whether the draws are independent of each other: exact ones, or a guide's (which carry its density ``log_q``)."""
    stats = tree.children.get("sample_stats")
    return bool(tree.attrs.get("exact")) or (stats is not None and "log_q" in stats.data_vars)


def relative_mcse(draws: np.ndarray, *, independent: bool) -> np.ndarray:
    r"""The Monte-Carlo standard error of each mean, in standard deviations: :math:`1 / \sqrt{\text{ESS}}`.

    Shapes: ``draws`` ``[parameter, chain, draw]``, result ``[parameter]``; NaN for fewer than four draws per chain.
    Independent draws have as many effective draws as draws.

    >>> float(relative_mcse(np.zeros((1, 1, 400)), independent=True)[0])
    0.05
    """
    from arviz_stats.base import array_stats

    if independent:
        return np.full(len(draws), 1 / np.sqrt(draws[0].size))
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 / np.sqrt(np.asarray(array_stats.ess(draws, method="mean"), dtype=np.float64))
