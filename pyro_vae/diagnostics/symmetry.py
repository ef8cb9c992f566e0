"""Are these numbers spread evenly around 1/2? An exact test, and in which direction they lean."""

from __future__ import annotations

import numpy as np
from scipy import stats

from pyro_vae.errors import OptionError

_SMALLEST = 1e-14  # a probability of 1 less than this cannot be told from 1


def symmetry_test(values: np.ndarray) -> tuple[float, int]:
    r"""An exact p-value for symmetry around 1/2, and where the surplus is: -1 below 1/2, 1 above.

    The statistic is that of Kolmogorov and Smirnov for p against 1 - p,
    :math:`\max_x |\#\{p_i \le x\} - \#\{p_i \ge 1 - x\}|`. The two samples are one and the same, so the two-sample
    test's own distribution is not its distribution. Given the distances from 1/2, symmetry makes each side a fair
    coin; in the order of the distances the statistic is the furthest that a random walk of N steps has gone.

    Args:
        values: ``[N]``, in [0, 1].

    Raises: ``OptionError`` for no numbers, or numbers outside [0, 1].

    Source: the use, Yao, Vehtari, Simpson, Gelman, "Yes, but did it work?", ICML 2018; the distribution, Butler, "A
    test for symmetry using the sample distribution function", Annals of Mathematical Statistics 40 (1969).

    >>> rng = np.random.default_rng(0)
    >>> p, _ = symmetry_test(rng.beta(0.5, 0.5, size=200))  # too narrow a posterior, without bias
    >>> p > 0.05
    True
    >>> p, side = symmetry_test(rng.beta(1, 2, size=200))
    >>> p < 1e-6, side
    (True, -1)
    """
    values = np.asarray(values, dtype=np.float64).ravel()
    if not len(values) or not ((values >= 0) & (values <= 1)).all():
        raise OptionError(f"symmetry: expected numbers in [0, 1], got {len(values)} numbers.")
    distance = values - 0.5
    walk = np.cumsum(np.sign(distance[np.argsort(-np.abs(distance), kind="stable")]))
    furthest = int(np.argmax(np.abs(walk)))
    reach = int(abs(walk[furthest]))
    return _reaches(reach, len(values)), int(np.sign(walk[furthest]))


def _reaches(reach: int, steps: int) -> float:
    """The probability that a simple random walk goes as far as ``reach`` from 0, on either side, in so many steps.

    That it stays inside is, by reflection at both ends, an alternating sum over the strips of width 2 ``reach``.
    """
    turns = steps // (2 * reach) + 1
    strips = np.arange(-turns, turns + 1)
    # A walk that ends at s has taken (s + steps) / 2 steps upwards; the ends of a strip are not in it.
    ends = (np.arange(-turns, turns + 2) * 2 - 1) * reach
    high = stats.binom.cdf(np.ceil((ends[1:] + steps) / 2) - 1, steps, 0.5)
    low = stats.binom.cdf(np.floor((ends[:-1] + steps) / 2), steps, 0.5)
    stays = ((-1.0) ** strips) @ (high - low)
    return float(np.clip(1 - stays, _SMALLEST, 1.0))
