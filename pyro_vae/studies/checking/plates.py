"""Findings about plates: missing, of another size or dim, and the scales that they and others bring."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from pyro_vae.errors import EstimatorError, ModelError
from pyro_vae.particles.checks import latent_sites
from pyro_vae.particles.handlers import frames_to_plates, is_delta
from pyro_vae.particles.packing import own_scale
from pyro_vae.studies.checking.finding import Finding, sentences
from pyro_vae.studies.checking.look import Look
from pyro_vae.training.scales import batch_size, check_scales

_LONG_LOOP = 30  # rows of a plate that is looped over


def _pairs(look: Look) -> Iterator[tuple[str, Any, Any, dict[str, Any], dict[str, Any]]]:
    """Shared latent sites: name, the two messages, the two sets of plates."""
    if look.pair is None or look.guide is None:
        return
    for name, site in latent_sites(look.pair).items():
        other = look.pair.guide.get(name)
        if other is not None and name in look.of_guide.sites and name in look.visited.sites:
            yield name, site, other, look.visited.sites[name].frames, look.of_guide.sites[name].frames


def missing_plates(look: Look) -> Iterator[tuple[str, str]]:
    """Site and plate, where the model's site is in a plate and the guide's is not."""
    for name, _, _, of_model, of_guide in _pairs(look):
        for plate in of_model:
            if plate not in of_guide:
                yield name, plate


def missing(look: Look) -> Iterator[Finding]:
    """A site is in a plate in the model, and not in the guide."""
    for name, plate in missing_plates(look):
        frame = look.visited.sites[name].frames[plate]
        taken = frame.full_size if frame.full_size is not None else frame.size
        part = f", subsample_size={frame.size}" if frame.size != taken else ""
        yield Finding(
            f"Site '{name}' is in plate '{plate}' in the model, and not in the guide.",
            "Write the same plate around the site in the guide, with parameters of the plate's size.",
            site=name,
            plate=plate,
            where=look.of_guide.where(name),
            line=f'with pyro.plate("{plate}", {taken}{part}):',
        )


def extra(look: Look) -> Iterator[Finding]:
    """A site is in a plate in the guide, and not in the model."""
    for name, _, _, of_model, of_guide in _pairs(look):
        for plate in (plate for plate in of_guide if plate not in of_model):
            yield Finding(
                f"Site '{name}' is in plate '{plate}' in the guide, and not in the model.",
                "Take the site out of the plate in the guide, or put it into the plate in the model.",
                site=name,
                plate=plate,
                where=look.of_guide.where(name),
            )


def other_size(look: Look) -> Iterator[Finding]:
    """A plate has one size in the model and another in the guide."""
    for plate, site, one, other in _differing(look):
        sizes = [(frame.full_size or frame.size) for frame in (one, other)]
        if sizes[0] != sizes[1]:
            yield Finding(
                f"Plate '{plate}' has {sizes[0]} rows in the model and {sizes[1]} in the guide.",
                "Give it the same size in both, for example len(x).",
                site=site,
                plate=plate,
                where=look.of_guide.where(plate) or look.of_guide.where(site),
                line=f'with pyro.plate("{plate}", {sizes[0]}):',
            )


def other_subsample(look: Look) -> Iterator[Finding]:
    """Guide and model take different parts of a plate, so that their scales differ."""
    for plate, site, one, other in _differing(look):
        if (one.full_size or one.size) == (other.full_size or other.size) and one.size != other.size:
            part = f", subsample_size={one.size}" if one.size != one.full_size else ""
            yield Finding(
                f"Plate '{plate}' takes {one.size} rows at a time in the model and {other.size} in the guide.",
                "Give the plate the same subsample_size in both: then both get the same rows.",
                site=site,
                plate=plate,
                where=look.of_guide.where(plate) or look.of_guide.where(site),
                line=f'with pyro.plate("{plate}", {one.full_size or one.size}{part}) as rows:',
            )


def other_dim(look: Look) -> Iterator[Finding]:
    """A plate lies at one dim in the model and at another in the guide."""
    for plate, site, one, other in _differing(look):
        if one.dim != other.dim and one.size == other.size:
            yield Finding(
                f"Plate '{plate}' of site '{site}' is at dim {one.dim} in the model and at dim {other.dim} in the "
                "guide.",
                f"Nest the plates in the same order, or say the dim in both: dim={one.dim}.",
                site=site,
                plate=plate,
                where=look.of_guide.where(plate) or look.of_guide.where(site),
                line=f'with pyro.plate("{plate}", {one.size}, dim={one.dim}):',
            )


def _differing(look: Look) -> Iterator[tuple[str, str, Any, Any]]:
    """Plates that both have, each once with its first site."""
    known: set[str] = set()
    for name, _, _, of_model, of_guide in _pairs(look):
        for plate in of_model:
            if plate in of_guide and plate not in known:
                known.add(plate)
                yield plate, name, of_model[plate], of_guide[plate]
    if look.guide is not None and look.of_model.error is not None:  # it may be this that made the model fail
        first = {plate.name: (plate, one.name) for one in look.of_guide.samples for plate in one.frames.values()}
        for one in look.visited.samples:
            for frame in one.frames.values():
                if frame.name in first and frame.name not in known:
                    known.add(frame.name)
                    yield frame.name, one.name, frame, first[frame.name][0]


def unlike_data(look: Look) -> Iterator[Finding]:
    """A plate's size is not the number of rows of what is in it."""
    if look.has("parameter-left"):
        return
    for visit in (*look.visits, *([look.alone] if look.alone is not None else [])):
        site = visit.failing
        if site is None or visit.error is None or site["type"] != "sample":
            continue
        shape = getattr(site["fn"], "batch_shape", ())
        for frame in site["cond_indep_stack"]:
            if frame.dim is None or len(shape) < -frame.dim or shape[frame.dim] in (1, frame.size):
                continue
            rows = shape[frame.dim]
            part = frame.full_size is not None and frame.full_size != frame.size
            yield Finding(
                f"In the {visit.role} the distribution of site '{site['name']}' has {rows} rows in plate "
                f"'{frame.name}', which has {frame.size}.",
                "The plate takes a part of the rows: index everything in it with them, `as rows:` and x[rows]."
                if part
                else f"Make the plate as long as its data, {rows}, or move the dim that is no plate's into the event "
                "with .to_event(1).",
                site=site["name"],
                plate=frame.name,
                where=visit.failed_at,
                line=f'with pyro.plate("{frame.name}", {frame.full_size}, subsample_size={frame.size}) as rows:'
                if part
                else f'with pyro.plate("{frame.name}", {rows}):',
            )
            return


