"""Nets in bfloat16, log-probabilities in full precision: mixed precision for a Pyro program."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from pyro.nn import PyroModule
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

_HALF = (torch.bfloat16, torch.float16)


@contextmanager
def nets_in(autocast: Callable[[], AbstractContextManager], programs: Collection[nn.Module]) -> Iterator[None]:
    """Inside the block, every call of a torch module runs under ``autocast`` and gives float32.

    The programs themselves and Pyro's modules hold ``pyro.sample`` statements and run as they are: a sum of a thousand
    log-probabilities has three digits left in bfloat16.

    >>> net = nn.Linear(2, 1)
    >>> with nets_in(lambda: torch.autocast("cpu", torch.bfloat16), ()):
    ...     net(torch.ones(3, 2)).dtype
    torch.float32
    """
    open_calls: list[tuple[nn.Module, ExitStack]] = []
    whole = {id(program) for program in programs}

    def before(module: nn.Module, args: Any) -> None:
        if not open_calls and id(module) not in whole and not isinstance(module, PyroModule):
            stack = ExitStack()
            stack.enter_context(autocast())
            open_calls.append((module, stack))

    def after(module: nn.Module, args: Any, output: Any) -> Any:
        if not open_calls or open_calls[0][0] is not module:
            return None
        open_calls.pop()[1].close()
        return _single(output)

    handles = [register_module_forward_pre_hook(before), register_module_forward_hook(after, always_call=True)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for _, stack in open_calls:  # an exception on its way
            stack.close()


def _single(output: Any) -> Any:
    if isinstance(output, Tensor):
        return output.float() if output.dtype in _HALF else output
    if isinstance(output, (list, tuple)) and not hasattr(output, "_fields"):
        return type(output)(_single(value) for value in output)
    if isinstance(output, dict):
        return {key: _single(value) for key, value in output.items()}
    return output
