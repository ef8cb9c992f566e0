"""``Pass.PARAMETERS``: the tensors that a guide site's log-probability is a function of, and its derivatives by
them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.distributions import TransformedDistribution

from pyro_vae.particles.data import Particles, with_fields
from pyro_vae.particles.handlers import frames_to_plates, is_delta
from pyro_vae.particles.packing import pack
from pyro_vae.particles.runs import Run

# The attributes that log_prob really reads. `_param` is whichever of probs and logits was given.
_READ = {
    "Bernoulli": ("_param",),
    "Beta": ("_dirichlet.concentration",),
    "Categorical": ("_param",),
    "Dirichlet": ("concentration",),
    "Exponential": ("rate",),
    "Gamma": ("concentration", "rate"),
    "Geometric": ("probs", "logits"),
    "Laplace": ("loc", "scale"),
    "Normal": ("loc", "scale"),
    "OneHotCategorical": ("_categorical._param",),
    "Poisson": ("rate",),
}


def add_parameters(particles: Particles, run: Run) -> Particles:
    """The table with ``parameters`` and ``scores`` of the guide's sites whose distribution is known here; the others
    keep none."""
    fields: dict[str, Mapping[str, Any]] = {}
    for name, site in run.guide.items():
        log_q = particles[name].score
        summed = particles[name].enumerated or particles[name].drawn_given  # log q is an expectation, without scores
        tensors = {} if summed or is_delta(site["fn"]) else _read(site["fn"])
        if not tensors or log_q is None or not log_q.log_prob.requires_grad:
            continue
        scores = torch.autograd.grad(log_q.log_prob.sum(), list(tensors.values()), retain_graph=True, allow_unused=True)
        packed = {key: _packed(value, site, run) for key, value in tensors.items()}
        fn = _innermost(site["fn"])
        derivatives = {
            key: torch.zeros_like(packed[key]) if score is None else _packed(_centred(fn, score), site, run)
            for key, score in zip(tensors, scores, strict=True)
        }
        fields[name] = {"parameters": packed, "scores": derivatives}
    return with_fields(particles, fields)


def _innermost(fn: Any) -> Any:
    """The distribution that is parametrised: below events, masks, and transforms that learn nothing."""
    while True:
        if isinstance(fn, TransformedDistribution):
            if any(_learns(transform) for transform in fn.transforms):
                return fn
        elif type(fn).__name__ not in ("Independent", "MaskedDistribution", "ExpandedDistribution"):
            return fn
        fn = fn.base_dist


def _centred(fn: Any, score: Tensor) -> Tensor:
    """Scores have mean zero only by free parameters, and torch keeps a categorical's parameters normalised: probs
    that sum to 1, logits whose exponentials do. Take the part along that constraint out."""
    fn = getattr(fn, "_categorical", fn)
    if type(fn).__name__ != "Categorical":
        return score
    probs = fn.probs.detach()
    if "logits" in fn.__dict__ and fn._param is fn.logits:
        return score - probs * score.sum(-1, keepdim=True)
    return score - (probs * score).sum(-1, keepdim=True)


def _read(fn: Any) -> dict[str, Tensor]:
    fn = _innermost(fn)
    found = {}
    for path in _READ.get(type(fn).__name__, ()):
        value: Any = fn
        for attribute in path.split("."):
            value = getattr(value, attribute, None)
        if isinstance(value, Tensor) and value.requires_grad:
            found[path.split(".")[-1].removeprefix("_")] = value
    return found


def _learns(transform: Any) -> bool:
    """Whether a transform has tensors of its own that may need a gradient."""
    tensors = [value for value in vars(transform).values() if isinstance(value, Tensor)]
    return hasattr(transform, "parameters") or any(value.requires_grad for value in tensors)


def _packed(value: Tensor, site: Mapping[str, Any], run: Run) -> Tensor:
    """``[K, *plates, ...]``: what lies right of the batch dims stays."""
    rest = value.dim() - len(site["fn"].batch_shape)
    frames = frames_to_plates(site)
    packed = pack(value, site["name"], frames, run.particle_dim, rest)
    lead = [run.num_particles if run.particle_dim is not None else 1, *(p.size for p, _ in frames if p.vectorized)]
    return (
        packed.expand(torch.Size(lead) + packed.shape[packed.dim() - rest :])
        if rest
        else packed.expand(torch.Size(lead))
    )