def counted_per_batch(look: Look) -> Iterator[Finding]:
    """Minibatches in a plate of the batch's size, beside a global latent."""
    if not isinstance(look.data, DataLoader) or look.guide is None or not look.sound:
        return
    try:
        check_scales(look.model, look.guide, look.data, (look.args, dict(look.kwargs)))
    except ModelError as error:
        what, _ = sentences(error)
        rows, present = len(look.data.dataset), batch_size((look.args, dict(look.kwargs)))  # type: ignore[arg-type]
        site, one = next(iter(look.observed.items()))
        plate = next((frame.name for frame in one.frames.values() if frame.size == present), "data")
        batch = next(
            (name for name, value in look.arrays.items() if len(value.shape) and len(value) == present), "batch"
        )
        yield Finding(
            what.partition(" Write ")[0],
            f"Say in the model how many rows the batch stands for: its log-densities are then scaled by "
            f"{rows}/{present}.",
            site=site,
            plate=plate,
            where=look.of_model.where(plate) or one.where,
            line=f'with pyro.plate("{plate}", size={rows}, subsample={batch}):',
        )
    except EstimatorError:
        return


def other_scale(look: Look) -> Iterator[Finding]:
    """``poutine.scale`` on a site in one of the two alone."""
    for name, site, other, of_model, of_guide in _pairs(look):
        if is_delta(other["fn"]) or of_model.keys() != of_guide.keys():
            continue
        scales = [own_scale(part, tuple(plate for plate, _ in frames_to_plates(part)), None) for part in (site, other)]
        one, two = (torch.as_tensor(scale, dtype=torch.float64).detach() for scale in scales)
        if one.shape != two.shape or not torch.allclose(one, two):
            yield Finding(
                f"Site '{name}' is scaled by {_number(one)} in the model and by {_number(two)} in the guide.",
                "Put the same poutine.scale around the site in both; to weigh the KL while fitting, use beta= or "
                "annealing= of pv.fit.",
                site=name,
                where=look.of_guide.where(name),
                line=f"with poutine.scale(scale={_number(one)}):",
            )


def _number(scale: Tensor) -> str:
    return f"{scale.flatten()[0].item():.4g}" if scale.numel() else "nothing"


def other_mask(look: Look) -> Iterator[Finding]:
    """``poutine.mask`` on a site in one of the two alone."""
    for name, site, other, _, _ in _pairs(look):
        one, two = (_mask(part) for part in (site, other))
        if is_delta(other["fn"]) or (one.shape == two.shape and bool((one == two).all())):
            continue
        if one.numel() > 1 and two.numel() > 1 and bool((one == two).all()):
            continue
        yield Finding(
            f"Site '{name}' is masked differently: of its entries {_shown(one)} count in the model, {_shown(two)} in "
            "the guide.",
            "Put the same poutine.mask around the site in both.",
            site=name,
            where=look.of_guide.where(name),
            line="with poutine.mask(mask=mask):",
        )


def _mask(site: Any) -> Tensor:
    mask, fn = site["mask"], site["fn"]
    while type(fn).__name__ in ("MaskedDistribution", "Independent"):
        inner = getattr(fn, "_mask", None)
        mask = inner if mask is None and inner is not None else mask
        fn = fn.base_dist
    return torch.as_tensor(True if mask is None else mask)


def _shown(mask: Tensor) -> str:
    if mask.dim() == 0:
        return "all" if bool(mask) else "none"
    return f"{int(mask.sum())} of {mask.numel()}"


def looped(look: Look) -> Iterator[Finding]:
    """A plate that is looped over, with many rows."""
    counts: dict[str, tuple[int, Any]] = {}
    for visit in look.visits:
        for one in visit.samples:
            for frame in one.frames.values():
                if frame.dim is None and frame.size >= _LONG_LOOP:
                    counts.setdefault(frame.name, (frame.size, one))
    for plate, (size, one) in counts.items():
        yield Finding(
            f"Plate '{plate}' is looped over, {size} rows one after the other in Python.",
            f'Write `with pyro.plate("{plate}", {size}):` and give the statements in it all rows at once: every run '
            f"is then some {size} times faster.",
            site=one.name,
            plate=plate,
            where=one.where,
            line=f'with pyro.plate("{plate}", {size}):',
        )
