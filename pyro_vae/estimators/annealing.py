"""Schedules of the weight on the latents' terms, as functions of a step counter. Torch only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from pyro_vae.errors import OptionError


class Annealing(ABC):
    """A factor on ``beta`` that changes over the first ``steps`` steps. Subclasses are frozen dataclasses."""

    steps: int

    @abstractmethod
    def __call__(self, step: Tensor) -> Tensor:
        """The factor, a scalar tensor, at a step counted from 0; both are tensors, so that it can be traced."""


@dataclass(frozen=True)
class LinearAnnealing(Annealing):
    r"""From ``start`` to 1 over ``steps`` steps, then 1.

    .. math:: \beta_t = s + (1 - s) \min(t / T, 1)

    Raises :class:`~pyro_vae.errors.OptionError` naming the argument. Source: Bowman et al., "Generating Sentences from
    a Continuous Space", CoNLL 2016.

    >>> [LinearAnnealing(100)(torch.tensor(step)).item() for step in (0, 25, 100, 500)]
    [0.0, 0.25, 1.0, 1.0]
    """

    steps: int
    start: float = 0.0

    def __post_init__(self) -> None:
        _check_count("LinearAnnealing", "steps", self.steps)
        _check_share("LinearAnnealing", "start", self.start)

    def __call__(self, step: Tensor) -> Tensor:
        """The factor."""
        return self.start + (1 - self.start) * (step.double() / self.steps).clamp(max=1.0)


@dataclass(frozen=True)
class CyclicalAnnealing(Annealing):
    r"""``cycles`` times from 0 to 1: each rises over the share ``ramp`` of its length and stays at 1; then 1.

    .. math:: \beta_t = \min(\tau / R, 1), \qquad \tau = \frac{t \bmod (T/M)}{T/M}

    Raises :class:`~pyro_vae.errors.OptionError` naming the argument. Source: Fu et al., "Cyclical Annealing Schedule",
    NAACL 2019.

    >>> [CyclicalAnnealing(100, cycles=2)(torch.tensor(step)).item() for step in (0, 20, 40, 50, 95, 100)]
    [0.0, 0.8, 1.0, 0.0, 1.0, 1.0]
    """

    steps: int
    cycles: int = 4
    ramp: float = 0.5

    def __post_init__(self) -> None:
        _check_count("CyclicalAnnealing", "steps", self.steps)
        _check_count("CyclicalAnnealing", "cycles", self.cycles)
        _check_share("CyclicalAnnealing", "ramp", self.ramp)
        if self.cycles > self.steps or self.ramp == 0:
            raise OptionError(f"{self}: expected at least one step in every cycle, and a ramp above 0.")

    def __call__(self, step: Tensor) -> Tensor:
        """The factor."""
        length = self.steps / self.cycles
        position = torch.remainder(step.double(), length) / length
        rising = (position / self.ramp).clamp(max=1.0)
        return torch.where(step < self.steps, rising, torch.ones_like(rising))


def _check_count(owner: str, name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise OptionError(f"{owner}({name}={value!r}): expected a whole number above 0.")


def _check_share(owner: str, name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise OptionError(f"{owner}({name}={value!r}): expected a number from 0 to 1.")
