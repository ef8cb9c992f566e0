"""What the distributions share about their parameters: broadcasting with a plain error, and the working precision."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.distributions.utils import lazy_property

from pyro_vae.errors import OptionError


def parameter_names(distribution: Distribution) -> tuple[str, ...]:
    """The parameters that a distribution holds as tensors; not those that it would only work out when asked."""
    lazy = {
        name
        for name in distribution.arg_constraints
        if isinstance(getattr(type(distribution), name, None), (lazy_property, property))
        and name not in vars(distribution)
    }
    return tuple(name for name in distribution.arg_constraints if name not in lazy)


def expand_parameters(distribution: Distribution, batch_shape: tuple[int, ...], _instance=None) -> Distribution:
    """The same distribution with its parameters expanded to ``batch_shape``: what a class's ``expand`` returns."""
    new = distribution._get_checked_instance(type(distribution), _instance)
    batch_shape = torch.Size(batch_shape)
    for name in parameter_names(distribution):
        value = getattr(distribution, name)
        event_dim = distribution.arg_constraints.get(name, constraints.real).event_dim
        setattr(new, name, value.expand(batch_shape + value.shape[value.dim() - event_dim :]))
    Distribution.__init__(new, batch_shape, distribution.event_shape, validate_args=False)
    new._validate_args = distribution._validate_args
    return new


def broadcast(**parameters: Tensor | float) -> tuple[Tensor, ...]:
    """The parameters as tensors of one shape, one floating dtype and one device.

    Raises ``OptionError`` (a ``ValueError``) that names the arguments and their shapes if they do not broadcast.

    >>> [tuple(x.shape) for x in broadcast(loc=0.0, scale=torch.ones(3))]
    [(3,), (3,)]
    """
    like = next((value for value in parameters.values() if isinstance(value, Tensor)), None)
    device = like.device if like is not None else None
    tensors = {
        name: value if isinstance(value, Tensor) else torch.tensor(value, device=device)
        for name, value in parameters.items()
    }
    given = [tensor.dtype for name, tensor in tensors.items() if isinstance(parameters[name], Tensor)]
    dtype = torch.get_default_dtype()
    floating = [each for each in given if each.is_floating_point]
    if floating:
        dtype = floating[0]
        for each in floating[1:]:
            dtype = torch.promote_types(dtype, each)
    try:
        return torch.broadcast_tensors(*(tensor.to(dtype) for tensor in tensors.values()))
    except RuntimeError:
        shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
        raise OptionError(
            f"Expected parameters that broadcast against each other, but found the shapes {shapes}: "
            "give each one size 1, or the other's size, in every dimension from the right"
        ) from None


def vector(**parameter: Tensor) -> Tensor:
    """The parameter, which must be a tensor with at least one dimension.

    Raises ``OptionError`` (a ``ValueError``) that names the argument and what it is.
    """
    ((name, value),) = parameter.items()
    if not isinstance(value, Tensor) or value.dim() < 1:
        raise OptionError(
            f"Expected {name} as a tensor with a last dimension over the coordinates, but found {value!r}: "
            "give a tensor of shape [*batch, K]"
        )
    return value


def widen(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in float64, in which single precision is evaluated and then rounded once.

    Terms of a log density reach hundreds and cancel; in float32 the sum is then wrong in the fifth decimal, and
    gradients overflow on the way. A device without float64 (Apple's) keeps what it has.
    """
    if any(tensor.device.type == "mps" for tensor in tensors):
        return tensors
    return tuple(tensor.double() for tensor in tensors)
