"""``fit``: from a model and a guide to a fitted posterior. The loop, its schedules and stopping rules, checkpoints."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.training.fitting import fit as fit
    from pyro_vae.training.loading import load_fit as load_fit
    from pyro_vae.training.result import Fit as Fit
    from pyro_vae.training.result import FitInterrupted as FitInterrupted
    from pyro_vae.training.result import History as History
    from pyro_vae.training.stopping import Flat as Flat
    from pyro_vae.training.terms import Terms as Terms
    from pyro_vae.training.validation import Validation as Validation

_HOME = {
    "Fit": "result",
    "FitInterrupted": "result",
    "Flat": "stopping",
    "History": "result",
    "Terms": "terms",
    "Validation": "validation",
    "fit": "fitting",
    "load_fit": "loading",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
