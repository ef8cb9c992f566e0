"""Importance weights of a guide's draws, smoothed, and Pareto's k: whether reweighting them can be relied on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from pyro_vae.errors import DataError

MAX_KHAT = 0.7
# Weights whose tail has a shape below 1/2 have a variance, and their mean an error.
FINITE_VARIANCE = 0.5
# The tail to which the Pareto distribution is fitted is a fifth of so few draws, and has to hold five weights.
MIN_TAIL = 5
MIN_DRAWS = 25
# Weights that vary by less than one per cent change no result, and the shape of their tail is mostly that of rounding.
CONSTANT_WITHIN = 0.01


@dataclass(frozen=True)
class ImportanceWeights:
    """Pareto-smoothed importance weights of ``n`` draws.

    ``khat``: the tail's shape; below 0.7 the reweighted draws can be relied on. It is 0 for constant weights, and
    infinite where no tail can be fitted. ``ess``: the effective sample size of the smoothed weights, :math:`1 /
    \\sum_i w_i^2`. ``log_weights``: ``[n]``, smoothed and normalised (:math:`\\sum_i w_i = 1`), NaN where k-hat is
    infinite. ``statement``: what is special about these weights, in plain words, or empty.
    """

    khat: float
    n: int
    ess: float
    log_weights: np.ndarray
    constant: bool = False
    statement: str = ""

    @property
    def reliable(self) -> bool:
        """Whether k-hat is below 0.7."""
        return self.khat < MAX_KHAT

    @property
    def khat_upper(self) -> float:
        r"""k-hat and two of its standard errors, :math:`(1 + k) / \sqrt M` for the M draws in the tail; 0 if constant.

        The error is that of maximum likelihood: about .17 at a thousand draws and .09 at ten thousand for k = .6.
        Source: Smith, "Estimating tails of probability distributions", Annals of Statistics 15 (1987).
        """
        if self.constant or not np.isfinite(self.khat):
            return self.khat
        return self.khat + 2 * (1 + max(self.khat, 0.0)) / np.sqrt(tail_size(self.n))


def pareto_khat(log_w: ArrayLike) -> ImportanceWeights:
    r"""Smooth importance weights and estimate the shape k of their upper tail.

    .. math:: w_i \propto p(x, z_i) / q(z_i), \qquad z_i \sim q; \qquad
              w_{(j)} \leftarrow F^{-1}\!\left(\tfrac{j - 1/2}{M}\right), \quad F = \mathrm{GPD}(\hat u, \hat\sigma,
              \hat k) \text{ fitted to the } M = 3 \sqrt n \text{ largest}

    k-hat is noisy (sd about .15 at 1 000 draws, .10 at 1e4) and local: it knows only where the guide has draws, so a
    guide that sits on one of two modes can have a good one. Weights with a coefficient of variation below 1 % are those
    of a perfect guide: they are taken as constant, and k-hat is 0. Zero weights (``-inf``: draws where the model has no
    density) are kept as zeros; with NaN or +inf among the weights nothing can be reweighted, k-hat is infinite and
    ``statement`` says why.

    Shapes: ``log_w`` ``[n]`` (any shape is flattened), natural logarithms, up to a constant. Raises: ``DataError`` for
    fewer than 25.
    Source: Vehtari, Simpson, Gelman, Yao, Gabry, "Pareto smoothed importance sampling", JMLR 25 (2024).

    >>> rng = np.random.default_rng(0)
    >>> z = rng.normal(size=10_000)
    >>> weights = pareto_khat(-0.5 * (z / 1.2) ** 2 + 0.5 * z**2)  # the guide is N(0, 1), the posterior N(0, 1.2^2)
    >>> weights.reliable, pareto_khat(np.zeros(1000)).khat
    (True, 0.0)
    """
    log_w = np.asarray(log_w, dtype=np.float64).ravel()
    n = log_w.size
    if n < MIN_DRAWS:
        raise DataError(f"Pareto's k needs at least {MIN_DRAWS} importance weights, got {n}: take more draws.")
    unusable = np.isnan(log_w) | np.isposinf(log_w)
    if unusable.any():
        kind = "NaN" if np.isnan(log_w).any() else "infinite"
        count = int(unusable.sum())
        return _hopeless(n, f"{count} of {n} importance weights {'is' if count == 1 else 'are'} {kind}")
    zero = np.isneginf(log_w)
    statement = f"the model has no density at {zero.sum()} of the guide's {n} draws" if zero.any() else ""
    if np.count_nonzero(~zero) <= max(MIN_DRAWS, 3 * np.sqrt(n)):
        return _hopeless(n, statement)
    if _variation(log_w) < CONSTANT_WITHIN:
        constant = np.full(n, -np.log(n))
        return ImportanceWeights(khat=0.0, n=n, ess=float(n), log_weights=constant, constant=True)
    return _smoothed(log_w, statement)


def tail_size(n: int) -> int:
    r"""M, how many of ``n`` weights are the tail: :math:`\min(n / 5, 3 \sqrt n)`, rounded up."""
    return int(np.ceil(min(0.2 * n, 3 * np.sqrt(n))))


def log_importance_weights(tree: xr.DataTree) -> np.ndarray | None:
    """The log weights ``log_p - log_q`` ``[chain * draw]`` that a guide's draws carry, or None if they carry none."""
    if "sample_stats" not in tree.children or not {"log_p", "log_q"} <= set(tree["sample_stats"].data_vars):
        return None
    stats = tree["sample_stats"].to_dataset()
    return (stats["log_p"] - stats["log_q"]).transpose("chain", "draw").values.ravel()


