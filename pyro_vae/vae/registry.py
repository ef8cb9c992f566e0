"""A module's parameters in Pyro's param store, where objectives look for them."""

from __future__ import annotations

import pyro
from torch import nn


def register(name: str, module: nn.Module) -> None:
    """Make the parameters of ``module`` known to Pyro as ``name$$$parameter``.

    ``pyro.module`` under a name that was used before keeps the old module's tensors in the store, so a second VAE made
    in the same session would never learn. Here the store follows the module that is run.
    """
    store = pyro.get_param_store()
    for key, leaf in module.named_parameters():
        full = f"{name}$$${key}"
        if store._params.get(full, leaf) is not leaf:
            del store[full]
        if leaf.requires_grad:
            pyro.param(full, leaf)
