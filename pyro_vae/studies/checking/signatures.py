"""Findings about what model and guide are called with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from pyro import poutine
from pyro.infer.autoguide import AutoGuide
from pyro.poutine.messenger import Messenger

from pyro_vae.studies.checking.finding import Finding
from pyro_vae.studies.checking.look import Look, argument_names, callable_of
from pyro_vae.studies.checking.source import definition


def _signature(program: Callable) -> inspect.Signature | None:
    owner = poutine.unwrap(program)
    if isinstance(owner, (AutoGuide, Messenger)):
        return None
    try:
        return inspect.signature(callable_of(program))
    except (TypeError, ValueError):
        return None


def uncallable(look: Look) -> Iterator[Finding]:
    """A program does not take the arguments that both are called with."""
    given = ", ".join([*(f"argument {i}" for i in range(len(look.args))), *look.kwargs]) or "nothing"
    for role, program in (("model", look.model), ("guide", look.guide)):
        signature = _signature(program) if program is not None else None
        if signature is None:
            continue
        try:
            signature.bind(*look.args, **look.kwargs)
        except TypeError as error:
            other = _signature(look.model)
            wanted = other if role == "guide" and other is not None else None
            yield Finding(
                f"The {role} takes {signature} and is called with {given}: {error}.",
                "Give model and guide the same arguments, and data that have all of them. A guide may ignore what it "
                "does not need."
                if role == "guide"
                else "Pass as data a dict whose keys are the model's arguments, or a tuple in their order.",
                where=definition(program) if program is not None else None,
                line=f"def {_called(program, role)}{wanted}:" if wanted is not None else None,
            )


def _called(program: Any, role: str) -> str:
    name = getattr(program, "__name__", role)
    return name if name.isidentifier() else role


def reordered(look: Look) -> Iterator[Finding]:
    """Data go by position, and the two programs have them in another order."""
    if look.guide is None or len(look.args) < 2:
        return
    one, other = _signature(look.model), _signature(look.guide)
    if one is None or other is None:
        return
    first, second = (list(part.parameters)[: len(look.args)] for part in (one, other))
    if first != second and set(first) == set(second):
        yield Finding(
            f"The data are given by position, and the model has them as ({', '.join(first)}), the guide as "
            f"({', '.join(second)}).",
            "Write the guide's arguments in the model's order, or give the data as a dict.",
            where=definition(look.guide),
            line=f"def {_called(look.guide, 'guide')}({', '.join(first)}):",
        )


def blind_without_data(look: Look) -> Iterator[Finding]:
    """A model that can be run without its observations, and a guide that cannot."""
    if look.guide is None or not look.sound:
        return
    of_model, of_guide = _signature(look.model), _signature(look.guide)
    if of_model is None or of_guide is None:
        return
    named = argument_names(look.model, look.args, look.kwargs)
    optional = [
        name
        for name, value in named.items()
        if value is not None and name in of_model.parameters and of_model.parameters[name].default is None
    ]
    if not optional:
        return
    args, kwargs = _without(look, of_model, set(optional))
    other = Look(look.model, look.guide, args, kwargs).collect()
    model_alone = other.of_model if other.of_model.error is None else other.alone
    if other.of_guide.error is None or model_alone is None or model_alone.error is not None:
        return
    listed = ", ".join(f"{name}=None" for name in optional)
    yield Finding(
        f"The model runs with {listed}, as for predictions, and the guide fails: "
        f"{type(other.of_guide.error).__name__}: {str(other.of_guide.error).partition(chr(10))[0][:120]}.",
        "Compute the guide's parameters from what is there at prediction too, such as the inputs x, or write "
        f"`if {optional[0]} is None:` in the guide.",
        where=other.of_guide.failed_at,
    )


def _without(look: Look, signature: inspect.Signature, optional: set[str]) -> tuple[tuple, dict[str, Any]]:
    bound = signature.bind(*look.args, **look.kwargs)
    bound.arguments.update(dict.fromkeys(optional))
    return bound.args, bound.kwargs
