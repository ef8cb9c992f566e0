"""How far a guide's draws are from the baseline's, parameter by parameter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from pyro_vae.diagnostics import weighted
from pyro_vae.diagnostics.baseline import independent_draws, relative_mcse
from pyro_vae.diagnostics.pairing import Paired, pair
from pyro_vae.posterior.convergence import is_constant

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "mean",
    "sd",
    "baseline_mean",
    "baseline_sd",
    "delta_mean",
    "mcse",
    "sd_ratio",
    "delta_q5",
    "delta_q50",
    "delta_q95",
    "wasserstein",
)
PROBABILITIES = (0.05, 0.5, 0.95)
# Numbers held at once, in parameters x draws: a few copies of 32 MiB each.
_BLOCK = 2**22
# Two constants are the same if they agree as numbers in 32 bits do.
_SAME = 1e-5


def parameter_table(
    posterior: xr.DataTree, baseline: xr.DataTree, log_weights: np.ndarray | None = None
) -> pd.DataFrame:
    r"""Every scalar parameter of ``posterior`` against ``baseline``, one row each.

    ==================================  =====================================================================
    ``mean``, ``sd``                    of the posterior's draws, in the parameter's own units
    ``baseline_mean``, ``baseline_sd``  of the baseline's
    ``delta_mean``                      (mean - baseline mean) / baseline sd
    ``mcse``                            standard error of ``delta_mean``, from both sets of draws
    ``sd_ratio``                        sd / baseline sd
    ``delta_q5``, ``_q50``, ``_q95``    difference of the 5, 50 and 95 % quantiles, in baseline sds
    ``wasserstein``                     1-Wasserstein distance of the two marginals, in baseline sds
    ==================================  =====================================================================

    ``log_weights`` ``[chain * draw]`` (normalised, as :func:`pareto_khat` gives them) weight the posterior's draws.
    The standard error allows for the autocorrelation of chains. A parameter that is constant in the baseline has no sd
    to measure in: its differences are 0 where the posterior has the same constant, and infinite otherwise. A parameter
    with draws that are not finite has NaN throughout. What only one of the two has is in
    ``table.attrs["not_compared"]``.

    Raises: ``OptionError`` if the two do not hold the same parameters.

    >>> from pyro_vae.posterior import build
    >>> rng = np.random.default_rng(0)
    >>> exact = build({"posterior": {"x": rng.normal(size=(1, 4000))}}, attrs={"exact": True})
    >>> guide = build({"posterior": {"x": 1 + 0.5 * rng.normal(size=(1, 4000))}})
    >>> parameter_table(guide, exact).loc["x", ["delta_mean", "sd_ratio"]].round(1).to_dict()
    {'delta_mean': 1.0, 'sd_ratio': 0.5}
    """
    import pandas as pd

    paired = pair(posterior, baseline)
    independent = independent_draws(posterior), independent_draws(baseline)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        blocks = [_block(ours, theirs, log_weights, independent) for ours, theirs in _blocks(paired)]
    columns = {name: np.concatenate([block[name] for block in blocks] or [np.empty(0)]) for name in COLUMNS}
    table = pd.DataFrame(columns, index=pd.Index(list(paired.posterior), name="parameter"))
    table.attrs["not_compared"] = list(paired.not_compared)
    return table


def _blocks(paired: Paired) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The draws of a few parameters at a time, each ``[parameter, chain, draw]``."""
    labels = list(paired.posterior)
    if not labels:
        return
    draws = paired.posterior[labels[0]].size + paired.baseline[labels[0]].size
    step = max(1, _BLOCK // draws)
    for start in range(0, len(labels), step):
        some = labels[start : start + step]
        yield (
            np.stack([paired.posterior[label] for label in some]).astype(np.float64),
            np.stack([paired.baseline[label] for label in some]).astype(np.float64),
        )


def _block(
    ours: np.ndarray, theirs: np.ndarray, log_weights: np.ndarray | None, independent: tuple[float | None, float | None]
) -> dict[str, np.ndarray]:
    x, y = ours.reshape(len(ours), -1), theirs.reshape(len(theirs), -1)
    w = np.full(x.shape[1], 1 / x.shape[1]) if log_weights is None else np.exp(log_weights)
    even = np.full(y.shape[1], 1 / y.shape[1])
    still = np.array([is_constant(row) for row in x]), np.array([is_constant(row) for row in y])
    mean, sd = weighted.mean_and_sd(x, w)
    centre, scale = weighted.mean_and_sd(y, even)
    sd[still[0]], scale[still[1]] = 0.0, 0.0
    # All that follows is in baseline sds from the baseline's mean.
    unit = np.where(scale > 0, scale, 1.0)[:, None]
    x, y = (x - centre[:, None]) / unit, (y - centre[:, None]) / unit
    if log_weights is None and independent[0] != x.shape[1]:
        error = sd / unit[:, 0] * np.where(still[0], 0.0, relative_mcse(ours, independent=independent[0]))
    else:
        error = weighted.mcse_of_mean(x, w)
    baseline_error = np.where(still[1], 0.0, relative_mcse(theirs, independent=independent[1]))
    shift = weighted.quantiles(x, w, PROBABILITIES) - weighted.quantiles(y, even, PROBABILITIES)
    columns = {
        "mean": mean,
        "sd": sd,
        "baseline_mean": centre,
        "baseline_sd": scale,
        "delta_mean": (mean - centre) / unit[:, 0],
        "mcse": np.hypot(error, baseline_error),
        "sd_ratio": sd / scale,
        **dict(zip(("delta_q5", "delta_q50", "delta_q95"), shift.T, strict=True)),
        "wasserstein": weighted.wasserstein(x, w, y),
    }
    _settle_constants(columns, still)
    broken = ~(np.isfinite(ours).all(axis=(1, 2)) & np.isfinite(theirs).all(axis=(1, 2)))
    for column in columns.values():
        column[broken] = np.nan
    return columns


def _settle_constants(columns: dict[str, np.ndarray], still: tuple[np.ndarray, np.ndarray]) -> None:
    """Without a baseline sd a difference is 0 or infinite, and it has no error."""
    same = still[0] & still[1] & np.isclose(columns["mean"], columns["baseline_mean"], rtol=_SAME, atol=0.0)
    columns["sd_ratio"][still[1]] = np.where(still[0], 1.0, np.inf)[still[1]]
    columns["mcse"][still[1]] = 0.0
    for name in ("delta_mean", "delta_q5", "delta_q50", "delta_q95", "wasserstein"):
        difference = columns[name][still[1]]
        columns[name][still[1]] = np.where(same[still[1]] | (difference == 0), 0.0, np.copysign(np.inf, difference))
