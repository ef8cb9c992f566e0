"""One run of guide and model as a table of sites: all of Pyro's trace handling lives here.

Estimators read ``particles.data`` (torch only); the layers above call ``draw`` and ``run_model``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.particles.calls import call_arguments as call_arguments
    from pyro_vae.particles.data import Dream as Dream
    from pyro_vae.particles.data import Factor as Factor
    from pyro_vae.particles.data import Particles as Particles
    from pyro_vae.particles.data import Pass as Pass
    from pyro_vae.particles.data import Plate as Plate
    from pyro_vae.particles.data import Site as Site
    from pyro_vae.particles.tracing import draw as draw
    from pyro_vae.particles.tracing import run_model as run_model

_HOME = {
    "Dream": "data",
    "Factor": "data",
    "Particles": "data",
    "Pass": "data",
    "Plate": "data",
    "Site": "data",
    "call_arguments": "calls",
    "draw": "tracing",
    "run_model": "tracing",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
