"""What importance weights make of a guide's draws: draws that stand for the posterior, and expectations with errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pyro_vae.diagnostics import weighted
from pyro_vae.diagnostics.importance import MAX_KHAT, ImportanceWeights, log_importance_weights, pareto_khat
from pyro_vae.errors import DataError, OptionError
from pyro_vae.posterior.datatree import SAMPLE_DIMS, scalar_parameters

if TYPE_CHECKING:
    import pandas as pd

EVIDENCE = "importance weights alone"
_DATA_GROUPS = ("observed_data", "constant_data", "prior", "prior_predictive")


def weights_of(posterior: xr.DataTree, weights: ImportanceWeights | None = None) -> ImportanceWeights:
    """The smoothed weights of a guide's draws.

    Raises: ``DataError`` for draws that carry no densities, or whose weights are no numbers.
    """
    if weights is None:
        log_w = log_importance_weights(posterior)
        if log_w is None:
            raise DataError(
                "These draws carry no log_p and log_q, so they have no importance weights. Draw them with "
                "pv.sample_posterior or fit.posterior; a guide on one point (auto_delta) has no density to weigh by."
            )
        weights = pareto_khat(log_w)
    if np.isnan(weights.log_weights).any():
        raise DataError(f"These draws cannot be weighted: {weights.statement}.")
    return weights


def reweight(
    posterior: xr.DataTree, *, draws: int | None = None, seed: int = 0, weights: ImportanceWeights | None = None
) -> xr.DataTree:
    r"""A guide's draws, drawn again by their Pareto-smoothed importance weights: draws that stand for the posterior.

    Draw i comes :math:`S w_i` times, rounded up or down at random (systematic resampling), in a random order. Where
    k-hat is below 0.7 the result stands for the posterior, as far as the guide has draws; it is made all the same
    above, and ``attrs`` say so: ``khat``, ``khat_upper``, ``n`` (draws that were weighted), ``ess`` (independent draws
    that these are worth, which the errors of means are computed from). Groups that keep only some of the guide's draws
    are left out.

    Args:
        posterior: a guide's draws, as :func:`~pyro_vae.sample_posterior` and :meth:`~pyro_vae.Fit.posterior` give them.
        draws: S; None takes as many as there are.
        seed: repeats the choice.
        weights: their :func:`~pyro_vae.diagnostics.pareto_khat`, if it is known.

    Raises: ``DataError`` for draws without densities or with unusable weights, ``OptionError`` for ``draws`` below 1.
    Source: Rubin, "Using the SIR algorithm to simulate posterior distributions", Bayesian Statistics 3
    (1988); Kitagawa, "Monte Carlo filter and smoother", JCGS 5 (1996).

    >>> from pyro_vae.posterior import build
    >>> z = np.random.default_rng(0).normal(size=(1, 10_000))  # the guide is N(0, 1), the posterior N(0.5, 1)
    >>> stats = {"log_p": -0.5 * (z - 0.5) ** 2, "log_q": -0.5 * z**2}
    >>> corrected = reweight(build({"posterior": {"x": z}, "sample_stats": stats}))
    >>> round(float(corrected["posterior"]["x"].mean()), 1), corrected.attrs["khat"] < 0.7
    (0.5, True)
    """
    weights = weights_of(posterior, weights)
    size = weights.n if draws is None else draws
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise OptionError(f"draws: expected a whole number above 0, got {draws!r}.")
    rng = np.random.default_rng(seed)
    ends = np.cumsum(np.exp(weights.log_weights))
    chosen = rng.permutation(np.searchsorted(ends / ends[-1], (np.arange(size) + rng.uniform()) / size, side="right"))
    tree = xr.DataTree.from_dict(_chosen(posterior, np.minimum(chosen, weights.n - 1), weights.n))
    tree.attrs = {
        **posterior.attrs,
        "evidence": EVIDENCE,
        "khat": weights.khat,
        "khat_upper": weights.khat_upper,
        "n": weights.n,
        "ess": 1 / (1 / weights.ess + max(1 / size - 1 / weights.n, 0.0)),
    }
    return tree


def _chosen(posterior: xr.DataTree, chosen: np.ndarray, n: int) -> dict[str, xr.Dataset]:
    """Every group at the chosen draws, as one chain."""
    groups: dict[str, xr.Dataset] = {}
    for name, group in posterior.children.items():
        data = group.to_dataset()
        if name in _DATA_GROUPS or not set(SAMPLE_DIMS) <= set(data.sizes):
            groups[name] = data
        elif data.sizes["chain"] * data.sizes["draw"] == n:
            places = dict(zip(SAMPLE_DIMS, np.divmod(chosen, data.sizes["draw"]), strict=True))
            at = {dim: xr.DataArray(index[None], dims=SAMPLE_DIMS) for dim, index in places.items()}
            taken = data.drop_vars(SAMPLE_DIMS, errors="ignore").isel(at)
            groups[name] = taken.assign_coords(chain=[0], draw=np.arange(chosen.size))
    if "sample_stats" in groups:  # they are no longer draws from q
        groups["sample_stats"] = groups["sample_stats"].drop_vars("log_q", errors="ignore")
    return groups


def expectations(
    posterior: xr.DataTree,
    functions: Mapping[str, Callable[[xr.Dataset], Any]] | None = None,
    *,
    weights: ImportanceWeights | None = None,
) -> pd.DataFrame:
    r"""Importance-weighted means and sds of functions of a guide's draws, with their standard errors.

    .. math:: \hat f = \sum_i w_i f(z_i), \qquad \mathrm{mcse} = \sqrt{\textstyle\sum_i w_i^2 (f(z_i) - \hat f)^2}

    and the same of the square for the sd. ``khat`` is the shape of the tail of :math:`w |f - \hat f|`, or of the
    weights' own if that is heavier: an expectation whose k-hat is not below 0.7 is not to be relied on, nor its error.

    Args:
        posterior: a guide's draws with ``log_p`` and ``log_q``.
        functions: by name, of the posterior group as a ``Dataset``; each gives one number per draw, ``[chain, draw]``.
            None takes every scalar parameter.
        weights: their :func:`~pyro_vae.diagnostics.pareto_khat`, if it is known.

    Returns: a row per function with ``mean``, ``mcse``, ``sd``, ``mcse_sd``, ``khat``, in the function's own units.
    Raises: ``DataError`` for draws that cannot be weighted; ``OptionError`` naming a function of another shape.
    Source: Owen, "Monte Carlo theory, methods and examples" (2013), eq. 9.9; Vehtari et al., "Pareto smoothed
    importance sampling", JMLR 25 (2024), section 2.4, for k-hat of a function.

    >>> from pyro_vae.posterior import build
    >>> z = np.random.default_rng(0).normal(size=(1, 10_000))
    >>> stats = {"log_p": -0.5 * (z - 0.5) ** 2, "log_q": -0.5 * z**2}
    >>> tree = build({"posterior": {"x": z}, "sample_stats": stats})
    >>> found = expectations(tree, {"x": lambda draws: draws["x"], "x > 1": lambda draws: draws["x"] > 1})
    >>> found["mean"].round(1).tolist()  # 0.5 and 0.309
    [0.5, 0.3]
    """
    import pandas as pd

    weights = weights_of(posterior, weights)
    if functions is None:
        values = scalar_parameters(posterior)
    else:
        dataset = posterior["posterior"].to_dataset()
        values = {name: function(dataset) for name, function in functions.items()}
    rows = {name: _expectation(_numbers(name, value, weights.n), weights) for name, value in values.items()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "mcse", "sd", "mcse_sd", "khat"])
    return table.rename_axis("parameter" if functions is None else "function")


def _numbers(name: str, value: Any, n: int) -> np.ndarray:
    """One number per draw, ``[n]``."""
    array = value.transpose(*SAMPLE_DIMS).values if isinstance(value, xr.DataArray) and value.ndim == 2 else value
    array = np.asarray(array)
    if array.size != n:
        raise OptionError(f"functions[{name!r}]: expected one number per draw, {n} in all, got shape {array.shape}.")
    return array.reshape(-1).astype(np.float64)


def _expectation(x: np.ndarray, weights: ImportanceWeights) -> list[float]:
    w = np.exp(weights.log_weights)
    mean, sd = (float(value[0]) for value in weighted.mean_and_sd(x[None], w))
    distance = np.abs(x - mean)
    mcse = float(weighted.mcse_of_mean(x[None], w)[0])
    mcse_of_square = float(weighted.mcse_of_mean(np.square(distance)[None], w)[0])
    khat = weights.khat
    if not weights.constant and weights.khat < MAX_KHAT and (distance > 0).all():
        khat = max(khat, pareto_khat(weights.log_weights + np.log(distance)).khat)
    return [mean, mcse, sd, mcse_of_square / (2 * sd) if sd > 0 else 0.0, khat]
