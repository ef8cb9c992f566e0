"""One gradient of one estimator: the pair that it is of, whose parameters are whose, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyro
import torch
from torch import Tensor

from pyro_vae.elbo import TraceELBO
from pyro_vae.errors import EstimatorError
from pyro_vae.particles import Particles, Pass, draw
from pyro_vae.particles.counting import counted_evaluations
from pyro_vae.particles.plan import plan_pair
from pyro_vae.training.parameters import Parameters
from pyro_vae.training.randomness import kept_randomness

LEARNING_RATE = 0.02  # of what an estimator learns while the guide stands still
PARTS = ("guide", "model", "both")  # whose parameters a gradient is of
Gradients = dict[str, np.ndarray]  # by part


@dataclass(frozen=True)
class Pair:
    """Guide and model with their arguments, and their live parameters by whose they are."""

    model: Callable
    guide: Callable
    args: tuple
    kwargs: Mapping[str, Any]
    leaves: Mapping[str, Parameters]

    @classmethod
    def of(cls, model: Callable, guide: Callable, args: tuple, kwargs: Mapping[str, Any], leaves: Parameters) -> Pair:
        """Sort ``leaves`` by whose density depends on them: the guide's, the model's or (a learned prior, say) both.

        A module that is registered in both programs says nothing: a VAE registers itself. So it is seen from
        log-probabilities at stopped values. A parameter that is in neither (a point mass's) is the guide's.
        """
        given = dict(kwargs)
        plan = plan_pair(model, guide, args, given, passes=(Pass.SCORE,), vectorize=False, enumerate_guide=False)
        with kept_randomness():
            particles = draw(model, guide, args, given, passes=(Pass.SCORE,), plan=plan)
        of_guide, of_model = (_reached(density, leaves) for density in (particles.log_q(), particles.log_p()))
        found: dict[str, Parameters] = {}
        for name, leaf in leaves.items():
            part = "both" if name in of_guide & of_model else "model" if name in of_model else "guide"
            found.setdefault(part, {})[name] = leaf
        return cls(model, guide, args, kwargs, {part: found[part] for part in PARTS if part in found})

    @property
    def entries(self) -> dict[str, tuple[str, ...]]:
        """The name of every scalar parameter, in the order of a gradient's numbers."""
        return {part: tuple(_entries(leaves)) for part, leaves in self.leaves.items()}

    @property
    def precision(self) -> float:
        """The relative precision of the parameters' coarsest dtype."""
        return max(torch.finfo(leaf.dtype).eps for leaves in self.leaves.values() for leaf in leaves.values())

    def differentiate(self, loss: Tensor) -> Gradients:
        """The direction in which a step would go, -grad of the loss, for each part as one vector of float64."""
        flat = [leaf for leaves in self.leaves.values() for leaf in leaves.values()]
        grads: Iterable[Tensor | None] = [None] * len(flat)
        if loss.requires_grad:
            grads = torch.autograd.grad(loss, flat, allow_unused=True)
        found = iter(grads)
        return {
            part: np.concatenate([_numbers(next(found), leaf) for leaf in leaves.values()])
            for part, leaves in self.leaves.items()
        }


def _reached(density: Tensor, leaves: Parameters) -> set[str]:
    """The parameters that a log-probability depends on."""
    if not density.requires_grad:
        return set()
    grads = torch.autograd.grad(density.sum(), list(leaves.values()), allow_unused=True)
    return {name for name, grad in zip(leaves, grads, strict=True) if grad is not None}


def _numbers(grad: Tensor | None, leaf: Tensor) -> np.ndarray:
    if grad is None:
        return np.zeros(leaf.numel())
    return -grad.detach().double().cpu().numpy().ravel()


def _entries(leaves: Parameters) -> Iterable[str]:
    for name, leaf in leaves.items():
        for index in np.ndindex(*leaf.shape):
            yield f"{name}[{','.join(map(str, index))}]" if index else name


def alike(one: Gradients, other: Gradients) -> bool:
    """Whether two gradients are the same but for rounding."""
    return all(
        np.allclose(one[part], other[part], rtol=1e-4, atol=1e-5 * max(np.abs(other[part]).max(), 1e-30))
        for part in one
    )


class Timed(NamedTuple):
    """One gradient, and the seconds from the first random number to the last derivative."""

    gradients: Gradients
    seconds: float


class Contender:
    """An estimator that is measured on a pair; ``elbo`` has what it learns."""

    def __init__(self, name: str, elbo: TraceELBO, pair: Pair):
        self.name = name
        self.elbo = elbo
        self.pair = pair
        self.warmup = 0

    def _particles(self) -> Particles:
        return self.elbo.particles(self.pair.model, self.pair.guide, *self.pair.args, **self.pair.kwargs)

    def warm_up(self, steps: int) -> None:
        """Let it learn beside a pair that stands still; afterwards it learns no more. Nothing for most."""
        pair, elbo = self.pair, self.elbo
        elbo.estimate(pair.model, pair.guide, *pair.args, **pair.kwargs)
        if elbo.control is None:
            return
        learned = [parameter for parameter in elbo.control.parameters() if parameter.requires_grad]
        optimizer = torch.optim.Adam(learned, LEARNING_RATE) if learned else None
        for _ in range(steps):
            loss = elbo.estimate(pair.model, pair.guide, *pair.args, **pair.kwargs).loss()
            if optimizer is not None:
                for parameter, grad in zip(learned, torch.autograd.grad(loss, learned, allow_unused=True), strict=True):
                    parameter.grad = grad
                optimizer.step()
        self.warmup = steps

    def gradient(self, seed: int) -> Timed:
        """The gradient from this seed. What was learned stays as it is.

        Raises :class:`~pyro_vae.errors.EstimatorError` naming the parameter whose gradient is not finite.
        """
        pyro.set_rng_seed(seed)
        began = time.perf_counter()
        estimate = self.elbo.estimator(self._particles(), self.elbo.control)
        found = self.pair.differentiate(estimate.loss())
        seconds = time.perf_counter() - began
        for part, gradient in found.items():
            if not np.isfinite(gradient).all():
                where = int(np.flatnonzero(~np.isfinite(gradient))[0])
                raise EstimatorError(
                    f"its gradient for parameter '{self.pair.entries[part][where]}' is {gradient[where]} "
                    f"(the bound is {estimate.bound.item():.6g}). Look at the scale of that parameter and at the "
                    "sites that depend on it."
                )
        return Timed(found, seconds)

    def evaluations(self, seed: int) -> float:
        """How often the model is evaluated for one gradient, particles counted one by one; NaN without data."""
        pyro.set_rng_seed(seed)
        observed = [site.name for site in self._particles().observed if site.log_p is not None]
        if not observed:
            return float("nan")
        with counted_evaluations(observed[0]) as counter:
            self.elbo.estimator(self._particles(), self.elbo.control)
        return float(counter.count)
