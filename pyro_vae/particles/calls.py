"""How a person's ``data`` becomes the arguments of model and guide. Used by every entry point."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyro_vae.errors import DataError


def call_arguments(data: Any, *, check: bool = True) -> tuple[tuple, dict[str, Any]]:
    """Split ``data`` into positional and keyword arguments.

    A dict is keyword arguments, a tuple or list positional ones, None no argument, anything else (a tensor, an array)
    one argument. With ``check``, a NaN or infinite number in a floating tensor raises
    :class:`~pyro_vae.errors.DataError` naming the argument and its index.

    >>> call_arguments({"x": 1})
    ((), {'x': 1})
    >>> call_arguments((1, 2))
    ((1, 2), {})
    """
    if data is None:
        args, kwargs = (), {}
    elif isinstance(data, dict):
        args, kwargs = (), dict(data)
    elif isinstance(data, (tuple, list)):
        args, kwargs = tuple(data), {}
    else:
        args, kwargs = (data,), {}
    if check:
        for position, value in enumerate(args):
            _refuse_nonfinite(f"positional argument {position}", value)
        for name, value in kwargs.items():
            _refuse_nonfinite(f"argument '{name}'", value)
    return args, kwargs


def _refuse_nonfinite(label: str, value: Any) -> None:
    if not isinstance(value, Tensor) or not (value.is_floating_point() or value.is_complex()):
        return
    bad = ~torch.isfinite(value)
    if bad.any():
        index = tuple(int(i) for i in bad.nonzero()[0])
        where = f"index {list(index)}" if index else "its only entry"
        raise DataError(
            f"Data {label}, shape {tuple(value.shape)}: expected finite numbers, got {value[index].item()} at {where} "
            f"({int(bad.sum())} of {value.numel()} entries). Remove or impute these, or mask them in the model and "
            "pass a finite placeholder."
        )
