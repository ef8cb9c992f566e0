"""Where a fit starts: values that were given, and other places for restarts."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from pyro.infer.autoguide import AutoGuide
from torch import Tensor, nn
from torch.distributions import constraints, transform_to
from torch.distributions.constraints import Constraint

from pyro_vae.errors import OptionError
from pyro_vae.guides.whitening import Placed
from pyro_vae.training.parameters import Parameters, modules_of

JITTER = 1.0  # standard deviation, on the unconstrained scale


@torch.no_grad()
def set_initial(
    guide: Callable,
    params: Mapping[str, Tensor],
    known: Mapping[str, Constraint],
    init: Mapping[str, Any] | Callable | str | None,
) -> None:
    """Put ``{parameter: value}`` into a hand-written guide's parameters, in their constrained parametrisation.

    (An automatic guide that is given by name takes its ``init`` when it is made.) Raises
    :class:`~pyro_vae.errors.OptionError` naming the parameter.
    """
    if init is None:
        return
    if isinstance(guide, AutoGuide):
        raise OptionError(
            f"init: this {type(guide).__name__} was made already; give it init_loc_fn=... when you make it, "
            "or pass the guide's name."
        )
    if not isinstance(init, Mapping):
        raise OptionError(
            "init: for a guide of your own expected {parameter name: value}; a strategy needs an automatic guide."
        )
    for name, value in init.items():
        if name not in params:
            near = difflib.get_close_matches(str(name), params, 3) or sorted(params)
            raise OptionError(f"init: the guide and model have no parameter {name!r}. Nearest: {', '.join(near)}.")
        leaf = params[name]
        constraint = known.get(name, constraints.real)
        value = torch.as_tensor(value, dtype=leaf.dtype, device=leaf.device)
        if not bool(constraint.check(value).all()):
            raise OptionError(f"init for parameter {name!r}: expected values in {constraint}, got {value.tolist()}.")
        start = transform_to(constraint).inv(value)
        try:
            leaf.copy_(start.expand(leaf.shape))
        except RuntimeError as error:
            raise OptionError(
                f"init for parameter {name!r}: expected a shape that broadcasts to {tuple(leaf.shape)}, "
                f"got {tuple(value.shape)}."
            ) from error


@torch.no_grad()
def move_start(model: Callable, guide: Callable, params: Parameters, known: Mapping[str, Constraint]) -> None:
    """Another place to start from, drawn with torch's generator.

    Layers that know how (``reset_parameters``) start anew; parameters without a constraint move by a standard normal;
    constrained ones (scales) stay.
    """
    renewed: set[int] = set()
    ours = {id(leaf) for leaf in params.values()}
    for module in modules_of(model, guide).values():
        for layer in module.modules():
            renewed |= _renew(layer, ours)
    for name, leaf in params.items():
        free = isinstance(known.get(name, constraints.real), (type(constraints.real), Placed)) and "$$$" not in name
        if id(leaf) not in renewed and free and leaf.is_floating_point():
            leaf.add_(JITTER * torch.randn(leaf.shape, dtype=leaf.dtype).to(leaf.device))


def _renew(layer: nn.Module, ours: set[int]) -> set[int]:
    reset = getattr(layer, "reset_parameters", None)
    own = {id(leaf) for leaf in layer.parameters(recurse=False)}
    if not callable(reset) or not own or not own <= ours:
        return set()
    reset()
    return own
