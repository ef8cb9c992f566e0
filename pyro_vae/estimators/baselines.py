"""Control variates of the score function: what is subtracted from a site's cost so that its gradient is less noisy.
Torch only."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pyro_vae.errors import EstimatorError, OptionError
from pyro_vae.particles.data import Pass, Site


@dataclass(frozen=True)
class Scored:
    """What a site's score term comes to: a scalar to add to the surrogate, the baseline's own loss, its new state."""

    surrogate: Tensor
    control_loss: Tensor | None = None
    state: Mapping[str, Tensor] = field(default_factory=dict)


class Baseline(ABC):
    """A control variate. Subclasses are frozen dataclasses of their hyper-parameters."""

    min_particles = 1
    passes: frozenset[Pass] = frozenset()
    shift_invariant = False

    def init(self, sites: Sequence[Site]) -> nn.Module | None:
        """What it learns or remembers for these sites."""
        return None

    @abstractmethod
    def score(self, site: Site, cost: Tensor, control: Any) -> Scored:
        """The score term of one site; ``cost`` is stopped, ``[K, *plates]``."""


def _plain(site: Site, advantage: Tensor) -> Tensor:
    """Score times advantage, summed over plates and averaged over particles."""
    assert site.score is not None  # only sites of the guide are scored
    return (site.score.log_prob * advantage).sum() / advantage.shape[0]


@dataclass(frozen=True)
class NoBaseline(Baseline):
    """Nothing is subtracted."""

    def score(self, site: Site, cost: Tensor, control: Any) -> Scored:
        """The plain score-function term."""
        return Scored(_plain(site, cost))


@dataclass(frozen=True)
class LeaveOneOut(Baseline):
    """The mean cost of the other particles (RLOO, VarGrad): unbiased, nothing to tune.

    Source: Kool, van Hoof, Welling, 2019; Richter et al., "VarGrad", NeurIPS 2020.
    """

    min_particles = 2
    shift_invariant = True

    def score(self, site: Site, cost: Tensor, control: Any) -> Scored:
        """The term with the others' mean subtracted."""
        others = (cost.sum(0, keepdim=True) - cost) / (cost.shape[0] - 1)
        return Scored(_plain(site, cost - others))


@dataclass(frozen=True)
class MovingAverage(Baseline):
    r"""A decaying average of past costs, one number per site, corrected for its start at zero.

    .. math:: b_t = \frac{\sum_{s<t} \beta^{t-1-s} \bar c_s}{\sum_{s<t} \beta^{t-1-s}}

    Only earlier steps enter, so the estimate stays unbiased. Kept as a buffer that is saved with the fit.
    Source: Mnih and Gregor, ICML 2014; the correction is Adam's.
    """

    decay: float = 0.9

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise OptionError(f"MovingAverage(decay={self.decay!r}): expected a number in [0, 1).")

    def init(self, sites: Sequence[Site]) -> nn.Module:
        """Two numbers per site: the decayed sum of costs and of weights."""
        memory = nn.Module()
        for site in sites:
            memory.register_buffer(control_key(site), torch.zeros(2, dtype=torch.float64))
        return memory

    def score(self, site: Site, cost: Tensor, control: Any) -> Scored:
        """The term with the average of earlier steps subtracted."""
        total, weight = part_of(control, site).unbind()
        average = torch.where(weight > 0, total / weight.clamp(min=1e-300), torch.zeros_like(total)).to(cost)
        moved = torch.stack(
            [self.decay * total + (1 - self.decay) * cost.mean().to(total), self.decay * weight + 1 - self.decay]
        )
        return Scored(_plain(site, cost - average), state={control_key(site): moved})


