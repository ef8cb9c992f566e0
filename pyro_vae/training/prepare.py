"""Everything before the first step: the guide made, the pair run once with validation on, its parameters found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyro
import torch
from torch.distributions.constraints import Constraint
from torch.utils.data import IterableDataset

from pyro_vae.elbo import TraceELBO
from pyro_vae.errors import ModelError, OptionError
from pyro_vae.guides.automatic import as_guide
from pyro_vae.training.batches import Minibatches, WholeData, batches_from
from pyro_vae.training.initial import set_initial
from pyro_vae.training.objective import Elbo, Objective
from pyro_vae.training.parameters import (
    Parameters,
    Seen,
    constrained,
    copy_of,
    modules_of,
    seen_parameters,
)
from pyro_vae.training.randomness import kept_randomness
from pyro_vae.training.scales import check_scales
from pyro_vae.training.shares import Share

_LOOKED_AT = 100_000  # rows that are looked at before a fit, at most


@dataclass(frozen=True)
class Prepared:
    """A pair that is ready to be fitted; ``params`` are its live leaves."""

    objective: Objective
    batches: WholeData | Minibatches
    params: Parameters
    constraints: dict[str, Constraint]
    guide_name: str
    device: Any = None

    @property
    def stored(self) -> dict[str, Constraint]:
        """The constraints of those parameters that Pyro's param store holds."""
        store = pyro.get_param_store()
        return {name: store._constraints[name] for name, leaf in self.params.items() if store._params.get(name) is leaf}

    def values(self) -> Parameters:
        """The parameters as the programs see them, detached copies."""
        return constrained(self.params, {**self.constraints, **self.stored})


def prepare(
    model: Callable,
    guide: Callable | str,
    data: Any,
    elbo: Elbo,
    *,
    init: Mapping[str, Any] | Callable | str | None = None,
    device: Any = None,
    share: Share | None = None,
) -> Prepared:
    """Make the guide if it is a name, move everything, run the pair once with validation on and find its parameters.

    Random numbers and buffers stay as they were. Raises :class:`~pyro_vae.errors.ModelError` naming the site or plate
    when the pair cannot be fitted.
    """
    if not callable(model):
        raise ModelError(f"model: expected a callable, got {type(model).__name__}.")
    made = as_guide(guide, model, init=init if isinstance(guide, str) else None)
    if isinstance(guide, str):
        forget_made(f"{type(made).__name__}.")
    if getattr(elbo, "control", None) is None:
        forget_made("estimator_control$$$")
    _move(device, model, made)
    objective, batches = Objective(model, made, elbo), batches_from(data, device, share)
    seen = _look(objective, batches)
    params = seen.leaves
    if not params:
        if isinstance(elbo, TraceELBO) and not elbo.plan(model, made, *batches.peek()[0], **batches.peek()[1]).latents:
            raise ModelError(
                "The model has no latent site, so there is nothing to infer: sample what is unknown with "
                "pyro.sample(name, prior), without obs."
            )
        raise ModelError(
            "There is nothing to fit: neither guide nor model has a parameter. Add pyro.param to the guide, or use an "
            'automatic guide such as "auto_normal".'
        )
    if isinstance(batches, Minibatches):
        _check_rows(model, batches)
        check_scales(model, made, batches.loader, batches.peek())
    if not isinstance(guide, str):
        set_initial(made, params, seen.constraints, init)
    name = guide if isinstance(guide, str) else getattr(guide, "__name__", type(guide).__name__)
    return Prepared(objective, batches, params, seen.constraints, name, device)


def _check_rows(model: Callable, batches: Minibatches) -> None:
    """Let a model that can look at data (``check_data``) see all rows before training, where they are not too many."""
    check = getattr(getattr(model, "__self__", None), "check_data", None)
    loader = batches.loader
    if check is None or isinstance(loader.dataset, IterableDataset) or len(loader.dataset) > _LOOKED_AT:  # pyright: ignore
        return
    own = loader.generator.get_state() if loader.generator is not None else None
    with kept_randomness():
        check(loader)
    if own is not None:
        loader.generator.set_state(own)


def _look(objective: Objective, batches: WholeData | Minibatches) -> Seen:
    """Run the pair once with validation, unseen, and return the parameters that it used."""
    before = copy_of(objective.buffers())
    with kept_randomness(), pyro.validation_enabled(True), torch.no_grad():
        with seen_parameters() as seen:
            objective(*batches.peek())
        for name, buffer in objective.buffers().items():
            if name in before:
                buffer.copy_(before[name])
    return seen


def forget_made(prefix: str) -> None:
    """What a fit makes itself starts afresh: drop what an earlier one of its kind left in the param store."""
    store = pyro.get_param_store()
    for name in [name for name in store if name.startswith(prefix)]:
        del store[name]


def _move(device: Any, model: Callable, guide: Callable) -> None:
    if device is None:
        return
    for module in modules_of(model, guide).values():
        module.to(device)
    for leaf in pyro.get_param_store()._params.values():
        leaf.data = leaf.data.to(device)


@contextmanager
def on_device(device: Any) -> Iterator[None]:
    """New tensors are made on ``device`` inside the block; None leaves that alone."""
    if device is None:
        yield
        return
    try:
        chosen = torch.device(device)
        torch.empty((), device=chosen)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise OptionError(f"device {device!r} cannot be used: {error}") from error
    with chosen:
        yield
