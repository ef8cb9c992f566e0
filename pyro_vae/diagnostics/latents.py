"""What the latents of a variational autoencoder are used for: the KL of each, and how many are active."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    import pandas as pd

EPSILON = 0.01  # nats
DELTA = 0.01  # share of the rows
ACTIVE = 0.01  # variance over the rows


def latent_table(kl: ArrayLike, names: Sequence[str]) -> pd.DataFrame:
    r"""Per component of the latents: its mean KL in nats, the standard error, its share, and whether it has collapsed.

    A component is :math:`(\epsilon, \delta)`-collapsed if its KL is below :math:`\epsilon = .01` nats for all but a
    share :math:`\delta = .01` of the rows: the encoder says the same of (nearly) every row, which is what the prior
    says.

    Args:
        kl: ``[N, C]``, KL(q(z | x) ‖ p(z)) of each row by component, in nats.
        names: of the C components.

    Source: J. Lucas, G. Tucker, R. Grosse, M. Norouzi, "Don't blame the ELBO! A linear VAE perspective on posterior
    collapse", NeurIPS 2019, section 3.

    >>> table = latent_table([[1.0, 0.001], [1.2, 0.002]], ["z[0]", "z[1]"])
    >>> table["kl"].round(4).tolist(), table["collapsed"].tolist()
    ([1.1, 0.0015], [False, True])
    """
    import pandas as pd

    each = np.asarray(kl, dtype=np.float64)
    mean = each.mean(0)
    error = each.std(0, ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.full(each.shape[1], np.nan)
    total = mean.sum()
    table = {
        "kl": mean,
        "kl_se": error,
        "share": mean / total if total > 0 else np.zeros_like(mean),
        "collapsed": (each < EPSILON).mean(0) >= 1 - DELTA,
    }
    return pd.DataFrame(table, index=pd.Index(list(names), name="component"))


@dataclass(frozen=True)
class ActiveUnits:
    """``variance`` over the rows of each unit's posterior mean ``[D]``; ``active`` ``[D]``, whether it is above .01."""

    variance: np.ndarray
    active: np.ndarray

    @property
    def count(self) -> int:
        """How many are active."""
        return int(self.active.sum())


def active_units(means: ArrayLike, noise: ArrayLike = 0.0) -> ActiveUnits:
    r"""The units whose posterior mean moves with x: :math:`\operatorname{Var}_x(\mathbb E_{q(z \mid x)}[z_d]) > .01`.

    The rule is made for numbers whose prior has variance 1. For latents of another kind, z is what the decoder reads: a
    bit's probability, a class's or a weight's share. Their variances are at most 1/4, so the same rule asks for more.

    Args:
        means: ``[N, D]``, the mean of z given each row.
        noise: ``[D]``, where means are those of draws: their squared standard error, which is taken off.

    Source: Y. Burda, R. Grosse, R. Salakhutdinov, "Importance weighted autoencoders", ICLR 2016, section 5.2.

    >>> active_units([[1.0, 0.05], [-1.0, -0.05], [0.5, 0.0]]).active
    array([ True, False])
    """
    values = np.asarray(means, dtype=np.float64)
    variance = values.var(0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])
    variance = np.maximum(variance - np.asarray(noise, dtype=np.float64), 0.0)
    return ActiveUnits(variance, variance > ACTIVE)
