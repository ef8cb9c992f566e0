"""What kind of distribution a guide site has, and its live parameters by their usual names. Used by ``reruns``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pyro_vae.particles.handlers import frames_to_plates
from pyro_vae.particles.packing import pack
from pyro_vae.particles.runs import Run

_WRAPPERS = ("Independent", "MaskedDistribution", "ExpandedDistribution")
# The canonical parameters of each family, and how many uniform numbers per element a coupled draw of it takes.
_PARAMETERS = {
    "Bernoulli": ("logits",),
    "Categorical": ("logits",),
    "OneHotCategorical": ("logits",),
    "Normal": ("loc", "scale"),
    "Poisson": ("rate",),
    "Exponential": ("rate",),
    "Gamma": ("concentration", "rate"),
    "Weibull": ("scale", "concentration"),
}
_NUMBERS = {"Normal": 4, "Poisson": 0}


def unwrapped(fn: Any) -> Any:
    """The distribution below events, masks and expansions."""
    while type(fn).__name__ in _WRAPPERS:
        fn = fn.base_dist
    return fn


def family(fn: Any) -> str:
    """The name of a distribution's class, however wrapped."""
    return type(unwrapped(fn)).__name__


def canonical_parameters(site: Mapping[str, Any], run: Run) -> dict[str, Tensor]:
    """The live parameters of a traced site, ``[K, *plates, *event]`` (a categorical's logits have their own last
    axis); empty for a family that is not known here."""
    fn, inner = site["fn"], unwrapped(site["fn"])
    rest = fn.event_dim + (type(inner).__name__ == "Categorical")
    frames = frames_to_plates(site)
    lead = [run.num_particles if run.particle_dim is not None else 1, *(p.size for p, _ in frames if p.vectorized)]
    found = {}
    for name in _PARAMETERS.get(type(inner).__name__, ()):
        value = getattr(inner, name)
        event = value.shape[value.dim() - rest :]
        packed = pack(value.expand(fn.batch_shape + event), site["name"], frames, run.particle_dim, rest)
        found[name] = packed.expand(torch.Size(lead) + event)
    return found


def uniform_noise(name: str, like: Tensor) -> Tensor | None:
    """The numbers in (0, 1) that a coupled draw of the family takes, ``[n, *like.shape]``; None where it takes none."""
    count = _NUMBERS.get(name, 1)
    if not count:
        return None
    noise = torch.rand((count, *like.shape), dtype=like.dtype, device=like.device)
    return noise.clamp(min=torch.finfo(like.dtype).tiny)
