"""Findings about how parameters start, and how often they are made."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.distributions import constraints

from pyro_vae.particles.checks import describe_support
from pyro_vae.studies.checking.finding import Finding
from pyro_vae.studies.checking.gradients import where_of
from pyro_vae.studies.checking.look import Look
from pyro_vae.studies.checking.source import with_argument, with_name
from pyro_vae.studies.checking.visiting import Statement


def at_the_edge(look: Look) -> Iterator[Finding]:
    """A starting value that its constraint does not allow, or allows only as a limit."""
    for name, leaf in look.seen.leaves.items():
        if not bool(torch.isfinite(leaf).all()):
            constraint = look.seen.constraints[name]
            where = where_of(name, look)
            inside = "0.1" if "GreaterThan" in str(constraint) else "0.5"
            yield Finding(
                f"Parameter '{name}' starts at the edge of its constraint ({describe_support(constraint)}) or "
                "outside, where it is infinite on the scale of the optimiser.",
                f"Start it inside, for example at {inside}.",
                parameter=name,
                where=where,
                line=where and where.corrected(with_argument(1, lambda _, start=inside: f"torch.tensor({start})")),
            )


def whole_number(look: Look) -> Iterator[Finding]:
    """A parameter made from integers."""
    for visit in look.visits:
        for name, one in visit.params.items():
            start = one.message["args"][1] if len(one.message["args"]) > 1 else None
            start = start() if callable(start) and not isinstance(start, Tensor) else start
            if isinstance(start, Tensor) and not start.is_floating_point() and not start.is_complex():
                yield Finding(
                    f"Parameter '{name}' starts from whole numbers ({start.dtype}), which have no gradient.",
                    "Write the starting value with a point: torch.tensor(0.0).",
                    parameter=name,
                    where=one.where,
                    line=one.where and one.where.corrected(with_argument(1, lambda text: f"{text}.float()")),
                )


def left_from_before(look: Look) -> Iterator[Finding]:
    """The param store has a value of this name, of another shape: another guide's, or another data set's."""
    for visit in look.visits:
        for name, one in visit.params.items():
            start = _start(one)
            value = one.message["value"]
            if start is None or value is None or start.shape == value.shape or one.message["kwargs"].get("event_dim"):
                continue
            yield Finding(
                f"Parameter '{name}' should start with shape {tuple(start.shape)}, and the param store has one of "
                f"that name of shape {tuple(value.shape)}, which is used instead.",
                "Call pyro.clear_param_store() before the fit, or give the parameter another name if another guide "
                "needs the old one.",
                parameter=name,
                where=one.where,
                line="pyro.clear_param_store()",
            )


def _start(one: Statement) -> Tensor | None:
    start = one.message["args"][1] if len(one.message["args"]) > 1 else None
    start = start() if callable(start) and not isinstance(start, Tensor) else start
    return start if isinstance(start, Tensor) else None


def two_in_one(look: Look) -> Iterator[Finding]:
    """Two statements make one parameter in two ways."""
    first: dict[str, Statement] = {}
    for one in (one for visit in look.visits for one in visit.statements if one.message["type"] == "param"):
        if len(one.message["args"]) < 2 or one.where is None:
            continue  # automatic guides make theirs as they need them
        before = first.setdefault(one.name, one)
        ways = [_way(before), _way(one)]
        if ways[0] != ways[1]:
            yield Finding(
                f"Parameter '{one.name}' is made twice, and differently: {ways[0]}, then {ways[1]}. The first counts.",
                "Give one of the two another name; or, if they are meant to be one, the same start and constraint.",
                parameter=one.name,
                where=one.where,
                line=one.where and one.where.corrected(with_name(f"{one.name}_2")),
            )
            return


def _way(one: Statement) -> str:
    start, constraint = _start(one), one.message["kwargs"].get("constraint") or constraints.real
    shape = tuple(start.shape) if start is not None else "?"
    return f"shape {shape}, numbers {describe_support(constraint)}"
