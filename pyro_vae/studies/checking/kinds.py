"""Findings about kinds of numbers: dtypes, devices, NaN in the data, arrays that are no tensors, no rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from pyro_vae.errors import DataError
from pyro_vae.particles.calls import call_arguments
from pyro_vae.studies.checking.finding import Finding, sentences
from pyro_vae.studies.checking.look import Look, argument_names


def impossible_numbers(look: Look) -> Iterator[Finding]:
    """NaN or infinite data."""
    named = argument_names(look.model, look.args, look.kwargs)
    for name, value in named.items():
        if isinstance(value, Tensor) and value.is_meta:
            continue
        try:
            call_arguments({name: value})
        except DataError as error:
            what, instead = sentences(error)
            yield Finding(what, instead)
    for name, value in look.arrays.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and not np.isfinite(value).all():
            yield Finding(f"Data argument '{name}' has numbers that are NaN or infinite.", "Remove or impute them.")


def two_dtypes(look: Look) -> Iterator[Finding]:
    """Floating data of one precision, parameters of another."""
    leaves = look.seen.leaves.items()
    of_parameters = {leaf.dtype: name for name, leaf in leaves if leaf.is_floating_point()}
    if len(of_parameters) > 1:
        shown = ", ".join(f"'{name}' {_short(dtype)}" for dtype, name in of_parameters.items())
        yield Finding(
            f"The parameters are of different precision: {shown}.",
            "Make all of one, with torch.tensor(..., dtype=torch.float32).",
            parameter=next(iter(of_parameters.values())),
        )
    for name, value in look.arrays.items():
        if not isinstance(value, Tensor) or not value.is_floating_point() or value.dtype in of_parameters:
            continue
        dtype = next(iter(of_parameters), torch.get_default_dtype())
        if value.dtype != dtype:
            whose = "the parameters" if of_parameters else "torch's defaults"
            yield Finding(
                f"The data '{name}' are {_short(value.dtype)}, {whose} {_short(dtype)}.",
                f"Bring the data to the parameters' precision: {name}.to(torch.{_short(dtype)}). (What comes from "
                "NumPy or pandas is float64.)",
                line=f"{name} = {name}.to(torch.{_short(dtype)})" if name.isidentifier() else None,
            )


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def two_devices(look: Look) -> Iterator[Finding]:
    """Data on one device, parameters on another."""
    leaves = {str(leaf.device): name for name, leaf in look.seen.leaves.items()}
    for name, value in look.arrays.items():
        if isinstance(value, Tensor) and leaves and str(value.device) not in leaves:
            yield Finding(
                f"The data '{name}' are on device {value.device}, the parameters on {next(iter(leaves))}.",
                f"Pass device= to pv.fit, which moves both, or move the data: {name}.to('{next(iter(leaves))}').",
                line=f"{name} = {name}.to('{next(iter(leaves))}')" if name.isidentifier() else None,
            )


def no_tensor(look: Look) -> Iterator[Finding]:
    """Observations that are arrays or lists."""
    visit = look.alone or look.of_model
    for one in visit.samples:
        value = one.message["value"]
        if one.message["is_observed"] and not isinstance(value, (Tensor, int, float, bool)) and value is not None:
            yield Finding(
                f"Site '{one.name}' is given a {type(value).__module__}.{type(value).__name__} to observe, and needs a "
                "tensor.",
                "Make it a tensor before the fit: torch.as_tensor(data, dtype=torch.float32).",
                site=one.name,
                where=one.where,
            )


def no_rows(look: Look) -> Iterator[Finding]:
    """Data without rows, a plate of size 0."""
    for name, value in look.arrays.items():
        if value.size == 0 if isinstance(value, np.ndarray) else value.numel() == 0:
            yield Finding(
                f"The data '{name}' have no entries: their shape is {tuple(value.shape)}.",
                "Look at how they are loaded or filtered.",
            )
