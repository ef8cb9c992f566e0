"""Whether chains have converged, so that their draws can count as a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pyro_vae.posterior.datatree import scalar_parameters

MAX_RHAT = 1.01
MIN_ESS = 400
MIN_BFMI = 0.2
TAIL = (0.05, 0.95)
# Draws that differ by no more than this many units in the last place are one value, computed again and again.
_ROUNDING_STEPS = 8


@dataclass(frozen=True)
class ChainHealth:
    """What the usual checks say of a set of chains. ``counts``: they may serve as a baseline; ``reasons``: why not.

    ``worst_rhat`` and ``worst_ess`` name the scalar parameters at fault. A value that could not be computed is NaN, and
    what the tree does not record (a file from elsewhere) stands in ``unchecked``. ``exact``: the draws are independent
    and exact (``attrs["exact"]``), and only finite values are asked of them.
    """

    max_rhat: float
    worst_rhat: str | None
    min_ess_bulk: float
    min_ess_tail: float
    worst_ess: str | None
    divergences: int
    min_bfmi: float
    counts: bool
    reasons: tuple[str, ...]
    unchecked: tuple[str, ...] = ()
    exact: bool = False


def chain_health(tree: xr.DataTree) -> ChainHealth:
    """R-hat, bulk and tail ESS, divergences and E-BFMI of the chains in ``tree``, and whether they count as a baseline.

    They count if R-hat < 1.01 and ESS > 400 for every scalar parameter that varies, no transition diverged, and
    E-BFMI > 0.2 in every chain. Chains that all sit in one mode pass: no check can see a mode where none has been.

    Raises: ``OptionError`` if ``tree`` has no posterior.
    Source: Vehtari, Gelman, Simpson, Carpenter, Bürkner, "Rank-normalization, folding, and localization: an improved
    R-hat", Bayesian Analysis 16 (2021); for E-BFMI: Betancourt, "Diagnosing suboptimal cotangent disintegrations",
    arXiv:1604.00695.

    >>> from pyro_vae.posterior import build
    >>> draws = np.random.default_rng(0).normal(size=(4, 500))
    >>> chain_health(build({"posterior": {"x": draws}})).counts
    True
    >>> chain_health(build({"posterior": {"x": draws + np.arange(4)[:, None]}})).reasons[0]
    'R-hat of x is 1.537, not below 1.01: the chains disagree'
    """
    parameters = {name: draws.astype(np.float64) for name, draws in scalar_parameters(tree).items()}
    broken = [name for name, draws in parameters.items() if not np.isfinite(draws).all()]
    reasons = [f"draws of {name} are not all finite" for name in broken[:3]]
    if tree.attrs.get("exact"):
        return _exact(parameters, reasons)
    moving = {name: draws for name, draws in parameters.items() if name not in broken and not is_constant(draws)}
    rhat, worst_rhat = _worst(moving, "rhat")
    bulk, worst_bulk = _worst(moving, "bulk")
    tail, worst_tail = _worst(moving, "tail")
    diverging, energy = _sample_stat(tree, "diverging"), _sample_stat(tree, "energy")
    divergences = 0 if diverging is None else int(diverging.sum())
    bfmi = np.nan if energy is None else _bfmi(energy)
    if moving:
        reasons += _rhat_reasons(rhat, worst_rhat, chains=len(next(iter(moving.values()))))
        reasons += _ess_reasons("bulk", bulk, worst_bulk) + _ess_reasons("tail", tail, worst_tail)
    if divergences:
        reasons.append(f"{divergences} {'transition' if divergences == 1 else 'transitions'} diverged")
    if bfmi <= MIN_BFMI:
        reasons.append(f"E-BFMI is {bfmi:.2f}, not above {MIN_BFMI}: the chains explore the energy too slowly")
    return ChainHealth(
        max_rhat=rhat,
        worst_rhat=worst_rhat,
        min_ess_bulk=bulk,
        min_ess_tail=tail,
        worst_ess=worst_tail if tail < bulk else worst_bulk,
        divergences=divergences,
        min_bfmi=bfmi,
        counts=not reasons,
        reasons=tuple(reasons),
        unchecked=tuple(name for name, stat in (("divergences", diverging), ("E-BFMI", energy)) if stat is None),
    )


def is_constant(draws: np.ndarray) -> bool:
    """Whether all draws are one value up to rounding, be it in 32 bits.

    Such a parameter has nothing to converge, and no sd to measure a difference in.

    >>> is_constant(np.array([0.1, 0.1 + 1e-9])), is_constant(1e9 + np.arange(100))
    (True, False)
    """
    spread, size = np.ptp(draws), np.abs(draws).max()
    if spread <= _ROUNDING_STEPS * np.finfo(np.float64).eps * size:
        return True
    # What really varies by so little, a time in seconds perhaps, takes more values than rounding in 32 bits leaves.
    if spread > _ROUNDING_STEPS * np.finfo(np.float32).eps * size:
        return False
    return len(np.unique(draws)) <= 2 * _ROUNDING_STEPS


def _exact(parameters: dict[str, np.ndarray], reasons: list[str]) -> ChainHealth:
    draws = float(min((values.size for values in parameters.values()), default=0))
    return health_of_independent(draws, reasons, exact=True)


def _worst(parameters: dict[str, np.ndarray], check: str) -> tuple[float, str | None]:
    """The worst value of one check over the parameters ``{label: [chain, draw]}``, and whose it is."""
    from arviz_stats.base import array_stats

    if not parameters:
        return np.nan, None
    draws = np.stack(list(parameters.values()))
    # A chain that never moved gives 0 / 0 or 1 / 0; the NaN or infinity that results is the answer.
    with np.errstate(divide="ignore", invalid="ignore"):
        if check == "rhat":
            badness = np.asarray(array_stats.rhat(draws))
        else:
            badness = -np.asarray(array_stats.ess(draws, method=check, prob=TAIL if check == "tail" else None))
    at = int(np.argmax(badness))  # NaN, if there is one: it counts as the worst
    return abs(float(badness[at])), list(parameters)[at]


def _rhat_reasons(rhat: float, name: str | None, chains: int) -> list[str]:
    if chains == 1:
        return ["there is one chain only, and R-hat compares chains: sample at least two, better four"]
    if rhat < MAX_RHAT:
        return []
    return [f"R-hat of {name} is {rhat:.3f}, not below {MAX_RHAT}: the chains disagree"]


def _ess_reasons(where: str, ess: float, name: str | None) -> list[str]:
    if ess > MIN_ESS:
        return []
    return [f"the {where} effective sample size of {name} is {ess:.0f}, not above {MIN_ESS}"]


def _bfmi(energy: np.ndarray) -> float:
    from arviz_stats.base import array_stats

    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.min(array_stats.bfmi(energy.astype(np.float64))))


def _sample_stat(tree: xr.DataTree, name: str) -> np.ndarray | None:
    """A statistic of the sampler, ``[chain, draw]``, or None if the tree does not record it."""
    if "sample_stats" not in tree.children or name not in tree["sample_stats"].data_vars:
        return None
    return tree["sample_stats"][name].transpose("chain", "draw").values


def health_of_independent(draws: float, reasons: Sequence[str], *, exact: bool = False) -> ChainHealth:
    """The health of draws that are no chains, worth that many independent ones."""
    return ChainHealth(
        max_rhat=np.nan,
        worst_rhat=None,
        min_ess_bulk=draws,
        min_ess_tail=draws,
        worst_ess=None,
        divergences=0,
        min_bfmi=np.nan,
        counts=not reasons,
        reasons=tuple(reasons),
        exact=exact,
    )
