"""From Pyro's batch dims to plates by frame: tensors ``[*batch]`` become ``[K, *plates]``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pyro_vae.errors import ModelError
from pyro_vae.particles.data import Factor, Plate
from pyro_vae.particles.handlers import frames_to_plates


def pack(
    tensor: Tensor,
    name: str,
    frames: tuple[tuple[Plate, int | None], ...],
    particle_dim: int | None,
    event_dim: int = 0,
) -> Tensor:
    """``[*batch, *event]`` to ``[K, *plates, *event]``; K is 1 when one particle was run at a time.

    Raises :class:`~pyro_vae.errors.ModelError` naming the site when a batch dim belongs to no plate.
    """
    event = tensor.shape[tensor.dim() - event_dim :]
    batch = tensor.shape[: tensor.dim() - event_dim]
    width, sizes, kept = _layout(batch, frames, particle_dim)
    stray = _stray(width, sizes, kept)
    if stray:
        plates = [plate.name for plate, dim in frames if dim is not None]
        raise ModelError(_stray_message(name, tuple(batch), stray, plates, sizes[width + stray[0]]))
    shape = [sizes[axis] for axis in kept]
    if kept != list(range(width)):  # the common case is a view of the tensor as it is
        tensor = tensor.reshape(sizes + tuple(event))
        order = kept + [axis for axis in range(width) if axis not in kept]
        tensor = tensor.permute(*order, *range(width, width + event_dim))
    lead = shape if particle_dim is not None else [1, *shape]
    return tensor.reshape(torch.Size(lead) + event)


def _layout(
    batch: torch.Size, frames: tuple[tuple[Plate, int | None], ...], particle_dim: int | None
) -> tuple[int, tuple[int, ...], list[int]]:
    """How many axes a batch shape needs, their sizes, and which of them are the particles' and the plates'."""
    dims = [dim for _, dim in frames if dim is not None]
    width = max([len(batch), *(-dim for dim in dims), -(particle_dim or 0)])
    sizes = (1,) * (width - len(batch)) + tuple(batch)
    return width, sizes, ([width + particle_dim] if particle_dim is not None else []) + [width + dim for dim in dims]


def _stray(width: int, sizes: tuple[int, ...], kept: list[int]) -> list[int]:
    return [axis - width for axis in range(width) if axis not in kept and sizes[axis] != 1]


def stray_dims(site: Mapping[str, Any], batch: torch.Size) -> dict[int, int]:
    """The dims of a site's batch shape, of one particle, that belong to no plate, with their sizes."""
    width, sizes, kept = _layout(batch, frames_to_plates(site), None)
    return {dim: sizes[width + dim] for dim in _stray(width, sizes, kept)}


def _stray_message(name: str, batch: tuple[int, ...], stray: list[int], plates: list[str], size: int) -> str:
    inside = f"inside plates {plates}" if plates else "outside any plate"
    return (
        f"Site '{name}' has batch shape {batch} {inside}: expected every batch dim to belong to a plate, got "
        f"dim {stray[0]} "
        f"of size {size} in none. If its entries are independent, write `with pyro.plate('{name}_plate', {size}):` "
        f"around the site; if they are one event, add `.to_event({len(stray)})` to its distribution."
    )


def make_factor(
    site: Mapping[str, Any], particle_dim: int | None, num_particles: int, log_prob: Tensor | None = None
) -> Factor:
    """The factor of one traced site: its log-probability masked, unscaled and packed, its scales kept apart."""
    frames = frames_to_plates(site)
    plates = tuple(plate for plate, _ in frames)
    if log_prob is None:
        log_prob = evaluate(site)
    name, log_prob = site["name"], masked(site, log_prob)
    full = torch.Size(
        [num_particles if particle_dim is not None else 1, *(plate.size for plate in plates if plate.vectorized)]
    )
    packed = pack(log_prob, name, frames, particle_dim)
    factor = Factor(packed if packed.shape == full else _expand(packed, full, name, plates), plates)
    scale = own_scale(site, plates, particle_dim)
    return factor if isinstance(scale, float) and scale == 1.0 else Factor(factor.log_prob, plates, scale)


