"""Variational autoencoders as Pyro programs: a prior and a decoder are the model, an encoder is the guide.

:class:`VAE` puts the parts together. They are in three packages: ``latents`` (families of q(z | x), each with its
standard prior), ``likelihoods`` (families of p(x | z)) and ``priors`` (learned p(z)).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.vae import latents as latents
    from pyro_vae.vae import likelihoods as likelihoods
    from pyro_vae.vae import priors as priors
    from pyro_vae.vae.evidence import LogEvidence as LogEvidence
    from pyro_vae.vae.grammar import Grammar as Grammar
    from pyro_vae.vae.program import VAE as VAE
    from pyro_vae.vae.vocabulary import Vocabulary as Vocabulary

_HOME = {"Grammar": "grammar", "LogEvidence": "evidence", "VAE": "program", "Vocabulary": "vocabulary"}
_PACKAGES = ("latents", "likelihoods", "priors")
__all__ = sorted([*_HOME, *_PACKAGES])


def __getattr__(name: str):
    from importlib import import_module

    if name in _PACKAGES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