def mean_log_weight(log_w: ArrayLike) -> tuple[float, float]:
    r"""The plain ELBO of a guide, :math:`E_q[\log p - \log q]`, and its standard error, in nats.

    Shapes: ``log_w`` ``[n]`` of independent draws (any shape is flattened), natural logarithms. Minus infinity, with an
    error that is not known, if the model has no density at one of the draws.

    >>> mean_log_weight([-1.0, -3.0])
    (-2.0, 1.0)
    """
    log_w = np.asarray(log_w, dtype=np.float64).ravel()
    if not np.isfinite(log_w).all():
        return (float("nan") if np.isnan(log_w).any() else float(log_w.mean())), float("nan")
    return float(log_w.mean()), float(log_w.std(ddof=1) / np.sqrt(log_w.size))


def _variation(log_w: np.ndarray) -> float:
    """The weights' coefficient of variation, sd / mean."""
    w = np.exp(log_w - log_w.max())
    return float(w.std() / w.mean())


def _smoothed(log_w: np.ndarray, statement: str) -> ImportanceWeights:
    from arviz_stats.base import array_stats

    # Where the tail's weights are tied, or underflow, there is no Pareto fit: arviz-stats raises or divides 0 by 0, and
    # k-hat can come out as a small number beside weights that are NaN.
    try:
        with np.errstate(all="ignore"):
            log_weights, khat = array_stats.psislw(-log_w)  # it takes the negative, as for leave-one-out
    except ValueError:
        log_weights, khat = log_w, np.nan
    if not np.isfinite(khat) or np.isnan(log_weights).any():
        if np.count_nonzero(log_w == log_w.max()) < MIN_TAIL:
            return _hopeless(log_w.size, "a few draws carry all the weight: the others' is zero in floating point")
        # As with discrete latents: the largest weight is taken again and again, so nothing larger is to come.
        khat, log_weights = 0.0, log_w - np.logaddexp.reduce(log_w)
        statement = statement or "the largest weights are equal, so there is no tail to fit"
    ess = 1 / np.exp(2 * log_weights).sum()
    return ImportanceWeights(float(khat), log_w.size, float(ess), log_weights, statement=statement)


def _hopeless(n: int, statement: str) -> ImportanceWeights:
    return ImportanceWeights(khat=np.inf, n=n, ess=0.0, log_weights=np.full(n, np.nan), statement=statement)
