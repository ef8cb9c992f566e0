"""``Gumbel``: the largest of many, on the whole real line."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import register_kl

from pyro_vae.distributions.extreme_value import ExtremeValue, kl_extreme_value
from pyro_vae.distributions.gamma_functions import in_double
from pyro_vae.distributions.log_space import log1mexpexp


class Gumbel(ExtremeValue):
    r"""The Gumbel distribution for maxima: F(x) = exp(-e^-z) with z = (x - loc) / scale.

    .. math:: \log p(x) = -z - e^{-z} - \log(\text{scale})

    A draw comes from exponential noise E: x = loc - scale log E. It is not cut off, where torch's ends at 15.94 (in
    units of scale, single precision). :meth:`from_rate` takes (α, β) of F(x) = exp(-α e^(-βx)). -X is
    :class:`GumbelMin` at -loc, and e^(-X) is Weibull with concentration 1/scale; exponential if scale is 1.

    Args:
        loc: the mode, ``[*batch]``.
        scale: positive, ``[*batch]``.

    Raises:
        ValueError: a scale that is not positive, or shapes that do not broadcast; names the argument and the value.

    Source: Gumbel, "Statistics of Extremes", 1958.

    >>> d = Gumbel(torch.tensor(0.0), torch.tensor(1.0))
    >>> d.cdf(torch.tensor([-6.0, 17.0])), d.log_cdf(torch.tensor(-6.0)), d.log_survival(torch.tensor(17.0))
    (tensor([0.0000, 1.0000]), tensor(-403.4288), tensor(-17.))
    """

    sign = 1

    def cdf(self, value: Tensor) -> Tensor:
        """P(X <= value), for any real value; 0 at -inf and 1 at inf."""
        return self._log_noise(value, lambda log_e: (-log_e.exp()).exp())

    def log_cdf(self, value: Tensor) -> Tensor:
        """log P(X <= value)."""
        return self._log_noise(value, lambda log_e: -log_e.exp())

    def log_survival(self, value: Tensor) -> Tensor:
        """log P(X > value), about -z far to the right."""
        return self._log_noise(value, log1mexpexp)

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile loc - scale log(-log value); -inf at 0 and inf at 1."""
        return in_double(lambda u, loc, scale: loc - scale * (-u.log()).log(), value, self.loc, self.scale)


for _p, _q in ((Gumbel, Gumbel), (Gumbel, torch.distributions.Gumbel), (torch.distributions.Gumbel, Gumbel)):
    register_kl(_p, _q)(lambda p, q: kl_extreme_value(p, q, 1))
