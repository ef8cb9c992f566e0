"""Families of the data x: what p(x | z) is made of, and which data it can be asked about."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.vae.likelihoods.base import Elementwise as Elementwise
    from pyro_vae.vae.likelihoods.base import Likelihood as Likelihood
    from pyro_vae.vae.likelihoods.bernoulli import Bernoulli as Bernoulli
    from pyro_vae.vae.likelihoods.categorical import Categorical as Categorical
    from pyro_vae.vae.likelihoods.gaussian import Gaussian as Gaussian
    from pyro_vae.vae.likelihoods.sentences import Sentences as Sentences
    from pyro_vae.vae.likelihoods.words import Words as Words

_HOME = {
    "Bernoulli": "bernoulli",
    "Categorical": "categorical",
    "Elementwise": "base",
    "Gaussian": "gaussian",
    "Likelihood": "base",
    "Sentences": "sentences",
    "Words": "words",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
