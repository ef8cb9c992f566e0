"""How far a guide's means and sds can be from the posterior's, from importance weights alone, without any baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from pyro_vae.diagnostics.importance import (
    CONSTANT_WITHIN,
    FINITE_VARIANCE,
    ImportanceWeights,
    log_importance_weights,
    pareto_khat,
    tail_size,
)
from pyro_vae.diagnostics.misfit import MAX_SD_FACTOR, MAX_SHIFT
from pyro_vae.errors import DataError
from pyro_vae.posterior.datatree import scalar_parameters

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ErrorBounds:
    """What the weights alone prove about means and sds, where the guide has draws.

    ``chi2``: an upper confidence limit of the chi-squared divergence of the posterior from the guide, infinite where
    the weights' tail may be too heavy for it to exist; ``estimate``: the same without the allowance for chance.
    ``table``: a row per scalar parameter:

    ===================================  ==========================================================================
    ``mean_error``                       the largest possible \\|mean error|, in posterior sds
    ``sd_ratio_low``, ``sd_ratio_high``  between these lies the guide's sd / the posterior's
    ``w1``, ``w2``                       bounds on the marginals' Wasserstein distances, in sds of the guide
    ===================================  ==========================================================================
    """

    chi2: float
    estimate: float
    table: pd.DataFrame

    @property
    def within(self) -> bool:
        """Whether they alone put every parameter within the line of "trusted"."""
        table = self.table
        narrow = (table["sd_ratio_low"] > 1 / MAX_SD_FACTOR) & (table["sd_ratio_high"] < MAX_SD_FACTOR)
        return bool(len(table)) and bool((narrow & (table["mean_error"] < MAX_SHIFT)).all())


def moment_bounds(chi2: ArrayLike, kurtosis: ArrayLike) -> dict[str, np.ndarray]:
    r"""Bounds on the error of a mean and a sd from the chi-squared divergence and the guide's kurtosis.

    With :math:`\bar w = d\pi/dq`, :math:`\chi^2 = E_q[(\bar w - 1)^2]`, and s, :math:`\kappa` the sd and the kurtosis
    :math:`E_q[(x - m)^4] / s^4` of one parameter under q, Cauchy and Schwarz give
    :math:`|E_\pi f - E_q f| = |E_q (\bar w - 1)(f - E_q f)| \le \chi\, \mathrm{sd}_q(f)`, and so

    .. math:: |m_\pi - m| \le \chi s, \qquad
              1 - \sqrt{\kappa - 1}\, \chi - \chi^2 \le s_\pi^2 / s^2 \le 1 + \sqrt{\kappa - 1}\, \chi, \qquad
              W_1 \le \chi s, \quad W_2 \le \sqrt2\, (\kappa \chi^2)^{1/4} s

    The last two are those of the marginals: only the mass in which they differ has to be moved, and it is moved to m
    and back.

    Shapes: both broadcast. Returns the columns of :class:`ErrorBounds`. An infinite ``chi2`` bounds nothing.
    Source: Huggins, Kasprzak, Campbell, Broderick, "Validated variational inference via practical posterior error
    bounds", AISTATS 2020, whose bounds on the moments go through :math:`W_1` and :math:`W_2`; for the transport,
    Villani, "Optimal transport: old and new" (2009), theorem 6.15. The direct ones above are never wider.

    >>> {name: round(float(value), 3) for name, value in moment_bounds(0.01, 3.0).items()}
    {'mean_error': 0.109, 'sd_ratio_low': 0.936, 'sd_ratio_high': 1.086, 'w1': 0.1, 'w2': 0.589}
    """
    chi2, kurtosis = np.broadcast_arrays(np.asarray(chi2, dtype=np.float64), np.asarray(kurtosis, dtype=np.float64))
    chi = np.sqrt(chi2)
    spread = np.sqrt(np.maximum(kurtosis - 1, 0.0)) * chi
    with np.errstate(divide="ignore", invalid="ignore"):
        smallest = np.sqrt(np.maximum(1 - spread - chi2, 0.0))  # of the posterior's sd, in the guide's
        return {
            "mean_error": np.where(smallest > 0, chi / smallest, np.inf),
            "sd_ratio_low": 1 / np.sqrt(1 + spread),
            "sd_ratio_high": np.where(smallest > 0, 1 / smallest, np.inf),
            "w1": chi,
            "w2": np.sqrt(2) * (kurtosis * chi2) ** 0.25,
        }


def chi_squared(log_w: ArrayLike, weights: ImportanceWeights | None = None) -> tuple[float, float]:
    r"""The chi-squared divergence :math:`E_q[\bar w^2] - 1` of the posterior from the guide: (upper limit, estimate).

    The evidence that normalises the weights is their own mean. The upper limit allows for chance twice: the shape of
    the tail is taken two standard errors above k-hat, which raises the second moment of the weights beyond the 3 √n
    largest (of a Pareto tail of shape k and mean excess e over u to :math:`u^2 + 2ue + 2e^2 (1 - k)/(1 - 2k)`), and
    three standard errors of the ratio are added. It is infinite where that shape is not below 1/2. Neither can
    know of a region where the guide has no draws.

    Shapes: ``log_w`` ``[n]``, natural logarithms, up to a constant; ``weights``: their :func:`pareto_khat`, if known.

    >>> z = np.random.default_rng(0).normal(size=10_000)  # from N(0, 1); the posterior is N(0.1, 1)
    >>> upper, estimate = chi_squared(0.1 * z)
    >>> bool(estimate < np.expm1(0.1**2) * 1.05), bool(np.expm1(0.1**2) < upper < 0.02)
    (True, True)
    """
    log_w = np.asarray(log_w, dtype=np.float64).ravel()
    weights = pareto_khat(log_w) if weights is None else weights
    if not np.isfinite(weights.khat):
        return np.inf, np.inf
    w = np.exp(log_w - log_w.max())
    w /= w.mean()
    estimate = float(np.square(w).mean() - 1)
    error = float(np.std(np.square(w) - 2 * (1 + estimate) * w) / np.sqrt(w.size))
    if weights.constant:
        return max(estimate + 3 * error, CONSTANT_WITHIN**2), estimate
    k = weights.khat_upper
    if k >= FINITE_VARIANCE:
        return np.inf, estimate
    return estimate + _beyond_what_was_drawn(w, max(k, 0.0)) + 3 * error, estimate


def _beyond_what_was_drawn(w: np.ndarray, k: float) -> float:
    """What a Pareto tail of shape ``k`` adds to the mean square of the weights over those that were drawn."""
    largest = np.sort(w)[-tail_size(w.size) - 1 :]
    u, tail = largest[0], largest[1:]
    excess = float(np.mean(tail - u))
    expected = u**2 + 2 * u * excess + 2 * excess**2 * (1 - k) / (1 - 2 * k)
    return float(max(expected - np.square(tail).mean(), 0.0) * tail.size / w.size)


def error_bounds(posterior: xr.DataTree, weights: ImportanceWeights | None = None) -> ErrorBounds:
    """Bounds on the error of every scalar parameter of a guide's draws, from their importance weights alone.

    They hold for the posterior *where the guide has draws*: a mode that it missed is in no weight, and so in no bound.
    Kurtoses are those of the draws. See :func:`moment_bounds` and :func:`chi_squared`.

    Raises: ``DataError`` for draws without ``log_p`` and ``log_q``, or fewer than 25.

    >>> from pyro_vae.posterior import build
    >>> z = np.random.default_rng(0).normal(size=(1, 10_000))  # the guide is N(0, 1), the posterior N(0.1, 1)
    >>> stats = {"log_p": -0.5 * (z - 0.1) ** 2, "log_q": -0.5 * z**2}
    >>> bounds = error_bounds(build({"posterior": {"x": z}, "sample_stats": stats}))
    >>> bounds.within, bool(0.1 < bounds.table.loc["x", "mean_error"] < 0.15)
    (True, True)
    """
    import pandas as pd

    log_w = log_importance_weights(posterior)
    if log_w is None:
        raise DataError("error_bounds: the draws carry no log_p and log_q. Draw them with pv.sample_posterior.")
    chi2, estimate = chi_squared(log_w, weights)
    parameters = scalar_parameters(posterior)
    columns = moment_bounds(chi2, np.array([kurtosis(draws) for draws in parameters.values()]))
    return ErrorBounds(chi2, estimate, pd.DataFrame(columns, index=pd.Index(list(parameters), name="parameter")))


def kurtosis(draws: np.ndarray) -> float:
    """E (x - m)^4 / s^4, 1 for a constant."""
    x = draws.ravel().astype(np.float64)
    with np.errstate(all="ignore"):
        square = np.square(x - x.mean())
        spread = square.mean()
        return float(np.square(square / spread).mean()) if spread > 0 else 1.0
