"""Learned priors p(z), instead of the standard one that every family of latents has."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.vae.priors.base import Prior as Prior
    from pyro_vae.vae.priors.flow import AutoregressiveFlow as AutoregressiveFlow
    from pyro_vae.vae.priors.mixture import GaussianMixture as GaussianMixture
    from pyro_vae.vae.priors.vamp import Vamp as Vamp

_HOME = {"AutoregressiveFlow": "flow", "GaussianMixture": "mixture", "Prior": "base", "Vamp": "vamp"}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
