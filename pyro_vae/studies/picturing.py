"""What a VAE makes, as rows to look at: reconstructions, samples, ways between rows, walks through the latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pyro_vae.datasets import Rows
from pyro_vae.errors import OptionError
from pyro_vae.nets import END
from pyro_vae.report.vae_content import Pictures
from pyro_vae.vae import latents
from pyro_vae.vae.program import VAE

SHOWN, SENTENCES, STEPS, PAIRS, WALKED = 24, 12, 8, 3, 10
_REAL = (latents.Gaussian, latents.FullGaussian, latents.Flow)
_WEIGHTS = (latents.Dirichlet, latents.StickBreaking)


def pictures(vae: VAE, rows: Rows, order: Sequence[int]) -> Pictures:
    """Of the first rows; the latents are walked through in the ``order`` of their use."""
    x, show = rows.x, _showing(rows)
    few = SENTENCES if rows.kind == "sentences" else SHOWN
    missing: dict[str, str] = {}
    ways = walks = None
    names: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    try:
        pairs = min(PAIRS, len(x) // 2)
        ways = show(vae.interpolate(x[:pairs], x[pairs : 2 * pairs], STEPS).transpose(0, 1))
    except OptionError:
        missing["interpolations"] = "there is no way between discrete latents"
    walked = None if type(vae).encode is not VAE.encode else _walks(vae, x, order)
    if walked is None:
        missing["traversals"] = "there is no rule for walking through latents of this family"
    else:
        z, names, values = walked
        with torch.no_grad():
            walks = show(vae.likelihood.point(vae.decode(z)))
    return Pictures(
        kind=rows.kind,
        originals=show(x[:few]),
        reconstructions=show(vae.reconstruct(x[:few])),
        samples=show(vae.generate(few, noise=rows.kind == "sentences")),
        interpolations=ways,
        traversals=walks,
        traversed=names,
        values=values,
        missing=missing,
        limits=rows.limits,
    )


def _showing(rows: Rows) -> Callable[[Tensor], Any]:
    """How rows ``[*lead, *event]`` are made into what a report shows."""
    if rows.kind == "images":
        return rows.as_images
    if rows.kind == "sentences":
        return lambda x: _sentences(x, rows)
    return rows.as_arrays


def _sentences(x: Tensor, rows: Rows) -> Any:
    if x.dim() > 2:
        return [_sentences(part, rows) for part in x]
    if rows.vocabulary is not None:
        return rows.as_sentences(x)
    return [" ".join(str(word) for word in row if word > END) for row in x.tolist()]


@torch.no_grad()
def _walks(vae: VAE, x: Tensor, order: Sequence[int]) -> tuple[Tensor, tuple[str, ...], tuple[str, ...]] | None:
    """z ``[dims, values, *event]`` that differ in one place at a time, the names of these and the values there."""
    latent, dims = vae.latent, list(order)[:WALKED]
    q = vae.encode(x)
    if isinstance(latent, _REAL):
        codes = q.sample((8,)).flatten(0, 1)
        low, high = codes.quantile(0.02, 0), codes.quantile(0.98, 0)
        base = latent.centre(q)[:1]
        steps = torch.linspace(0, 1, 9, dtype=base.dtype)
        z = base.expand(len(dims), len(steps), -1).clone()
        for place, dim in enumerate(dims):
            z[place, :, dim] = low[dim] + steps * (high[dim] - low[dim])
        return z, _names(dims), ("low", *[""] * (len(steps) - 2), "high")
    if isinstance(latent, _WEIGHTS):
        mean = latent.code(q.sample((8,))).mean((0, 1))
        shares = torch.tensor([0.0, 0.25, 0.5, 0.75, 0.95], dtype=mean.dtype)
        dims = list(range(min(WALKED, len(mean))))
        vertices = torch.eye(len(mean), dtype=mean.dtype)[dims]
        weights = (1 - shares)[:, None] * mean + shares[:, None] * vertices.unsqueeze(1)
        return weights.log(), _names(dims), ("mean", "25 %", "50 %", "75 %", "95 %")
    if isinstance(latent, latents.Bernoulli) and latent.temperature is None:
        z = latent.centre(q)[:1].expand(len(dims), 2, -1).clone()
        for place, dim in enumerate(dims):
            z[place, 0, dim], z[place, 1, dim] = 0.0, 1.0
        return z, _names(dims), ("0", "1")
    if isinstance(latent, latents.Categorical) and latent.groups == 1 and latent.temperature is None:
        classes = min(latent.classes, WALKED)
        return torch.eye(latent.classes)[None, :classes], ("z",), tuple(map(str, range(classes)))
    return None


def _names(dims: Sequence[int]) -> tuple[str, ...]:
    return tuple(f"z[{dim}]" for dim in dims)
