"""Minibatches must say how much data they stand for, or the prior of a global latent counts once per batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from pyro_vae.errors import ModelError
from pyro_vae.particles.data import Particles, Plate, Site
from pyro_vae.particles.tracing import draw
from pyro_vae.training.batches import Arguments
from pyro_vae.training.randomness import kept_randomness


def check_scales(model: Callable, guide: Callable, loader: DataLoader, arguments: Arguments) -> None:
    """Refuse a ``DataLoader`` for a model with global latents whose data plate has the batch's size, not the dataset's.

    Raises :class:`~pyro_vae.errors.ModelError` with the line to write. A model without global latents (a VAE with
    ``plate(len(x))``) is left alone: nothing in it is counted twice.
    """
    rows = _dataset_size(loader)
    present = batch_size(arguments)
    if rows is None or present is None or present >= rows:
        return
    args, kwargs = arguments
    with kept_randomness(), torch.no_grad():
        particles = draw(model, guide, args, kwargs, num_particles=1)
    scaled = [site for site in particles.observed if any(plate.full_size == rows for plate in site.plates)]
    whole = [site for site in particles.latent if _is_global(site, present, rows)]
    if scaled or not whole or not particles.observed:
        return
    plate = _batch_plate(particles, present)
    first = particles.observed[0].name
    where = f"plate '{plate.name}' has size {plate.full_size}" if plate else f"site '{first}' is in no plate"
    name = plate.name if plate else "data"
    raise ModelError(
        f"The DataLoader gives batches of {present} of {rows} rows, and {where}: the prior of '{whole[0].name}' "
        f'would be counted once per batch. Write `with pyro.plate("{name}", size={rows}, subsample=batch):` in the '
        f"model (and around local latents in the guide), where batch is the batch's tensor: "
        f"its log-probabilities are then scaled by {rows}/{present}."
    )


def _is_global(site: Site, present: int, rows: int) -> bool:
    return not any(plate.size == present or plate.full_size == rows for plate in site.plates)


def _batch_plate(particles: Particles, present: int) -> Plate | None:
    plates = [plate for site in particles.observed for plate in site.plates if plate.size == present]
    return plates[0] if plates else None


def _dataset_size(loader: DataLoader) -> int | None:
    try:
        return len(loader.dataset)  # pyright: ignore[reportArgumentType]
    except TypeError:
        return None


def batch_size(arguments: Arguments) -> int | None:
    """The rows of a batch, by its first tensor; None where it has none."""
    values: list[Any] = [*arguments[0], *arguments[1].values()]
    sizes = [value.shape[0] for value in values if isinstance(value, Tensor) and value.dim() > 0]
    return sizes[0] if sizes else None
