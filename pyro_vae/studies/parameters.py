"""Who owns which parameter during a comparison; the person's param store stays as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import pyro
from pyro.infer.autoguide import AutoGuide
from torch import Tensor, nn

from pyro_vae.errors import ModelError, OptionError
from pyro_vae.particles import call_arguments, run_model
from pyro_vae.studies.entries import Entries
from pyro_vae.training.parameters import seen_parameters
from pyro_vae.training.randomness import kept_randomness

_TOGETHER = "every guide is fitted together with"


@contextmanager
def store_copy() -> Iterator[Any]:
    """Pyro's param store with all that is in it, for a block that may add to it; afterwards it is as it was."""
    store = pyro.get_param_store()
    state: Any = store.get_state()
    with store.scope({"params": dict(state["params"]), "constraints": dict(state["constraints"])}):
        yield store


def look_at_model(model: Callable, data: Any) -> dict[str, Tensor]:
    """Run the model once, unseen; the parameters that it has of its own, by name.

    Raises :class:`~pyro_vae.errors.ModelError` if it has no latent site, or naming the site at which it fails.
    """
    args, kwargs = call_arguments(data)
    with store_copy(), kept_randomness(), seen_parameters() as seen:
        particles = run_model(model, args, kwargs)
    if not particles.latent:
        sites = ", ".join(f"'{site.name}'" for site in particles.observed) or "none"
        raise ModelError(
            f"The model has no latent sites (observed sites: {sites}), so it has no posterior. Write what is to be "
            "inferred as pyro.sample without obs=."
        )
    return seen.leaves


def refuse_shared(learned: Mapping[str, Tensor], entries: Entries) -> None:
    """A model that learns is another model in every fit: one baseline cannot serve two.

    Raises :class:`~pyro_vae.errors.ModelError` naming a parameter in ``learned``, if there are several entries.
    """
    if learned and len(entries.by_name) > 1:
        each, one = ("every fit has", "guide and estimator") if entries.several else (_TOGETHER, "guide")
        raise ModelError(
            f"The model learns '{next(iter(learned))}', so {each} a model of its own, "
            f"and no one baseline is right for all. Compare one {one} at a time (NUTS then runs at the values that its "
            "fit found), or make it a latent site with a prior."
        )


def refuse_untrained(name: str, guide: Any, data: Any) -> None:
    """With ``refit=False``: a name stands for no trained guide, nor does a guide whose parameters are made only now.

    Raises :class:`~pyro_vae.errors.OptionError`, or :class:`~pyro_vae.errors.ModelError` naming such a parameter.
    """
    if isinstance(guide, str):
        raise OptionError(f"refit=False: '{name}' is a name, not a trained guide. Give the guide, or leave out refit.")
    if isinstance(guide, AutoGuide) and guide.prototype_trace is None:
        raise ModelError("The guide has never been called, so it is not trained. Train it, or leave out refit=False.")
    owner = getattr(pyro.poutine.unwrap(guide), "__self__", guide)
    if isinstance(owner, nn.Module):
        return
    before = set(pyro.get_param_store())
    args, kwargs = call_arguments(data)
    with store_copy(), kept_randomness(), seen_parameters() as seen, suppress(Exception):
        guide(*args, **kwargs)  # what goes wrong here goes wrong again where it is explained
    # The parameters of a module that the guide registers ("net$$$weight") are the module's own, trained or not.
    new = [parameter for parameter in seen.sites if parameter not in before and "$$$" not in parameter]
    if new:
        raise ModelError(
            f"The guide's parameter '{new[0]}' is not in Pyro's param store: it was made anew, untrained. Train the "
            "guide in this process, load its parameters (pyro.get_param_store().load), or leave out refit=False."
        )
