"""The evidence from draws of a posterior: bridge sampling, and its error."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logsumexp

_STEPS = 1000
_CLOSE = 1e-10


def bridge_log_evidence(
    log_p: ArrayLike, log_g: ArrayLike, log_p_proposed: ArrayLike, log_g_proposed: ArrayLike, ess: float | None = None
) -> tuple[float, float]:
    r"""log p(x) in nats and its standard error, from draws of the posterior and of a proposal g that is like it.

    .. math:: p(x) = \frac{\mathbb E_g[h(z)\, p(x, z)]}{\mathbb E_{p(z \mid x)}[h(z)\, g(z)]},
              \qquad h(z) \propto \frac1{s_1 p(x, z) + s_2\, p(x)\, g(z)}

    solved for p(x) by iteration, which is the choice of h with the least error. It needs what both densities have in
    common, and not that one covers the other.

    Args:
        log_p: ``[S]``, log p(x, z) at draws of the posterior.
        log_g: ``[S]``, log g(z) at the same.
        log_p_proposed: ``[T]``, log p(x, z) at draws of g.
        log_g_proposed: ``[T]``, log g(z) at the same.
        ess: how many independent draws the S are worth; None says S.

    Source: X.-L. Meng, W. H. Wong, "Simulating ratios of normalizing constants via a simple identity", Statistica
    Sinica 6 (1996); the error: S. Frühwirth-Schnatter, "Estimating marginal likelihoods for mixture and Markov
    switching models using bridge sampling techniques", Econometrics Journal 7 (2004).

    >>> rng = np.random.default_rng(0)
    >>> z, y = rng.normal(size=4000), 1.2 * rng.normal(size=4000)
    >>> log_p, log_g = (lambda v: 3.0 - v**2 / 2), (lambda v: -((v / 1.2) ** 2) / 2 - np.log(1.2 * np.sqrt(2 * np.pi)))
    >>> value, error = bridge_log_evidence(log_p(z), log_g(z), log_p(y), log_g(y))
    >>> bool(abs(value - (3 + np.log(2 * np.pi) / 2)) < 4 * error < 0.05)
    True
    """
    posterior = np.asarray(log_p, dtype=np.float64) - np.asarray(log_g, dtype=np.float64)
    proposed = np.asarray(log_p_proposed, dtype=np.float64) - np.asarray(log_g_proposed, dtype=np.float64)
    independent = len(posterior) if ess is None else ess
    balance = np.log(independent / len(proposed))  # log s1 / s2
    value = float(np.median(posterior))
    for _ in range(_STEPS):
        above = logsumexp(-np.logaddexp(0.0, value - balance - proposed)) - np.log(len(proposed))
        below = logsumexp(-np.logaddexp(0.0, balance + posterior - value)) - np.log(len(posterior))
        # p(x) = exp(value): above is E_g[s1 p / (s1 p + s2 g r)], below E_post[s2 g r / (s1 p + s2 g r)]
        new = value + above - below - balance
        if abs(new - value) < _CLOSE:
            break
        value = float(new)
    share_g, share_p = expit(balance + proposed - value), expit(value - balance - posterior)
    error = np.sqrt(
        share_g.var() / share_g.mean() ** 2 / len(proposed) + share_p.var() / share_p.mean() ** 2 / independent
    )
    return value, float(error)
