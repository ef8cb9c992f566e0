"""A short text that is the same for the same model, guide or data, in this process and in the next."""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn


def fingerprint(thing: Any) -> str:
    """Twelve hexadecimal digits, from the source of functions and the values of tensors.

    >>> import torch
    >>> fingerprint({"y": torch.ones(2)}) == fingerprint({"y": torch.ones(2)}) != fingerprint({"y": torch.ones(3)})
    True
    """
    digest = hashlib.sha256()
    for part in _parts(thing, depth=0):
        digest.update(part)
        digest.update(b"\0")
    return digest.hexdigest()[:12]


def _parts(thing: Any, depth: int) -> Iterator[bytes]:
    if depth > 6:  # a closure that holds itself, say
        return
    if isinstance(thing, Tensor):
        thing = thing.detach().cpu().numpy()
    if isinstance(thing, np.ndarray):
        yield f"{thing.dtype}{thing.shape}".encode()
        yield np.ascontiguousarray(thing).tobytes()
    elif isinstance(thing, Mapping):
        for key, value in thing.items():
            yield repr(key).encode()
            yield from _parts(value, depth + 1)
    elif isinstance(thing, (list, tuple)):
        for value in thing:
            yield from _parts(value, depth + 1)
    elif isinstance(thing, nn.Module):
        yield from _source(type(thing))
        yield from _parts({**dict(thing.named_parameters()), **dict(thing.named_buffers())}, depth + 1)
    elif isinstance(thing, functools.partial):
        yield from _parts([thing.func, thing.args, thing.keywords], depth + 1)
    elif inspect.ismethod(thing):
        yield from _source(thing.__func__)
        yield from _parts(thing.__self__, depth + 1)
    elif callable(thing):
        yield from _source(thing)
        yield from _parts([cell.cell_contents for cell in getattr(thing, "__closure__", None) or ()], depth + 1)
    else:
        text = repr(thing)
        yield (type(thing).__qualname__ if " at 0x" in text else text).encode()


def _source(thing: Any) -> Iterator[bytes]:
    """The text of a function or class; the whole file of a model program, whose functions use each other."""
    thing = inspect.unwrap(thing)
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    file = getattr(module, "__file__", None)
    if module is not None and file and module.__name__.startswith("pyro_vae_program_"):
        yield Path(file).read_bytes()
    try:
        yield inspect.getsource(thing).encode()
    except (OSError, TypeError):  # typed at a prompt, or no Python
        code = getattr(thing, "__code__", None)
        yield getattr(thing, "__qualname__", type(thing).__qualname__).encode()
        yield b"" if code is None else code.co_code + repr(code.co_names).encode()