@dataclass(frozen=True)
class Optimal(Baseline):
    r"""The coefficient of least variance for every element of the site's parameters, from the other particles.

    .. math:: a^*_d = \frac{\mathrm{Cov}(f h_d, h_d)}{\mathrm{Var}(h_d)} \approx
              \frac{\sum_{j \neq k} f_j h_{jd}^2}{\sum_{j \neq k} h_{jd}^2}, \qquad h_d = \partial_{\lambda_d} \log q

    Leaving the particle itself out keeps the estimate unbiased, which the classic estimate from the same draws is not.
    Source: Paisley, Blei, Jordan, ICML 2012; Ranganath, Gerrish, Blei, AISTATS 2014.
    """

    min_particles = 2
    passes = frozenset({Pass.PARAMETERS})
    shift_invariant = True

    def score(self, site: Site, cost: Tensor, control: Any) -> Scored:
        """The term, one coefficient for each element of each parameter."""
        assert site.score is not None  # only sites of the guide are scored
        if not site.score.log_prob.requires_grad:
            return Scored(torch.zeros((), dtype=cost.dtype))
        if not site.parameters:
            raise EstimatorError(
                f"Site '{site.name}': baseline='optimal' needs the parameters of the guide's distribution, "
                f"which is none of those that it "
                "knows (Bernoulli, Beta, Categorical, Dirichlet, Exponential, Gamma, Laplace, Normal, "
                "OneHotCategorical, Poisson). "
                "Use baseline='leave-one-out'."
            )
        surrogate = torch.zeros((), dtype=cost.dtype)
        for name, parameter in site.parameters.items():
            h = site.scores[name]
            f = cost.reshape(cost.shape + (1,) * (h.dim() - cost.dim()))
            square = h**2
            weight = square.sum(0, keepdim=True) - square
            others = ((f * square).sum(0, keepdim=True) - f * square) / weight.clamp(min=torch.finfo(h.dtype).tiny)
            coefficient = torch.where(weight > 0, others, torch.zeros_like(others))
            surrogate = surrogate + (parameter * (h * (f - coefficient))).sum() / cost.shape[0]
        return Scored(surrogate)


@dataclass(frozen=True)
class Network(Baseline):
    r"""A neural network that predicts the cost from an input that the guide offers (NVIL).

    The guide says what the network may look at, for example ``pyro.sample("z", ..., infer={"baseline_input": x})``
    with x ``[*plates, features]``; it must not depend on the site's own value. The network is trained by least
    squares beside the guide.

    Args:
        hidden: widths of the hidden layers.

    Source: Mnih and Gregor, "Neural Variational Inference and Learning in Belief Networks", ICML 2014.
    """

    hidden: tuple[int, ...] = (32,)

    def init(self, sites: Sequence[Site]) -> nn.Module:
        """One network per site."""
        return nn.ModuleDict({control_key(site): self._network(site) for site in sites})

    def _network(self, site: Site) -> nn.Module:
        if site.baseline_input is None:
            raise EstimatorError(
                f"Site '{site.name}': baseline=Network(...) needs an input. In the guide, write "
                f"`pyro.sample('{site.name}', ..., infer={{'baseline_input': x}})` with x of shape [*plates, features]."
            )
        return perceptron((site.baseline_input.shape[-1], *self.hidden)).to(site.baseline_input)

    def score(self, site: Site, cost: Tensor, control: Any) -> Scored:
        """The term with the prediction subtracted, and the prediction's squared error."""
        assert site.baseline_input is not None  # init has seen to it
        prediction = part_of(control, site)(site.baseline_input.detach()).squeeze(-1)
        return Scored(_plain(site, cost - prediction.detach()), ((cost - prediction) ** 2).mean())


def control_key(site: Site) -> str:
    """A site's name as a module's key: no two sites share one, and none is an attribute of the module's own."""
    return "site_" + site.name.replace("_", "__").replace(".", "_dot_")


def part_of(control: Any, site: Site) -> Any:
    """What is learned or remembered for one site.

    Raises :class:`~pyro_vae.errors.EstimatorError` for a site that the first draw, from which it was made, did not
    have.
    """
    part = getattr(control, control_key(site), None)
    if part is None:
        raise EstimatorError(
            f"There is nothing learned for site '{site.name}': the first draw did not have it, and what an estimator "
            "learns is made for the sites of the first draw. Where it is in a loop over rows of a plate, write the "
            "plate as a context (`with pyro.plate(...)`); or use an estimator that learns nothing, such as "
            "ScoreFunction(baseline='leave-one-out')."
        )
    return part


def perceptron(widths: Sequence[int]) -> nn.Sequential:
    """Hidden layers of these widths (the first is the input's) with tanh between them, and one number."""
    layers = [layer for a, b in itertools.pairwise(widths) for layer in (nn.Linear(a, b), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 1))


BASELINES: dict[str | None, Baseline] = {
    None: NoBaseline(),
    "leave-one-out": LeaveOneOut(),
    "moving-average": MovingAverage(),
    "optimal": Optimal(),
}


def as_baseline(baseline: str | Baseline | None) -> Baseline:
    """The baseline of that name; a baseline passes through. Raises :class:`~pyro_vae.errors.OptionError`."""
    if isinstance(baseline, Baseline):
        return baseline
    if baseline not in BASELINES:
        names = ", ".join(repr(name) for name in BASELINES)
        raise OptionError(f"baseline={baseline!r}: expected one of {names}, or Network(...).")
    return BASELINES[baseline]
