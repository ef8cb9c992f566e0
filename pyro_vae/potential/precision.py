"""Evaluate a program in 64 bits although it was written for 32: chains and importance weights need the digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pyro_vae.errors import ModelError
from pyro_vae.particles.state import unobserved

_WIDER = {torch.float32: torch.float64, torch.complex64: torch.complex128}


class _DoublePrecision(TorchFunctionMode):
    """Every torch call gets its 32-bit arguments in 64 bits, so data, constants and weights follow the parameters."""

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is Tensor.float:
            func = Tensor.double
        elif (
            getattr(func, "__name__", "") == "__get__"
        ):  # reading an attribute (.shape, .dtype, .grad) computes nothing
            return func(*args, **(kwargs or {}))
        return func(*_widen(args), **{key: _widen(value) for key, value in (kwargs or {}).items()})


def _widen(value: Any) -> Any:
    if isinstance(value, Tensor):
        wider = _WIDER.get(value.dtype)
        return value if wider is None else value.to(wider)
    if isinstance(value, torch.dtype):
        return _WIDER.get(value, value)
    if type(value) in (tuple, list):
        return type(value)(_widen(item) for item in value)
    return value


@contextmanager
def double_precision() -> Iterator[None]:
    """Within this context a Pyro program computes in 64 bits, whatever its data, constants and modules are.

    Float32 tensors are widened where they enter a computation; they themselves, and the param store, stay as they are.
    New tensors are float64: torch's default dtype is changed inside, and put back.

    >>> with double_precision():
    ...     (torch.tensor(1 / 3) + torch.ones(2, dtype=torch.float32)).dtype
    torch.float64
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _DoublePrecision():
            yield
    finally:
        torch.set_default_dtype(before)


def widest(attempt: Callable[[], object], *programs: Callable) -> Callable[[], AbstractContextManager]:
    """:func:`double_precision` if the programs can compute in it (``attempt`` succeeds), else a context without effect.

    A recurrent net, for one, insists on the dtype of its weights. Looking leaves no trace.
    """
    try:
        with unobserved(*programs), torch.no_grad(), double_precision():
            attempt()
    except ModelError:
        return nullcontext
    return double_precision
