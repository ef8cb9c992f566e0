"""Findings about a model on its own: what NUTS would trip on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pyro_vae.errors import ModelError
from pyro_vae.potential.density import Potential
from pyro_vae.studies.checking.finding import Finding, sentences
from pyro_vae.studies.checking.look import Look


def no_density(look: Look) -> Iterator[Finding]:
    """NUTS cannot have the density of this model, or cannot start."""
    if look.guide is not None or not look.sound:
        return
    try:
        potential = Potential(look.model, look.args, look.kwargs, compiled=False)
        potential.start(np.random.default_rng(look.seed))
    except ModelError as error:
        what, instead = sentences(error)
        site = next((name for name in look.of_model.sites if f"'{name}'" in what), None)
        yield Finding(
            what,
            instead or "Write the model so that its density is one smooth function of its latent sites.",
            site=site,
            where=look.of_model.where(site) if site else None,
        )
