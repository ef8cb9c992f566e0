"""Looking at a model without leaving a trace of it: RNG, param store and module buffers stay as they were."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import pyro
import torch
from pyro import poutine
from torch import nn


@contextmanager
def unobserved(*programs: Callable) -> Iterator[None]:
    """Run Pyro programs so that nothing outside can tell that they ran.

    Random numbers (torch's on CPU and CUDA, NumPy's, Python's), Pyro's param store and the buffers of the
    ``programs`` that are modules are restored; effect handlers outside (an ``SVI.step`` that collects parameters,
    say) see nothing. Parameters that a lazily initialised autoguide makes stay in the guide.
    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 - the models' global generator
    buffers = [
        (buffer, buffer.clone())
        for fn in programs
        for root in _modules(fn)
        for buffer in root.buffers()
        if buffer is not None
    ]
    store = pyro.get_param_store()
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices))
        stack.enter_context(store.scope(store.get_state()))
        stack.enter_context(poutine.block())
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)


def _modules(fn: Callable) -> list[nn.Module]:
    """The module that a program is, or is a bound method of."""
    owner = getattr(poutine.unwrap(fn), "__self__", poutine.unwrap(fn))
    return [owner] if isinstance(owner, nn.Module) else []
