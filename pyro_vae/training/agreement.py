"""Whether a compiled step did what the eager step does, up to rounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pyro_vae.training.written import StepTensors

TOLERANCES = {torch.float64: 1e-10}  # relative
TOLERANCE = 1e-4  # of any other dtype
_ROUNDINGS = 100  # of the largest number of its kind, which any number may be off by, at least


def difference(
    got: Sequence[Tensor], wanted: StepTensors, numbers: Tensor, wanted_numbers: Tensor, terms: int = 1
) -> str:
    """What differs most, in words; empty where nothing does beyond rounding.

    ``got`` is in the order of ``wanted.all()``; ``numbers`` are the step's own. Small entries are compared with the
    largest of their tensor; tensors, within rounding, with the largest of their kind: gradients may cancel. The
    rounding of a sum of ``terms`` terms in another order goes with their root.
    """
    roundings = max(_ROUNDINGS, 3 * terms**0.5)
    dtypes = {leaf.dtype for leaf in wanted.params.values()}
    dtype = dtypes.pop() if len(dtypes) == 1 else torch.float32
    left = iter(got)
    worst, where = 0.0, ""
    kinds = [*wanted.kinds().items(), ("reported numbers", {"": wanted_numbers})]
    found: dict[str, list[Tensor]] = {kind: [next(left) for _ in named] for kind, named in kinds[:-1]}
    found["reported numbers"] = [numbers]
    for kind, named in kinds:
        off, name = _worst(found[kind], named, dtype, roundings)
        if off > worst:
            worst, where = off, f"{kind} {name}".strip()
    return (
        f"the compiled step differs from the eager one by {worst:.1e} (relative) in {where}"
        if worst > _tolerance(dtype)
        else ""
    )


def _tolerance(dtype: torch.dtype) -> float:
    return TOLERANCES.get(dtype, TOLERANCE)


def _worst(
    got: Sequence[Tensor], wanted: Mapping[str, Tensor], dtype: torch.dtype, roundings: float
) -> tuple[float, str]:
    """The largest relative difference among tensors of one kind, and whose it is."""
    values = {name: value.detach().double() for name, value in wanted.items()}
    largest = max((_size(value) for value in values.values()), default=0.0)
    slack = roundings * torch.finfo(dtype).eps * largest
    worst, where = 0.0, ""
    for one, (name, value) in zip(got, values.items(), strict=True):
        scale = _size(value) + slack / _tolerance(dtype) + torch.finfo(torch.float64).tiny
        apart = (one.double() - value).abs() / scale
        apart = torch.where((one.double() == value) | (one.isnan() & value.isnan()), torch.zeros_like(apart), apart)
        off = float(apart.max()) if apart.numel() else 0.0
        off = off if off == off else float("inf")
        if off > worst:
            worst, where = off, f"'{name}'"
    return worst, where


def _size(value: Tensor) -> float:
    finite = value[torch.isfinite(value)]
    return float(finite.abs().max()) if finite.numel() else 0.0
