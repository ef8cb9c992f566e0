"""A Gaussian approximation of a model's posterior, from which guides start: Pathfinder's or Laplace's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from pyro_vae.errors import ModelError
from pyro_vae.guides.pathfinder import Gaussian, climb, laplace, pathfinder
from pyro_vae.guides.polishing import polish
from pyro_vae.particles.state import unobserved
from pyro_vae.potential import Potential

LARGEST = 200  # unconstrained numbers of a posterior that is approximated; a covariance has their square
POLISHED = 100  # numbers, at most, and only where many points are evaluated in one run: six draws for each, many times
PATHS = 2


def approximate(
    model: Callable, args: tuple, kwargs: Mapping[str, Any], *, how: str = "auto", shapes: Mapping[str, tuple]
) -> Gaussian | None:
    """N(loc, tril trilᵀ) over the latents' unconstrained values in the model's order, or None where there is none.

    ``shapes`` are the unconstrained shapes that the guide has, by site. None where the density of all data is not to
    be had (subsampled plates, discrete sites of the guide), where there are more than :data:`LARGEST` numbers, and
    where no candidate has a finite ELBO. Parameters of the model are taken as they are. The random state stays as it
    was; what is found depends on it, so that another seed starts from other places.
    """
    try:
        with unobserved(model), warnings.catch_warnings():  # the guide is looked at while this runs
            warnings.simplefilter("ignore")
            seed = int(torch.randint(2**31, ()).item())
            potential = Potential(model, args, kwargs, compiled=False)
            found = {site.name: tuple(site.unconstrained) for site in potential.sites}
            if found != {name: tuple(shape) for name, shape in shapes.items()} or potential.size > LARGEST:
                return None
            starts = potential.initial(PATHS, seed)
            if how == "laplace":
                return _laplace(potential.values_and_grads, starts)
            best = pathfinder(potential.values_and_grads, list(starts), seed=seed)
            if best is None or how != "auto" or potential.size > POLISHED or not potential.at_once:
                return best
            return polish(potential.values_and_grads, best, seed=seed)
    except ModelError:
        return None


def _laplace(density: Callable, starts: np.ndarray) -> Gaussian | None:
    for start in starts:
        path = climb(density, start)
        mode = laplace(density, path[-1][0], np.eye(len(start))) if path else None
        if mode is not None:
            return mode
    return None
