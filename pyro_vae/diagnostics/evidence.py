"""The log evidence, log p(x), from importance weights and by bridge sampling, each with the error it has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pyro_vae.diagnostics.importance import FINITE_VARIANCE, MAX_KHAT, ImportanceWeights, pareto_khat
from pyro_vae.errors import DataError, OptionError

_ITERATIONS = 1000
_TOLERANCE = 1e-10
# The delta method takes the error of the logarithm for the relative error: no more where that is large.
MAX_RELATIVE_ERROR = 0.5


@dataclass(frozen=True)
class Evidence:
    """``value``: log p(x) in nats, with its standard error ``se``.

    ``method``: "bridge", "psis" or "iwae"; of "iwae", ``value`` estimates a bound that lies below. ``reliable``: the
    conditions hold under which ``se`` is the error; if not, ``statement`` says which does not. ``khat`` is that of the
    weights, NaN for bridge sampling.
    """

    value: float
    se: float
    method: str
    reliable: bool = True
    statement: str = ""
    khat: float = float("nan")

    @property
    def is_bound(self) -> bool:
        """Whether the value lies below the log evidence in expectation, however many draws there are."""
        return self.method == "iwae"

    def __str__(self) -> str:
        words = f"log evidence {'>= ' * self.is_bound}{self.value:.4f} +- {self.se:.4f} nats ({self.method})"
        return words if self.reliable else f"{words}; not reliable: {self.statement}"


def evidence_from_weights(log_w: ArrayLike, weights: ImportanceWeights | None = None) -> Evidence:
    r"""The log of the mean importance weight, :math:`\log \frac1n \sum_i w_i`, with the largest ones smoothed.

    The error is :math:`\sqrt{\sum_i \bar w_i^2 - 1/n}` of the normalised weights, by the delta method. From a k-hat of
    0.5 on the weights may have no variance: the value is then usually too low by more than that, and from 0.7 on it is
    no estimate at all. A mode that the guide misses is missing here too, and nothing shows it.

    Shapes: ``log_w`` ``[n]``, natural logarithms of p(x, z) / q(z). Raises: ``DataError`` for fewer than 25.
    Source: Vehtari et al., "Pareto smoothed importance sampling", JMLR 25 (2024).

    >>> z = np.random.default_rng(0).normal(size=10_000)
    >>> found = evidence_from_weights(-3.0 + 0.5 * z - 0.125)  # N(0.5, 1) with an evidence of e^-3, seen from N(0, 1)
    >>> abs(found.value + 3) < 3 * found.se, found.reliable
    (True, True)
    """
    log_w = np.asarray(log_w, dtype=np.float64).ravel()
    weights = pareto_khat(log_w) if weights is None else weights
    if np.isnan(weights.log_weights).any():
        return Evidence(float("nan"), float("nan"), "psis", False, weights.statement, weights.khat)
    if weights.constant:
        value = np.logaddexp.reduce(log_w) - np.log(log_w.size)
        error = np.exp(log_w - value).std() / np.sqrt(log_w.size)
        return Evidence(float(value), float(error), "psis", khat=weights.khat)
    # Smoothing leaves all but the largest weights as they were: the smallest shows by what they were normalised.
    smallest = int(np.argmin(np.where(np.isfinite(log_w), log_w, np.inf)))
    value = log_w[smallest] - weights.log_weights[smallest] - np.log(log_w.size)
    error = np.sqrt(max(1 / weights.ess - 1 / log_w.size, 0.0))
    return Evidence(float(value), float(error), "psis", weights.khat < FINITE_VARIANCE, _doubt(weights), weights.khat)


def _doubt(weights: ImportanceWeights) -> str:
    """What a heavy tail does to the value and its error."""
    if not weights.reliable:
        return f"Pareto's k-hat is {weights.khat:.2f}, not below {MAX_KHAT}"
    if weights.khat >= FINITE_VARIANCE:
        return f"Pareto's k-hat is {weights.khat:.2f}: the value may be too low by more than the error says"
    return ""


def iwae_bound(log_w: ArrayLike, num_particles: int) -> Evidence:
    r"""The importance-weighted bound :math:`L_K = E \log \frac1K \sum_k w_k`, from n / K groups of draws.

    A lower bound for every K, which rises to the log evidence with it, and is unbiased for what it is: its error is
    that of a mean.

    Shapes: ``log_w`` ``[n]``, natural logarithms; what is left over by whole groups is left out. Raises:
    ``OptionError`` unless there are at least two groups. Source: Burda, Grosse, Salakhutdinov, ICLR 2016.

    >>> bound = iwae_bound(0.5 * np.random.default_rng(0).normal(size=10_000) - 0.125, 10)  # the log evidence is 0
    >>> bool(-0.02 < bound.value < 0.0), bound.is_bound
    (True, True)
    """
    log_w = np.asarray(log_w, dtype=np.float64).ravel()
    if isinstance(num_particles, bool) or not isinstance(num_particles, int) or num_particles < 1:
        raise OptionError(f"num_particles: expected a whole number above 0, got {num_particles!r}.")
    groups = log_w.size // num_particles
    if groups < 2:
        raise OptionError(
            f"num_particles={num_particles} of {log_w.size} draws leaves {groups} group: an error needs at least two. "
            "Take more draws, or fewer particles."
        )
    bounds = np.logaddexp.reduce(log_w[: groups * num_particles].reshape(groups, num_particles), axis=1)
    bounds -= np.log(num_particles)
    finite = bool(np.isfinite(bounds).all())
    why = "" if finite else "the model has no density at some draws of the guide"
    error = float(bounds.std(ddof=1) / np.sqrt(groups)) if finite else float("nan")
    return Evidence(float(bounds.mean()), error, "iwae", finite, why)


def bridge_sampling(log_ratio_posterior: ArrayLike, log_ratio_proposal: ArrayLike) -> Evidence:
    r"""The log evidence from draws of the posterior and of a proposal g, by the optimal bridge.

    With :math:`l = p(x, z) / g(z)` at draws of either, the fixed point of

    .. math:: r \leftarrow \frac{\frac{1}{N_2} \sum_i l_i / (s_1 l_i + s_2 r)}{\frac{1}{N_1} \sum_j 1 / (s_1 l_j + s_2
              r)}, \qquad i \sim g, \; j \sim \pi, \quad s_1 = 1 - s_2 = \frac{N_1}{N_1 + N_2}

    is the evidence. The squared relative error is that of the two means, in which :math:`N_1` is the effective sample
    size of the chains' own terms, and the logarithm has it for its error. It does not count that g may have been made
    from other draws of the same chains. Neither sum need have a variance of weights: where l is large or small, its
    terms are bounded.

    Shapes: ``log_ratio_posterior`` ``[chain, draw]``, ``log_ratio_proposal`` ``[n]``: log p(x, z) - log g(z), in nats;
    -inf where the model has no density.
    Raises: ``DataError`` for fewer than four draws per chain, NaN, or no proposal where the model has density.
    Source: Meng, Wong, Statistica Sinica 6 (1996); Frühwirth-Schnatter, Econometrics Journal 7 (2004), for the error;
    Gronau et al., "A tutorial on bridge sampling", J. Math. Psychology 81 (2017).

    >>> rng = np.random.default_rng(0)
    >>> log_l = lambda z: -3.0 - 0.5 * (z - 0.5) ** 2 + 0.5 * z**2  # N(0.5, 1) with evidence e^-3, over N(0, 1)
    >>> found = bridge_sampling(log_l(0.5 + rng.normal(size=(4, 1000))), log_l(rng.normal(size=4000)))
    >>> abs(found.value + 3) < 3 * found.se < 0.03
    True
    """
    ours = np.atleast_2d(np.asarray(log_ratio_posterior, dtype=np.float64))
    theirs = np.asarray(log_ratio_proposal, dtype=np.float64).ravel()
    _check_ratios(ours, theirs)
    effective, share, terms = float(ours.size), 0.5, ours
    value = float(np.median(ours))
    for _ in range(2):  # the effective size of the terms is known once they are
        share = effective / (effective + theirs.size)
        value = _fixed_point(ours.ravel(), theirs, share, value)
        terms = np.exp(-np.logaddexp(np.log(share) + ours - value, np.log1p(-share)))
        effective = _effective(terms)
    at_proposals = np.exp(theirs - value - np.logaddexp(np.log(share) + theirs - value, np.log1p(-share)))
    relative = _relative_variance(at_proposals) / theirs.size + _relative_variance(terms) / effective
    error = float(np.sqrt(relative))
    reliable = error < MAX_RELATIVE_ERROR
    why = "" if reliable else "proposal and posterior hardly overlap; take another proposal, or more draws"
    return Evidence(value, error, "bridge", reliable, why)


def _check_ratios(ours: np.ndarray, theirs: np.ndarray) -> None:
    if ours.shape[-1] < 4:
        raise DataError(f"Bridge sampling needs at least 4 draws per chain, got {ours.shape[-1]}.")
    if not np.isfinite(ours).all():
        raise DataError("The model has no finite density at some draws of the posterior. Are they draws of this model?")
    if np.isnan(theirs).any() or not np.isfinite(theirs).any():
        raise DataError("The model has no finite density at any draw of the proposal, or it is NaN at one.")


def _fixed_point(ours: np.ndarray, theirs: np.ndarray, share: float, value: float) -> float:
    """log r, by iteration in logarithms."""
    for _ in range(_ITERATIONS):
        above = theirs - np.logaddexp(np.log(share) + theirs, np.log1p(-share) + value)
        below = -np.logaddexp(np.log(share) + ours, np.log1p(-share) + value)
        new = np.logaddexp.reduce(above) - np.log(theirs.size) - np.logaddexp.reduce(below) + np.log(ours.size)
        if abs(new - value) < _TOLERANCE * max(1.0, abs(new)):
            return float(new)
        value = float(new)
    return value


def _effective(terms: np.ndarray) -> float:
    """The effective sample size of the mean of ``terms`` ``[chain, draw]``, at most their number."""
    from arviz_stats.base import array_stats

    if np.ptp(terms) == 0:
        return float(terms.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        ess = float(np.asarray(array_stats.ess(terms[None], method="mean")).item())
    return min(ess, float(terms.size)) if np.isfinite(ess) else float(terms.shape[0])


def _relative_variance(terms: np.ndarray) -> float:
    return float(terms.var() / terms.mean() ** 2)
