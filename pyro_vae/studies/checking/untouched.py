"""Running programs to look at them, so that nothing outside can tell: modules, data and switches stay as they were."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import FunctionType
from typing import Any

import numpy as np
import pyro
import torch
from pyro import poutine
from torch import Tensor, nn

from pyro_vae.particles.state import unobserved
from pyro_vae.studies.parameters import store_copy
from pyro_vae.training.randomness import kept_randomness

_DEPTH = 3  # helper functions of helper functions of a program whose modules are looked for


def modules_used(*programs: Callable) -> dict[str, nn.Module]:
    """The modules that programs are, are methods of, or name in their code, by the name that they have there."""
    found: dict[str, nn.Module] = {}
    known: set[int] = set()

    def visit(name: str, value: Any, depth: int) -> None:
        if id(value) in known or depth < 0:
            return
        known.add(id(value))
        value = poutine.unwrap(value) if callable(value) else value
        if isinstance(value, nn.Module):
            found[name] = value
        elif isinstance(value, functools.partial):
            for part in (value.func, *value.args, *value.keywords.values()):
                visit(name, part, depth)
        elif inspect.ismethod(value):
            visit(name, value.__self__, depth)
            visit(name, value.__func__, depth)
        elif isinstance(value, FunctionType):
            names = inspect.getclosurevars(value)
            for inner, part in {**names.globals, **names.nonlocals}.items():
                own = not inspect.isfunction(part) or part.__module__ == value.__module__
                if own and not inspect.isclass(part):
                    visit(inner, part, depth - 1)
        elif isinstance(value, (list, tuple)):
            for index, part in enumerate(value[:100]):
                visit(f"{name}[{index}]", part, depth - 1)

    for role, program in zip(("model", "guide"), programs, strict=False):
        visit(role, program, _DEPTH)
    return found


def tensors_in(label: str, value: Any) -> Iterator[tuple[str, Tensor | np.ndarray]]:
    """The tensors and arrays in an argument, however nested, with the words that name them."""
    if isinstance(value, (Tensor, np.ndarray)):
        yield label, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from tensors_in(f"{label}[{key!r}]", part)
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield from tensors_in(f"{label}[{index}]", part)


@contextmanager
def untouched(programs: Iterable[Callable], data: Iterable[Tensor | np.ndarray], seed: int) -> Iterator[None]:
    """Run programs inside, from ``seed``: random numbers, param store, modules, ``data`` and switches are put back."""
    programs = tuple(programs)
    modules = {id(part): part for module in modules_used(*programs).values() for part in module.modules()}
    dtype, gradients = torch.get_default_dtype(), torch.is_grad_enabled()
    kept = [(value, _copy(value)) for value in data]
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(_same_modules(list(modules.values())))
        stack.enter_context(kept_randomness())
        stack.enter_context(unobserved(*modules.values()))
        stack.enter_context(store_copy())
        stack.enter_context(pyro.validation_enabled(False))  # so that a wrong parameter does not end a look
        stack.enter_context(torch.enable_grad())
        pyro.set_rng_seed(seed)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            torch.set_grad_enabled(gradients)
            for value, before in kept:
                put_back(value, before)


def _copy(value: Tensor | np.ndarray) -> Tensor | np.ndarray:
    return value.detach().clone() if isinstance(value, Tensor) else value.copy()


def same(value: Tensor | np.ndarray, before: Tensor | np.ndarray) -> bool:
    """Whether data are what they were; NaN is equal to itself."""
    if isinstance(value, Tensor) and isinstance(before, Tensor):
        if value.shape != before.shape or value.is_meta:
            return value.shape == before.shape
        equal = value.detach() == before
        return bool((equal | ((value != value) & (before != before))).all())
    return bool(np.array_equal(value, before, equal_nan=getattr(value.dtype, "kind", "") in "fc"))


@torch.no_grad()
def put_back(value: Tensor | np.ndarray, before: Tensor | np.ndarray) -> None:
    """Undo what was written into data."""
    if same(value, before):
        return
    if isinstance(value, Tensor) and isinstance(before, Tensor):
        if value.shape != before.shape:
            value.resize_(before.shape)
        value.copy_(before)
    elif isinstance(value, np.ndarray):
        np.copyto(value, before)


@contextmanager
def _same_modules(modules: list[nn.Module]) -> Iterator[None]:
    """Whatever modules gain or change of their own (lazily made parameters, training mode, counters) is undone."""
    kept = [(module, {key: (value, _contents(value)) for key, value in vars(module).items()}) for module in modules]
    try:
        yield
    finally:
        for module, attributes in kept:
            vars(module).clear()
            for key, (value, contents) in attributes.items():
                _refill(value, contents)
                vars(module)[key] = value


def _contents(value: Any) -> Any:
    return value.copy() if isinstance(value, (dict, list, set)) else None


def _refill(value: Any, contents: Any) -> None:
    if isinstance(value, (dict, set)):
        if value != contents if isinstance(value, set) else not _same_dict(value, contents):
            value.clear()
            value.update(contents)
    elif isinstance(value, list):
        value[:] = contents


def _same_dict(one: dict, other: dict) -> bool:
    return list(one) == list(other) and all(one[key] is other[key] for key in one)
