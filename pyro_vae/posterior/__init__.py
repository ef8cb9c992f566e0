"""Draws from a fit or a chain as one container, an ``xarray.DataTree``, with the same names and shapes from both.

``datatree`` and ``convergence`` know no torch; ``draws`` runs the model and the guide.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.posterior.convergence import ChainHealth as ChainHealth
    from pyro_vae.posterior.convergence import chain_health as chain_health
    from pyro_vae.posterior.datatree import build as build
    from pyro_vae.posterior.datatree import load as load
    from pyro_vae.posterior.datatree import save as save
    from pyro_vae.posterior.datatree import scalar_parameters as scalar_parameters
    from pyro_vae.posterior.datatree import variable_names as variable_names
    from pyro_vae.posterior.draws import model_groups as model_groups
    from pyro_vae.posterior.draws import sample_posterior as sample_posterior

_HOME = {
    "ChainHealth": "convergence",
    "build": "datatree",
    "chain_health": "convergence",
    "load": "datatree",
    "model_groups": "draws",
    "sample_posterior": "draws",
    "save": "datatree",
    "scalar_parameters": "datatree",
    "variable_names": "datatree",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
