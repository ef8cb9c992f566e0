"""Guide families by name. ``autoguide("auto_normal", model)`` is a Pyro autoguide with good initial values."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.guides.automatic import as_guide as as_guide
    from pyro_vae.guides.automatic import autoguide as autoguide
    from pyro_vae.guides.automatic import fit_options as fit_options
    from pyro_vae.guides.automatic import names as names
    from pyro_vae.guides.starts import init_to_start as init_to_start

_HOME = {
    "as_guide": "automatic",
    "autoguide": "automatic",
    "fit_options": "automatic",
    "init_to_start": "starts",
    "names": "automatic",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
