"""Findings about shapes: of values and events, and of batch dims that nobody has declared independent."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pyro_vae.particles.checks import latent_sites, unfit_shapes, without_leading_ones
from pyro_vae.particles.handlers import is_delta
from pyro_vae.particles.packing import stray_dims
from pyro_vae.studies.checking.finding import Finding
from pyro_vae.studies.checking.look import Look, is_factor
from pyro_vae.studies.checking.plates import missing_plates
from pyro_vae.studies.checking.source import with_event


def unfit_event(look: Look) -> Iterator[Finding]:
    """Guide and model count different dims of a site as one event."""
    if look.pair is None or look.guide is None:
        return
    for name, site in latent_sites(look.pair).items():
        other = look.pair.guide.get(name)
        if other is None or is_delta(other["fn"]) or site["fn"].event_dim == other["fn"].event_dim:
            continue
        if without_leading_ones(other["value"].shape) != without_leading_ones(site["fn"].shape()):
            continue
        have, want = other["fn"].event_dim, site["fn"].event_dim
        where = look.of_guide.where(name)
        more = want > have
        yield Finding(
            f"Site '{name}' has {_dims(want)} in the model and {_dims(have)} in the guide.",
            f"Add .to_event({want - have}) to the guide's distribution."
            if more
            else f"Take .to_event out of the guide's distribution, or add .to_event({have - want}) to the model's.",
            site=name,
            where=where,
            line=where.corrected(with_event(want - have)) if where and more else None,
        )


def _dims(count: int) -> str:
    return f"{count} event dim{'' if count == 1 else 's'}"


def unfit_shape(look: Look) -> Iterator[Finding]:
    """The guide's value is not of the model's shape."""
    if look.pair is None or look.guide is None or look.has("parameter-left"):
        return
    for fault in unfit_shapes(look.pair):
        if not look.has("plate-size", "plate-subsample", "plate-missing", "plate-extra", site=fault.site):
            where = look.of_guide.where(fault.site)
            yield Finding(fault.what, fault.instead, site=fault.site, where=where)


def stray(look: Look) -> Iterator[Finding]:
    """A batch dim that is in no plate."""
    if look.has("parameter-left"):
        return  # of another shape than is written
    for visit in look.visits:
        for name, one in visit.sites.items():
            if look.has("event", site=name) or look.has("observed-shape", site=name):
                continue
            fn = one.fn
            batch = fn.batch_shape if not is_factor(fn) else torch.as_tensor(fn.log_factor).shape
            dims = stray_dims(one.message, torch.Size(batch))
            if not dims or (visit.role == "guide" and name in {site for site, _ in missing_plates(look)}):
                continue
            [(dim, size), *_] = dims.items()
            inside = f"the plates {', '.join(one.frames)}" if one.frames else "no plate"
            whole = f".to_event({len(dims)})"
            yield Finding(
                f"The {visit.role}'s site '{name}' has batch shape {tuple(batch)} and is in {inside}: nothing says "
                f"what its dim {dim}, of size {size}, is.",
                f"Add {whole} if the entries are one vector (in model and guide alike); or, if they are independent "
                f'rows, write `with pyro.plate("{name}_plate", {size}):` around the site.'
                if not is_factor(fn)
                else f"Sum the factor, .sum(-1), or write `with pyro.plate('{name}_plate', {size}):` around it.",
                site=name,
                where=one.where,
                line=(one.where and not is_factor(fn) and one.where.corrected(with_event(len(dims)))) or None,
            )


def observed_shape(look: Look) -> Iterator[Finding]:
    """Data that do not have the shape of their distribution are broadcast into more log-densities than there are."""
    for name, one in look.observed.items():
        value = one.message["value"]
        if look.has("plate-size", "plate-subsample") or not isinstance(value, Tensor) or is_delta(one.fn):
            continue
        shape = torch.Size(one.fn.batch_shape + one.fn.event_shape)
        if without_leading_ones(value.shape) == without_leading_ones(shape):
            continue
        try:
            both = torch.broadcast_shapes(shape, value.shape)
        except RuntimeError:
            both = None
        if both is not None and both.numel() <= max(shape.numel(), 1):
            continue
        result = f"they are paired into {tuple(both)}" if both is not None else "the two do not fit together"
        yield Finding(
            f"Site '{name}' observes data of shape {tuple(value.shape)} under a distribution of shape {tuple(shape)}: "
            f"{result}.",
            _reshaped(tuple(value.shape), tuple(shape)),
            site=name,
            where=one.where,
        )


def _reshaped(have: tuple[int, ...], want: tuple[int, ...]) -> str:
    if len(have) > 1 and have[-1] == 1 and have[:-1] == want[len(want) - len(have) + 1 :]:
        return "Drop the last dim of the data: obs=y.squeeze(-1)."
    if len(want) > 1 and want[-1] == 1:
        return "Drop the last dim of the distribution's parameters, as in net(x).squeeze(-1): their shape ends in 1."
    if len(have) == len(want) + 1 and have[: len(want)] == want:
        return "The data have one dim more: make the distribution as wide, and add .to_event(1)."
    return f"Bring both to one shape: the data to {want}, or the distribution's parameters to {have}."
