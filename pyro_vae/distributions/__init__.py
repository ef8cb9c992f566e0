"""Distributions that hold at the edges: each a Pyro distribution, right out to the last representable float.

Every one that is reparameterised is a :class:`~pyro_vae.distributions.noise.FromNoise`: its draw is a function of the
parameters and of noise that does not depend on them, so the noise can be drawn ahead and passed in. ``rsample`` is
``sample_from_noise(draw_noise(sample_shape))``, the noise has the shape ``noise_shape(sample_shape)`` and, entry by
entry, the standard distribution that ``noise`` names.

Two scales hold what a plain float cannot. A number in (0, 1) is carried as its logit, from which log x and log(1 - x)
follow to the last digit; weights that sum to one are carried as their logarithms, on the support ``log_simplex``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.distributions.noise import FromNoise as FromNoise
    from pyro_vae.distributions.noise import Noise as Noise
    from pyro_vae.distributions.supports import log_simplex as log_simplex

_HOME = {
    "FromNoise": "noise",
    "Noise": "noise",
    "log_simplex": "supports",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
