"""Non-centring a hierarchical model without touching it: the remedy for funnels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.infer.reparam import LocScaleReparam
from torch import Tensor

from pyro_vae.particles.plan import plan_pair
from pyro_vae.particles.state import unobserved
from pyro_vae.particles.tracing import run_model

_FAMILIES = (dist.Normal, dist.StudentT, dist.Cauchy, dist.Laplace)


def hierarchical_sites(model: Callable, args: tuple, kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    """Latent sites with a location and scale of which one depends on other latent sites.

    Those of a Normal, Student t, Cauchy or Laplace distribution whose ``loc`` or ``scale`` differs between two draws
    from the prior. The random state is left alone.
    """
    looks: list[dict[str, tuple[Tensor, Tensor]]] = []
    with unobserved(model), torch.no_grad(), pyro.validation_enabled(False):
        plan = plan_pair(model, None, args, kwargs, vectorize=False)
        for _ in range(2):
            seen: dict[str, tuple[Tensor, Tensor]] = {}

            def look(name: str, fn: Any, plates: Any, seen: dict[str, tuple[Tensor, Tensor]] = seen) -> None:
                while not isinstance(fn, _FAMILIES) and hasattr(fn, "base_dist") and not hasattr(fn, "transforms"):
                    fn = fn.base_dist
                if isinstance(fn, _FAMILIES):
                    seen[name] = (fn.loc, fn.scale)

            run_model(model, args, kwargs, values=look, plan=plan)
            looks.append(seen)
    first, second = looks
    moving = lambda name: not all(map(torch.equal, first[name], second[name]))  # noqa: E731
    return tuple(name for name in first if name in second and moving(name))


def non_centred(model: Callable, sites: tuple[str, ...]) -> Callable:
    """The same model with each of ``sites`` written as loc + scale x a standard draw.

    Source: Papaspiliopoulos, Roberts, Sköld, "A general framework for the parametrization of hierarchical models",
    Statistical Science 22 (2007); Pyro's ``LocScaleReparam``.
    """
    return poutine.reparam(model, config={name: LocScaleReparam(0.0) for name in sites})
