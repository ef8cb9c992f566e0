"""The NUTS baseline: its engines, the ladder of retries, and runs of Pyro's own MCMC, all as a ``DataTree``."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.mcmc.existing import from_mcmc as from_mcmc
    from pyro_vae.mcmc.sampling import nuts as nuts

_HOME = {"from_mcmc": "existing", "nuts": "sampling"}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
