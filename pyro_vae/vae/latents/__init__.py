"""Families of the latent z: what q(z | x) is made of, with the standard prior of each."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.vae.latents.base import Latent as Latent
    from pyro_vae.vae.latents.bernoulli import Bernoulli as Bernoulli
    from pyro_vae.vae.latents.categorical import Categorical as Categorical
    from pyro_vae.vae.latents.dirichlet import Dirichlet as Dirichlet
    from pyro_vae.vae.latents.flow import Flow as Flow
    from pyro_vae.vae.latents.full_gaussian import FullGaussian as FullGaussian
    from pyro_vae.vae.latents.gaussian import Gaussian as Gaussian
    from pyro_vae.vae.latents.stick_breaking import StickBreaking as StickBreaking

_HOME = {
    "Bernoulli": "bernoulli",
    "Categorical": "categorical",
    "Dirichlet": "dirichlet",
    "Flow": "flow",
    "FullGaussian": "full_gaussian",
    "Gaussian": "gaussian",
    "Latent": "base",
    "StickBreaking": "stick_breaking",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
