"""Tensors of a run with enumerated sites, packed as Pyro packs them: every axis longer than 1 has a symbol, that of its
plate or of its enumerated site."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import opt_einsum
import torch
from pyro.distributions import MaskedDistribution
from pyro.ops import packed
from torch import Tensor

from pyro_vae.errors import ModelError
from pyro_vae.particles.data import Plate
from pyro_vae.particles.enumerated import ENUMERATION_REMEDY
from pyro_vae.particles.handlers import PARTICLES
from pyro_vae.particles.packing import evaluate
from pyro_vae.particles.runs import Run


class Symbols:
    """Symbols for one run's plates and enumerated sites. ``pyro.markov`` lets sites share a dim, never a symbol."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._known: dict[tuple[str, Any], str] = {}
        self._log_probs: dict[int, Tensor] = {}

    def of_plate(self, name: str) -> str:
        """The symbol of a plate's axis."""
        return self._of("plate", name)

    def of_site(self, site: Mapping[str, Any]) -> str | None:
        """The symbol of a site's own enumeration axis; None for a site that is not enumerated."""
        infer = site["infer"]
        return self._of("site", infer["_dim_to_id"][infer["_enumerate_dim"]]) if "_enumerate_dim" in infer else None

    def of_frames(self, site: Mapping[str, Any]) -> frozenset[str]:
        """The symbols of the vectorised plates around a site, the particles' included."""
        return frozenset(self.of_plate(frame.name) for frame in site["cond_indep_stack"] if frame.vectorized)

    def _of(self, kind: str, key: Any) -> str:
        return self._known.setdefault((kind, key), opt_einsum.get_symbol(len(self._known)))

    def log_prob(self, site: Mapping[str, Any]) -> Tensor:
        """A site's log-probability in Pyro's own shape, neither masked nor scaled; evaluated once."""
        if id(site) not in self._log_probs:
            self._log_probs[id(site)] = evaluate(site)
        return self._log_probs[id(site)]

    def conditional(self, site: Mapping[str, Any]) -> Tensor:
        """The log-probabilities of an enumerated site's values, packed, without any mask: their exponentials sum to 1.

        Masks are for costs. With one, every value would count as certain.
        """
        fn = site["fn"]
        while isinstance(fn, MaskedDistribution):
            fn = fn.base_dist
        return self.pack(site, self.log_prob(site) if fn is site["fn"] else evaluate({**site, "fn": fn}))

    def pack(self, site: Mapping[str, Any], log_prob: Tensor) -> Tensor:
        """A site's log-probability in Pyro's own shape, expanded over its plates and packed.

        Raises :class:`~pyro_vae.errors.ModelError` naming the site when an axis belongs to nothing.
        """
        frames = [frame for frame in site["cond_indep_stack"] if frame.vectorized]
        symbols = {dim: self._of("site", id_) for dim, id_ in site["infer"].get("_dim_to_id", {}).items()}
        symbols |= {frame.dim: self.of_plate(frame.name) for frame in frames}
        plates = [1] * max([0, *(-frame.dim for frame in frames)])
        for frame in frames:
            plates[frame.dim] = frame.size
        try:
            return packed.pack(log_prob.expand(torch.broadcast_shapes(log_prob.shape, tuple(plates))), symbols)
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                f"Site '{site['name']}' has log-probabilities of shape {tuple(log_prob.shape)} when enumerated sites "
                f"take all their values: expected every axis to belong to a plate or to one of these sites. "
                f"{ENUMERATION_REMEDY}"
            ) from error

    def unpack(self, value: Tensor, plates: Iterable[Plate]) -> Tensor:
        """Packed to ``[K, *plates]``."""
        axes = [plate for plate in plates if plate.vectorized]
        count = self.run.num_particles if self.run.particle_dim is not None else 1
        wanted = [self.of_plate(name) for name in (PARTICLES, *(plate.name for plate in axes))]
        dims = value._pyro_dims  # type: ignore[attr-defined]
        shape = [value.shape[dims.index(symbol)] if symbol in dims else 1 for symbol in wanted]
        value = value.permute([dims.index(symbol) for symbol in wanted if symbol in dims]).reshape(shape)
        return value.expand(count, *(plate.size for plate in axes))
