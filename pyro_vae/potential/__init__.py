"""The unconstrained log density of a Pyro model, compiled: for NUTS and whatever else needs its gradient."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.potential.density import Potential as Potential
    from pyro_vae.potential.precision import double_precision as double_precision

_HOME = {"Potential": "density", "double_precision": "precision"}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
