"""The effect handlers of a draw: values given, values stopped, observations drawn anew, flat priors that can start."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from pyro import poutine
from pyro.distributions import Delta, ImproperUniform, Independent, MaskedDistribution
from pyro.infer.autoguide import AutoGuide
from pyro.poutine.messenger import Messenger, _bound_partial
from torch import Tensor
from torch.distributions import Distribution, transform_to

from pyro_vae.particles.data import Plate

PARTICLES = "num_particles_vectorized"  # the name that Pyro's own vectorised objectives give their plate

Values = Mapping[str, Tensor] | Callable[[str, Distribution, tuple[Plate, ...]], Tensor | None]


def is_subsample(message: Mapping[str, Any]) -> bool:
    """True for the site with which a plate draws its row numbers."""
    return type(message["fn"]).__name__ == "_Subsample"


def is_delta(fn: Any) -> bool:
    """True for a point mass, however wrapped: a site that is a function of what was drawn before."""
    while hasattr(fn, "base_dist"):
        fn = fn.base_dist
    return isinstance(fn, Delta)


def is_function(message: Mapping[str, Any]) -> bool:
    """True for a site that only records a value: ``pyro.deterministic``, and what a reparametriser leaves of the
    original site."""
    fn = message["fn"]
    unscored = message["infer"].get("_deterministic") or getattr(fn, "_mask", None) is False
    return bool(message["is_observed"] and unscored and is_delta(fn))


def frames_to_plates(message: Mapping[str, Any]) -> tuple[tuple[Plate, int | None], ...]:
    """The plates around a site with their dims, outermost first; the particles' own plate is left out."""
    frames = [frame for frame in message["cond_indep_stack"] if frame.name != PARTICLES]
    frames.sort(key=lambda frame: (frame.dim is not None, frame.dim or 0))
    plates = []
    for frame in frames:
        full = frame.full_size or frame.size
        size = max(int(frame.size), 1)  # -1 where the plate does not say
        index = None if frame.vectorized else frame.counter
        plates.append((Plate(frame.name, size, max(int(full), size), index), frame.dim))
    return tuple(plates)


class GivenValues(Messenger):
    """Latent sites take given values, ``[K, *plates, *event]``, instead of being drawn.

    ``particle_dim`` is the dim of the particles' plate, None when one particle is run at a time (K is then 1).
    Values may also be a function of (name, distribution, plates), which returns None for a site to leave alone.
    Deltas are left alone in a guide: they are functions of the other sites.
    """

    def __init__(self, values: Values, particle_dim: int | None, *, keep_deltas: bool = False):
        super().__init__()
        self.values = values
        self.particle_dim = particle_dim
        self.keep_deltas = keep_deltas

    def _pyro_sample(self, msg: dict) -> None:
        if msg["is_observed"] or is_subsample(msg) or (self.keep_deltas and is_delta(msg["fn"])):
            return
        plates = frames_to_plates(msg)
        if callable(self.values):
            value = self.values(msg["name"], msg["fn"], tuple(plate for plate, _ in plates))
        else:
            value = self.values.get(msg["name"])
        if value is None:
            return
        msg["value"] = self._unpack(value, [dim for _, dim in plates if dim is not None], msg["fn"].event_dim)
        msg["done"] = True

    def _unpack(self, value: Tensor, dims: list[int], event_dim: int) -> Tensor:
        """``[K, *plates, *event]`` to the batch shape that Pyro gives the site."""
        event = value.shape[value.dim() - event_dim :]
        sizes = value.shape[1 : value.dim() - event_dim]
        width = -self.particle_dim if self.particle_dim is not None else max((-dim for dim in dims), default=0)
        batch = [1] * width
        for dim, size in zip(dims, sizes, strict=True):
            batch[dim] = size
        if self.particle_dim is not None:
            batch[self.particle_dim] = value.shape[0]
        return value.reshape(torch.Size(batch) + event)


class GivenSubsamples(Messenger):
    """Plates take given row numbers, so that all particles of a step see the same rows."""

    def __init__(self, subsamples: Mapping[str, Tensor]):
        super().__init__()
        self.subsamples = subsamples

    def _pyro_sample(self, msg: dict) -> None:
        if is_subsample(msg) and msg["value"] is None and msg["name"] in self.subsamples:
            msg["value"] = self.subsamples[msg["name"]]
            msg["done"] = True


class StoppedValues(Messenger):
    """Every random value is detached as it is drawn (``Pass.SCORE``). Deltas are not random and stay live."""

    def _pyro_post_sample(self, msg: dict) -> None:
        if not msg["is_observed"] and not is_subsample(msg) and not is_delta(msg["fn"]):
            msg["value"] = msg["value"].detach()


class DrawnObservations(Messenger):
    """Observed sites are drawn from their distribution; factors and deterministic sites stay."""

    def _pyro_sample(self, msg: dict) -> None:
        if not msg["is_observed"] or is_subsample(msg) or is_delta(msg["fn"]) or type(msg["fn"]).__name__ == "Unit":
            return
        msg["infer"] = {**msg["infer"], "_drawn_observation": True, "_data": msg["value"]}
        msg["is_observed"] = False
        msg["value"] = None


class FlatPrior(ImproperUniform):
    """``ImproperUniform`` that can be started from: a "sample" is a feasible point near 0 on the unconstrained scale.

    Its density is flat, as before; the points only initialise chains, guides and shapes.
    """

    def sample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:
        """A feasible point, not a draw from the prior, which has none."""
        shape = torch.Size(sample_shape) + self.batch_shape + self.event_shape
        transform = transform_to(self.support)
        unconstrained = torch.rand(transform.inverse_shape(shape)) * 4 - 2
        return transform(unconstrained)


class FlatPriors(Messenger):
    """Lets sites with ``dist.ImproperUniform`` be initialised."""

    def _pyro_sample(self, msg: dict) -> None:
        msg["fn"] = _startable(msg["fn"])


def _startable(fn: Any) -> Any:
    """The distribution with a flat prior in it, however wrapped, exchanged for one that can be started from."""
    if type(fn) is ImproperUniform:
        return FlatPrior(fn.support, fn.batch_shape, fn.event_shape)
    if not isinstance(fn, (Independent, MaskedDistribution)):
        return fn
    base = _startable(fn.base_dist)
    if base is fn.base_dist:
        return fn
    if isinstance(fn, Independent):
        return Independent(base, fn.reinterpreted_batch_ndims)
    return MaskedDistribution(base, fn._mask)


def with_flat_priors(program: Callable) -> Callable:
    """Wrap a program innermost, below any handler it already has, so that an autoguide's own initialisation sees it."""
    if isinstance(program, _bound_partial):
        return _bound_partial(with_flat_priors(program.func))
    if isinstance(program, functools.partial) and len(program.args) >= 2 and isinstance(program.args[0], Messenger):
        handler, inner, *rest = program.args
        return functools.partial(program.func, handler, with_flat_priors(inner), *rest, **program.keywords)
    return FlatPriors()(program)


def prepare_autoguides(guide: Callable) -> None:
    """Let autoguides that have not looked at their model yet start on flat priors, which plain Pyro cannot."""
    owner = poutine.unwrap(guide)
    if isinstance(owner, torch.nn.Module):
        for module in owner.modules():
            if isinstance(module, AutoGuide) and module.prototype_trace is None and module._model is not None:
                module._model = (with_flat_priors(module.model),)
                original = getattr(module, "_original_model", None)  # AutoStructured looks at the model twice
                if original is not None:
                    module._original_model = (with_flat_priors(original[0]),)