def evaluate(site: Mapping[str, Any]) -> Tensor:
    """The site's log-probability in Pyro's own shape; an error names the site and shows distribution and value."""
    try:
        return site["fn"].log_prob(site["value"], *site["args"], **site["kwargs"])
    except (ValueError, RuntimeError) as error:
        value = site["value"]
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ModelError(
            f"Site '{site['name']}': its distribution {type(site['fn']).__name__} (batch "
            f"{tuple(site['fn'].batch_shape)}, event "
            f"{tuple(site['fn'].event_shape)}) cannot score the value of shape {shape}: {first_sentence(error)} "
            "Check the site's parameters, the data it observes and the plates around it."
        ) from error


def first_sentence(error: BaseException) -> str:
    """The start of another library's message, as a sentence on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    if len(text) > 300:
        text = text[:297] + "..."
    return text if text.endswith((".", "!", "?")) else text + "."


def _expand(packed: Tensor, full: torch.Size, name: str, plates: tuple[Plate, ...]) -> Tensor:
    try:
        return packed.expand(full)
    except RuntimeError:
        wanted = {plate.name: plate.size for plate in plates if plate.vectorized}
        raise ModelError(
            f"Site '{name}': expected one log-probability per row of its plates {wanted}, got shape "
            f"{tuple(packed.shape[1:])}. "
            "Make the plate's size equal to the number of rows of its data."
        ) from None


def masked(site: Mapping[str, Any], log_prob: Tensor) -> Tensor:
    """The site's log-probability with 0 where ``poutine.mask`` hides it."""
    mask = site["mask"]
    if mask is None or mask is True:
        return log_prob
    return torch.zeros_like(log_prob) if mask is False else torch.where(mask, log_prob, torch.zeros_like(log_prob))


def own_scale(site: Mapping[str, Any], plates: tuple[Plate, ...], particle_dim: int | None) -> Tensor | float:
    """``poutine.scale`` alone: Pyro multiplies the plates' N/B into the same number."""
    scale, plate_scale = site["scale"], math.prod(plate.scale for plate in plates)
    if isinstance(scale, Tensor):
        own = scale / plate_scale
        return own if own.dim() == 0 else pack(own, site["name"], frames_to_plates(site), particle_dim)
    own = float(scale) / plate_scale
    return 1.0 if abs(own - 1.0) < 1e-12 else own


def make_value(
    site: Mapping[str, Any],
    particle_dim: int | None,
    num_particles: int,
    enumerated: tuple[tuple[Plate, int | None], ...] = (),
) -> Tensor:
    """A latent value as ``[K, *plates, *event]``; axes of ``enumerated`` sites stand right of the plates'."""
    frames = frames_to_plates(site) + enumerated
    event_dim = getattr(site["fn"], "event_dim", 0)
    packed = pack(site["value"], site["name"], frames, particle_dim, event_dim)
    lead = [num_particles if particle_dim is not None else 1, *(plate.size for plate, _ in frames if plate.vectorized)]
    return packed.expand(torch.Size(lead) + packed.shape[packed.dim() - event_dim :])


def make_deterministic(
    site: Mapping[str, Any], particle_dim: int | None, num_particles: int, shape: torch.Size | None
) -> Tensor:
    """A ``pyro.deterministic`` value as ``[K, *plates, *event]``.

    Pyro takes every dim of such a value for an event, particles included, so the shape is the one that the site has
    when one particle runs alone (``shape``); without particles' plate it is read off the site's own plates.
    """
    value = torch.as_tensor(site["value"])
    if particle_dim is None:
        frames = frames_to_plates(site)
        width = max((-dim for _, dim in frames if dim is not None), default=0)
        event_dim = max(value.dim() - width, 0)
        batch = value.shape[: value.dim() - event_dim]
        sizes = {len(batch) + dim: plate.size for plate, dim in frames if dim is not None and -dim <= len(batch)}
        kept = [size for axis, size in enumerate(batch) if axis in sizes or size != 1]
        return value.reshape(torch.Size([1, *kept]) + value.shape[value.dim() - event_dim :])
    assert shape is not None  # a plan knows the shape of every deterministic site
    if value.numel() == num_particles * shape.numel():
        return value.reshape(torch.Size([num_particles]) + shape)
    if value.numel() == shape.numel():
        return value.reshape(shape).expand(torch.Size([num_particles]) + shape)
    raise ModelError(
        f"Deterministic site '{site['name']}' has shape {tuple(shape)} for one particle and "
        f"{tuple(value.shape)} for {num_particles}: its "
        "shape must not depend on the particle axis. Use negative dims in the operations before it."
    )
