"""The parameters of a model and guide, however they are written: ``pyro.param``, modules, autoguides.

All are seen as what Pyro optimises: named unconstrained leaf tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyro
import torch
from pyro import poutine
from torch import Tensor, nn
from torch.distributions import constraints, transform_to
from torch.distributions.constraints import Constraint

from pyro_vae.errors import OutputError

Parameters = dict[str, Tensor]


class Later(Mapping[str, Tensor]):
    """Tensors by name that are made when the first is asked for."""

    def __init__(self, names: tuple[str, ...], make: Callable[[], list[Tensor]]):
        self._names, self._make = names, make

    @cached_property
    def _made(self) -> Parameters:
        return dict(zip(self._names, self._make(), strict=True))

    def __getitem__(self, name: str) -> Tensor:
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass
class Seen:
    """The ``pyro.param`` sites that a block went through, as Pyro's messages."""

    sites: dict[str, Any] = field(default_factory=dict)

    @property
    def leaves(self) -> Parameters:
        """What is optimised: ``{name: unconstrained leaf}``; a tensor with two names once, frozen ones not."""
        found: Parameters = {}
        known: set[int] = set()
        for name, site in self.sites.items():
            leaf = _leaf(site["value"])
            if leaf.is_leaf and leaf.requires_grad and id(leaf) not in known:
                found[name] = leaf
                known.add(id(leaf))
        return found

    @property
    def constraints(self) -> dict[str, Constraint]:
        """``{name: constraint}``, from the param store or, for parameters kept in their module, from the site."""
        known = pyro.get_param_store()._constraints
        return {
            name: known.get(name) or site["kwargs"].get("constraint") or constraints.real
            for name, site in self.sites.items()
        }


@contextmanager
def seen_parameters() -> Iterator[Seen]:
    """Collect the parameters that the block's Pyro programs use; filled when the block ends.

    >>> import pyro, torch
    >>> pyro.clear_param_store()
    >>> with seen_parameters() as seen:
    ...     _ = pyro.param("scale", torch.tensor(1.0), constraint=pyro.distributions.constraints.positive)
    >>> {name: leaf.item() for name, leaf in seen.leaves.items()}
    {'scale': 0.0}
    """
    seen = Seen()
    with poutine.trace(param_only=True) as trace:
        yield seen
    nodes = trace.trace.nodes.items()
    seen.sites.update({name: site for name, site in nodes if site["type"] == "param" and site["value"] is not None})


def _leaf(value: Tensor) -> Tensor:
    unconstrained = getattr(value, "unconstrained", None)
    leaf = unconstrained() if callable(unconstrained) else None
    return leaf if isinstance(leaf, Tensor) else value


def constrained(params: Mapping[str, Tensor], known: Mapping[str, Constraint]) -> Parameters:
    """The values as the programs see them (a scale is positive), as detached copies."""
    return {
        name: transform_to(known.get(name, constraints.real))(leaf.detach()).clone() for name, leaf in params.items()
    }


def copy_of(params: Mapping[str, Tensor]) -> Parameters:
    """Detached copies of the values."""
    return {name: leaf.detach().clone() for name, leaf in params.items()}


@torch.no_grad()
def assign(params: Mapping[str, Tensor], values: Mapping[str, Tensor], source: str = "saved fit") -> None:
    """Copy values into the leaves of the same name.

    Raises :class:`~pyro_vae.errors.OutputError` naming what does not fit.
    """
    missing = sorted(set(params) - set(values))
    unknown = sorted(set(values) - set(params))
    if missing or unknown:
        raise OutputError(
            f"The {source} is of another model or guide: it lacks parameters {missing or 'none'} and has "
            f"{unknown or 'none'} that this pair does not use. Load it with the model and guide that it was made with."
        )
    for name, leaf in params.items():
        value = values[name]
        if leaf.shape != value.shape:
            raise OutputError(
                f"Parameter '{name}': expected shape {tuple(leaf.shape)}, got {tuple(value.shape)} from the {source}. "
                "Load it with the model, guide and data sizes that it was made with."
            )
        leaf.copy_(value.to(leaf.device, leaf.dtype))


def modules_of(*programs: Callable) -> dict[str, nn.Module]:
    """The programs that are modules, or methods of one, as ``{"model": ..., "guide": ...}``."""
    found: dict[str, nn.Module] = {}
    for label, program in zip(("model", "guide"), programs, strict=True):
        program = poutine.unwrap(program)
        owner = getattr(program, "__self__", program)
        if isinstance(owner, nn.Module):
            found[label] = owner
    return found
