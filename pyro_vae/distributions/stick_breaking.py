"""``StickBreaking``: weights on the simplex, broken off a stick one after the other."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import pad

from pyro_vae.distributions.beta import Beta
from pyro_vae.distributions.interior import exp_interior
from pyro_vae.distributions.kumaraswamy import Kumaraswamy
from pyro_vae.distributions.log_kumaraswamy import LogKumaraswamy
from pyro_vae.distributions.log_stick_breaking import LogStickBreaking, fraction_logits, log_weights
from pyro_vae.distributions.logit_beta import LogitBeta
from pyro_vae.distributions.parameters import widen


class StickBreaking(LogStickBreaking):
    r"""K weights on the simplex: each takes a fraction of what is left of a stick, the last takes the rest.

    .. math:: \log p(w) = \sum_{k < K} \log p(v_k) - \sum_{k \le K} \log w_k, \qquad
              v_k = \log w_k - \log \sum_{j > k} w_j

    with respect to Lebesgue measure on w_1 ... w_{K-1}, as a Dirichlet's density is; v are the fractions' logits. For
    fractions Beta(1, α), :meth:`gem`, it is the truncated stick-breaking prior of a Dirichlet process, and for
    Beta(1, K - k) the uniform Dirichlet.

    A weight below the least float is that float (1.2e-38 in single precision). :class:`LogStickBreaking` keeps the
    logarithms instead, from which it differs in nothing else.

    Args:
        fractions: on the logit scale, a :class:`LogKumaraswamy`, a :class:`LogitBeta` or another scalar distribution on
            the real line, with batch shape ``[*batch, K - 1]``.

    Raises:
        ValueError: fractions without a last dimension over the sticks, or not on the real line; says what was given.

    Source: as for :class:`LogStickBreaking`.

    >>> import torch
    >>> uniform = StickBreaking(LogitBeta(torch.ones(2), torch.tensor([2.0, 1.0])))
    >>> uniform.log_prob(torch.tensor([0.2, 0.5, 0.3])).exp()
    tensor(2.0000)
    >>> uniform.mean
    tensor([0.3333, 0.3333, 0.3333])
    """

    support = constraints.simplex

    def sample_from_noise(self, noise: Tensor) -> Tensor:
        """The weights whose fractions' logits are ``fractions.sample_from_noise(noise)``."""
        return exp_interior(super().sample_from_noise(noise))

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Fresh draws ``[*sample_shape, *batch_shape, K]``, through which gradients flow."""
        return exp_interior(super().rsample(sample_shape))

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Fresh draws ``[*sample_shape, *batch_shape, K]``."""
        return exp_interior(super().sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density of ``value``, ``[*batch]``."""
        if self._validate_args:
            self._validate_sample(value)
        log_w = widen(value)[0].log()
        return (self.fractions.log_prob(fraction_logits(log_w)).sum(-1) - log_w.sum(-1)).to(value.dtype)

    @property
    def mean(self) -> Tensor:
        """E w_k = E x_k ∏ E(1 - x_j), for Kumaraswamy and Beta fractions."""
        mean, _ = _moments(self.fractions)
        return _product(mean, 1 - mean).to(self.fractions.concentration1.dtype)

    @property
    def variance(self) -> Tensor:
        """E w_k² - (E w_k)², for Kumaraswamy and Beta fractions."""
        mean, variance = _moments(self.fractions)
        square, rest_square = variance + mean**2, variance + (1 - mean) ** 2
        return (_product(square, rest_square) - _product(mean, 1 - mean) ** 2).to(self.fractions.concentration1.dtype)

    @property
    def mode(self) -> Tensor:
        """The highest point of the density, for Beta fractions; NaN where one fraction has none inside (0, 1).

        By its fractions the density is a product again, in which 1 - x_k has lost K - 1 - k powers.
        """
        if not isinstance(self.fractions, LogitBeta):
            raise NotImplementedError(
                f"The mode of StickBreaking with fractions from {type(self.fractions).__name__} is not in closed form: "
                "LogStickBreaking has that of the density by the log-ratios"
            )
        after = torch.arange(self.event_shape[0] - 2, -1, -1, device=self.fractions.concentration1.device)
        up, down = self.fractions.concentration1 - 1, self.fractions.concentration0 - 1 - after
        logits = torch.where((up > 0) & (down > 0), up.log() - down.log(), torch.nan)
        return log_weights(logits).exp()

    def entropy(self) -> Tensor:
        """The entropy in nats, ``[*batch]``, for Kumaraswamy and Beta fractions: that of the log-ratios, and the sum
        of E log w_k."""
        return super().entropy() + super().mean.sum(-1)


def _moments(fractions) -> tuple[Tensor, Tensor]:
    """Mean and variance of the fractions themselves, in double precision."""
    kinds = {LogKumaraswamy: Kumaraswamy, LogitBeta: Beta}
    if type(fractions) not in kinds:
        raise NotImplementedError(f"The moments of fractions from {type(fractions).__name__} are not in closed form")
    plain = kinds[type(fractions)](*widen(fractions.concentration1, fractions.concentration0))
    return plain.mean, plain.variance


def _product(taken: Tensor, left: Tensor) -> Tensor:
    """``taken`` of each stick, and of the last all, times what is ``left`` by those before it."""
    return pad(taken, (0, 1), value=1.0) * pad(left.cumprod(-1), (1, 0), value=1.0)
