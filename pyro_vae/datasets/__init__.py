"""A person's own rows, from a file or a folder: a format per file. ``load_data`` reads any of them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.datasets.reading import load_data as load_data
    from pyro_vae.datasets.rows import Rows as Rows
    from pyro_vae.datasets.scaling import Scaling as Scaling

_HOME = {"Rows": "rows", "Scaling": "scaling", "load_data": "reading"}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
